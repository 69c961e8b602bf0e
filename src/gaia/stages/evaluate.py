"""Seal a line's artifact, and measure it as it will be served: `python -m gaia.stages.evaluate plants`"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import PhotoLine, TableLine
from gaia.config.stored import dump, load
from gaia.console import console
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.data.splits import SPLITS
from gaia.errors import GaiaError, nearest
from gaia.evaluation import curves, mistakes, report
from gaia.evaluation.importance import importance, sample
from gaia.evaluation.metrics import score
from gaia.evaluation.results import accuracy
from gaia.evaluation.timings import timed
from gaia.runtime import artifact, golden, predictor
from gaia.runtime.predictor import Predictor
from gaia.stages.process import run

GOLDEN_INPUTS = 8


def evaluate(line: str) -> None:
    """Write data/models/<line>/ (the artifact) and data/reports/<line>/ (metrics, plots, report).

    The test split is predicted by the runtime from the sealed artifact. Raises GaiaError if the positive class
    isn't one, or the artifact can't be loaded.
    """
    with timed(line, "evaluate"):
        config, data = load(line), dataset.load(paths.prepared(line))
        seal(line, config, data, paths.model(line))
        model = predictor.load(paths.model(line))
        found = write_reports(line, config, data, model)
    console.print(f"{line}: test accuracy {accuracy(found)}, n {found['n']}")


def seal(line: str, config: PhotoLine | TableLine, data: Dataset, out: Path) -> None:
    """Make the artifact from what training left: files, contract, golden answers, manifest; placed by a rename."""
    beside = out.with_name(out.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    trained = artifact.read_json(paths.training(line) / "training.json")
    for file in paths.training(line).iterdir():
        if file.name != "training.json":
            shutil.copyfile(file, beside / file.name)
    model_file = trained.pop("model")
    contract = _contract(line, config, data, model_file)
    artifact.write_json(beside / artifact.CONTRACT, contract)
    rows = data.rows("test")
    chosen = np.sort(rows[np.linspace(0, len(rows) - 1, min(GOLDEN_INPUTS, len(rows))).astype(int)])
    kept = golden.record(predictor.open_model(beside, contract), data.take(chosen))
    artifact.write_json(beside / artifact.GOLDEN, kept)
    artifact.seal(beside, {"line": line, **trained, "config_sha256": yaml.sha256(dump(config, "gates"))})
    shutil.rmtree(out, ignore_errors=True)
    os.replace(beside, out)


def write_reports(line: str, config: PhotoLine | TableLine, data: Dataset, model: Predictor) -> dict[str, Any]:
    """Measure the test split with a loaded artifact and write what data/reports/<line>/ holds; the metrics."""
    out = paths.reports(line)
    out.mkdir(parents=True, exist_ok=True)
    manifest = artifact.read_json(paths.model(line) / artifact.MANIFEST)
    history = pd.read_csv(paths.model(line) / "history.csv")
    rows = data.rows("test")
    truth = data.truth[rows]
    probabilities = np.concatenate([model.probabilities(data.take(block)) for block in _blocks(rows)])
    predicted = model.decide(probabilities)
    labels, positive = model.labels, model.labels.index(model.contract["positive"])
    size = sum(file["size"] for file in manifest["files"])
    metrics = score(truth, probabilities, predicted, labels, positive) | {"artifact_bytes": size}
    artifact.write_json(out / "metrics.json", metrics)
    some = sample(len(rows), 2000 if data.features else 100, config.seed)
    matters = importance(model.probabilities, data.take(rows[some]), truth[some], config.seed)
    tables = {
        "learning": _learning(history),
        "confusion": curves.confusion(truth, predicted, labels),
        "roc": curves.roc(truth, probabilities, labels, positive),
        "precision_recall": curves.precision_recall(truth, probabilities, labels, positive),
        "calibration": curves.calibration(truth, probabilities, labels),
        "importance": matters,
        "predictions": _predictions(data, rows, labels, predicted, probabilities),
    }
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
    wrong = mistakes.worst(truth, probabilities, predicted)
    said = mistakes.captions(wrong, truth, probabilities, predicted, labels)
    if data.features:
        mistakes.table_sheet(data.take(rows[wrong])[list(matters["feature"])], said, out / "mistakes.png")
    else:
        mistakes.photo_sheet(list(data.take(rows[wrong])), said, out / "mistakes.png")
    page = report.render(
        {
            "line": line,
            "question": config.question,
            "labels": labels,
            "positive": model.contract["positive"],
            "threshold": model.contract["threshold"],
            "metrics": metrics,
            "history": history,
            "kept_epoch": manifest["best_epoch"],
            "truth": truth,
            "predicted": predicted,
            "probabilities": probabilities,
            "importance": matters,
            "mean_photo": None if data.features else _mean_photo(data, rows),
            "mistakes_png": (out / "mistakes.png").read_bytes(),
            "data": _data_summary(data),
            "config": yaml.dump(dump(config, "gates")),
            "files": manifest["files"],
        }
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return metrics


def _contract(line: str, config: PhotoLine | TableLine, data: Dataset, model_file: str) -> dict[str, Any]:
    positive = config.evaluation.positive or data.labels[-1]
    if positive not in data.labels:
        raise GaiaError(
            f"{line}: evaluation.positive is '{positive}', which is none of the classes "
            f"{', '.join(data.labels)}{nearest(positive, data.labels)}."
        )
    if isinstance(config, PhotoLine):
        asked: dict[str, Any] = {
            "kind": "photo",
            "size": config.data.image_size,
            "colour": "RGB",
            "framing": config.data.framing,
            "resampling": "bilinear",
            "type": "uint8 [n, size, size, 3]",
            "scaling": "inside the model",
            "max_megapixels": config.data.max_megapixels,
            "min_side": config.data.min_side,
        }
    else:
        how = {"separator": config.data.separator, "decimal": config.data.decimal, "encoding": config.data.encoding}
        asked = {"kind": "table", "features": data.features, **how}
    return {
        "line": line,
        "question": config.question,
        "model": model_file,
        "input": asked,
        "labels": data.labels,
        "positive": positive,
        "threshold": config.evaluation.threshold,
    }


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows, so few at a time that their photos fit into any memory."""
    return [rows[start : start + 1024] for start in range(0, len(rows), 1024)]


