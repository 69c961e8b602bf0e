"""One page a line: how good the model is, where it fails, and what it was made from."""

import io
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from gaia.evaluation import curves, figures
from gaia.evaluation.metrics import Array
from gaia.evaluation.mistakes import captions, worst

FEATURES = 20  # bars at most


def render(report: dict[str, Any]) -> str:
    """The page as HTML that needs nothing else: no script, no network, no other file.

    `report` has: line, question (or None), labels, positive (a label), threshold, metrics (those of
    `metrics.score` and artifact_bytes), history (DataFrame by epoch), kept_epoch, truth and predicted
    (int [n]), probabilities ([n, k]), importance (DataFrame), mean_photo (uint8 [h, w, 3], or None for a
    table), mistakes_png (bytes), data (counts: DataFrame of label, split, n; quarantined: DataFrame of
    reason, n), config (YAML), and files (name, size, sha256). The same report gives the same bytes.
    Raises KeyError or jinja2.UndefinedError for a missing key, and ValueError as `metrics.check` does.
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
    chosen = worst(truth, report["probabilities"], report["predicted"])
    return environment.get_template("report.html.j2").render(
        report,
        question=report["question"] or _or(labels),
        items="photos" if report["mean_photo"] is not None else "rows",
        right=int(np.sum(truth == report["predicted"])),
        wrong=int(np.sum(truth != report["predicted"])),
        common=labels[counts.argmax()],
        baseline=counts.max() / len(truth),
        figure=_figures(report),
        matrix=_matrix(report),
        bars=_bars(report["importance"]),
        mistakes=captions(chosen, truth, report["probabilities"], report["predicted"], labels),
        mistakes_png=b64encode(report["mistakes_png"]).decode(),
        mean_png=_png(report["mean_photo"]) if report["mean_photo"] is not None else "",
        splits=_splits(report["data"]["counts"]),
        quarantined=report["data"]["quarantined"].to_dict("records"),
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


def _figures(report: dict[str, Any]) -> dict[str, str]:
    labels, positive = report["labels"], report["labels"].index(report["positive"])
    truth, predicted, probabilities = report["truth"], report["predicted"], report["probabilities"]
    kept = report["kept_epoch"]
    drawn = dict.fromkeys(("roc", "precision_recall", "importance"), "")  # empty where it cannot be drawn
    for name in ("loss", "accuracy"):
        alt = f"Line chart of the {name} by epoch; epoch {kept} is in the artifact."
        drawn[name] = figures.learning(report["history"], kept, name, alt)
    drawn["calibration"] = figures.calibration(
        curves.calibration(truth, probabilities, labels), "Reliability diagram: accuracy against confidence."
    )
    if report["mean_photo"] is not None:
        drawn["importance"] = figures.heat_map(
            report["importance"], report["mean_photo"], "Heat map of importance over the mean test photo."
        )
    roc = curves.roc(truth, probabilities, labels, positive)
    if not roc.empty:
        base = on_roc = on_precision = None
        if len(labels) == 2:  # with more classes there is no single point that shows the answers given
            actual, said = truth == positive, predicted == positive
            hits, base = float(np.sum(actual & said)), float(actual.mean())
            on_roc = (float(np.sum(~actual & said) / np.sum(~actual)), hits / float(actual.sum()))
            on_precision = (on_roc[1], hits / float(said.sum())) if said.any() else None
        area = decimal(report["metrics"]["roc_auc"])
        drawn["roc"] = figures.roc(roc, on_roc, f"ROC curve, area {area}.")
        drawn["precision_recall"] = figures.precision_recall(
            curves.precision_recall(truth, probabilities, labels, positive),
            base,
            on_precision,
            "Precision by recall.",
        )
    return drawn


def _matrix(report: dict[str, Any]) -> list[list[dict[str, Any]]]:
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
