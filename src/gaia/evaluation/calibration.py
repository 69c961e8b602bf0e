"""Probabilities that mean what they say: one temperature for all, by the validation split (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gaia.evaluation.metrics import Array, Uncalibrated, calibration_error, log_loss, number

BOUNDS = 0.25, 4.0
BELIEF = 0.2  # standard deviation of log(temperature) before anything was seen: a few items hardly move it


def temperature(answers: Array, truth: Array) -> float:
    """By which to divide the logarithms of `answers` (probabilities [n, k]) so that they fit `truth` (int [n]) best;
    three decimals, within BOUNDS; 1.0 leaves them as they are, above 1 they were too sure.

    The least log loss (Guo et al. 2017, arXiv:1706.04599, section 4.2), with a normal prior on its logarithm: of thirty
    items all answered right, the least log loss alone would make certainties.
    """
    logs = _logarithms(answers)

    def loss(log_temperature: float) -> float:
        scaled = logs * np.exp(-log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        of_truth = scaled[np.arange(len(truth)), truth] - np.log(np.exp(scaled).sum(axis=1))
        return float((log_temperature / BELIEF) ** 2 / 2 - of_truth.sum())

    best = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-5}).x
    return round(float(np.exp(best)), 3)


def calibrated(answers: Array, temperature: float) -> NDArray[np.float32]:
    """The answers, float32 [n, k], at a temperature: p^(1/temperature), each row divided by its sum.

    What the sealed file answers, but for its last digits. 1/temperature undoes it.
    """
    if temperature == 1:
        return answers.astype(np.float32)
    scaled = _logarithms(answers) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)


def uncalibrated(truth: Array, probabilities: Array, temperature: float) -> Uncalibrated:
    """What calibration changed: the scores of calibrated `probabilities` [n, k] had they been left as they were."""
    before = calibrated(probabilities, 1 / temperature)
    return {
        "log_loss": number(log_loss(truth, before)),
        "calibration_error": number(calibration_error(truth, before)),
    }


def _logarithms(answers: Array) -> NDArray[np.float64]:
    return np.log(np.maximum(answers.astype(np.float64), np.finfo(np.float32).tiny))
