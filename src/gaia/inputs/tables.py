"""CSV or Parquet file -> cells -> numbers. The one way in which tables are read: for training, and for serving."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError, first_line, nearest
from gaia.inputs import LFS

EMPTY = {"", "na", "n/a", "#n/a", "nan", "null", "none"}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SAYS = re.compile(r"sep=([^\r\n])\r?\n?", re.IGNORECASE)
_LFS = ("a Git LFS pointer", "`git lfs pull` brings the table")
_EXCEL = "save the sheet as CSV UTF-8"
_NO_CSV = (  # how a file begins that is named like a table, and isn't
    (b"PK\x03\x04", "an Excel file or another ZIP archive", _EXCEL),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", _EXCEL),
    (b"PAR1", "Parquet", "name it .parquet"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it with gunzip"),
    (LFS, *_LFS),
)
_GROUPS = r"[+-]?[1-9]\d{{0,2}}({}\d{{3}})+"
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
    return next(parts(line, file, wanted, separator, decimal, encoding, sys.maxsize))


def parts(
    line: str,
    file: Path,
    wanted: Mapping[str, str],
    separator: str,
    decimal: str,
    encoding: str,
    size: int,
    name: str | None = None,
) -> Iterator[Rows]:
    """The same, at most `size` rows at a time in memory. What is wrong further down is raised there. The sources call
    the file by its `name`, if another."""
    nothing, name = True, name or file.name
    if file.suffix.lower() == ".parquet":  # knows by itself what separator, decimal mark and encoding are
        found = _parquet(line, file, wanted, size, name)
    else:
        found = _csv(line, file, wanted, separator, decimal, encoding, size, name)
    for rows in found:
        nothing = False
        yield rows
    if nothing:
        raise GaiaError(f"{line}: {file} holds no row", "give it a header and rows")


def header(line: str, file: Path, separator: str, encoding: str) -> list[str]:
    """The names of a table's columns, those alone that have one. Raises GaiaError if the file can't be read."""
    if file.suffix.lower() == ".parquet":
        with _as_parquet(line, file), arrow().parquet.ParquetFile(file) as parquet:
            names: list[str] = parquet.schema_arrow.names
            return [name for name in names if not name.startswith("__index_level_")]  # rows counted by pandas
    _, first = next(_lines(line, file, separator, encoding), (1, []))
    return [name for cell in first if (name := cell.strip())]


def numbers(texts: Iterable[str], decimal: str = ".") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The texts as float64 [n], NaN where the cell is empty; and a mask of those that are no finite number.

    The other decimal mark makes a text no number: whether "1,234" is little or much is not guessed.
    """

    def read(cell: str) -> float | None:
        text = cell if decimal == "." else cell.translate(_SWAP)
        return value if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)) else None

    return each(texts, read)


