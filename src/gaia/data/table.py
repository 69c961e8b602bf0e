"""A CSV or Parquet table -> index and columns of numbers and categories."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import tables
from gaia.config.schema import Table
from gaia.data import index as indexes
from gaia.errors import GaiaError, nearest

SUFFIXES = (".csv", ".parquet")


class _Rows(NamedTuple):
    """The cells that matter, as text without spaces around."""

    columns: dict[str, list[str]]
    sources: list[str]
    reasons: list[str]  # why a row can't be used, or ''


def prepare(line: str, raw: Path, config: Table, seed: int, positive: str | None, out: Path) -> None:
    """Read the table under `raw` into `out`: index.csv, numbers.npy (float64 [rows, numbers], NaN where empty),
    categories.npy (int32 codes [rows, categories], -1 in quarantined rows), dataset.json.

    The table is held in memory as a whole. Raises GaiaError if it, or its content, can't be trained on (see
    index.check).
    """
    file = _file(line, raw)
    csv_file = file.suffix.lower() != ".parquet"
    rows = _read_csv(line, file, config) if csv_file else _read_parquet(line, file, config)
    if not rows.sources:
        raise GaiaError(f"{line}: {file} holds no row; give it a header and rows.")
    decimal = config.decimal if csv_file else "."
    numbers = {name: _numbers(rows, column, decimal) for name, column in config.numbers.items()}
    for column in (*config.categories.values(), config.label):
        _note(rows, column, "{column} is empty", [not cell for cell in rows.columns[column]])
    labels = [indexes.printable(label) for label in rows.columns[config.label]]
    if config.classes:
        unknown = [label not in config.classes for label in labels]
        _note(rows, config.label, "{column} '{cell}' is none of data.classes", unknown)
    contents = _contents(rows, config, numbers)
    index = pd.DataFrame({"source": rows.sources, "label": labels, "split": "", "reason": rows.reasons}, dtype=object)
    index["sha256"] = [hashlib.sha256(text.encode()).hexdigest() for text in contents]
    index["size"] = [len(text) for text in contents]
    index["verdict"] = ["quarantined" if reason else "ok" for reason in rows.reasons]
    indexes.assign_splits(index, config, seed, hashes=None, distance=0)
    for column in config.categories.values():
        _quarantine_unseen(index, column, rows.columns[column])
    indexes.write(out, index)
    names = indexes.check(line, index, config, positive)
    usable = (index["verdict"] == "ok").to_numpy()
    features: list[dict[str, Any]] = []
    codes = np.full((len(index), len(config.categories)), -1, dtype=np.int32)
    for i, (name, column) in enumerate(config.categories.items()):
        cells = np.array(rows.columns[column], dtype=object)
        known, codes[usable, i] = np.unique(cells[usable], return_inverse=True)
        features.append({"name": name, "column": column, "type": "category", "categories": known.tolist()})
    features += [{"name": name, "column": column, "type": "number"} for name, column in config.numbers.items()]
    np.save(out / "categories.npy", codes)
    np.save(out / "numbers.npy", np.stack([*numbers.values()], axis=1) if numbers else np.zeros((len(index), 0)))
    indexes.write_description(out, names, features)


def _file(line: str, raw: Path) -> Path:
    if raw.is_file():
        return raw
    inside = raw.glob("*") if raw.is_dir() else ()
    found = sorted(p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith("."))
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} ({', '.join(p.name for p in found)})" if found else "none"
    raise GaiaError(
        f"{line}: {raw} should hold one .csv or .parquet file, found {what}; "
        f"name the one that is meant in lines.{line}.raw."
    )


def _read_parquet(line: str, file: Path, config: Table) -> _Rows:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            columns = list(_positions(line, file, config, parquet.schema_arrow.names))
            typed = parquet.read(columns)
    except (OSError, ValueError, NotImplementedError) as error:
        raise GaiaError(f"{line}: {file} can't be read as Parquet: {str(error).splitlines()[0]}.") from None
    # by way of Python's own types: an integer with gaps stays "3", where pandas makes it "3.0"
    texts = {c: ["" if cell is None else str(cell).strip() for cell in typed[c].to_pylist()] for c in columns}
    for column in (*config.categories.values(), config.label):
        if pyarrow.types.is_floating(typed.schema.field(column).type):
            texts[column] = ["" if text == "nan" else text for text in texts[column]]
    return _Rows(texts, [f"{file.name}:{i + 1}" for i in range(len(typed))], [""] * len(typed))


def _read_csv(line: str, file: Path, config: Table) -> _Rows:
    encoding = "utf-8-sig" if config.encoding.lower() in ("utf-8", "utf8") else config.encoding
    begin = 1
    try:
        content = file.read_bytes()
        # strict: a quote that never closes would make one row of all that follow
        reader = csv.reader(
            io.StringIO(content.decode(encoding), newline=""),
            delimiter=config.separator, skipinitialspace=True, strict=True,
        )  # fmt: skip
        body = []
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                body.append((begin, cells))
            begin = reader.line_num + 1
    except OSError as error:
        raise GaiaError(f"{line}: {file} can't be opened: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        likely = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "cp1252"
        raise GaiaError(
            f"{line}: {file} is not {config.encoding} (line {number}); set data.encoding, for example to {likely}."
        ) from None
    except csv.Error as error:
        raise GaiaError(
            f"{line}: {file} can't be read as CSV from line {begin} on: {error}; mind the quotes."
        ) from None
    except (LookupError, UnicodeError, TypeError, ValueError) as error:
        raise GaiaError(f"{line}: {file} can't be read as CSV: {error}.") from None
    if not body:
        raise GaiaError(f"{line}: {file} is empty; give it a header and rows.")
    header = [name.strip() for name in body.pop(0)[1]]
    width = len(header)
    columns = {
        column: [cells[at].strip() if at < len(cells) else "" for _, cells in body]
        for column, at in _positions(line, file, config, header).items()
    }
    rows = _Rows(columns, [f"{file.name}:{number}" for number, _ in body], [""] * len(body))
    for i, (_, cells) in enumerate(body):
        if len(cells) != width:
            rows.reasons[i] = f"has {len(cells)} cells: the header {width}"
            columns[config.label][i] = ""  # whatever stands there
    return rows


def _positions(line: str, file: Path, config: Table, header: list[str]) -> dict[str, int]:
    """Where the columns that the configuration names stand. Raises GaiaError for one that is missing or twofold."""
    for column in (columns := [*config.categories.values(), *config.numbers.values(), config.label]):
        if column not in header:
            raise GaiaError(
                f"{line}: {file} has no column '{column}'; its columns are "
                f"{', '.join(header)}{nearest(column, header)}."
            )
        if header.count(column) > 1:
            raise GaiaError(f"{line}: {file} has the column '{column}' twice; rename one.")
    return {column: header.index(column) for column in columns}


def _numbers(rows: _Rows, column: str, decimal: str) -> NDArray[np.float64]:
    """The column as float64 (NaN where empty); what isn't a number gets a reason."""
    cells = rows.columns[column]
    values, wrong = tables.numbers(cells, decimal)
    other = [w and tables.looks_like_other_decimal(cell, decimal) for cell, w in zip(cells, wrong, strict=True)]
    _note(rows, column, "{column} is not a number: '{cell}', data.decimal?", other)
    _note(rows, column, "{column} is not a number: '{cell}'", wrong)
    return values


