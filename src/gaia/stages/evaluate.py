"""Seal a line's artifact, and measure it as it will be served: `python -m gaia.stages.evaluate plants`"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from gaia import files, paths
from gaia.config import stored, yaml
from gaia.config.schema import PhotoLine, TableLine
from gaia.console import console
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.evaluation import folds, reports, thresholds
from gaia.evaluation.baselines import baselines
from gaia.evaluation.metrics import Folds
from gaia.evaluation.results import accuracy
from gaia.evaluation.thresholds import Threshold
from gaia.evaluation.timings import timed
from gaia.frameworks import onnx
from gaia.runtime import artifact, contract, golden
from gaia.runtime.load import load, open_model
from gaia.runtime.predictor import Predictor
from gaia.stages.fitting import VALIDATION
from gaia.stages.folds import answered
from gaia.stages.process import run

GOLDEN_INPUTS = 8


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
            if file.name not in ("training.json", VALIDATION):
                shutil.copyfile(file, beside / file.name)
        promised = contract.make(line, config, data.labels, data.features, trained.pop("model"))
        answers, truth = np.load(training / VALIDATION), data.truth[data.rows("validation")]
        positive = data.labels.index(promised["positive"])
        threshold = thresholds.choose(line, config.evaluation.threshold, truth, answers, positive)
        promised["threshold"] = threshold.value
        contract.write(beside, promised)
        if promised["model"].endswith(".onnx"):
            onnx.describe(beside / promised["model"], promised)
        rows = data.rows("test")
        chosen = np.sort(rows[np.linspace(0, len(rows) - 1, min(GOLDEN_INPUTS, len(rows))).astype(int)])
        golden.write(beside, golden.record(open_model(beside, promised), data.take(chosen)))
        artifact.seal(beside, {"line": line, **trained, "config_sha256": yaml.sha256(stored.dump(config, "gates"))})
    return threshold


def cross_validated(line: str, config: PhotoLine | TableLine, data: Dataset, model: Predictor, count: int) -> Folds:
    """What `count` trainings show of all usable items, each decided as the artifact decides."""
    found = answered(line, config, data, count)
    decided, positive = model.decide(found.probabilities), data.labels.index(model.contract["positive"])
    return folds.summary(count, found.truth, found.probabilities, decided, data.labels, positive, config.seed)


if __name__ == "__main__":
    run(evaluate, *sys.argv[1:])
