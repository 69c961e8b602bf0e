"""A CSV or Parquet table -> index and columns of numbers and categories."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gaia import tables
from gaia.config.schema import Table
from gaia.data import index as indexes
from gaia.errors import GaiaError, nearest

SUFFIXES = (".csv", ".parquet")


def prepare(line: str, raw: Path, config: Table, seed: int, positive: str | None, out: Path) -> None:
    """Read the table under `raw` into `out`: index.csv, numbers.npy (float64 [rows, numbers], NaN where empty),
    categories.npy (int32 codes [rows, categories], -1 in quarantined rows), dataset.json.

    Raises GaiaError if the table or its content can't be trained on (see index.check).
    """
    file = _file(line, raw)
    rows = _read(line, file, config)
    columns = [*config.categories.values(), *config.numbers.values(), config.label]
    for column in columns:
        if column not in rows.columns:
            raise GaiaError(
                f"{line}: {file} has no column '{column}'; its columns are "
                f"{', '.join(map(str, rows.columns[:-2]))}{nearest(column, rows.columns)}."
            )
    reasons = rows["reason"].copy()
    numbers = {name: _numbers(rows[column], config.decimal, reasons) for name, column in config.numbers.items()}
    for column in (*config.categories.values(), config.label):
        _note(reasons, rows[column] == "", f"{column} is empty")
    if config.classes:
        for label in sorted(set(rows[config.label]) - {"", *config.classes}):
            _note(reasons, rows[config.label] == label, f"{config.label} '{label}' is none of data.classes")
    usable = (reasons == "").to_numpy()
    index = pd.DataFrame({"source": rows["source"], "label": rows[config.label], "split": "", "reason": reasons})
    text = rows[columns[:-1]].agg("\x1f".join, axis=1) if len(rows) else pd.Series(dtype=str)
    index["sha256"] = [hashlib.sha256(t.encode()).hexdigest() for t in text]
    index["size"] = text.str.len()
    index["verdict"] = np.where(usable, "ok", "quarantined")
    indexes.assign_splits(index, config, seed, hashes=None, distance=0)
    indexes.write(out, index)
    labels = indexes.check(line, index, config, positive)
    features: list[dict[str, Any]] = []
    codes = np.full((len(rows), len(config.categories)), -1, dtype=np.int32)
    for i, (name, column) in enumerate(config.categories.items()):
        known = sorted(set(rows.loc[usable, column]))
        codes[:, i] = rows[column].map({value: code for code, value in enumerate(known)}).where(usable, -1).fillna(-1)
        features.append({"name": name, "column": column, "type": "category", "categories": known})
    features += [{"name": name, "column": column, "type": "number"} for name, column in config.numbers.items()]
    np.save(out / "categories.npy", codes)
    np.save(out / "numbers.npy", np.stack([*numbers.values()], axis=1) if numbers else np.zeros((len(rows), 0)))
    indexes.write_description(out, labels, features)


def _file(line: str, raw: Path) -> Path:
    if raw.is_file():
        return raw
    found = sorted(p for p in raw.glob("*") if p.suffix.lower() in SUFFIXES) if raw.is_dir() else []
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} ({', '.join(p.name for p in found)})" if found else "none"
    raise GaiaError(
        f"{line}: {raw} should hold one .csv or .parquet file, found {what}; name the one that is meant in lines.{line}.raw."
    )


def _read(line: str, file: Path, config: Table) -> pd.DataFrame:
    """The table as text, with the columns `source` and `reason` (why a row can't be used, or '') behind."""
    if file.suffix.lower() == ".parquet":
        try:
            typed = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise GaiaError(f"{line}: {file} can't be read as Parquet: {str(error).splitlines()[0]}.") from None
        rows = typed.astype(object).where(typed.notna(), "").map(str)
        rows["source"] = [f"{file.name}:{i + 1}" for i in range(len(rows))]
        rows["reason"] = ""
    else:
        rows = _read_csv(line, file, config)
    if rows.empty:
        raise GaiaError(f"{line}: {file} holds no row; give it a header and rows.")
    return rows


def _read_csv(line: str, file: Path, config: Table) -> pd.DataFrame:
    encoding = "utf-8-sig" if config.encoding.lower() in ("utf-8", "utf8") else config.encoding
    try:
        with file.open(encoding=encoding, newline="") as stream:
            reader = csv.reader(stream, delimiter=config.separator)
            header = [name.strip() for name in next(reader, [])]
            body = [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise GaiaError(
            f"{line}: {file} is not {config.encoding} (byte {error.start}); set data.encoding, for example to cp1252."
        ) from None
    except (LookupError, csv.Error, TypeError) as error:
        raise GaiaError(f"{line}: {file} can't be read as CSV: {error}.") from None
    if not header:
        raise GaiaError(f"{line}: {file} is empty; give it a header and rows.")
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise GaiaError(f"{line}: {file} has the column '{doubled[0]}' twice; rename one.")
    width = len(header)
    rows = pd.DataFrame([[c.strip() for c in (cells + [""] * width)[:width]] for _, cells in body], columns=header)
    rows["source"] = [f"{file.name}:{number}" for number, _ in body]
    rows["reason"] = ["" if len(c) == width else f"has {len(c)} cells, the header {width}" for _, c in body]
    return rows


def _numbers(texts: pd.Series, decimal: str, reasons: pd.Series) -> np.ndarray:
    """The column as float64 (NaN where empty); what isn't a number gets a reason."""
    values, wrong = tables.numbers(texts, decimal)
    for text in texts[wrong].unique():
        hint = ", data.decimal?" if tables.looks_like_other_decimal(text, decimal) else ""
        _note(reasons, wrong & (texts == text), f"{texts.name} is not a number: '{text}'{hint}")
    return values


def _note(reasons: pd.Series, where: pd.Series, reason: str) -> None:
    reasons[where & (reasons == "")] = reason
