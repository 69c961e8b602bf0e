"""What others' trackers are told: `gaia export`."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from gaia.cli.verb import print_json, verb
from gaia.errors import GaiaError


def add(verbs: Any) -> None:
    """Its parser."""
    export = verb(
        verbs, "export", _export, help="show versions and experiments in MLflow: `gaia export mlflow --uri http://...`",
        description="Tells MLflow of every version (a registered model's version, an alias for each stage) and every "
        "experiment of DVC (a run). Repeated, it tells what has changed since. Nothing is read back or uploaded.",
    )  # fmt: skip
    export.add_argument("tracker", choices=("mlflow",), metavar="tracker", help="whom to tell: mlflow")
    export.add_argument("--uri", help="where it answers; else MLFLOW_TRACKING_URI in the environment or .env says it")


def _export(asked: argparse.Namespace) -> None:
    from gaia.tracking import mlflow

    told = mlflow.export(asked.uri)
    if asked.json:
        print_json([each._asdict() for each in told])
    else:
        for each in told:
            if each.state in (mlflow.NEW, mlflow.CHANGED):
                print(f"{each.state}: {each.name}")
        states = Counter(each.state for each in told)
        print(", ".join(f"{count} {state}" for state, count in states.items()) or "no version, and no experiment")
    failed: dict[str, list[str]] = {}
    for each in told:
        if each.why:
            failed.setdefault(each.why, []).append(each.name)
    if failed:
        raise GaiaError("\n".join(f"{', '.join(names)}: {why}" for why, names in failed.items()))
