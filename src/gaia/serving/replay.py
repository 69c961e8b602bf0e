"""One set of inputs through two versions: which answers flip."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, TypedDict

from gaia.errors import GaiaError
from gaia.runtime import answers
from gaia.runtime.predictor import Predictor

BATCH = 256  # inputs in memory


class Flip(TypedDict):
    """An input that the two versions answer otherwise: labels, and the probabilities of each."""

    input: str
    old: str
    new: str
    old_probabilities: dict[str, float]
    new_probabilities: dict[str, float]


class Replayed(TypedDict):
    """How many inputs both could answer, those that flip, and how many one of them could not answer."""

    compared: int
    flips: list[Flip]
    problems: dict[str, str]


def replay(old: Predictor, new: Predictor, given: Iterable[tuple[str, Any]]) -> Replayed:
    """Inputs as (name, photo's bytes or row), a few at a time in memory. Raises GaiaError if the two take others."""
    kinds = [model.contract["input"]["kind"] for model in (old, new)]
    if kinds[0] != kinds[1]:
        raise GaiaError(f"the old version answers from a {kinds[0]}, the new one from a {kinds[1]}.")
    found: Replayed = {"compared": 0, "flips": [], "problems": {}}
    left = iter(given)
    while batch := dict(islice(left, BATCH)):
        first, second = (_of(model, batch) for model in (old, new))
        theirs = {each["input"]: each for each in second.answers}
        for each in first.answers:
            if (other := theirs.get(each["input"])) is None:
                continue
            found["compared"] += 1
            if each["answer"] != other["answer"]:
                found["flips"].append(
                    {"input": each["input"], "old": each["answer"], "new": other["answer"],
                     "old_probabilities": each["probabilities"], "new_probabilities": other["probabilities"]}
                )  # fmt: skip
        problems = first.problems | second.problems
        found["problems"] |= {name: str(problem) for name, problem in problems.items()}
    return found


def _of(model: Predictor, given: dict[str, Any]) -> answers.Answers:
    if model.contract["input"]["kind"] == "photo":
        return answers.of_photos(model, given.items())
    return answers.of_rows(model, given)
