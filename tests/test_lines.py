"""A project of many lines, as benchmarks/lines.py makes it: one stage composes all, the others are each line's own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from conftest import ROOT, Project


def made(root: Path, count: int) -> Project:
    spec = importlib.util.spec_from_file_location("lines", ROOT / "benchmarks/lines.py")
    assert spec and spec.loader
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(root, count)
    return Project(root)


def test_an_edit_of_one_line_re_runs_its_stages_alone_and_a_mistake_leaves_every_line_as_it_was(tmp_path: Path) -> None:
    project = made(tmp_path / "project", 5)
    folder = project.path("data/config")
    assert sorted(file.stem for file in folder.iterdir()) == ["bags", "bags-4", "cultures", "plants", "plants-3"]

    def changed() -> set[str]:
        return set(json.loads(project.run("dvc", "status", "--json").stdout))

    assert changed() == set()
    project.edit("params.yaml", lambda params: params["lines"]["plants-3"].update(trainer={"max_epochs": 3}))
    assert project.repro("compose") == {"compose"}
    assert changed() == {"train@plants-3", "evaluate@plants-3"}
    before = {file: file.read_bytes() for file in folder.iterdir()}
    project.edit("params.yaml", lambda params: params["lines"]["bags"].update(trainer={"max_epochs": "many"}))
    project.edit("params.yaml", lambda params: params["lines"].pop("bags-4"))
    said = project.run("dvc", "repro", "train@plants-3", ok=False).stdout
    assert "params.yaml: lines.bags.trainer.max_epochs is 'many'" in said
    assert "Running stage 'train" not in said
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    project.edit("params.yaml", lambda params: params["lines"]["bags"].update(trainer="default"))
    project.repro("compose")
    assert sorted(file.stem for file in folder.iterdir()) == ["bags", "cultures", "plants", "plants-3"]
    assert changed() == {f"{stage}@{line}" for stage in ("train", "evaluate") for line in ("plants-3", "bags")}
