"""One set of inputs through two versions: which answers flip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from gaia.runtime.answers import Answers


class Flip(TypedDict):
    """An input that the two versions answer otherwise: labels, and the probabilities of each."""

    input: str
    old: str
    new: str
    old_probabilities: dict[str, float]
    new_probabilities: dict[str, float]


class Replayed(TypedDict):
    """How many inputs both could answer, those that flip, and by its name what was wrong with an input for one."""

    compared: int
    flips: list[Flip]
    problems: dict[str, str]


def replay(old: Iterable[Answers], new: Iterable[Answers]) -> Replayed:
    """What two versions answer to the same inputs, in batches of the same inputs: a few at a time in memory."""
    found: Replayed = {"compared": 0, "flips": [], "problems": {}}
    for first, second in zip(old, new, strict=True):
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
