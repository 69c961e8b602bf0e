"""A line with a history: real in every part, made once. Two versions, and a commit that could become the third."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import Project, Store, checkout, merge, once

GATES = {"use": "default", "accuracy_low": 0.5, "recall": 0.1, "latency_ms": 1000}


@pytest.fixture(scope="session")
def chronicle(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """See `versioned`; not to be changed."""
    return once(tmp_path_factory, "chronicle", lambda root: _make(root, store)).parent


@pytest.fixture
def versioned(chronicle: Path, store: Store, tmp_path: Path) -> Project:
    """A project whose one line `cultures` has two versions, v1.1.0 with shallower trees, all stored and shared with
    the bare repository ../origin.git. HEAD is built of other data, and is neither released nor stored."""
    shutil.copytree(chronicle, tmp_path / "chronicle", symlinks=True)
    project = store.connect(Project(tmp_path / "chronicle/project"))
    store.fill(project, "cultures@v1.0.0", "cultures@v1.1.0")
    return project


def _make(root: Path, store: Store) -> None:
    project = checkout(root)
    store.connect(project)
    project.edit("params.yaml", _cultures_only)
    project.edit("dvc.yaml", lambda content: content.pop("artifacts"))
    project.repro()
    project.commit("the first")
    project.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    project.run("git", "remote", "add", "origin", "../origin.git")
    project.run("gaia", "release", "cultures", "--push")
    _set(project, model={"use": "catboost", "depth": 3})
    project.repro()
    project.commit("shallower trees")
    project.run("gaia", "release", "cultures", "--push")
    _other_data(project)
    project.repro()
    project.commit("other data")


def _cultures_only(params: dict) -> None:
    params["lines"] = {"cultures": {**params["lines"]["cultures"], "gates": dict(GATES)}}
    params["demo"] = {"demo_cultures": params["demo"]["demo_cultures"]}


def _set(project: Project, **values: object) -> None:
    project.edit("params.yaml", lambda params: merge(params, {"lines": {"cultures": values}}))


def _other_data(project: Project) -> None:
    """A table of one's own: the first row is gone, the second has the other label, and there is a new one."""
    table = project.path("data/raw/own/cultures.csv")
    table.parent.mkdir()
    (drawn,) = project.path("data/raw/demo_cultures").glob("*.csv")
    header, _, second, *rest = drawn.read_text().splitlines()
    swap = {"healthy": "contaminated", "contaminated": "healthy"}
    label = next(cell for cell in second.split(",") if cell in swap)
    added = rest[0].replace(rest[0].split(",")[-2], "0.123")
    table.write_text("\n".join([header, second.replace(label, swap[label]), *rest, added]) + "\n")
    project.run("dvc", "add", "data/raw/own")
    _set(project, raw="own")
