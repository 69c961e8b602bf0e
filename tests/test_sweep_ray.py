"""`gaia sweep` and `gaia work` on hosts that share nothing but the Git remote and the store, one of which dies."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import Project, Store, until
from test_ray import Cluster, cluster, running  # noqa: F401
from test_sweep import finished, searchable, unsearched  # noqa: F401

pytestmark = pytest.mark.slow
TRIALS = int(os.environ.get("TRIALS", "4"))  # up to 12


@pytest.fixture
def far(searchable: Project, store: Store, cluster: Cluster, tmp_path: Path) -> Project:  # noqa: F811
    """A project whose code others have from a bare repository, and whose data from the store."""
    project = store.connect(searchable)
    store.empty()
    project.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    project.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    project.environment["RAY_ADDRESS"] = cluster.address
    return project


def test_a_search_survives_a_host_and_its_trials_are_experiments_here(far: Project, cluster: Cluster) -> None:  # noqa: F811
    words = ("model.depth=range(2, 8)", "trainer.max_epochs=15, 25", "--sampler", "grid", "--pruner", "none")
    command = (
        "gaia",
        "sweep",
        "cultures",
        *words,
        "--trials",
        str(TRIALS),
        "--engine",
        "ray",
        "--name",
        "far",
        "--json",
    )
    searching = subprocess.Popen(command, cwd=far.root, env=far.environment, text=True, stdout=subprocess.PIPE)
    until(lambda: len(finished(far, "far")) >= 1, "the first trial", 400)
    assert cluster.kill("other")
    found = json.loads(searching.communicate(timeout=900)[0])
    assert searching.returncode == 0
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * TRIALS
    assert len(finished(far, "far")) == TRIALS
    shown = json.loads(far.run("dvc", "exp", "show", "--json").stdout)
    named = {exp["revs"][0]["name"] for base in shown for exp in base["experiments"] or ()}
    assert {name for name in named if name.startswith("far-")} == {f"far-{number}" for number in range(TRIALS)}
    assert not list(far.path(".dvc/tmp/builds").glob("far-*")), "trained there, not here"
    there = far.run("git", "ls-remote", "origin").stdout
    assert "refs/gaia" not in there
    assert there.count("/far-") == TRIALS
    far.run("dvc", "exp", "apply", found["trials"][0]["experiment"])
    assert "evaluate@cultures" not in far.run("dvc", "status").stdout, "what it made is here, too"
    far.run("git", "checkout", "--quiet", ".")


def test_the_queue_is_worked_off_elsewhere(far: Project) -> None:
    setting = "lines.cultures.model.depth=2"
    far.run("dvc", "exp", "run", "--queue", "-S", setting, "--name", "queued", "evaluate@cultures")
    assert "queued: done" in far.run("gaia", "work", "--engine", "ray").stdout
    assert "queued" not in far.run("dvc", "queue", "status").stdout
    assert "/queued" in far.run("git", "for-each-ref", "refs/exps").stdout
