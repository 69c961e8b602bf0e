"""What data/reports/<line>/ holds: a model is measured once, and tables, pictures and the page are made of that."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.data import cells
from gaia.data.dataset import Dataset
from gaia.data.splits import SPLITS
from gaia.evaluation import curves, mistakes, report
from gaia.evaluation.calibration import uncalibrated
from gaia.evaluation.familiar import coverage
from gaia.evaluation.importance import importance, sample
from gaia.evaluation.metrics import Array, Metrics, score
from gaia.runtime import artifact, doubt
from gaia.runtime.artifact import Manifest
from gaia.runtime.contract import Contract
from gaia.runtime.predictor import Predictor


class Measured(NamedTuple):
    """What the test items showed of a model."""

    metrics: Metrics
    rows: NDArray[np.int64]  # [n]: where the test items stand in the index
    truth: NDArray[np.int64]  # [n], as positions in the labels
    predicted: NDArray[np.int64]  # [n], likewise
    probabilities: Array  # [n, labels]
    curves: dict[str, pd.DataFrame]  # roc, precision_recall, calibration
    importance: pd.DataFrame
    worst: Array  # positions among the n, the most confident mistake first
    captions: list[str]  # of those
    how: str  # the threshold came about


def measure(model: Predictor, data: Dataset, manifest: Manifest, seed: int, how: str = "") -> Measured:
    """Judge a loaded model on the test split. `how` its threshold was chosen is passed on to the page. The same
    arguments give the same numbers."""
    rows, labels = data.rows("test"), model.labels
    positive = labels.index(model.contract["positive"])
    truth = data.truth[rows]
    answered, doubts = [], []
    for block in data.blocks(rows):
        inputs = data.take(block)
        answered.append(said := model.ask(inputs))
        doubts += doubt.reasons(model, inputs, said, band=0)
    probabilities = np.concatenate([said.probabilities for said in answered])
    predicted = model.decide(probabilities)
    some = sample(len(rows), 2000 if data.features else 100, seed)
    worst = mistakes.worst(truth, probabilities, predicted)
    return Measured(
        {
            **score(truth, probabilities, predicted, labels, positive),
            "temperature": (temperature := manifest.get("temperature", 1.0)),
            "uncalibrated": uncalibrated(truth, probabilities, temperature),
            **coverage(predicted == truth, probabilities.max(axis=1), doubts),
            "artifact_bytes": sum(file["size"] for file in manifest["files"]),
            "threshold": model.contract["threshold"] if len(labels) == 2 else None,
            "baselines": {},
            "folds": None,
        },
        rows,
        truth,
        predicted,
        probabilities,
        {
            "roc": curves.roc(truth, probabilities, labels, positive),
            "precision_recall": curves.precision_recall(truth, probabilities, labels, positive),
            "calibration": curves.calibration(truth, probabilities, labels),
        },
        importance(model.probabilities, data.take(rows[some]), truth[some], seed),
        worst,
        mistakes.captions(worst, truth, probabilities, predicted, labels),
        how,
    )


def write(
    out: Path,
    measured: Measured,
    data: Dataset,
    contract: Contract,
    manifest: Manifest,
    history: pd.DataFrame,
    settings: str,
) -> None:
    """Write metrics.json, the tables, mistakes.png and report.html into `out`.

    `history` is the training's, epoch by epoch; `settings` the composed configuration as YAML, for the page. The same
    arguments give the same bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    artifact.write_json(out / "metrics.json", measured.metrics)
    for name, table in _tables(measured, data, contract["labels"], history).items():
        cells.inert_table(table).to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
    shown = data.take(measured.rows[measured.worst])
    if data.features:
        features = list(measured.importance["feature"])  # the most important first: not all may fit
        mistakes.table_sheet(shown[features], measured.captions, out / "mistakes.png")
    else:
        mistakes.photo_sheet(list(shown), measured.captions, out / "mistakes.png")
    page = report.render(
        {
            "line": contract["line"],
            "question": contract["question"],
            "made": _made(contract, manifest),
            "labels": contract["labels"],
            "positive": contract["positive"],
            "threshold": contract["threshold"],
            "threshold_how": measured.how,
            "refitted_on": manifest.get("refitted_on"),
            "metrics": measured.metrics,
            "history": history,
            "kept_epoch": manifest["best_epoch"],
            "truth": measured.truth,
            "predicted": measured.predicted,
            "curves": measured.curves,
            "importance": measured.importance,
            "mean_photo": None if data.features else _mean_photo(data, measured.rows),
            "mistakes": measured.captions,
            "mistakes_png": (out / "mistakes.png").read_bytes(),
            "counts": _counts(data),
            "quarantined": _quarantined(data),
            "config": settings,
            "files": manifest["files"],
        }
    )
    (out / "report.html").write_text(page, encoding="utf-8")


def _made(contract: Contract, manifest: Manifest) -> str:
    """`ResNet18, AdamW, epoch 9 of 12; data 1a2b3c4d, settings 5e6f7a8b, model 9c0d1e2f`"""
    names = [name.rpartition(".")[2] for name in (manifest["architecture"], manifest["optimizer"]) if name]
    again = f", then anew on {n} items of train and validation" if (n := manifest.get("refitted_on")) else ""
    (model,) = (file["sha256"][:8] for file in manifest["files"] if file["name"] == contract["model"])
    return (
        f"{', '.join(names)}, epoch {manifest['best_epoch']} of {manifest['total_epochs']}{again}; data "
        f"{manifest['data_sha256'][:8]}, settings {manifest['config_sha256'][:8]}, model {model}"
    )


def _tables(measured: Measured, data: Dataset, labels: list[str], history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        "learning": _learning(history),
        "confusion": curves.confusion(measured.truth, measured.predicted, labels),
        **measured.curves,
        "importance": measured.importance,
        "predictions": _predictions(measured, data, labels),
    }


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


def _predictions(measured: Measured, data: Dataset, labels: list[str]) -> pd.DataFrame:
    """Each test item with its answer, so that two versions can be compared item by item."""
    table = data.table.iloc[measured.rows][["source", "sha256", "label"]].reset_index(drop=True)
    table["predicted"] = np.array(labels, dtype=object)[measured.predicted]
    for i, label in enumerate(labels):
        table[f"probability_{label}"] = measured.probabilities[:, i].astype(float).round(6)
    return table


def _mean_photo(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    total = sum(data.take(block).sum(axis=0, dtype=np.int64) for block in data.blocks(rows))
    return (total // len(rows)).astype(np.uint8)


def _counts(data: Dataset) -> pd.DataFrame:
    """The usable items: columns label, split, n."""
    order = pd.MultiIndex.from_product([data.labels, SPLITS], names=["label", "split"])
    usable = data.table[data.table["verdict"] == "ok"]
    return usable.groupby(["label", "split"]).size().reindex(order, fill_value=0).rename("n").reset_index()


def _quarantined(data: Dataset) -> pd.DataFrame:
    """What was set aside: columns reason, n."""
    reasons = data.table.loc[data.table["verdict"] == "quarantined", "reason"].str.split(":").str[0]
    return reasons.value_counts().rename_axis("reason").reset_index(name="n")
