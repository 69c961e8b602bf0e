"""One page for each line: how good the model is, where it fails, and what it was made from."""

import io
from base64 import b64encode
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from gaia.evaluation import figures
from gaia.evaluation.metrics import Array, Metrics
from gaia.runtime.artifact import File

FEATURES = 20  # bars at most


class Report(TypedDict):
    """What the page shows."""

    line: str
    question: str | None
    made: str  # what tells this build from another; neither commit nor date, with which `dvc repro` would never rest
    labels: list[str]
    positive: str  # one of them
    threshold: float
    threshold_how: str  # how it came about
    refitted_on: int | None  # items of train and validation, if what ships was trained anew on both
    metrics: Metrics
    history: pd.DataFrame  # by epoch
    kept_epoch: int
    truth: Array  # int [n]
    predicted: Array  # int [n]
    curves: dict[str, pd.DataFrame]  # roc, precision_recall, calibration: see curves.py
    importance: pd.DataFrame
    mean_photo: Array | None  # uint8 [h, w, 3]; None for a table
    mistakes: list[str]  # captions, the worst first
    mistakes_png: bytes
    counts: pd.DataFrame  # label, split, n
    quarantined: pd.DataFrame  # reason, n
    config: str  # YAML
    files: list[File]


def render(report: Report) -> str:
    """The page as HTML that needs nothing else: no script, no network, no other file.

    The same report gives the same bytes. Raises KeyError or jinja2.UndefinedError for a missing key.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, decimal=decimal, size=size)
    labels, truth = report["labels"], report["truth"]
    counts = np.bincount(truth, minlength=len(labels))
    return environment.get_template("report.html.j2").render(
        {**report},
        question=report["question"] or _or(labels),
        items="photos" if report["mean_photo"] is not None else "rows",
        right=int(np.sum(truth == report["predicted"])),
        wrong=int(np.sum(truth != report["predicted"])),
        common=labels[counts.argmax()],
        baseline=counts.max() / len(truth),
        figure=_figures(report),
        matrix=_matrix(report),
        bars=_bars(report["importance"]),
        mistakes_png=b64encode(report["mistakes_png"]).decode(),
        mean_png=_png(report["mean_photo"]) if report["mean_photo"] is not None else "",
        splits=_splits(report["counts"]),
        quarantined=report["quarantined"].to_dict("records"),
    )


def percent(share: float | None, digits: int = 1) -> str:
    """0.95 as "95.0 %", and None as a dash."""
    return "\N{EN DASH}" if share is None else f"{100 * share:.{digits}f}\N{NARROW NO-BREAK SPACE}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals, and None as a dash."""
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"


def size(count: int) -> str:
    """Bytes in the largest decimal unit that leaves at least 1."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            break
        value /= 1000
    return f"{value:.{0 if unit == 'B' or value >= 99.5 else 1}f}\N{NARROW NO-BREAK SPACE}{unit}"


def _or(labels: list[str]) -> str:
    return f"{', '.join(labels[:-1])} or {labels[-1]}"


def _figures(report: Report) -> dict[str, str]:
    labels, positive = report["labels"], report["labels"].index(report["positive"])
    truth, predicted, curves = report["truth"], report["predicted"], report["curves"]
    kept = report["kept_epoch"]
    drawn = dict.fromkeys(("roc", "precision_recall", "importance"), "")  # empty where it cannot be drawn
    for name in ("loss", "accuracy"):
        alt = f"Line chart of the {name} by epoch; epoch {kept} is in the artifact."
        drawn[name] = figures.learning(report["history"], kept, name, alt)
    drawn["calibration"] = figures.calibration(
        curves["calibration"], "Reliability diagram: accuracy against confidence."
    )
    if report["mean_photo"] is not None:
        drawn["importance"] = figures.heat_map(
            report["importance"], report["mean_photo"], "Heat map of importance over the mean test photo."
        )
    if not curves["roc"].empty:
        base = on_roc = on_precision = None
        if len(labels) == 2:  # with more classes there is no single point that shows the answers given
            actual, said = truth == positive, predicted == positive
            hits, base = float(np.sum(actual & said)), float(actual.mean())
            on_roc = (float(np.sum(~actual & said) / np.sum(~actual)), hits / float(actual.sum()))
            on_precision = (on_roc[1], hits / float(said.sum())) if said.any() else None
        area = decimal(report["metrics"]["roc_auc"])
        drawn["roc"] = figures.roc(curves["roc"], on_roc, f"ROC curve, area {area}.")
        drawn["precision_recall"] = figures.precision_recall(
            curves["precision_recall"], base, on_precision, "Precision by recall."
        )
    return drawn


def _matrix(report: Report) -> list[list[dict[str, Any]]]:
    k = len(report["labels"])
    counts = np.zeros((k, k), dtype=int)
    np.add.at(counts, (report["truth"], report["predicted"]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    return [
        [
            {"n": int(counts[i, j]), "share": float(shares[i, j]) if totals[i, 0] else None, "right": i == j}
            for j in range(k)
        ]
        for i in range(k)
    ]


def _bars(importance: pd.DataFrame) -> list[dict[str, Any]]:
    """The most important features with the width of their bars, in percent of the longest."""
    features, values = importance["feature"].head(FEATURES), importance["importance"].head(FEATURES)
    top = max([1e-9, *values])
    return [
        {"feature": feature, "value": value, "width": round(max(0.0, 100 * value / top), 2)}
        for feature, value in zip(features, values, strict=True)
    ]


def _png(photo: Array) -> str:
    file = io.BytesIO()
    Image.fromarray(photo).resize((320, 320), Image.Resampling.BICUBIC).save(file, format="PNG", optimize=True)
    return b64encode(file.getvalue()).decode()


def _splits(counts: pd.DataFrame) -> dict[str, Any]:
    """Items by label (rows) and split (columns), both in the order in which they come."""
    columns = list(dict.fromkeys(counts["split"]))
    n = counts.groupby(["label", "split"], sort=False)["n"].sum()
    rows = {label: [int(n.get((label, split), 0)) for split in columns] for label in dict.fromkeys(counts["label"])}
    totals = [sum(row[i] for row in rows.values()) for i in range(len(columns))]
    return {"columns": columns, "rows": rows, "totals": totals}
