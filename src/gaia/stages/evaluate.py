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
from gaia.evaluation import calibration, reports
from gaia.evaluation.results import accuracy
from gaia.evaluation.timings import timed
from gaia.frameworks import onnx
from gaia.runtime import artifact, contract, golden
from gaia.runtime.load import load, open_model, reader
from gaia.stages.process import run

GOLDEN_INPUTS = 8


def evaluate(line: str) -> None:
    """Write data/models/<line>/ (the artifact) and data/reports/<line>/ (metrics, plots, report).

    The test split is predicted by the runtime from the sealed artifact. Raises GaiaError if the positive class
    isn't one, or the artifact can't be loaded.
    """
    with timed(line, "evaluate"):
        config, data, folder = stored.load(line), dataset.load(paths.prepared(line)), paths.model(line)
        seal(line, config, data, folder)
        model, manifest = load(folder), artifact.manifest(folder)
        found = reports.measure(model, data, manifest, config.seed)
        history, settings = pd.read_csv(folder / "history.csv"), yaml.dump(stored.dump(config, "gates"))
        reports.write(paths.reports(line), found, data, model.contract, manifest, history, settings)
    console.print(f"{line}: test accuracy {accuracy(found.metrics)}, n {found.metrics['n']}")


def seal(line: str, config: PhotoLine | TableLine, data: Dataset, out: Path) -> None:
    """Make the artifact from what training left: files, contract, golden answers, manifest; placed by a rename."""
    training = paths.training(line)
    trained = artifact.read_json(training / "training.json", f"remove {training}, and `dvc repro` makes it anew")
    with files.replaced_folder(out) as beside:
        for file in training.iterdir():
            if file.name not in ("training.json", paths.validation(line).name):
                shutil.copyfile(file, beside / file.name)
        promised = contract.make(line, config, data.labels, data.features, trained.pop("model"))
        contract.write(beside, promised)
        file = beside / promised["model"]
        is_onnx = file.suffix == ".onnx"
        calibrate = onnx.calibrate if is_onnx else getattr(reader(promised), "calibrate", None)
        temperature = _temperature(line, data) if calibrate else 1.0
        if calibrate and temperature != 1:
            calibrate(file, temperature)
        if is_onnx:
            onnx.describe(file, promised)
        rows = data.rows("test")
        chosen = np.sort(rows[np.linspace(0, len(rows) - 1, min(GOLDEN_INPUTS, len(rows))).astype(int)])
        golden.write(beside, golden.record(open_model(beside, promised), data.take(chosen)))
        artifact.seal(
            beside,
            {
                "line": line,
                **trained,
                "config_sha256": yaml.sha256(stored.dump(config, "gates")),
                "temperature": temperature,
            },
        )


def _temperature(line: str, data: Dataset) -> float:
    answers = np.load(paths.validation(line))
    return calibration.temperature(answers, data.truth[data.rows("validation")])


if __name__ == "__main__":
    run(evaluate, *sys.argv[1:])
