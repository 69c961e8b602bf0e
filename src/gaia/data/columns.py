"""A table's columns -> features: which columns are features, of what type, and what their cells say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.config.schema import Table
from gaia.data import index as indexes
from gaia.data.check import folded, say
from gaia.errors import GaiaError, nearest
from gaia.inputs import tables, words
from gaia.inputs.tables import Rows

_FEW = 0.05  # share of other cells in a column of numbers up to which they may be a mistake
_MANY = 20  # rows from which on it is no chance that each has a value of its own


class Column(NamedTuple):
    """A feature and the column that it is read from. A number may be a date, or a word's place in an order."""

    name: str
    column: str
    type: str  # category or number
    order: list[str] | None = None
    date: bool = False

    def described(self) -> dict[str, Any]:
        """As dataset.json and the contract have it."""
        about: dict[str, Any] = {"name": self.name, "column": self.column, "type": self.type}
        return about | ({"order": self.order} if self.order else {}) | ({"date": True} if self.date else {})


Parts = Callable[[Sequence[str]], Iterable[Rows]]  # the rows with these columns alone, some at a time


def wanted(line: str, file: Path, header: Iterable[str], config: Table) -> list[str]:
    """The columns to be read: all, since rows may differ by those, too, that nobody names; but for one of these that
    stands there twice. Raises GaiaError if the file's header lacks one of `data.without`."""
    named = list(dict.fromkeys([*config.columns(), *config.told()]))
    there = Counter(header)
    if lacking := [column for column in config.without if column not in there]:
        known = f"its columns are {', '.join(there)}{nearest(lacking[0], there)}"
        raise GaiaError(f"{line}: data.without names '{lacking[0]}', which {file} lacks", known)
    return [*named, *(column for column, times in there.items() if times == 1 and column not in named)]


def features(line: str, columns: Sequence[str], read: Parts, config: Table) -> list[Column]:
    """The features: categories, numbers, dates and words in an order, each as the configuration, then the table, has
    them.

    `rest` takes the columns that no other key names: as numbers those whose every cell is a number or empty, as
    categories all others; an empty column is none. A number's column of true and false, or yes and no, counts 1 and 0.
    Raises GaiaError if no feature is left, or a category's column has a value of its own in most rows.
    """
    truths = _truths(read, list(config.named("numbers").values()))
    found = [
        *(Column(name, column, "category") for name, column in config.named("categories").items()),
        *(Column(name, column, "number", truths[column]) for name, column in config.named("numbers").items()),
        *(Column(name, column, "number", None, True) for name, column in config.dates.items()),
        *(Column(name, each.column, "number", each.order) for name, each in config.ordered.items()),
    ]
    rest = _rest(line, columns, read, config)
    if same := {column.name for column in found} & {column.name for column in rest}:
        raise GaiaError(f"{line}: the column '{min(same)}' is named like a feature", "name it in data.without")
    if not found and not rest:
        raise GaiaError(f"{line}: no column is left to be a feature", "name some in data.categories or data.numbers")
    for feature in [*found, *rest]:
        if feature.type == "number" and not feature.order and not feature.date:
            _say_grouped(read, feature.column)
    return sorted([*found, *rest], key=lambda column: column.type)  # which keeps the order otherwise


def numbers(rows: Rows, feature: Column) -> NDArray[np.float64]:
    """A number's column as float64 [rows] (NaN where empty); what is none gets a reason."""
    cells, name = rows.columns[feature.column], feature.column
    values, wrong = words.values(cells, rows.decimal, feature.described())
    plain = not feature.order and not feature.date
    for i in np.flatnonzero(wrong).tolist():
        hint = tables.hint(cells[i], rows.decimal) if plain else ""
        note(rows, name, f"is not {words.asked(feature.described())}: '{{cell}}'{f', {hint}' if hint else ''}", [i])
    return values


def note(rows: Rows, column: str, reason: str, where: Iterable[int]) -> None:
    """Give a reason to those rows that have none yet: the column's name before it, and the row's cell in it."""
    for i in where:
        if not rows.reasons[i]:
            cell = rows.columns[column][i][:40]
            rows.reasons[i] = indexes.printable(f"{column} {reason.replace('{cell}', cell)}")


def say_alike(column: str, categories: list[str]) -> None:
    """Say on screen which categories of a column may be the same."""
    first: dict[str, str] = {}
    for category in categories:
        if (twin := first.setdefault(folded(category), category)) != category:
            pair = f"'{indexes.printable(twin)}' and '{indexes.printable(category)}'"
            say(f"  {column}: {pair} are two categories; write them alike if they are one", style="yellow")