def _mean_photo(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    total = sum(data.take(block).sum(axis=0, dtype=np.int64) for block in _blocks(rows))
    return (total // len(rows)).astype(np.uint8)


def _learning(history: pd.DataFrame) -> pd.DataFrame:
    """The history with a row for each epoch and split, which is what the plot colours by."""
    parts = [
        pd.DataFrame(
            {
                "epoch": history["epoch"],
                "split": split,
                "loss": history[f"{split}_loss"],
                "accuracy": history[f"{split}_accuracy"],
            }
        )
        for split in ("train", "validation")
    ]
    return pd.concat(parts)


def _predictions(
    data: Dataset, rows: NDArray[np.int64], labels: list[str], predicted: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Each test item with its answer, so that two versions can be compared item by item."""
    names = np.array(labels, dtype=object)
    table = data.table.iloc[rows][["source", "sha256", "label"]].reset_index(drop=True)
    table["predicted"] = names[predicted]
    for i, label in enumerate(labels):
        table[f"probability_{label}"] = probabilities[:, i].astype(float).round(6)
    return table


def _data_summary(data: Dataset) -> dict[str, pd.DataFrame]:
    verdicts, order = data.table["verdict"], pd.MultiIndex.from_product([data.labels, SPLITS], names=["label", "split"])
    counts = data.table[verdicts == "ok"].groupby(["label", "split"]).size().reindex(order, fill_value=0)
    reasons = data.table.loc[verdicts == "quarantined", "reason"].str.split(":").str[0]
    return {
        "counts": counts.rename("n").reset_index(),
        "quarantined": reasons.value_counts().rename_axis("reason").reset_index(name="n"),
    }


if __name__ == "__main__":
    run(evaluate, *sys.argv[1:])
