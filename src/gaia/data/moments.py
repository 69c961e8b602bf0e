"""Dates, or numbers such as years, by which items stand in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gaia.errors import printable
from gaia.inputs import tables, words


def read(cells: Sequence[str]) -> tuple[list[float], list[bool]]:
    """Each cell as a number, larger where later; and whether it is none. The cells are dates (ISO 8601) or numbers,
    whichever most of them are."""
    found = min((words.dates(cells), tables.numbers(cells)), key=lambda read: int(read[1].sum()))
    return np.nan_to_num(found[0]).tolist(), (found[1] | np.isnan(found[0])).tolist()


def hint(cell: str) -> str:
    """What is wrong with a cell that `read` couldn't take."""
    return f"'{printable(cell[:40])}', to be written as 2026-11-26" if cell else "empty"