def _note(rows: _Rows, column: str, reason: str, where: Iterable[bool | np.bool_]) -> None:
    """Give a reason to the rows that have none yet."""
    for i, found in enumerate(where):
        if found and not rows.reasons[i]:
            rows.reasons[i] = indexes.printable(reason.format(column=column, cell=rows.columns[column][i][:40]))


def _contents(rows: _Rows, config: Table, numbers: dict[str, NDArray[np.float64]]) -> list[str]:
    """Each row's features as one text, the same for 1, 1.0 and 1e0, and for any order of columns."""
    parts = {column: rows.columns[column] for column in config.categories.values()}
    for name, column in config.numbers.items():
        parts[column] = ["" if np.isnan(value) else repr(value + 0.0) for value in numbers[name].tolist()]
    return ["\x1f".join(cells) for cells in zip(*(parts[column] for column in sorted(parts)), strict=True)]


def _quarantine_unseen(index: pd.DataFrame, column: str, cells: list[str]) -> None:
    """Rows with a category that no training row has: a model's answer to those would be a guess, so it refuses them."""
    splits = index["split"].tolist()
    train = {cell for cell, split in zip(cells, splits, strict=True) if split == "train"}
    unseen = [i for i, (cell, split) in enumerate(zip(cells, splits, strict=True)) if split and cell not in train]
    reasons = [indexes.printable(f"{column} '{cells[i][:40]}' occurs in no training row") for i in unseen]
    index.loc[unseen, "split"], index.loc[unseen, "verdict"], index.loc[unseen, "reason"] = "", "quarantined", reasons
