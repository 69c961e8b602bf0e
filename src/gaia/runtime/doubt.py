"""When an answer is uncertain, and why. It is given all the same: doubt is a word beside it, never a third class."""

from __future__ import annotations

from typing import Any

import numpy as np

from gaia.runtime.contract import Contract
from gaia.runtime.predictor import Predictor, Probabilities


def reasons(model: Predictor, inputs: Any, probabilities: Probabilities, band: float) -> list[list[str]]:
    """For each input (as `Predictor.probabilities` takes them) why its answer, float32 [n, classes], is uncertain;
    nothing where it is not. `band`, 0..1: how close to the decision's border is too close."""
    close = _close(model.contract, probabilities, band) if band > 0 else [[] for _ in probabilities]
    return [[*near, *outside] for near, outside in zip(close, _outside(model.contract, inputs), strict=True)]


def _close(contract: Contract, probabilities: Probabilities, band: float) -> list[list[str]]:
    labels = contract["labels"]
    if len(labels) == 2:
        positive, threshold = contract["positive"], contract["threshold"]
        shares = probabilities[:, labels.index(positive)]
        near = f"is within {band:g} of the threshold {threshold:g}"
        return [[f"{positive} {p:.2f} {near}"] * (abs(p - threshold) < band) for p in shares.tolist()]
    found = []
    for row in probabilities.tolist():
        *_, second, first = np.argsort(row, kind="stable").tolist()
        said = f"{labels[first]} {row[first]:.2f} and {labels[second]} {row[second]:.2f}"
        found.append([f"{said} are within {band:g} of each other"] * (row[first] - row[second] < band))
    return found


def _outside(contract: Contract, inputs: Any) -> list[list[str]]:
    """Numbers that are outside of what training saw, where the contract knows that."""
    asked = contract["input"]
    found: list[list[str]] = [[] for _ in range(len(inputs))]
    for feature in asked["features"] if asked["kind"] == "table" else []:
        if (seen := feature.get("range")) is None:
            continue
        low, high = seen
        for at, value in enumerate(inputs[feature["name"]]):
            if value < low or value > high:
                found[at].append(f"{feature['name']} is {value:,.10g}; training saw {low:,.10g} to {high:,.10g}")
    return found
