"""Git's hooks bring the data and models of whatever commit Git has just brought; the texts are the same everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Project, checkout
from test_checkout import build, models, with_hooks


@pytest.fixture(scope="module")
def apart(drafted: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, bytes]]:
    """See `two`, and the models of `theirs`; not to be changed."""
    root = tmp_path_factory.mktemp("apart") / "project"
    shutil.copytree(drafted.root, root, symlinks=True)
    project = with_hooks(Project(root))
    project.path("README.md").write_text("ours\n")
    project.commit("a text")
    project.run("git", "checkout", "--quiet", "-b", "theirs")
    theirs = build(project, "plants", seed=9)
    project.run("git", "checkout", "--quiet", "main")
    return project, theirs


@pytest.fixture
def two(apart: tuple[Project, object], tmp_path: Path) -> Project:
    """A project with its hooks, and a branch `theirs` that has built `plants` of another seed."""
    shutil.copytree(apart[0].root, tmp_path / "two", symlinks=True)
    return Project(tmp_path / "two")


def text(project: Project, branch: str, content: str) -> None:
    """A commit on a branch that changes no more than a text."""
    project.run("git", "checkout", "--quiet", branch)
    project.path("README.md").write_text(content)
    project.commit(f"a text: {content}")


def conflict(project: Project) -> None:
    """Merge a branch that changed the same text, and mend that by hand."""
    text(project, "theirs", "there\n")
    text(project, "main", "here\n")
    assert "CONFLICT" in project.run("git", "merge", "theirs", ok=False).stdout
    project.path("README.md").write_text("both\n")
    project.commit("merged")


def pull(project: Project, *how: str) -> None:
    """Get the branch from another repository."""
    project.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    project.run("git", "pull", "--quiet", *how, "../origin.git", "theirs")


def rebase(project: Project) -> None:
    text(project, "main", "here\n")
    pull(project, "--rebase")


WAYS: dict[str, Callable[[Project], object]] = {
    "merge": lambda project: project.run("git", "merge", "--quiet", "--no-ff", "theirs"),
    "merge with a conflict": conflict,
    "pull": pull,
    "pull --rebase": rebase,
    "cherry-pick": lambda project: project.run("git", "cherry-pick", "theirs"),
    "revert": lambda project: project.run("git", "revert", "--no-edit", "HEAD"),
}


@pytest.mark.parametrize("way", WAYS)
def test_models_come_with_the_commit_in_whatever_way_git_brings_it(
    two: Project, apart: tuple[object, dict[str, bytes]], way: str
) -> None:
    """`git pull` left the old model, which then answered as the new commit's."""
    ours, theirs = models(two), apart[1]
    assert ours != theirs
    if way == "revert":
        two.run("git", "merge", "--quiet", "theirs")
        two.run("dvc", "checkout")
        assert models(two) == theirs
    WAYS[way](two)
    assert models(two) == (ours if way == "revert" else theirs)
    assert two.run("git", "status", "--porcelain").stdout == ""


def test_what_a_commit_names_and_nobody_has_is_said_with_what_would_do(two: Project) -> None:
    """DVC's own words end in the address of a page."""
    shutil.rmtree(two.path(".dvc/cache"))
    shutil.rmtree(two.path("data/models"))
    said = two.run("git", "checkout", "--quiet", "theirs", ok=False).stdout
    assert "error: what lies here is not all of this commit; `gaia status` says what brings the rest." in said


def test_an_amended_commit_leaves_what_is_being_worked_on(two: Project) -> None:
    two.path("data/models/plants/model.onnx").unlink()
    two.path("data/models/plants/model.onnx").write_bytes(b"half done")
    two.run("git", "commit", "--quiet", "--amend", "-m", "another message")
    assert two.path("data/models/plants/model.onnx").read_bytes() == b"half done"


@pytest.mark.parametrize("installed", [True, False])
def test_a_new_worktree_is_made_and_committed_in_without_a_complaint(two: Project, installed: bool) -> None:
    """Its hooks are the main checkout's, but it has neither an environment nor data."""
    if not installed:
        two.environment["PATH"] = os.pathsep.join(
            folder for folder in two.environment["PATH"].split(os.pathsep) if not Path(folder, "dvc").exists()
        )
        assert shutil.which("git", path=two.environment["PATH"])
    said = two.run("git", "worktree", "add", "--quiet", "../tree", "theirs").stdout
    tree = Project(two.root.parent / "tree")
    tree.environment = two.environment
    tree.path("README.md").write_text("a word\n")
    tree.run("git", "add", "README.md")
    said += tree.run("git", "commit", "--quiet", "-m", "a word").stdout
    said += tree.run("git", "merge", "--quiet", "--no-edit", "main").stdout
    assert not [word for word in ("error", "not found", "fail") if word in said.lower()], said


@pytest.mark.slow
def test_setup_installs_every_hook_and_leaves_one_that_is_somebodys_own(tmp_path: Path) -> None:
    project = checkout(tmp_path / "project")
    project.path(".venv").symlink_to(Path(sys.prefix))
    own = project.path(".git/hooks/post-merge")
    own.write_text("#!/bin/sh\necho mine\n")
    make = ("make", "--no-print-directory", "--always-make", "--old-file=.venv/.installed", ".git/hooks/post-checkout")
    for _ in range(2):
        said = project.run(*make).stdout
        assert "warning: .git/hooks/post-merge is your own, and stays; let it call .githooks/post-merge" in said
        assert own.read_text() == "#!/bin/sh\necho mine\n"
    own.unlink()
    assert "warning" not in project.run(*make).stdout
    for hook in (ROOT / ".githooks").iterdir():
        assert project.path(".git/hooks", hook.name).read_text() == hook.read_text()
        assert os.access(project.path(".git/hooks", hook.name), os.X_OK)


def test_a_clone_with_other_line_ends_has_the_same_bytes(tmp_path: Path) -> None:
    """With core.autocrlf=true a clone showed every stage as changed, and its hooks didn't start."""
    project = Project.empty(tmp_path / "project")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    for name in names:
        project.path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, project.path(name))
    own = "data/raw/own/table.csv"  # kept by Git, and by no rule of ours to be changed
    project.path(own).parent.mkdir(parents=True)
    project.path(own).write_bytes(b"a;b\r\n1;2\r\n")
    project.run("git", "add", "--force", own)
    project.commit()
    for setting in ("core.autocrlf=true", "core.eol=crlf"):
        clone = Project(tmp_path / setting)
        project.run("git", "clone", "--quiet", "--config", setting, ".", str(clone.root))
        assert clone.run("git", "status", "--porcelain").stdout == ""
        for name in (*names, own):
            assert clone.path(name).read_bytes() == project.path(name).read_bytes(), name
