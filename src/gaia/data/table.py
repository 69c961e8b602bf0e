"""A CSV or Parquet table -> index and columns of numbers and categories."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import Table
from gaia.data import hashed, moments
from gaia.data import index as indexes
from gaia.data.check import check, folded, say
from gaia.data.dataset import write_description
from gaia.data.told import Told, splits_of
from gaia.errors import GaiaError
from gaia.inputs import tables
from gaia.inputs.tables import Rows

SUFFIXES = (".csv", ".parquet")
_OTHERS = {  # what a table may be instead, by the end of its name
    ".xlsx": "save the sheet as CSV UTF-8 beside it",
    ".xls": "save the sheet as CSV UTF-8 beside it",
    ".ods": "save the sheet as CSV beside it",
    ".tsv": 'name it .csv, and set data.separator to "\\t"',
    ".csv.gz": "unpack it with gunzip",
    ".csv.zip": "unpack it",
    ".parquet": "a folder of parts is no file; write it as one",
}


def prepare(line: str, raw: Path, config: Table, seed: int, positive: str | None, out: Path) -> None:
    """Read the table under `raw` into `out`: index.csv, numbers.npy (float64 [rows, numbers], NaN where empty),
    categories.npy (int32 codes [rows, categories], -1 in quarantined rows), dataset.json.

    The table is held in memory as a whole. Raises GaiaError if it, or its content, can't be trained on (see
    check.check).
    """
    file = _file(line, raw)
    asked = (*config.categories.values(), *config.numbers.values(), config.label, *config.told())
    wanted = {column: column for column in (*asked, *_others(line, file, config, asked))}
    rows = tables.read(line, file, wanted, config.separator, config.decimal, config.encoding)
    for i, reason in enumerate(rows.reasons):
        if reason:  # whatever stands there
            rows.columns[config.label][i] = ""
    numbers = {name: _numbers(rows, column) for name, column in config.numbers.items()}
    named = config.classes or []
    for column in (*config.categories.values(), config.label):
        hint = "" if column == config.label else ": write a word that says so, such as unknown"
        _note(rows, column, f"{{column}} is empty{hint}", np.flatnonzero([not cell for cell in rows.columns[column]]))
    unsaid = [cell.lower() in tables.EMPTY and cell not in named for cell in rows.columns[config.label]]
    unknown = "{column} is unknown, or a class to be named in data.classes: '{cell}'"
    _note(rows, config.label, unknown, np.flatnonzero(unsaid))
    said = zip(rows.columns[config.label], unsaid, strict=True)
    labels = ["" if nothing else indexes.printable(cell) for cell, nothing in said]
    left_out = [bool(named) and label not in named and not r for label, r in zip(labels, rows.reasons, strict=True)]
    _note(rows, config.label, "{column} is none of data.classes: '{cell}'", np.flatnonzero(left_out))
    told = _told(line, file, rows, config)
    contents = _contents(rows, config)
    columns = {"source": rows.sources, "label": labels, "split": "", "group": "", "reason": rows.reasons}
    index = pd.DataFrame(columns, dtype=object)
    index["sha256"] = [hashlib.sha256(text.encode()).hexdigest() for text in contents]
    index["size"] = [len(text) for text in contents]
    index["verdict"] = ["quarantined" if reason else "ok" for reason in rows.reasons]
    index.loc[left_out, "verdict"] = "left out"
    indexes.assign_splits(line, index, told, config, seed)
    for column in config.categories.values():
        _quarantine_unseen(index, column, rows.columns[column])
    indexes.write(out, index)
    names = check(line, index, config, positive)
    usable = (index["verdict"] == "ok").to_numpy()
    features: list[dict[str, Any]] = []
    codes = np.full((len(index), len(config.categories)), -1, dtype=np.int32)
    for i, (name, column) in enumerate(config.categories.items()):
        cells = np.array(rows.columns[column], dtype=object)
        known, codes[usable, i] = np.unique(cells[usable], return_inverse=True)
        _say_alike(column, known.tolist())
        features.append({"name": name, "column": column, "type": "category", "categories": known.tolist()})
    learned = usable & (index["split"] == "train").to_numpy()
    for name, column in config.numbers.items():
        seen = numbers[name][learned & ~np.isnan(numbers[name])].tolist()
        extremes = {"range": [min(seen), max(seen)]} if seen else {}
        features.append({"name": name, "column": column, "type": "number"} | extremes)
    np.save(out / "categories.npy", codes)
    np.save(out / "numbers.npy", np.stack([*numbers.values()], axis=1) if numbers else np.zeros((len(index), 0)))
    write_description(out, names, features)


def _file(line: str, raw: Path) -> Path:
    """The one table. Raises GaiaError with what lies there instead."""
    found = hashed.look(raw)
    if found.problems:
        raise GaiaError.several(found.problems)
    if raw.is_file():
        return raw
    files = [raw / file for file in found.files if len(file.parts) == 1 and file.suffix.lower() in SUFFIXES]
    if len(files) == 1:
        return files[0]
    asked = f"{line}: {raw} should hold one .csv or .parquet file, found"
    if files:
        names = ", ".join(file.name for file in files)
        raise GaiaError(f"{asked} {len(files)} ({names})", f"name the one that is meant in lines.{line}.raw")
    for file, reason in found.left_out.items():
        if file.suffix.lower() in SUFFIXES:
            raise GaiaError(f"{asked} none", f"{indexes.printable(str(file))} is {reason}")
    for suffix, mend in _OTHERS.items():
        for name in sorted({file.parts[0] for file in found.files}):
            if name.lower().endswith(suffix):
                raise GaiaError(f"{asked} {indexes.printable(name)}", mend)
    raise GaiaError(f"{asked} none", f"name the one that is meant in lines.{line}.raw")


def _numbers(rows: Rows, column: str) -> NDArray[np.float64]:
    """The column as float64 (NaN where empty); what isn't a number gets a reason."""
    cells = rows.columns[column]
    values, wrong = tables.numbers(cells, rows.decimal)
    if rows.decimal == "." and tables.may_group(cells):
        example = next(cell for cell in cells if "." in cell)
        meant = f"if its point groups thousands, write {example.replace('.', '')}"
        say(f"  {column}: {example} is read as less than a thousand; {meant}", style="yellow")
    for i in np.flatnonzero(wrong).tolist():
        hint = tables.hint(cells[i], rows.decimal)
        _note(rows, column, f"{{column}} is not a number: '{{cell}}'{f', {hint}' if hint else ''}", [i])
    return values


