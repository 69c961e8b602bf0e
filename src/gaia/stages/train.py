"""Train a line: `python -m gaia.stages.train plants`"""

import hashlib
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from gaia import files, paths
from gaia.config import yaml
from gaia.config.framework import framework
from gaia.config.schema import PhotoLine, TableLine
from gaia.config.stored import dump, load
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError, errors_as
from gaia.evaluation.timings import timed
from gaia.frameworks import loop
from gaia.frameworks.protocol import Fit, exporting, fitting
from gaia.runtime import artifact, contract
from gaia.runtime.artifact import Weights
from gaia.runtime.golden import TOLERANCE
from gaia.runtime.load import open_model
from gaia.runtime.predictor import Predictor
from gaia.stages.fitting import Chosen, fit, refit, starting
from gaia.stages.process import run


def train(line: str) -> None:
    """Write data/training/<line>/: the network, its history, its answers on the validation split and training.json.

    Resumes where a run of the very same inputs was interrupted. Raises GaiaError if training fails.
    """
    config = load(line)
    data = dataset.load(paths.prepared(line), ["label", "split", "verdict"])
    checkpoints = paths.checkpoints(line)
    state = checkpoints / _fingerprint(config, line)
    config, weights = starting(config, paths.weights(line))
    again = checkpoints / f"{state.name}-refit"
    for other in checkpoints.glob("*"):
        if other not in (state, again):
            shutil.rmtree(other, ignore_errors=True)  # of an interrupted run with other inputs
    try:
        with timed(line, "train"):
            if isinstance(config, PhotoLine) and not state.exists():
                rehearse(config, data, checkpoints)
            chosen = fit(line, config, data, state)
            shipped = refit(line, config, data, chosen, again)
            _write(line, config, data, chosen, shipped, weights)
        shutil.rmtree(state, ignore_errors=True)
        shutil.rmtree(again, ignore_errors=True)
    finally:
        for folder in (checkpoints, checkpoints.parent):
            with suppress(OSError):
                folder.rmdir()  # if nothing is left to resume


def _write(
    line: str, config: PhotoLine | TableLine, data: Dataset, chosen: Chosen, shipped: Fit, weights: Weights | None
) -> None:
    out = paths.training(line)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    file = exporting(config).export(shipped, data, out)
    model = open_model(out, contract.make(line, config, data.labels, data.features, file))
    _compare(config, shipped, data, model, out / file)
    np.save(paths.validation(line), chosen.answers)
    fitted = chosen.fitted
    pd.DataFrame(fitted.history).to_csv(out / "history.csv", index=False, lineterminator="\n")
    kept = fitted.history[fitted.kept_epoch - 1]
    again = {} if shipped is fitted else {"refitted_on": len(data.joined().rows("train"))}
    facts = {
        "architecture": config.model.architecture,
        "classes": len(data.labels),
        "best_epoch": fitted.kept_epoch,
        "total_epochs": len(fitted.history),
        "optimizer": config.optimizer.target if config.optimizer else None,
        **{key: kept[key] for key in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")},
        **again,
        "model": file,
        "data_sha256": files.sha256(paths.prepared(line) / "index.csv"),
        "packages": {name: version(name) for name in framework(config.framework).packages},
        **({"weights": weights} if weights else {}),
    }
    artifact.write_json(out / "training.json", facts)


def rehearse(config: PhotoLine, data: Dataset, folder: Path) -> None:
    """Raise GaiaError if the untrained network can't take a step or can't ship: in seconds, not after hours.

    Their answers aren't compared: an untrained network's may be of any size.
    """
    target, size = config.model.architecture, config.data.image_size
    lower = "" if config.trainer.precision in ("auto", "float32") else ", or trainer.precision: float32"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        out = Path(beside)
        with errors_as(
            f"model: {target} can't be trained on photos of {size} px: {{}}",
            f"choose another model or data.image_size{lower}",
        ):
            fitted = fitting(config).rehearse(config, data)
        with errors_as(f"model: {target} trains, but can't be exported to ONNX: {{}}", f"choose another model{lower}"):
            file = exporting(config).export(fitted, data, out)
            promised = contract.make("model", config, data.labels, data.features, file)
            open_model(out, promised).probabilities(loop.first_batch(data).photos)


def _compare(config: PhotoLine | TableLine, fitted: Fit, data: Dataset, model: Predictor, file: Path) -> None:
    """Raise GaiaError if the exported file answers otherwise than the network that was trained."""
    few = data.take(data.rows("validation")[:32])
    answers = fitting(config).answers(fitted, few)
    difference = float(abs(model.probabilities(few) - answers).max())
    if not difference <= TOLERANCE:
        raise GaiaError(f"{file} answers otherwise than the trained network, by {difference:.2g}", "not kept")


def _fingerprint(config: PhotoLine | TableLine, line: str) -> str:
    """Names the inputs of a training, which are those that dvc.yaml lists and the installed packages, so that a
    checkpoint of other settings, data, code or packages isn't resumed."""
    stage = yaml.read(Path("dvc.yaml"))["stages"]["train"]["do"]
    known = {"key": line} | {f"item.{key}": value for key, value in yaml.read(paths.PARAMS)["lines"][line].items()}
    named = [Path(re.sub(r"\$\{(.+?)\}", lambda said: str(known[said[1]]), place)) for place in stage["deps"]]
    read = [file for place in named for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    sections = {section for listed in stage["params"] for sections in listed.values() for section in sections}
    parts = [yaml.dump({key: value for key, value in dump(config).items() if key in sections})]
    parts += [f"{name} {version(name)}" for name in framework(config.framework).packages]
    parts += [f"{file} {files.sha256(file)}" for file in read if file.is_file() and file.suffix != ".pyc"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


if __name__ == "__main__":
    run(train, *sys.argv[1:])
