"""Seal a line's artifact, and measure it as it will be served: `python -m gaia.stages.evaluate plants`"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import files, paths
from gaia.config import stored, yaml
from gaia.config.schema import PhotoLine, TableLine
from gaia.console import console
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.evaluation import calibration, familiar, folds, reports, thresholds
from gaia.evaluation.baselines import baselines
from gaia.evaluation.metrics import Array, Folds
from gaia.evaluation.results import accuracy
from gaia.evaluation.thresholds import Threshold
from gaia.evaluation.timings import timed
from gaia.frameworks import onnx, strangeness
from gaia.runtime import artifact, contract, golden
from gaia.runtime.contract import Contract
from gaia.runtime.load import load, open_model, reader
from gaia.runtime.predictor import Predictor
from gaia.stages.folds import answered
from gaia.stages.process import run

GOLDEN_INPUTS = 8
STRANGENESS_INPUTS = 2000  # of the training split, at most


def evaluate(line: str) -> None:
    """Write data/models/<line>/ (the artifact) and data/reports/<line>/ (metrics, plots, report).

    The test split is predicted by the runtime from the sealed artifact. Raises GaiaError if the positive class
    isn't one, or the artifact can't be loaded.
    """
    with timed(line, "evaluate"):
        config, data, folder = stored.load(line), dataset.load(paths.prepared(line)), paths.model(line)
        threshold = seal(line, config, data, folder)
        model, manifest = load(folder), artifact.manifest(folder)
        found = reports.measure(model, data, manifest, config.seed, threshold.how)
        learned = data.joined() if manifest.get("refitted_on") else data
        found.metrics["baselines"] = baselines(data, learned.rows("train"), found.rows, config.seed)
        if config.evaluation.folds:
            found.metrics["folds"] = cross_validated(line, config, data, model, config.evaluation.folds)
        history, settings = pd.read_csv(folder / "history.csv"), yaml.dump(stored.dump(config, "gates"))
        reports.write(paths.reports(line), found, data, model.contract, manifest, history, settings)
    console.print(f"{line}: test accuracy {accuracy(found.metrics)}, n {found.metrics['n']}")


def seal(line: str, config: PhotoLine | TableLine, data: Dataset, out: Path) -> Threshold:
    """Make the artifact from what training left: files, contract, golden answers, manifest; placed by a rename. Gives
    the threshold that the contract holds."""
    training = paths.training(line)
    trained = artifact.read_json(training / "training.json", f"remove {training}, and `dvc repro` makes it anew")
    with files.replaced_folder(out) as beside:
        for file in training.iterdir():
            if file.name not in ("training.json", paths.validation(line).name):
                shutil.copyfile(file, beside / file.name)
        features = familiar.with_gaps(data.features, data.take(data.rows("train"))) if data.features else []
        promised = contract.make(line, config, data.labels, features, trained.pop("model"))
        answers, truth = np.load(paths.validation(line)), data.truth[data.rows("validation")]
        temperature = _calibrate(beside, promised, answers, truth)
        threshold = thresholds.choose(
            line, config.evaluation.threshold, truth, calibration.calibrated(answers, temperature),
            data.labels.index(promised["positive"]),
        )  # fmt: skip
        promised["threshold"] = threshold.value
        file = beside / promised["model"]
        if file.suffix == ".onnx":
            refuse = config.evaluation.refuse if config.data.kind == "photos" else None
            if refuse and (distances := _familiarise(file, data)) is not None:
                promised["strange_above"] = familiar.limit(distances, refuse)
            onnx.describe(file, promised)
        contract.write(beside, promised)
        rows = data.rows("test")
        chosen = np.sort(rows[np.linspace(0, len(rows) - 1, min(GOLDEN_INPUTS, len(rows))).astype(int)])
        golden.write(beside, golden.record(open_model(beside, promised), data.take(chosen)))
        config_sha256 = yaml.sha256(stored.dump(config, "gates"))
        facts = {"line": line, **trained, "config_sha256": config_sha256, "temperature": temperature}
        artifact.seal(beside, facts)
    return threshold


def cross_validated(line: str, config: PhotoLine | TableLine, data: Dataset, model: Predictor, count: int) -> Folds:
    """What `count` trainings show of all usable items, each decided as the artifact decides."""
    found = answered(line, config, data, count, calibrated=_calibrator(model.contract) is not None)
    decided, positive = model.decide(found.probabilities), data.labels.index(model.contract["positive"])
    return folds.summary(count, found.truth, found.probabilities, decided, data.labels, positive, config.seed)


def _calibrate(folder: Path, promised: Contract, answers: Array, truth: Array) -> float:
    """Let the model's file give calibrated probabilities, if there is a way; by which temperature, chosen by the
    `answers` [n, classes] on the validation split."""
    if not (calibrate := _calibrator(promised)):
        return 1.0
    if (temperature := calibration.temperature(answers, truth)) != 1:
        calibrate(folder / promised["model"], temperature)
    return temperature


def _calibrator(promised: Contract) -> Callable[[Path, float], None] | None:
    """What lets a model's file give calibrated probabilities; None if there is no way."""
    if promised["model"].endswith(".onnx"):
        return onnx.calibrate
    found: Callable[[Path, float], None] | None = getattr(reader(promised), "calibrate", None)
    return found


def _familiarise(file: Path, data: Dataset) -> NDArray[np.float64] | None:
    """Let a network's file say how strange a photo is; how strange those of the validation split are. None if there is
    no way."""
    train, validation = data.rows("train"), data.rows("validation")
    train = train[np.linspace(0, len(train) - 1, min(STRANGENESS_INPUTS, len(train))).astype(int)]
    found = strangeness.features(file, [data.take(block) for block in data.blocks(np.append(train, validation))])
    rulers = [strangeness.ruler(each[: len(train)], each[len(train) :]) for each in found]
    if not rulers:
        return None
    strangeness.add(file, rulers)
    far = [strangeness.distance(by, each[len(train) :]) for by, each in zip(rulers, found, strict=True)]
    return np.asarray(np.max(far, axis=0))


if __name__ == "__main__":
    run(evaluate, *sys.argv[1:])
