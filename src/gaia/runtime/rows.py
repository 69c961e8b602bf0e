"""Rows as people give them -> a frame that a model takes, and what was wrong with the others."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gaia.errors import Problem, nearest, shown
from gaia.inputs import tables, words
from gaia.runtime.contract import Feature, TableInput, category

if TYPE_CHECKING:
    import pandas as pd


class Rows(NamedTuple):
    """The rows that can be answered, what each is called, and by its name a problem for each of the others."""

    frame: pd.DataFrame
    names: list[str]
    problems: dict[str, Problem]


def of_mappings(asked: TableInput, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Rows:
    """Rows as mappings from a feature's name, or its column in the training table, to a value.

    A number may have either decimal mark, unless it could be one that groups thousands, too (1.998 where training had
    1,5); an empty number counts as not measured; keys that are no features are left out. A missing feature, text in a
    number, or a category that training never saw, which may be an empty one, is a problem: an answer would be a guess.
    """
    known, decimal = _words(asked), asked["decimal"]
    numbers = {f["name"] for f in asked["features"] if f["type"] == "number" and not {"order", "date"} & set(f)}
    seen = {feature["name"]: feature.get("categories") or feature.get("order", []) for feature in asked["features"]}
    columns: dict[str, list[str]] = {feature["name"]: [] for feature in asked["features"]}
    problems: dict[int, Problem] = {}
    for at, row in enumerate(rows):
        cells: dict[str, str] = {}
        if isinstance(row, Mapping):
            cells = {
                known[key]: _text(value, decimal, seen.get(known[key], ()))
                for key, value in row.items()
                if key in known
            }
            if lacking := [feature for feature in asked["features"] if feature["name"] not in cells]:
                strange = [str(key) for key in row if key not in known]
                problems[at] = Problem(f"{names[at]} lacks {_called(lacking[0])}{_misspelt(lacking[0], strange)}.")
        else:
            says = ", ".join(feature["name"] for feature in asked["features"][:5])
            problems[at] = Problem(f"{names[at]} is {shown(row)}", f"a row maps each feature ({says}) to a value")
        for name, column in columns.items():
            cell = cells.get(name, "")
            column.append(tables.as_written(cell, decimal) if name in numbers else cell)
    return _rows(asked, columns, names, decimal, problems)


def of_file(line: str, asked: TableInput, file: Path) -> Rows:
    """The rows of a CSV or Parquet file, read as the training table was; each is called by its place in the file.

    Raises GaiaError for a file or header that can't be read without a guess. What is a problem of a row: see above, and
    another number of cells than the header's.
    """
    return next(parts_of_file(line, asked, file, sys.maxsize))


def parts_of_file(line: str, asked: TableInput, file: Path, size: int) -> Iterator[Rows]:
    """The same, at most `size` rows at a time in memory. What is wrong further down is raised there."""
    how = asked["separator"], asked["decimal"], asked["encoding"]
    for read in tables.parts(line, file, _words(asked), *how, size):
        problems = {
            at: Problem(f"{read.sources[at]} {reason.replace(': ', ', ')}", "mend or remove it")
            for at, reason in enumerate(read.reasons)
            if reason
        }
        yield _rows(asked, read.columns, read.sources, read.decimal, problems)


def _rows(
    asked: TableInput, columns: dict[str, list[str]], names: Sequence[str], decimal: str, problems: dict[int, Problem]
) -> Rows:
    import pandas as pd

    frame: dict[str, Any] = {}
    for feature in asked["features"]:
        name, texts = feature["name"], columns[feature["name"]]
        if feature["type"] == "number":
            frame[name], wrong = words.values(texts, decimal, feature)
            for at in np.flatnonzero(wrong).tolist():
                problems.setdefault(
                    at, Problem(f"{names[at]}: {name} is '{texts[at]}', {_no_value(feature, texts[at], decimal)}.")
                )
        else:
            frame[name], seen = np.array(texts, dtype=object), feature.get("categories", [])
            for at in (at for at, text in enumerate(texts) if text not in seen and at not in problems):
                found = f"is '{texts[at]}', which" if texts[at] else "is not given, which"
                likely = f"known are {', '.join(map(category, seen[:20]))}{nearest(texts[at], seen)}"
                problems[at] = Problem(f"{names[at]}: {name} {found} training never saw", likely)
    good = [at for at in range(len(names)) if at not in problems]
    return Rows(  # of the good rows alone: others may hold text that no frame takes, half a surrogate pair
        pd.DataFrame({name: column[good] for name, column in frame.items()}),
        [names[at] for at in good],
        {names[at]: problems[at] for at in sorted(problems)},
    )


def as_given(asked: TableInput, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as mappings, as people give them: dates and words with an order as such, None where empty."""
    columns = {
        each["name"]: [
            words.written(value, each) if each["type"] == "number" else value for value in frame[each["name"]]
        ]
        for each in asked["features"]
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _no_value(feature: Feature, text: str, decimal: str) -> str:
    if "order" in feature or "date" in feature:
        return f"which is not {words.asked(feature)}"
    return "which is no number" + f" (the decimal mark is '{decimal}')" * bool(tables.hint(text, decimal))


def _words(asked: TableInput) -> dict[str, str]:
    """By which words a feature may be called: its name, or its column in the training table -> its name."""
    return {word: feature["name"] for feature in asked["features"] for word in (feature["column"], feature["name"])}


def _called(feature: Feature) -> str:
    name, column = feature["name"], feature["column"]
    return f"'{name}'" if name == column else f"'{name}' (in training the column '{column}')"


def _misspelt(feature: Feature, unknown: list[str]) -> str:
    """The row's unknown key that may have been meant for the feature."""
    meant = next((key for key in unknown if nearest(key, [feature["name"], feature["column"]])), None)
    return f"; '{meant}' may be meant for it" if meant else ""


def _text(value: Any, decimal: str, seen: Iterable[str]) -> str:
    """A value as it would stand in a cell of the training table; true and false in the words `seen` there."""
    if isinstance(value, bool):
        same = [truths[value] for truths in words.TRUTHS]
        return next((each for each in seen if each.casefold() in same), str(value))
    if isinstance(value, float | np.floating):
        return (repr(float(value)) if isinstance(value, float) else str(value)).replace(".", decimal)
    return "" if value is None else str(value).strip()
