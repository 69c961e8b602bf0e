"""Inputs with names -> an answer for each, or what was wrong with it: one bad of five costs itself only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from gaia.errors import GaiaError, Problem
from gaia.runtime import rows as tables
from gaia.runtime.predictor import Predictor
from gaia.runtime.rows import Rows


class Answer(TypedDict):
    """What the model says of one input."""

    input: str  # its name
    answer: str  # a label
    probabilities: dict[str, float]  # of each label, 6 decimals


class Answers(NamedTuple):
    """An answer for each input that could be read, and by its name a problem for each of the others; as given."""

    answers: list[Answer]
    problems: dict[str, Problem]


def of_photos(model: Predictor, photos: Iterable[tuple[str, bytes]]) -> Answers:
    """Photos as (name, content), one at a time in memory. Raises GaiaError if the model takes no photos."""
    return _each(model, ((name, partial(bytes, content)) for name, content in photos))


def of_photo_files(model: Predictor, files: Iterable[tuple[str, Path]]) -> Answers:
    """Photos on disk as (name, file), one at a time in memory. Raises GaiaError if the model takes no photos."""
    return _each(model, ((name, file.read_bytes) for name, file in files))


def of_rows(model: Predictor, rows: Mapping[str, Mapping[str, Any]]) -> Answers:
    """Rows by name, each a mapping; see rows.of_mappings. Raises GaiaError if the model takes no rows."""
    return _rows(model, tables.of_mappings(model.table, list(rows.values()), list(rows)))


def of_table_file(model: Predictor, file: Path) -> Answers:
    """The rows of a CSV or Parquet file, called by their places in it; see rows.of_file.

    Raises GaiaError if the model takes no rows, and for a file that can't be read without a guess.
    """
    return _rows(model, tables.of_file(model.contract["line"], model.table, file))


def _each(model: Predictor, photos: Iterable[tuple[str, Callable[[], bytes]]]) -> Answers:
    model.photo  # noqa: B018 (raises for a model that takes none)
    found = Answers([], {})
    for name, content in photos:
        try:
            read = model.read_photos([(content(), name)])
        except IsADirectoryError:
            found.problems[name] = Problem(f"{name} is a folder", f"give photos, for example {Path(name) / '*.jpg'}")
        except OSError as error:
            found.problems[name] = Problem(f"{name}: {error.strerror}.")
        except GaiaError as error:
            found.problems[name] = Problem(f"{name}: {error}.")
        else:
            found.answers.extend(_answers(model, read, [name]))
    return found


def _rows(model: Predictor, read: Rows) -> Answers:
    return Answers(_answers(model, read.frame, read.names), read.problems)


def _answers(model: Predictor, inputs: Any, names: list[str]) -> list[Answer]:
    probabilities, labels = model.probabilities(inputs), model.labels
    return [
        {
            "input": name,
            "answer": labels[decided],
            "probabilities": {label: round(float(p), 6) for label, p in zip(labels, row, strict=True)},
        }
        for name, row, decided in zip(names, probabilities, model.decide(probabilities), strict=True)
    ]
