"""Dates, or numbers such as years, by which items stand in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gaia.errors import printable
from gaia.inputs import tables, words
from gaia.inputs.tables import Rows

Reader = Callable[[Sequence[str]], tuple[NDArray[np.float64], NDArray[np.bool_]]]


def reader(parts: Callable[[Sequence[str]], Iterable[Rows]], column: str) -> Reader:
    """How the cells of a table's column are read: as dates (ISO 8601) or numbers, whichever most of them are."""
    return _reader(rows.columns[column] for rows in parts([column]))


def _reader(parts: Iterable[Sequence[str]]) -> Reader:
    ways: tuple[Reader, ...] = (words.dates, tables.numbers)
    wrong = np.zeros(len(ways), dtype=np.int64)
    for cells in parts:
        wrong += [int(way(cells)[1].sum()) for way in ways]
    return ways[int(wrong.argmin())]


def read(cells: Sequence[str], how: Reader | None = None) -> tuple[list[float], list[bool]]:
    """Each cell as a number, larger where later; and whether it is none."""
    found = (how or _reader([cells]))(cells)
    return np.nan_to_num(found[0]).tolist(), (found[1] | np.isnan(found[0])).tolist()


def hint(cell: str) -> str:
    """What is wrong with a cell that `read` couldn't take."""
    return f"'{printable(cell[:40])}', to be written as 2026-11-26" if cell else "empty"
