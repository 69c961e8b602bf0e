"""What a verb is given on the command line: photos as files, folders, patterns, standard input; tables; a row."""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from gaia.errors import GaiaError

if TYPE_CHECKING:
    from gaia.runtime.answers import Answers
    from gaia.runtime.predictor import Predictor

STDIN = "-"


def answers(model: Predictor, inputs: list[str], here: Path, band: float = 0) -> Iterator[Answers]:
    """What a model answers to them, in batches, as they are read; `band` as in doubt.reasons.

    Raises GaiaError for what can't be read at all, or not without a guess.
    """
    from gaia.runtime import answers

    if model.contract["input"]["kind"] == "photo":
        from gaia.inputs.pillow import return_freed_memory

        return_freed_memory()
        yield from answers.batches_of_photos(model, photos(inputs, here), band)
    elif any((here / name).is_file() or name == STDIN for name in inputs):
        for name in inputs:
            with table(name, here) as file:
                yield from answers.batches_of_table_file(model, file, band)
    else:
        yield answers.of_rows(model, {"row": row(inputs)}, band)


def photos(names: Iterable[str], here: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each photo's name, and what reads it: `-` is standard input; a folder, all photos in it and below; a pattern
    (`x/**/*.jpg`), what fits. Other names are files, which may turn out not to be there.

    Raises GaiaError for a folder without a photo, and a pattern that nothing fits.
    """
    from gaia.inputs.photos import SUFFIXES

    endings = set(chain.from_iterable(SUFFIXES.values()))
    for name in names:
        if name == STDIN:
            yield "standard input", sys.stdin.buffer.read
        elif (here / name).is_dir():
            found = [file for file in _below(here / name) if file.suffix.lower() in endings]
            yield from _named(
                found, here, f"{name} holds no photo", f"a photo's name ends in {', '.join(sorted(endings))}"
            )
        elif any(mark in name for mark in "*?[") and not (here / name).exists():
            # not Path.glob: this passes over what is hidden, as shells do
            fits = sorted(here / found for found in glob.glob(name, root_dir=here, recursive=True))  # noqa: PTH207
            mend = "mind the shell: put the pattern in quotes"
            yield from _named([file for file in fits if file.is_file()], here, f"nothing fits {name}", mend)
        else:
            yield name, (here / name).read_bytes


@contextmanager
def table(name: str, here: Path) -> Iterator[Path]:
    """A table's file; for `-`, what comes from standard input, as CSV, kept in a file meanwhile."""
    if name != STDIN:
        yield here / name
        return
    with tempfile.NamedTemporaryFile(prefix="standard-input-", suffix=".csv") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)


def row(inputs: list[str]) -> dict[str, str]:
    """The one row that name=value pairs make. Raises GaiaError for a word that is no pair, or a name given twice."""
    pairs = [pair.partition("=")[::2] for pair in inputs]
    if not all("=" in pair for pair in inputs):
        raise GaiaError(
            f"{next(name for name in inputs if '=' not in name)} is no file",
            "a table line takes CSV or Parquet files, or one row as name=value name=value ...",
        )
    for name, _ in pairs:
        if [other for other, _ in pairs].count(name) > 1:
            raise GaiaError(f"{name} is given twice", "give each feature one value")
    return dict(pairs)


def _below(folder: Path) -> list[Path]:
    """Every file, sorted; nothing that is hidden."""
    found = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _named(found: list[Path], here: Path, nothing: str, mend: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if not found:
        raise GaiaError(nothing, mend)
    for file in found:
        yield str(file.relative_to(here) if file.is_relative_to(here) else file), file.read_bytes