def _note(rows: Rows, column: str, reason: str, where: Iterable[int]) -> None:
    """Give a reason to those rows that have none yet."""
    for i in where:
        if not rows.reasons[i]:
            rows.reasons[i] = indexes.printable(reason.format(column=column, cell=rows.columns[column][i][:40]))


def _say_alike(column: str, categories: list[str]) -> None:
    first: dict[str, str] = {}
    for category in categories:
        if (twin := first.setdefault(folded(category), category)) != category:
            pair = f"'{indexes.printable(twin)}' and '{indexes.printable(category)}'"
            say(f"  {column}: {pair} are two categories; write them alike if they are one", style="yellow")


def _contents(rows: Rows, config: Table) -> list[str]:
    """Each row as one text, but for its label and split: the same for 1, 1.0 and 1e0, for any order of columns, and
    whichever are features. Where equal rows are no duplicates (data.duplicates), each has its number among them."""
    parts = []
    for column in sorted(set(rows.columns) - {config.label, config.splits.column}):
        values = tables.numbers(rows.columns[column], rows.decimal)[0].tolist()
        pairs = zip(rows.columns[column], values, strict=True)
        parts.append([repr(value + 0.0) if value == value else cell for cell, value in pairs])
    found = ["\x1f".join(cells) for cells in zip(*parts, strict=True)]
    if not config.duplicates:
        seen: Counter[str] = Counter()
        for i, key in enumerate(map("\x1f".join, zip(found, rows.columns[config.label], strict=True))):
            seen[key] += 1
            found[i] += f"\x1f{seen[key]}" if seen[key] > 1 else ""
    return found


def _others(line: str, file: Path, config: Table, named: Iterable[str]) -> list[str]:
    """The columns that the configuration doesn't name, by which rows may differ, too; what several are called is left
    out."""
    there = Counter(tables.header(line, file, config.separator, config.encoding))
    return [column for column, n in there.items() if n == 1 and column not in named]


def _told(line: str, file: Path, rows: Rows, config: Table) -> list[Told]:
    """What each row tells of its split, group and date; a row without one that it needs gets a reason."""
    splits, by, group = config.splits.column, config.splits.by, config.group
    found = [Told()] * len(rows.sources)
    if group:
        _note(rows, group, "{column} is empty", [i for i, cell in enumerate(rows.columns[group]) if not cell])
        found = [one._replace(group=cell) for one, cell in zip(found, rows.columns[group], strict=True)]
    if by:
        dates, undated = moments.read(rows.columns[by])
        for i in np.flatnonzero(undated).tolist():
            _note(rows, by, f"{{column}} is no date: {moments.hint(rows.columns[by][i])}", [i])
        found = [one._replace(date=date) for one, date in zip(found, dates, strict=True)]
    if splits:
        said = zip(rows.columns[splits], rows.reasons, strict=True)
        words = splits_of(line, f"{file}: {splits}", ["train" if reason else cell for cell, reason in said])
        found = [one._replace(split=split) for one, split in zip(found, words, strict=True)]
    return found


def _quarantine_unseen(index: pd.DataFrame, column: str, cells: list[str]) -> None:
    """Rows with a category that no training row has: a model's answer to those would be a guess, so it refuses them."""
    splits = index["split"].tolist()
    train = {cell for cell, split in zip(cells, splits, strict=True) if split == "train"}
    unseen = [i for i, (cell, split) in enumerate(zip(cells, splits, strict=True)) if split and cell not in train]
    reasons = [indexes.printable(f"{column} occurs in no training row: '{cells[i][:40]}'") for i in unseen]
    index.loc[unseen, ["split", "group"]], index.loc[unseen, "verdict"] = "", "quarantined"
    index.loc[unseen, "reason"] = reasons
