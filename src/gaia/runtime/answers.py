"""Inputs with names -> an answer for each, or what was wrong with it: one bad of five costs itself only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError, Problem
from gaia.runtime import doubt
from gaia.runtime import rows as tables
from gaia.runtime.predictor import Predictor
from gaia.runtime.rows import Rows

BATCH, ROWS = 64, 10_000  # photos, and rows of a file, that a model is asked at once


class Answer(TypedDict):
    """What the model says of one input."""

    input: str  # its name
    answer: str  # a label
    probabilities: dict[str, float]  # of each label, 6 decimals
    uncertain: list[str]  # why the answer is doubted; empty where it is not


class Answers(NamedTuple):
    """An answer for each input that could be read, and by its name a problem for each of the others; as given."""

    answers: list[Answer]
    problems: dict[str, Problem]


def of_photos(model: Predictor, photos: Iterable[tuple[str, bytes]], band: float = 0) -> Answers:
    """Photos as (name, content), as many in memory as the caller holds; `band`: see doubt.reasons.

    Raises GaiaError if the model takes no photos.
    """
    return _joined(batches_of_photos(model, ((name, partial(bytes, content)) for name, content in photos), band))


def of_photo_files(model: Predictor, files: Iterable[tuple[str, Path]], band: float = 0) -> Answers:
    """Photos on disk as (name, file), one at a time in memory. Raises GaiaError if the model takes no photos."""
    return _joined(batches_of_photos(model, ((name, file.read_bytes) for name, file in files), band))


def of_requests(model: Predictor, requests: Sequence[Mapping[str, bytes]], band: float = 0) -> list[Answers]:
    """Several requests of photos by name, asked of the model together -> the answers of each.

    Raises GaiaError if the model takes no photos.
    """
    read = [_read(model, ((name, partial(bytes, content)) for name, content in asked.items())) for asked in requests]
    names = [name for _, some, _ in read for name in some]
    photos = [photo for some, _, _ in read for photo in some]
    said = iter(of_inputs(model, np.concatenate(photos), names, band) if photos else [])
    return [Answers(list(islice(said, len(some))), problems) for some, _, problems in read]


def batches_of_photos(
    model: Predictor, photos: Iterable[tuple[str, Callable[[], bytes]]], band: float = 0
) -> Iterator[Answers]:
    """Photos as (name, what reads it), answered as soon as there are BATCH of them: one at a time in memory, however
    many there are. Raises GaiaError if the model takes no photos."""
    model.photo  # noqa: B018 (raises for a model that takes none)
    left = iter(photos)
    return (_batch(model, batch, band) for batch in iter(lambda: list(islice(left, BATCH)), []))


def of_rows(model: Predictor, rows: Mapping[str, Mapping[str, Any]], band: float = 0) -> Answers:
    """Rows by name, each a mapping; see rows.of_mappings. Raises GaiaError if the model takes no rows."""
    return _rows(model, tables.of_mappings(model.table, list(rows.values()), list(rows)), band)


def of_table_file(model: Predictor, file: Path, band: float = 0) -> Answers:
    """The rows of a CSV or Parquet file, called by their places in it; see rows.of_file.

    Raises GaiaError if the model takes no rows, and for a file that can't be read without a guess.
    """
    return _joined(batches_of_table_file(model, file, band))


def batches_of_table_file(model: Predictor, file: Path, band: float = 0) -> Iterator[Answers]:
    """The same, ROWS at a time in memory, however many there are."""
    for read in tables.parts_of_file(model.contract["line"], model.table, file, ROWS):
        yield _rows(model, read, band)


def of_inputs(model: Predictor, inputs: Any, names: list[str], band: float = 0) -> list[Answer]:
    """Inputs as `Predictor.read_photos` or `read_rows` give them, by their names -> an answer for each."""
    said, labels = model.ask(inputs), model.labels
    return [
        {
            "input": name,
            "answer": labels[decided],
            "probabilities": {label: round(float(p), 6) for label, p in zip(labels, row, strict=True)},
            "uncertain": why,
        }
        for name, row, decided, why in zip(
            names, said.probabilities, model.decide(said.probabilities), doubt.reasons(model, inputs, said, band),
            strict=True,
        )
    ]  # fmt: skip


def _batch(model: Predictor, photos: Iterable[tuple[str, Callable[[], bytes]]], band: float) -> Answers:
    read, names, problems = _read(model, photos)
    return Answers(of_inputs(model, np.concatenate(read), names, band) if read else [], problems)


def _read(
    model: Predictor, photos: Iterable[tuple[str, Callable[[], bytes]]]
) -> tuple[list[NDArray[np.uint8]], list[str], dict[str, Problem]]:
    """The photos that can be read, each uint8 [1, size, size, 3], their names, and a problem for each of the others."""
    read, names = [], []
    problems: dict[str, Problem] = {}
    for name, content in photos:
        try:
            read.append(model.read_photos([(content(), name)]))
            names.append(name)
        except IsADirectoryError:
            problems[name] = Problem(f"{name} is a folder", f"give photos, for example {Path(name) / '*.jpg'}")
        except OSError as error:
            problems[name] = Problem(f"{name}: {error.strerror}.")
        except GaiaError as error:
            problems[name] = Problem(f"{name}: {error}.")
    return read, names, problems


def _rows(model: Predictor, read: Rows, band: float) -> Answers:
    return Answers(of_inputs(model, read.frame, read.names, band), read.problems)


def _joined(parts: Iterable[Answers]) -> Answers:
    whole = Answers([], {})
    for part in parts:
        whole.answers.extend(part.answers)
        whole.problems.update(part.problems)
    return whole
