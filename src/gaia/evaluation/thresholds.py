"""From which probability on the positive class is the answer: chosen on the validation split by a declared rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.config.schema import ThresholdRule
from gaia.errors import GaiaError
from gaia.evaluation.metrics import Array


class Threshold(NamedTuple):
    """The number that the contract holds, and how it came about, in words."""

    value: float
    how: str


def choose(line: str, asked: float | ThresholdRule, truth: Array, probabilities: Array, positive: int) -> Threshold:
    """The threshold of a line: `asked` itself, or what the rule chooses by the validation items' truth (int [n]) and
    probabilities ([n, classes]), as they are served. Of thresholds that are equally good, the one nearest to 0.5.

    Raises GaiaError if there are more than two classes and anything but 0.5 is asked for, or if no threshold does what
    the rule asks.
    """
    if (classes := probabilities.shape[1]) != 2:
        if asked != 0.5:
            raise GaiaError(f"{line}: evaluation.threshold is set, and there are {classes} classes", MOST_PROBABLE)
        return Threshold(0.5, "")
    if not isinstance(asked, ThresholdRule):
        return Threshold(asked, "as it was set")
    actual = truth == positive
    if not 0 < actual.sum() < len(actual):
        raise GaiaError(
            f"{line}: evaluation.threshold can't be chosen, since the validation split holds one class",
            "set a number, or let it have more items with data.splits.validation",
        )
    at, found, said = _ways(probabilities[:, positive], actual)
    missed, false_alarms = actual.sum() - found, said - found
    if asked.maximise:
        f1 = 2 * found / (said + actual.sum())
        best = _nearest(at, f1)
        return Threshold(float(at[best]), f"it gave the highest F1 on validation, {f1[best]:.3f}")
    if asked.cost:
        costs = asked.cost.missed * missed + asked.cost.false_alarm * false_alarms
        best = _nearest(at, -costs)
        each = (
            f"{missed[best]} missed at {asked.cost.missed:g}, {false_alarms[best]} false at {asked.cost.false_alarm:g}"
        )
        return Threshold(float(at[best]), f"it cost least on validation, {costs[best]:g} ({each})")
    least, precision = asked.recall_at_precision or 0.0, found / np.maximum(said, 1)
    if precision.max() < least:
        raise GaiaError(
            f"{line}: evaluation.threshold.recall_at_precision is {least:g}, and no threshold reaches more than "
            f"{precision.max():.3f} on validation",
            "ask for less, or set a number",
        )
    best = _nearest(at, np.where(precision >= least, found, -1))
    share = found[best] / actual.sum()
    return Threshold(
        float(at[best]), f"on validation it found the most, {share:.0%}, with {precision[best]:.0%} of its finds right"
    )


MOST_PROBABLE = "with more than two the most probable is the answer, so remove it"


def _ways(probabilities: Array, actual: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """A threshold for each way to part the items, halfway between two neighbours, rising, within 0..1; how many of the
    items from it on are positive, and how many these are."""
    order = probabilities.argsort(kind="stable")
    ordered, positives = probabilities[order].astype(np.float64), np.append(0, actual[order].cumsum())
    edges = np.concatenate([[0.0], np.unique(ordered), [1.0]])
    at = np.unique(((edges[:-1] + edges[1:]) / 2).round(6))
    at = at[(at > 0) & (at < 1)]
    below = np.searchsorted(ordered, at)
    return at, positives[-1] - positives[below], len(ordered) - below


def _nearest(at: Array, good: Array) -> int:
    """Where `good` is highest; of equals the one whose threshold is nearest to 0.5."""
    best = np.flatnonzero(good >= good.max() - 1e-12)
    return int(best[np.abs(at[best] - 0.5).argmin()])
