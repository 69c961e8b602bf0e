"""What ships for small photo sets learns from few real photos, without pretrained weights.

The aim is 0.90, which some splits reach and others miss: benchmarks/README.md has them all. What every change has to
keep is less, on the split that is the middle one of the first three there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import Project

LINE = {"raw": "photos", "bucket": "plants-images", "framework": "pytorch", "data": "small_photos", "model": "resnet18"}


def test_three_hundred_real_photos_are_enough_for_four_right_answers_in_five(photos: Path, project: Project) -> None:
    shutil.copytree(photos, project.path("data/raw/photos"))
    project.run("dvc", "add", "data/raw/photos")
    project.edit("params.yaml", lambda params: params["lines"].update(plants=LINE | {"seed": 2}))
    project.repro("evaluate@plants")
    metrics = json.loads(project.path("data/reports/plants/metrics.json").read_text())
    assert metrics["n"] > 40
    assert metrics["accuracy"] >= 0.8
