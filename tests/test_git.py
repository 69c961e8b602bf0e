"""Git is asked through its command, and what goes wrong is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Project
from gaia.errors import GaiaError
from gaia.registry import git


def test_a_file_is_read_as_it_was(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    project.path("inner").mkdir()
    for content in ("one", "two"):
        project.path("inner/a b.txt").write_text(content)
        project.commit(content)
    assert git.read("HEAD~1", "inner/a b.txt", project.root) == b"one"
    assert git.read("HEAD", "a b.txt", project.path("inner")) == b"two"
    assert git.read("HEAD", "inner", project.root) is None
    assert git.read("HEAD", "missing.txt", project.root) is None


def test_what_names_no_commit_is_refused_before_it_is_an_option_or_a_path(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    project.commit()
    for name in ("nothing", "", "--all", "HEAD:", "plants@v1.0.0", "../x"):
        with pytest.raises(GaiaError, match="names no commit"):
            git.read(name, "file", project.root)


def test_outside_a_repository_the_sentence_is_git_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(GaiaError, match=r"^git rev-parse: not a git repository.*\.$"):
        git.commit("HEAD", tmp_path)
    with pytest.raises(GaiaError, match=r"^git for-each-ref: not a git repository"):
        git.git("for-each-ref", root=tmp_path)


def test_without_git_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GaiaError, match="git is not installed"):
        git.git("status")


def test_many_files_are_read_at_once_in_order(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    project.path("folder").mkdir()
    project.path("folder/empty").touch()
    project.path("binary").write_bytes(b"\n\0 blob 5\n")
    project.commit()
    names = ["HEAD:binary", "HEAD:missing", "HEAD:folder", "HEAD:folder/empty", "HEAD:binary", "nothing:binary"]
    content = b"\n\0 blob 5\n"
    assert git.blobs(names, project.root) == [content, None, None, b"", content, None]
    assert git.blobs([], project.root) == []


def test_tags_are_shared_with_the_remote_of_the_branch_or_else_the_obvious_one(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    assert git.remote(project.root) is None
    project.run("git", "remote", "add", "hub", "../hub.git")
    assert git.remote(project.root) == "hub"
    project.run("git", "remote", "add", "spare", "../spare.git")
    assert git.remote(project.root) is None
    project.run("git", "config", "branch.main.remote", "spare")
    assert git.remote(project.root) == "spare"
