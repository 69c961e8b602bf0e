"""A project with versions that can go live, small but real in every part: Git, DVC, grown trees, sealed artifacts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gaia.registry import sharing, tags
from gaia.versions.verdict import Gate, Verdict

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).parent.parent

MAKE = """
import csv, json, pathlib, shutil, sys
import catboost
import pandas as pd
from gaia.runtime import artifact, contract, golden
from gaia.runtime.load import open_model

line, turn, depth = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
prepared, folder, reports = (pathlib.Path("data", kind, line) for kind in ("prepared", "models", "reports"))
for path in (prepared, folder, reports):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
rows = pd.DataFrame({"species": ["oyster", "shiitake"] * 40, "days": [float(day % 31) for day in range(80)]})
truth = (rows["days"] > turn).astype(int)
labels = ["healthy", "contaminated"]
booster = catboost.CatBoostClassifier(iterations=8, depth=depth, verbose=False, allow_writing_files=False)
booster.fit(rows, truth, cat_features=["species"]).save_model(str(folder / "model.cbm"))
features = [
    {"name": "species", "column": "species", "type": "category", "categories": ["oyster", "shiitake"]},
    {"name": "days", "column": "days", "type": "number"},
]
how = {"kind": "table", "features": features, "separator": ",", "decimal": ".", "encoding": "utf-8"}
contract.write(folder, {
    "format": 2, "line": line, "question": "contaminated?", "framework": "catboost", "model": "model.cbm", "input": how,
    "labels": labels, "positive": "contaminated", "threshold": 0.5,
})
model = open_model(folder, contract.read(folder))
golden.write(folder, golden.record(model, rows[:6]))
how_trained = {"best_epoch": 8, "total_epochs": 8, "validation_loss": 0.5, "validation_accuracy": 0.9}
artifact.seal(folder, {"line": line, "turn": turn, "architecture": "catboost.CatBoostClassifier"} | how_trained)
items = pd.DataFrame({"source": [f"row {i}" for i in rows.index], "sha256": [f"{i:064}" for i in rows.index]})
items["label"] = [labels[i] for i in truth]
items.to_csv(prepared / "index.csv", index=False)
items["predicted"] = [labels[i] for i in model.decide(model.probabilities(rows))]
items.to_csv(reports / "predictions.csv", index=False)
accuracy = float((items["label"] == items["predicted"]).mean())
per_class = {label: {"precision": accuracy, "recall": accuracy, "f1": accuracy, "n": 40} for label in labels}
range95 = {"accuracy_low": 0.8, "accuracy_high": 1.0}
artifact.write_json(reports / "metrics.json", {"n": 80, "accuracy": accuracy, "per_class": per_class} | range95)
"""
PIPELINE = """
stages:
  compose:
    foreach: ${lines}
    do:
      cmd: >-
        mkdir -p data/config &&
        (echo "turn: ${item.turn}"; echo "depth: ${item.depth}"; cat policy.yaml) > data/config/${key}.yaml
      deps: [policy.yaml]
      outs:
        - data/config/${key}.yaml: {cache: false}
  prepare:
    foreach: ${lines}
    do: {cmd: 'true', deps: [make.py, data/raw/table]}
  train:
    foreach: ${lines}
    do: {cmd: 'true', deps: [make.py]}
  evaluate:
    foreach: ${lines}
    do:
      cmd: python make.py ${key} ${item.turn} ${item.depth}
      params: ['data/config/${key}.yaml': [turn, depth]]
      deps: [make.py]
      outs:
        - data/prepared/${key}: {remote: '${item.bucket}'}
        - data/models/${key}: {remote: models}
        - data/reports/${key}/predictions.csv: {remote: models}
      metrics:
        - data/reports/${key}/metrics.json: {cache: false}
"""
POLICY = """raw: table
gates: {branch: null, accuracy_low: 0.5, recall: null, drop: 0.03, latency_ms: null, megabytes: null, golden: true,
        leakage: false, unjudged: refuse}
"""
VERSIONS = {"spores": ["v1.0.0", "v1.1.0", "v1.2.0"], "cultures": ["v1.0.0", "v1.1.0"]}


def release(project: Project) -> None:
    """Fill an empty repository: three versions of `spores`, two of `cultures`, a commit each."""
    _configure(project)
    project.path(".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore"):
        shutil.copy(ROOT / name, project.path(name))
    project.path("src").symlink_to(ROOT / "src")
    with project.path(".gitignore").open("a") as file:
        file.write("/src\n!/data/raw/table/*\n")
    project.path("policy.yaml").write_text(POLICY)
    project.path("data/raw/table").mkdir(parents=True)
    project.path("data/raw/table/table.csv").write_text("species,days\n")
    project.path("requirements.lock").write_text("catboost==1.2.10\n")
    project.path("make.py").write_text(MAKE)
    project.path("dvc.yaml").write_text(PIPELINE)
    project.run("dvc", "install")
    for minor in range(3):
        lines = {"spores": {"turn": 10 + 4 * minor, "bucket": "plants-images", "depth": 2},
                 "cultures": {"turn": 9 + 4 * min(minor, 1), "bucket": "data", "depth": 2}}  # fmt: skip
        project.edit("params.yaml", lambda params, lines=lines: params.update(lines=lines))
        project.repro()
        project.commit(f"the turn of {minor}")
        for line in ("spores", "cultures") if minor < 2 else ("spores",):
            version = VERSIONS[line][minor]
            judged(project, f"{line}@{version}", minor)


def judged(project: Project, name: str, minor: int = 0) -> None:
    """Tag HEAD as a version, with a verdict as `gaia release` writes it."""
    said = Verdict([Gate("accuracy_low", 0.8, 0.9, True)], {"accuracy": 0.9 + minor / 100}, "minor", ["another turn"])
    sharing.create(name, "HEAD", said.message(tags.version(name), "accuracy 0.9"), project.root)


def clone(project: Project, root: Path) -> Project:
    """A Git clone, as another person or host has it: no data, no cache; DVC's settings of this host are taken along."""
    project.run("git", "clone", "--quiet", project.run("git", "remote", "get-url", "origin").stdout.strip(), str(root))
    other = type(project)(root)
    _configure(other)
    if not other.path("src").exists():  # not a part of a small project
        other.path("src").symlink_to(ROOT / "src")
    for name in (".env", ".dvc/config.local", ".storage/profile"):
        if project.path(name).exists():
            other.path(name).parent.mkdir(exist_ok=True)
            shutil.copy(project.path(name), other.path(name))
    return other


def share(project: Project) -> None:
    """Give the project a bare repository as `origin`, with everything in it."""
    bare = project.root.with_name(f"{project.root.name}.git")
    project.run("git", "clone", "--quiet", "--bare", ".", str(bare))
    project.run("git", "remote", "add", "origin", str(bare))
    project.run("git", "fetch", "--quiet", "origin")
    project.run("git", "branch", "--quiet", "--set-upstream-to", "origin/main")


def model(project: Project, line: str) -> dict[str, bytes]:
    """The files that are live in prod, by name."""
    return {path.name: path.read_bytes() for path in project.path("deployments", line, "current/").iterdir()}


def _configure(project: Project) -> None:
    for key, value in (("user.name", "test"), ("user.email", "test@example.org"), ("tag.gpgSign", "false")):
        project.run("git", "config", key, value)
