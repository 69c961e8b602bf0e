"""CSV or Parquet file -> cells -> numbers. The one way in which tables are read: for training, and for serving."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError, first_line, nearest

EMPTY = {"", "na", "n/a", "#n/a", "nan", "null", "none"}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SWAP = str.maketrans(",.", ".,")


class Rows(NamedTuple):
    """The cells that matter, as text without spaces around."""

    columns: dict[str, list[str]]
    sources: list[str]  # file:line
    reasons: list[str]  # why a row can't be used, or ''
    decimal: str  # the mark in these cells


def read(line: str, file: Path, wanted: Mapping[str, str], separator: str, decimal: str, encoding: str) -> Rows:
    """The columns of a table whose headers are keys of `wanted`, under the names that it gives them.

    A row of a CSV file that has more or fewer cells than the header gets a reason: which of its cells belongs where
    would be a guess. Raises GaiaError if the file can't be read, holds no row, or lacks a wanted name or has it twice.
    """
    if file.suffix.lower() == ".parquet":  # knows by itself what separator, decimal mark and encoding are
        rows = _read_parquet(line, file, wanted)
    else:
        rows = _read_csv(line, file, wanted, separator, decimal, encoding)
    if not rows.sources:
        raise GaiaError(f"{line}: {file} holds no row", "give it a header and rows")
    return rows


def numbers(texts: Iterable[str], decimal: str = ".") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The texts as float64 [n], NaN where the cell is empty; and a mask of those that are no finite number.

    The other decimal mark makes a text no number: whether "1,234" is little or much is not guessed.
    """
    cells = [text.strip() for text in texts]
    values, wrong = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    for i, cell in enumerate(cells):
        text = cell if decimal == "." else cell.translate(_SWAP)
        if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
            values[i] = value
        else:
            wrong[i] = cell.lower() not in EMPTY
    return values, wrong


def looks_like_other_decimal(text: str, decimal: str) -> bool:
    """Whether the text would be a number if the other decimal mark were meant."""
    other = "," if decimal == "." else "."
    return bool(re.fullmatch(rf"\s*[+-]?\d*{re.escape(other)}\d+\s*", text))


def _read_parquet(line: str, file: Path, wanted: Mapping[str, str]) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            at = _positions(line, file, wanted, parquet.schema_arrow.names)
            headers = {name: parquet.schema_arrow.names[i] for name, i in at.items()}
            typed = parquet.read(list(headers.values()))
        # by way of Python's own types: an integer with gaps stays "3", where pandas makes it "3.0"
        columns = {name: [_text(cell) for cell in typed[header].to_pylist()] for name, header in headers.items()}
    except (OSError, ValueError, NotImplementedError) as error:
        raise GaiaError(f"{line}: {file} can't be read as Parquet: {first_line(error)}.") from None
    return Rows(columns, [f"{file.name}:{i + 1}" for i in range(len(typed))], [""] * len(typed), ".")


def _text(cell: object) -> str:
    if cell is None or cell != cell:  # NaN
        return ""
    return (cell.decode() if isinstance(cell, bytes) else str(cell)).strip()


def _read_csv(line: str, file: Path, wanted: Mapping[str, str], separator: str, decimal: str, encoding: str) -> Rows:
    begin = 1
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        # strict: a quote that never closes would make one row of all that follow
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
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
            f"{line}: {file} is not {encoding} (line {number})", f"set data.encoding, for example to {likely}"
        ) from None
    except csv.Error as error:
        raise GaiaError(
            f"{line}: {file} can't be read as CSV from line {begin} on: {error}", "mind the quotes"
        ) from None
    except (LookupError, UnicodeError, TypeError, ValueError) as error:
        raise GaiaError(f"{line}: {file} can't be read as CSV: {error}.") from None
    if not body:
        raise GaiaError(f"{line}: {file} is empty", "give it a header and rows")
    header = [name.strip() for name in body.pop(0)[1]]
    columns = {
        name: [cells[at].strip() if at < len(cells) else "" for _, cells in body]
        for name, at in _positions(line, file, wanted, header).items()
    }
    width = len(header)
    reasons = ["" if len(cells) == width else f"has {len(cells)} cells: the header {width}" for _, cells in body]
    return Rows(columns, [f"{file.name}:{number}" for number, _ in body], reasons, decimal)


def _positions(line: str, file: Path, wanted: Mapping[str, str], header: list[str]) -> dict[str, int]:
    """Where each wanted name stands. Raises GaiaError for one that is missing or twofold."""
    found: dict[str, int] = {}
    for at, word in enumerate(header):
        if word in wanted and found.setdefault(wanted[word], at) != at:
            raise GaiaError(f"{line}: {file} has the column '{word}' twice", "rename one")
    for word, name in wanted.items():
        if name not in found:
            known = ", ".join(header)
            raise GaiaError(f"{line}: {file} has no column '{word}'", f"its columns are {known}{nearest(word, header)}")
    return found