def each(texts: Iterable[str], read: Callable[[str], float | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What `read` makes of each text without the spaces around it, float64 [n], NaN for None; and a mask of the texts
    that it makes nothing of though they aren't empty."""
    cells = [text.strip() for text in texts]
    found = {cell: read(cell) for cell in set(cells)}
    wrong = {cell: value is None and cell.lower() not in EMPTY for cell, value in found.items()}
    values = {cell: math.nan if value is None else value for cell, value in found.items()}
    return np.fromiter(map(values.__getitem__, cells), float), np.fromiter(map(wrong.__getitem__, cells), bool)


def hint(text: str, decimal: str) -> str:
    """What a text may be that is no number, or nothing. 1.998 may be both little and, with thousands grouped, much:
    which is not guessed."""
    text, other = text.strip(), _other(decimal)
    if text.lower() in ("true", "false"):
        return "a category?"
    for mark, point in (",.", ".,"):
        if re.fullmatch(rf"{_GROUPS.format(re.escape(mark))}({re.escape(point)}\d+)?", text, re.ASCII):
            written = f"thousands, to be written {text.replace(mark, '').replace(point, decimal)}?"
            return f"data.decimal? or {written}" if _is_marked(text, other) else written
    return "data.decimal?" if _is_marked(text, other) else ""


class Grouped(NamedTuple):
    """Whether the points in a column that was read with decimal points may group thousands: each stands before three
    digits, and without one no number reaches a thousand."""

    small: bool = False
    grouped: bool = False
    may_be: bool = True

    @property
    def is_likely(self) -> bool:
        """After all cells."""
        return self.may_be and self.small and self.grouped

    def with_those(self, texts: Iterable[str]) -> Grouped:
        """The same of some cells more."""
        pointed: list[str] = []
        whole: list[str] = []
        for cell in {text.strip() for text in texts}:
            (pointed if "." in cell else whole).append(cell)
        small = [len(cell) <= 3 for cell in whole if cell.isdecimal()]
        grouped = [re.fullmatch(_GROUPS.format(r"\."), cell, re.ASCII) is not None for cell in pointed]
        may_be = self.may_be and all(small) and all(grouped)
        return Grouped(self.small or any(small), self.grouped or any(grouped), may_be)


def as_written(text: str, decimal: str) -> str:
    """A number that is given alone, with either decimal mark, as a cell of the table has it. What may group thousands
    stays as it is, and so is no number there."""
    text, other = text.strip(), _other(decimal)
    if _is_marked(text, other) and not re.fullmatch(_GROUPS.format(re.escape(other)), text, re.ASCII):
        return text.replace(other, decimal)
    return text


def _other(decimal: str) -> str:
    return "," if decimal == "." else "."


def _is_marked(text: str, mark: str) -> bool:
    return bool(re.fullmatch(rf"[+-]?\d*{re.escape(mark)}\d+([eE][+-]?\d+)?", text, re.ASCII))


def _parquet(line: str, file: Path, wanted: Mapping[str, str], size: int, name: str) -> Iterator[Rows]:
    done = 0
    with _as_parquet(line, file), arrow().parquet.ParquetFile(file) as parquet:
        at = _positions(line, file, wanted, parquet.schema_arrow.names)
        headers = {column: parquet.schema_arrow.names[i] for column, i in at.items()}
        for some in parquet.iter_batches(min(size, max(1, parquet.metadata.num_rows)), columns=[*headers.values()]):
            # by way of Python's own types: an integer with gaps stays "3", where pandas makes it "3.0"
            columns = {key: [_text(cell) for cell in some[header].to_pylist()] for key, header in headers.items()}
            yield Rows(columns, [f"{name}:{done + i + 1}" for i in range(len(some))], [""] * len(some), ".")
            done += len(some)


def arrow(instead: str = "give CSV") -> Any:
    """pyarrow with its `parquet`. Raises GaiaError, with what to do `instead`, if it isn't installed."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise GaiaError(
            "pyarrow is not installed, which Parquet takes", f"`pip install pyarrow`, or {instead}"
        ) from None
    return pyarrow


@contextmanager
def _as_parquet(line: str, file: Path) -> Iterator[None]:
    """What pyarrow says of a file that it can't read becomes a sentence."""
    try:
        yield
    except (OSError, ValueError, NotImplementedError) as error:
        with suppress(OSError), file.open("rb") as opened:
            if opened.read(len(LFS)) == LFS:
                raise GaiaError(f"{line}: {file} is {_LFS[0]}, not Parquet", _LFS[1]) from None
        raise GaiaError(f"{line}: {file} can't be read as Parquet: {first_line(error)}.") from None


def _text(cell: object) -> str:
    if cell is None or cell != cell:  # NaN
        return ""
    return (cell.decode() if isinstance(cell, bytes) else str(cell)).strip()


def _csv(
    line: str, file: Path, wanted: Mapping[str, str], separator: str, decimal: str, encoding: str, size: int, name: str
) -> Iterator[Rows]:
    lines = _lines(line, file, separator, encoding)
    _, first = next(lines, (1, None))
    if first is None:
        raise GaiaError(f"{line}: {file} is empty", "give it a header and rows")
    header = [name.strip() for name in first]
    if len(header) == 1 and (other := _separates(header[0], wanted)):
        meant = json.dumps(other)
        raise GaiaError(
            f"{line}: {file} is separated by {meant}, not by {json.dumps(separator)}",
            f"set data.separator to {meant}, or write the table as training read it",
        )
    positions, width = _positions(line, file, wanted, header), len(header)
    while body := list(islice(lines, size)):
        columns = {
            key: [cells[at].strip() if at < len(cells) else "" for _, cells in body] for key, at in positions.items()
        }
        reasons = ["" if len(cells) == width else f"has {len(cells)} cells: the header {width}" for _, cells in body]
        yield Rows(columns, [f"{name}:{number}" for number, _ in body], reasons, decimal)


def _lines(line: str, file: Path, separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that isn't blank, and the line of the file that it begins in."""
    begin = 1
    try:
        with file.open("rb") as stream:
            start = stream.read(max(len(first) for first, _, _ in _NO_CSV))
            for first, is_instead, mend in _NO_CSV:
                if start.startswith(first):
                    raise GaiaError(f"{line}: {file} is {is_instead}, not CSV", mend)
            stream.seek(0)
            codec = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
            text = io.TextIOWrapper(stream, encoding=codec, newline="")
            if said := _SAYS.match(text.readline()):  # Excel's own first line
                separator, begin = said[1], 2
            else:
                text.seek(0)
            before = begin
            # strict: a quote that never closes would make one row of all that follow
            reader = csv.reader(text, delimiter=separator, skipinitialspace=True, strict=True)
            for cells in reader:
                if len(cells) > 1 or (cells and cells[0].strip()):
                    yield begin, cells
                begin = reader.line_num + before
    except OSError as error:
        raise GaiaError(f"{line}: {file} can't be opened: {error.strerror}.") from None
    except UnicodeDecodeError:
        content = file.read_bytes()
        likely = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "cp1252"
        raise GaiaError(
            f"{line}: {file} is not {encoding} (line {_wrong_line(content, codec)})",
            f"set data.encoding, for example to {likely}",
        ) from None
    except csv.Error as error:
        raise GaiaError(
            f"{line}: {file} can't be read as CSV from line {begin} on: {error}", "mind the quotes"
        ) from None
    except (LookupError, UnicodeError, TypeError, ValueError) as error:
        raise GaiaError(f"{line}: {file} can't be read as CSV: {error}.") from None


def _wrong_line(content: bytes, encoding: str) -> int:
    """The line in which bytes stop being text."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1


def _separates(header: str, wanted: Mapping[str, str]) -> str | None:
    """Which mark would part a header into columns that are wanted."""
    parts = {mark: {part.strip(' "') for part in header.split(mark)} for mark in ";\t,|"}
    return next((mark for mark, found in parts.items() if len(found) > 1 and found & set(wanted)), None)


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
