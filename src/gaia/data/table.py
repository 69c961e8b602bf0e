"""A CSV or Parquet table -> index and columns of numbers and categories."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gaia.config.schema import Table
from gaia.data import columns, hashed, moments
from gaia.data import index as indexes
from gaia.data.check import check
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
    wanted = {column: column for column in columns.wanted(line, file, config)}
    rows = tables.read(line, file, wanted, config.separator, config.decimal, config.encoding)
    asked = columns.features(line, rows, config)
    categories = [feature.column for feature in asked if feature.type == "category"]
    for i, reason in enumerate(rows.reasons):
        if reason:  # whatever stands there
            rows.columns[config.label][i] = ""
    numbers = {feature.column: columns.numbers(rows, feature) for feature in asked if feature.type == "number"}
    named = config.classes or []
    columns.note(rows, config.label, "is empty", np.flatnonzero([not c for c in rows.columns[config.label]]))
    unsaid = [cell.lower() in tables.EMPTY and cell not in named for cell in rows.columns[config.label]]
    unknown = "is unknown, or a class to be named in data.classes: '{cell}'"
    columns.note(rows, config.label, unknown, np.flatnonzero(unsaid))
    said = zip(rows.columns[config.label], unsaid, strict=True)
    labels = ["" if nothing else indexes.printable(cell) for cell, nothing in said]
    left_out = [bool(named) and label not in named and not r for label, r in zip(labels, rows.reasons, strict=True)]
    columns.note(rows, config.label, "is none of data.classes: '{cell}'", np.flatnonzero(left_out))
    told = _told(line, file, rows, config)
    contents = _contents(rows, config)
    found = {"source": rows.sources, "label": labels, "split": "", "group": "", "reason": rows.reasons}
    index = pd.DataFrame(found, dtype=object)
    index["sha256"] = [hashlib.sha256(text.encode()).hexdigest() for text in contents]
    index["size"] = [len(text) for text in contents]
    index["verdict"] = ["quarantined" if reason else "ok" for reason in rows.reasons]
    index.loc[left_out, "verdict"] = "left out"
    indexes.assign_splits(line, index, told, config, seed)
    for column in categories:
        _quarantine_unseen(index, column, rows.columns[column])
    indexes.write(out, index)
    names = check(line, index, config, positive)
    usable = (index["verdict"] == "ok").to_numpy()
    features: list[dict[str, Any]] = []
    codes = np.full((len(index), len(categories)), -1, dtype=np.int32)
    learned = usable & (index["split"] == "train").to_numpy()
    for i, feature in enumerate(asked):  # the categories first
        described = feature.described()
        if feature.type == "category":
            cells = np.array(rows.columns[feature.column], dtype=object)
            known, codes[usable, i] = np.unique(cells[usable], return_inverse=True)
            columns.say_alike(feature.column, known.tolist())
            described["categories"] = known.tolist()
        elif seen := [value for value in numbers[feature.column][learned].tolist() if value == value]:
            described["range"] = [min(seen), max(seen)]
        features.append(described)
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


def _told(line: str, file: Path, rows: Rows, config: Table) -> list[Told]:
    """What each row tells of its split, group and date; a row without one that it needs gets a reason."""
    splits, by, group = config.splits.column, config.splits.by, config.group
    found = [Told()] * len(rows.sources)
    if group:
        columns.note(rows, group, "is empty", [i for i, cell in enumerate(rows.columns[group]) if not cell])
        found = [one._replace(group=cell) for one, cell in zip(found, rows.columns[group], strict=True)]
    if by:
        dates, undated = moments.read(rows.columns[by])
        for i in np.flatnonzero(undated).tolist():
            columns.note(rows, by, f"is no date: {moments.hint(rows.columns[by][i])}", [i])
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
    said = [
        f"occurs in no training row: '{cells[i][:40]}'" if cells[i] else "is empty in no training row" for i in unseen
    ]
    reasons = [indexes.printable(f"{column} {why}") for why in said]
    index.loc[unseen, ["split", "group"]], index.loc[unseen, "verdict"] = "", "quarantined"
    index.loc[unseen, "reason"] = reasons
