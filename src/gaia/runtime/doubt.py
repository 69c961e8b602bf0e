"""When an answer is uncertain, and why. It is given all the same: doubt is a word beside it, never a third class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gaia.inputs import words
from gaia.runtime.contract import Contract, Feature
from gaia.runtime.predictor import Predictor, Probabilities, Said

STRANGE = "unlike anything this version was trained on"


def reasons(model: Predictor, inputs: Any, said: Said, band: float) -> list[list[str]]:
    """For each input (as `Predictor.ask` takes them) why its answer is uncertain; nothing where it is not. `band`,
    0..1: how close to the decision's border is too close."""
    close = _close(model.contract, said.probabilities, band) if band > 0 else [[] for _ in said.probabilities]
    parts = zip(_strange(model.contract, said), close, _outside(model.contract, inputs), strict=True)
    return [[*strange, *near, *outside] for strange, near, outside in parts]


def _strange(contract: Contract, said: Said) -> list[list[str]]:
    """A number that is none is strange, too."""
    if said.strangeness is None:
        return [[] for _ in said.probabilities]
    return [[] if known else [STRANGE] for known in (said.strangeness <= contract["strange_above"]).tolist()]


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


def _said(value: float, feature: Feature) -> str:
    said = words.written(value, feature)
    return f"{said:,.10g}" if isinstance(said, float) else str(said)


def _outside(contract: Contract, inputs: Any) -> list[list[str]]:
    """Numbers that are outside of what training saw, or missing though none ever was, where the contract knows that."""
    asked = contract["input"]
    found: list[list[str]] = [[] for _ in range(len(inputs))]
    for feature in asked["features"] if asked["kind"] == "table" else []:
        low, high = feature.get("range", (-math.inf, math.inf))
        complete = feature.get("gaps") == 0
        for at, value in enumerate(inputs[feature["name"]] if complete or "range" in feature else []):
            if value < low or value > high:
                said, least, most = (_said(each, feature) for each in (value, low, high))
                found[at].append(f"{feature['name']} is {said}; training saw {least} to {most}")
            elif complete and value != value:
                found[at].append(f"{feature['name']} is empty; in training it never was")
    return found
