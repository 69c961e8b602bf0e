"""The user's Git configuration, and what Git tells its hooks, change nothing of what our calls of Git do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conftest import Project, Store
from deployed import live
from gaia.errors import GaiaError
from gaia.registry import git
from released import clone, share

NASTY = """
[advice]
    pushUpdateRejected = true
[alias]
    tag = !false
    fetch = !false
[branch]
    autoSetupRebase = always
    sort = -committerdate
[color]
    ui = always
    advice = always
    branch = always
    diff = always
    grep = always
    push = always
    remote = always
    status = always
    transport = always
[column]
    ui = always
    status = always
    tag = always
[commit]
    template = /nowhere
    verbose = true
[core]
    abbrev = 4
    commentChar = "{"
    editor = false
    hooksPath = %(hooks)s
    logAllRefUpdates = always
    pager = false
    quotePath = true
[diff]
    external = false
    mnemonicPrefix = true
    noprefix = true
    orderFile = /nowhere
    relative = true
    renames = copies
[fetch]
    fsckObjects = true
    prune = true
    pruneTags = true
    recurseSubmodules = true
    writeCommitGraph = true
[gc]
    auto = 1
[grep]
    column = true
    fullName = true
    lineNumber = true
    patternType = perl
[i18n]
    commitEncoding = latin1
    logOutputEncoding = latin1
[log]
    date = relative
    showSignature = true
[pager]
    tag = false
    diff = false
[push]
    default = nothing
    followTags = true
    gpgSign = if-asked
    negotiate = true
    pushOption = nonsense
    recurseSubmodules = check
[remote]
    pushDefault = nowhere
[remote "origin"]
    mirror = true
    prune = true
    pruneTags = true
    push = refs/heads/nowhere
    tagOpt = --tags
[status]
    aheadBehind = false
    branch = true
    renames = copies
    short = true
    showStash = true
    showUntrackedFiles = no
    submoduleSummary = true
[submodule]
    recurse = true
[tag]
    sort = nonsense
[transfer]
    fsckObjects = true
