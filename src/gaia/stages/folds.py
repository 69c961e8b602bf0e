"""A line trained once for each fold, to be measured where a single test split is too small. Nothing of it ships."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia import paths
from gaia.config.schema import PhotoLine, TableLine
from gaia.data.dataset import Dataset
from gaia.evaluation import calibration, folds
from gaia.stages.fitting import answers, fit, refit, starting


class Answered(NamedTuple):
    """Every usable item, in the order of the folds."""

    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def answered(line: str, config: PhotoLine | TableLine, data: Dataset, count: int, calibrated: bool) -> Answered:
    """The probabilities that each usable item gets from a training on the other folds, of the same configuration;
    `calibrated`, if what ships is.

    The trainings run one after another, each with all threads; one that is interrupted begins again. Raises GaiaError
    as `folds.parts` and the trainings do.
    """
    config, _ = starting(config, paths.weights(line))
    truth, probabilities = [], []
    for number, part in enumerate(folds.parts(line, data, count, config.data.splits.validation, config.seed), 1):
        name = f"{line}: fold {number} of {count}"
        with tempfile.TemporaryDirectory() as beside:
            chosen = fit(name, config, part, Path(beside, "fit"))
            shipped = refit(name, config, part, chosen, Path(beside, "refit"))
            rows = part.rows("test")
            truth.append(part.truth[rows])
            found = answers(config, shipped, part, rows)
            if calibrated:
                temperature = calibration.temperature(chosen.answers, part.truth[part.rows("validation")])
                found = calibration.calibrated(found, temperature)
            probabilities.append(found)
    return Answered(np.concatenate(truth), np.concatenate(probabilities))