def _say_grouped(read: Parts, column: str) -> None:
    """Say on screen if the points of a column of numbers may group thousands."""
    example, known = "", tables.Grouped()
    for rows in read([column]):
        known = known.with_those(rows.columns[column])
        if rows.decimal != "." or not known.may_be:
            return
        example = example or next((cell for cell in rows.columns[column] if "." in cell), "")
    if known.is_likely:
        meant = f"if its point groups thousands, write {example.replace('.', '')}"
        say(f"  {column}: {example} is read as less than a thousand; {meant}", style="yellow")


def _truths(read: Parts, columns: Sequence[str]) -> dict[str, list[str] | None]:
    """`false, true` or `no, yes` for each column that holds these alone, and empty cells."""
    held: dict[str, set[str]] = {column: set() for column in columns}
    may_be = {column: list(words.TRUTHS) for column in columns}
    for rows in read(columns) if columns else ():
        for column in columns:
            if may_be[column]:
                held[column] |= {cell.casefold() for cell in rows.columns[column] if cell}
                may_be[column] = [truths for truths in words.TRUTHS if held[column] <= set(truths)]
        if not any(may_be.values()):
            break
    return {column: next(iter(may_be[column]), None) if held[column] else None for column in columns}


class _Seen(NamedTuple):
    """What a column holds in rows of as many cells as the header."""

    cells: int = 0
    filled: int = 0
    wrong: int = 0  # of the filled, those that are no number
    example: str = ""  # the first of these

    def with_those(self, cells: list[str], decimal: str) -> _Seen:
        filled = [cell for cell in cells if cell.lower() not in tables.EMPTY]
        _, wrong = tables.numbers(filled, decimal)
        example = self.example or (filled[int(np.argmax(wrong))] if wrong.any() else "")
        return _Seen(self.cells + len(cells), self.filled + len(filled), self.wrong + int(wrong.sum()), example)


def _rest(line: str, columns: Sequence[str], read: Parts, config: Table) -> list[Column]:
    """The features that `rest` takes, which is said on screen."""
    named = {*config.columns(), *config.told(), *config.without}
    rest, found, unused = config.rest(), [], []
    asked = [column for column in columns if rest and column not in named]
    seen = dict.fromkeys(asked, _Seen())
    for rows in read(asked) if asked else ():
        whole = [i for i, reason in enumerate(rows.reasons) if not reason]
        for column in asked:
            seen[column] = seen[column].with_those([rows.columns[column][i] for i in whole], rows.decimal)
    numbers = {column for column in asked if seen[column].filled and not seen[column].wrong and "numbers" in rest}
    texts = [column for column in asked if seen[column].filled and column not in numbers and "categories" in rest]
    values = _values(read, texts)
    for column in asked:
        if column in numbers:
            found.append(Column(column, column, "number"))
        elif column in values:
            _check_repeated(line, column, seen[column].cells, values[column])
            found.append(Column(column, column, "category"))
        else:
            unused.append(column)
        _, filled, wrong, example = seen[column]
        if filled and 0 < wrong / filled <= _FEW and "numbers" in rest:
            some = f"{wrong} of {filled} cells are none: '{indexes.printable(example[:40])}'"
            say(f"  {column} is not taken for numbers, since {some}", style="yellow")
    for kind, names in (
        ("numbers", [column.name for column in found if column.type == "number"]),
        ("categories", [column.name for column in found if column.type == "category"]),
        ("unused", unused),
    ):
        if names:
            say(f"  {kind}: {indexes.printable(', '.join(names))}")
    return found


def _values(read: Parts, columns: Sequence[str]) -> dict[str, int]:
    """How many cells of each column differ, in rows of as many cells as the header."""
    held: dict[str, set[str]] = {column: set() for column in columns}
    for rows in read(columns) if columns else ():
        for column in columns:
            held[column].update(c for c, reason in zip(rows.columns[column], rows.reasons, strict=True) if not reason)
    return {column: len(cells) for column, cells in held.items()}


def _check_repeated(line: str, column: str, cells: int, different: int) -> None:
    """Raise GaiaError if most rows have a value of their own: what is learned of one of them serves no other row."""
    if _MANY < cells < 2 * different:
        raise GaiaError(
            f"{line}: data.categories, rest, takes the column '{column}', which has {different} values in {cells} rows",
            "name it in data.without, or in data.dates if it is one",
        )
