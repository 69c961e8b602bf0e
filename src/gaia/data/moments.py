"""Dates, or numbers such as years, by which items stand in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gaia.errors import printable
from gaia.inputs import tables


def read(cells: Sequence[str]) -> tuple[list[float], list[bool]]:
    """Each cell as a number, larger where later; and whether it is neither a number nor a date (ISO 8601; without an
    offset in UTC)."""
    values, wrong = tables.numbers(cells)
    found, unread = values.tolist(), (wrong | (values != values)).tolist()
    numbers = [i for i, bad in enumerate(unread) if not bad]
    for i, bad in enumerate(unread):
        if bad:
            try:
                moment = datetime.fromisoformat(cells[i].strip())
            except ValueError:
                found[i] = 0.0
                continue
            found[i], unread[i] = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp(), False
    if len(numbers) < unread.count(False):  # beside dates a number is a mistake
        for i in numbers:
            found[i], unread[i] = 0.0, True
    return found, unread


def hint(cell: str) -> str:
    """What is wrong with a cell that `read` couldn't take."""
    return f"'{printable(cell[:40])}', to be written as 2026-11-26" if cell else "empty"
