"""What a model knows: from where on an input is unlike what it was trained on, and what its answers are worth then."""

from __future__ import annotations

import math
from typing import Any, TypedDict

import numpy as np

from gaia.evaluation.metrics import Array, number

SHARES = 1.0, 0.95, 0.9, 0.8, 0.7, 0.5  # of the answers, the surest


class Coverage(TypedDict):
    """See Metrics."""

    coverage: float
    covered_accuracy: float | None
    risk: list[list[float]]


def limit(strangeness: Array, refuse: float) -> float:
    """From above which strangeness on an input is a stranger: the quantile that leaves the share `refuse` of the given
    [n] above it. (The next higher one of few, which would promise that share of new ones, finds next to nothing.)"""
    return math.ceil(1e4 * float(np.quantile(strangeness, 1 - refuse))) / 1e4


def with_gaps(features: list[dict[str, Any]], rows: Any) -> list[dict[str, Any]]:
    """The features, each number with the share of `rows` (the training split's frame) that lack it."""
    return [
        each | ({"gaps": number(rows[each["name"]].isna().mean())} if each["type"] == "number" else {})
        for each in features
    ]


def coverage(right: Array, sure: Array, doubted: list[list[str]]) -> Coverage:
    """Share of answers without a doubt, and how many of those are right; `risk`: the same if the least `sure` (float
    [n], the largest probability) were left out until a share is left."""
    kept = np.array([not why for why in doubted])
    surest = right[np.argsort(-sure, kind="stable")]
    wrong = [1 - float(surest[: max(1, round(share * len(surest)))].mean()) for share in SHARES]
    return {
        "coverage": round(float(kept.mean()), 6),
        "covered_accuracy": number(right[kept].mean()) if kept.any() else None,
        "risk": [[share, round(each, 6)] for share, each in zip(SHARES, wrong, strict=True)],
    }
