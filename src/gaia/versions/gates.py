"""The gates of a release: what conf/gates/ asks for, what the artifact shows, and whether that will do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.config.schema import Gates
from gaia.errors import GaiaError
from gaia.versions.verdict import Gate as Gate

ROUNDS = 5  # in which each golden input is answered alone, to tell the time that one answer takes


def judge(
    line: str, gates: Gates, metrics: dict[str, Any], live: dict[str, Any] | None, root: Path = Path()
) -> list[Gate]:
    """Each gate that is asked for, judged over what the workspace holds of a line: `metrics` as metrics.json has them,
    `live` those of the version that is live, if one is.

    Raises GaiaError only for an artifact that isn't whole; a gate that isn't passed is a result.
    """
    return [
        *_of_metrics(gates, metrics, live),
        *_of_artifact(gates, root / paths.model(line)),
        *([_leakage(root / paths.prepared(line) / "index.csv")] if gates.leakage else []),
    ]


def _of_metrics(gates: Gates, metrics: dict[str, Any], live: dict[str, Any] | None) -> Iterator[Gate]:
    if gates.accuracy_low is not None:
        yield _floor("accuracy_low", gates.accuracy_low, metrics["accuracy_low"])
    if gates.recall is not None:
        for label, numbers in metrics["per_class"].items():
            yield _floor(f"recall of {label}", gates.recall, numbers["recall"])
    if gates.drop is not None:
        drop = None if live is None else round(live["accuracy"] - metrics["accuracy"], 6)
        yield Gate("drop", gates.drop, drop, drop is None or drop <= gates.drop)


def _floor(gate: str, limit: float, found: float | None) -> Gate:
    """A number that could not be computed passes no gate. (`found` None says that there is nothing to compare.)"""
    return Gate(gate, limit, "no number" if found is None else found, found is not None and found >= limit)


def _of_artifact(gates: Gates, folder: Path) -> Iterator[Gate]:
    from gaia.runtime import artifact, contract, golden
    from gaia.runtime.load import open_model

    manifest = artifact.verify(folder)
    kept = golden.read(folder)
    model = open_model(folder, contract.read(folder))
    if gates.megabytes is not None:
        size = (sum(f["size"] for f in manifest["files"]) + (folder / artifact.MANIFEST).stat().st_size) / 1e6
        yield Gate("megabytes", gates.megabytes, round(size, 3), size <= gates.megabytes)
    if gates.golden:
        try:
            yield Gate("golden", kept["tolerance"], round(golden.replay(model, kept), 9), True)
        except GaiaError as error:
            yield Gate("golden", kept["tolerance"], str(error), False)
    if gates.latency_ms is not None:
        found = _latency(model, kept["inputs"])
        yield Gate("latency_ms", gates.latency_ms, round(found, 2), found <= gates.latency_ms)


def _latency(model: Any, inputs: list[Any]) -> float:
    """Median milliseconds from an input as it is sent to its probabilities, one at a time."""
    from gaia.runtime import golden

    model.probabilities(golden.inputs(model, inputs[:1]))  # the first one also loads
    taken = []
    for given in inputs * ROUNDS:
        start = time.perf_counter()
        model.probabilities(golden.inputs(model, [given]))
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def _leakage(index: Path) -> Gate:
    """How many items have their like in another split: the same content and label, or the same group."""
    import csv

    with index.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["verdict"] == "ok"]
    split: dict[tuple[str, ...], str] = {}  # that of the first item with this content, or in this group
    leaked = 0
    for row in rows:
        keys = (row["sha256"], row["label"]), (row["group"],)
        leaked += {row["split"]} != {split.setdefault(key, row["split"]) for key in keys}
    return Gate("leakage", 0, leaked, leaked == 0)
