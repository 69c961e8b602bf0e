"""What ships for small photo sets learns from few real photos, without pretrained weights.

The aim is 0.90, which some splits reach and others miss (benchmarks/README.md). What every change has to keep is less.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import Project

LINE = {"raw": "photos", "bucket": "plants-images", "framework": "pytorch", "data": "small_photos", "model": "resnet18"}
SEEDS = (20261123, 1, 2)  # of splits and training: one test set of fifty photos says little


def test_three_hundred_real_photos_are_enough_for_four_right_answers_in_five(project: Project, photos: Path) -> None:
    shutil.copytree(photos, project.path("data/raw/photos"))
    project.run("dvc", "add", "data/raw/photos")
    right, n = 0.0, 0
    for seed in SEEDS:
        project.edit("params.yaml", lambda params, seed=seed: params["lines"].update(plants=LINE | {"seed": seed}))
        project.repro("evaluate@plants")
        metrics = json.loads(project.path("data/reports/plants/metrics.json").read_text())
        right, n = right + metrics["accuracy"] * metrics["n"], n + metrics["n"]
    assert n > 120
    assert right / n >= 0.8, right / n
