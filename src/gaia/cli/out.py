"""Answers in a file: CSV, JSON lines or Parquet, written as they come, and there when they are whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaia import files
from gaia.data.cells import inert
from gaia.errors import GaiaError, Problem
from gaia.inputs import tables
from gaia.runtime.answers import Answer, Answers

Row = dict[str, Any]


def rows(found: Answers, line: str, version: str | None, labels: list[str]) -> list[Row]:
    """A row for each input: input, line, version, answer, uncertain, a share for each label, and what was wrong."""
    said = {each["input"]: each for each in found.answers}
    made = []
    for name in dict.fromkeys([*said, *found.problems]):
        made.append(_row(name, line, version, said.get(name), found.problems.get(name), labels))
    return made


def _row(
    name: str, line: str, version: str | None, said: Answer | None, problem: Problem | None, labels: list[str]
) -> Row:  # fmt: skip
    return {
        "input": name, "line": line, "version": version, "answer": said["answer"] if said else None,
        "uncertain": "; ".join(said["uncertain"]) if said else None,
        **{f"probability_{label}": said["probabilities"][label] if said else None for label in labels},
        "error": str(problem) if problem else None,
    }  # fmt: skip


@contextmanager
def writing(file: Path, labels: list[str]) -> Iterator[Callable[[list[Row]], None]]:
    """What takes rows; the file stands at its place when the block ends, and stays what it was if that raises.

    Raises GaiaError for another ending than .csv, .jsonl or .parquet.
    """
    kinds = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if file.suffix.lower() not in kinds:
        raise GaiaError(f"{file} ends in none of {', '.join(kinds)}", "name it so, which says how it is written")
    names = list(_row("", "", None, None, None, labels))
    try:
        with files.replaced(file) as beside, kinds[file.suffix.lower()](beside, names) as write:
            yield write
    except OSError as error:
        raise GaiaError(f"{file} can't be written: {error.strerror or error}.") from None


@contextmanager
def _csv(file: Path, names: list[str]) -> Iterator[Callable[[list[Row]], None]]:
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(map(inert, names))
        yield lambda some: table.writerows(
            [inert(cell) if isinstance(cell, str) else cell for cell in row.values()] for row in some
        )


@contextmanager
def _jsonl(file: Path, names: list[str]) -> Iterator[Callable[[list[Row]], None]]:
    with file.open("w", encoding="utf-8") as stream:
        yield lambda some: stream.writelines(f"{json.dumps(row)}\n" for row in some)


@contextmanager
def _parquet(file: Path, names: list[str]) -> Iterator[Callable[[list[Row]], None]]:
    pyarrow = tables.arrow("write .csv")
    kinds = [(name, pyarrow.float64() if name.startswith("probability_") else pyarrow.string()) for name in names]
    schema = pyarrow.schema(kinds)
    with pyarrow.parquet.ParquetWriter(file, schema) as parquet:
        yield lambda some: parquet.write_table(pyarrow.Table.from_pylist(some, schema))