"""
HOOKS = ("pre-push", "reference-transaction", "post-checkout", "pre-commit", "push-to-checkout", "pre-auto-gc")


def nasty(folder: Path) -> None:
    """The worst ~/.gitconfig that does not forbid what is asked for, and hooks that refuse everything."""
    hooks = folder / "hooks"
    hooks.mkdir()
    for name in HOOKS:
        (hooks / name).write_text("#!/bin/sh\necho 'refused by a hook' >&2\nexit 1\n")
        (hooks / name).chmod(0o755)
    (folder / ".gitconfig").write_text(NASTY % {"hooks": hooks})


def names(project: Project) -> set[str]:
    return set(project.run("git", "for-each-ref", "--format=%(refname)", "refs/tags").stdout.split())


def test_the_story_of_two_clones_under_the_nastiest_configuration(
    released: Project, store: Store, tmp_path: Path
) -> None:
    store.empty()
    store.connect(released)
    released.run("dvc", "push", "--all-tags")
    share(released)
    other = clone(released, tmp_path / "other")
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=25))
    released.repro()
    released.commit("a turn more")
    for project in (released, other):
        for name in ("mine", "spores@v8.0.0-rc.1"):
            project.run("git", "tag", "-a", "-m", "never shared", f"{name}")
    before = names(other)
    released.run("git", "-C", "../project.git", "config", "core.hooksPath", os.devnull)  # a server has its own
    nasty(tmp_path)
    assert "spores@v1.3.0 is made" in released.run("gaia", "release", "spores", "--push", "--retrain").stdout
    for version in ("v1.0.0", "v1.3.0"):
        released.run("gaia", "deploy", f"spores@{version}", "--yes")
    assert "spores@v1.3.0 is live in prod" in other.run("gaia", "sync").stdout
    assert live(other) == live(released) == "v1.3.0"
    other.run("gaia", "rollback", "spores", "--reason", "why", "--yes")
    released.run("gaia", "sync")
    assert live(other) == live(released) == "v1.0.0"
    other.run("gaia", "withdraw", "spores@v1.3.0", "--reason", "why", "--yes")
    other.run("gaia", "undeploy", "spores", "--reason", "why", "--yes")
    released.run("gaia", "sync")
    assert before < names(other) == names(released), "a tag of the user's own is gone"
    shared = released.run("git", "ls-remote", "--tags", "origin").stdout
    assert "mine" not in shared and "rc.1" not in shared, "a tag of the user's own was shared"
    (tmp_path / ".gitconfig").unlink()
    plain = released.run("gaia", "history", "spores").stdout, released.run("gaia", "versions", "spores").stdout
    (tmp_path / ".gitconfig").write_text(NASTY % {"hooks": tmp_path / "hooks"})
    assert plain == (
        released.run("gaia", "history", "spores").stdout,
        released.run("gaia", "versions", "spores").stdout,
    )


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository whose user has that configuration, for calls from this process."""
    project = Project.empty(tmp_path / "project")
    project.path("ä b.txt").write_text("secret\n")
    project.path("sub").mkdir()
    project.path("sub/file").touch()
    project.commit()
    nasty(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return project


def test_what_git_prints_is_plain(at_home: Project) -> None:
    assert git.git("ls-files", root=at_home.root) == "sub/file\nä b.txt\n"
    assert git.git("grep", "--line-number", "secret", root=at_home.root) == "ä b.txt:1:secret\n"
    assert git.git("branch", "--show-current", root=at_home.root) == "main\n"
    at_home.path("new").touch()
    assert git.git("status", "--porcelain", root=at_home.root) == "?? new\n"
    at_home.path("ä b.txt").unlink()
    assert git.git("diff", "--name-status", root=at_home.path("sub")) == "D\tä b.txt\n"


def test_a_setting_alone_makes_no_remote(at_home: Project) -> None:
    """`remote.origin.prune = true` in ~/.gitconfig lets `git remote` list an origin everywhere."""
    assert at_home.run("git", "remote").stdout == "origin\n"
    assert git.remote(at_home.root) is None


def test_what_git_tells_a_hook_is_about_the_hook_s_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gaia reproduce` in a hook worked in a clone of its own, on the index of the user's repository."""
    hook, elsewhere = (Project.empty(tmp_path / name) for name in ("hook", "elsewhere"))
    for project in (hook, elsewhere):
        project.path(project.root.name).touch()
    hook.run("git", "add", "--all")
    monkeypatch.chdir(hook.root)
    for name, value in {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": "."}.items():
        monkeypatch.setenv(name, str(hook.root / value))
    git.git("add", "--all", root=elsewhere.root)
    assert git.git("ls-files", root=elsewhere.root) == "elsewhere\n"
    other = hook.path(".git/next")
    other.write_bytes(hook.path(".git/index").read_bytes())
    hook.path("later").touch()
    subprocess.run(["git", "add", "later"], env=os.environ | {"GIT_INDEX_FILE": str(other)}, check=True)
    monkeypatch.setenv("GIT_INDEX_FILE", str(other))
    assert git.git("ls-files") == "hook\nlater\n", "what is about to be committed is looked at"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_another_account_is_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.empty(tmp_path / "a project")
    project.commit()
    for path in (project.root, project.path(".git")):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        GaiaError, match="a project belongs to another account, and Git reads no such repository"
    ) as said:
        git.git("status", root=project.root)
    project.run("bash", "-ec", str(said.value).split("`")[1])
    git.git("status", root=project.root)


def test_hints_are_no_part_of_a_sentence(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    project.commit()
    project.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    project.run("git", "remote", "add", "origin", "../origin.git")
    project.run("git", "tag", "x")
    project.run("git", "push", "--quiet", "origin", "x")
    project.commit()
    project.run("git", "tag", "-f", "x")
    with pytest.raises(GaiaError) as said:
        git.git("push", "origin", "refs/tags/x", root=project.root)
    assert "already exists" in str(said.value)
    assert "hint" not in str(said.value)
