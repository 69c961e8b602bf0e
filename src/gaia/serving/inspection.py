"""Contaminated? The growing conditions first; the photo where the risk is not clearly low. Doubt stays doubt."""

from __future__ import annotations

from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.runtime.answers import Answer
from gaia.serving.live import Served
from gaia.serving.settings import Inspect

UNCERTAIN = "uncertain"


class Inspected(NamedTuple):
    """`answer`: a label of the photo's model, or UNCERTAIN; why; the risk that the conditions mean, 0..1; and whether
    a photo would say more."""

    answer: str
    why: list[str]
    risk: float
    photo_wanted: bool


def needs_photo(served: Served, conditions: Answer, policy: Inspect) -> bool:
    """Whether the conditions alone are not enough: the risk is not below `low`, or the answer is doubted."""
    return bool(conditions["uncertain"]) or risk(served, conditions) >= policy["low"]


def risk(served: Served, conditions: Answer) -> float:
    """The probability of the positive class of the conditions' model."""
    return conditions["probabilities"][served.model.contract["positive"]]


def conclude(
    asked: Served, conditions: Answer, looked: Served, photo: Answer | None, policy: Inspect
) -> Inspected:  # fmt: skip
    """What the two models mean together. `photo`: what the photo's model answered; None if it was not asked.

    Never the negative class out of doubt: that takes a low risk, or a photo that shows it under a risk below `high`.
    """
    contract = looked.model.contract
    positive = contract["positive"]
    negative = next(label for label in contract["labels"] if label != positive)
    found = risk(asked, conditions)
    share = f"the risk by the conditions is {found:.2f}"
    if not needs_photo(asked, conditions, policy):
        return Inspected(negative, [f"{share}, below {policy['low']:g}: no photo was looked at"], found, False)
    if photo is None:
        why = [*conditions["uncertain"], f"{share}, not below {policy['low']:g}, and there is no photo"]
        return Inspected(UNCERTAIN, why, found, True)
    if photo["uncertain"]:
        return Inspected(UNCERTAIN, [share, *photo["uncertain"]], found, True)
    seen = f"the photo shows {photo['answer']} ({photo['probabilities'][photo['answer']]:.2f})"
    if photo["answer"] != positive and found >= policy["high"]:
        return Inspected(UNCERTAIN, [f"{share}, from {policy['high']:g} on, and {seen}: they disagree"], found, False)
    return Inspected(photo["answer"], [share, seen], found, False)


def check(policy: Inspect, served: dict[str, Served]) -> None:
    """Raises GaiaError unless the lines that the policy names are a table line and a photo line of two classes."""
    for key, kind in (("conditions", "table"), ("photo", "photo")):
        contract = served[key].model.contract
        if contract["input"]["kind"] != kind or len(contract["labels"]) != 2:
            what = f"takes a {contract['input']['kind']} and has {len(contract['labels'])} classes"
            raise GaiaError(
                f"conf/serving/: inspect.{key} is {served[key].line}, which {what}",
                f"name a {kind} line of two classes",
            )
