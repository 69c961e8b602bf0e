"""A release is judged against what is live by everybody's tags, as they are when the number is taken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from conftest import Project, Store
from deployed import go
from gaia.registry import tags
from gaia.versions.release import GatesFailed, release
from released import clone, share


@pytest.fixture
def worse(released: Project, store: Store, tmp_path: Path) -> tuple[Project, Project]:
    """A project, and a clone of it in which a much worse model is built and committed. Nothing is live yet."""
    store.empty()
    store.connect(released)
    share(released)
    other = clone(released, tmp_path / "other")
    other.run("git", "config", "remote.origin.tagOpt", "--no-tags")
    other.path("make.py").write_text(
        other.path("make.py").read_text().replace("accuracy = float(", "accuracy = 0.6 * float(")
    )
    other.path(".dvc/config.local").write_text(
        other.path(".dvc/config.local").read_text() + f"[cache]\n    dir = {released.path('.dvc/cache')}\n"
    )
    other.repro()
    other.commit("much worse")
    return released, other


def test_the_live_version_is_fetched_before_it_is_judged_against(worse: tuple[Project, Project]) -> None:
    """It was judged with the tags that happened to be here: 'drop: nothing to compare: passed'."""
    project, other = worse
    other.run("dvc", "push")
    go(project, "v1.2.0")
    done = other.run("gaia", "release", "spores", ok=False)
    assert done.returncode == 1, done.stdout
    assert "the gate drop asks for at most 0.03, found 0.4" in done.stdout
    assert "nothing to compare" not in done.stdout
    assert len(tags.versions("spores", project.root)) == 3


def test_what_goes_live_before_the_number_is_taken_is_judged_against_too(worse: tuple[Project, Project]) -> None:
    project, other = worse

    def meanwhile(question: str) -> bool:
        go(project, "v1.2.0")
        return True

    with contextlib.chdir(other.root), pytest.raises(GatesFailed, match="drop asks for at most 0.03, found 0.4"):
        release("spores", may_push=meanwhile)
    assert "v1.3.0" not in other.run("git", "ls-remote", "--tags", "origin").stdout


def test_nothing_to_compare_is_said_where_nothing_is_live(worse: tuple[Project, Project]) -> None:
    _, other = worse
    done = other.run("gaia", "release", "spores", "--push")
    assert "drop: nothing to compare, asked for 0.03: passed" in done.stdout
    assert "spores@v1.2.1 is made" in done.stdout
