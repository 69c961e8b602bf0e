"""The remote has a tag before this clone has it; what an older way of making them left is shared, or dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Project
from gaia.errors import GaiaError
from gaia.registry import history, sharing, tags


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Project, Project]:
    """Two clones of a repository with one commit, in both of which the same person works."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    first = Project.empty(tmp_path / "first")
    first.commit()
    first.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    first.run("git", "remote", "add", "origin", "../origin.git")
    first.run("git", "clone", "--quiet", "../origin.git", "../second")
    return first, Project(tmp_path / "second")


def local(project: Project, name: str, commit: str = "HEAD", line: str = "plants") -> None:
    """A tag as it was left by a process that died between making and sharing it."""
    project.run("git", "tag", "-a", name, commit, "-m", tags.message("m", {"line": line}))


def shared(project: Project) -> list[str]:
    listed = project.run("git", "ls-remote", "--tags", "--refs", "../origin.git").stdout.splitlines()
    return [line.partition("refs/tags/")[2] for line in listed]


def test_the_remote_has_a_tag_first(clones: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = clones
    asked: list[tuple[str, bool]] = []
    run = sharing.git

    def watched(*words: str, **how: object) -> str:
        said = run(*words, **how)  # type: ignore[arg-type]
        asked.extend((word, bool(shared(first))) for word in words if word in ("tag", "push", "update-ref"))
        assert not first.run("git", "tag").stdout or "update-ref" in words
        return said

    monkeypatch.setattr(sharing, "git", watched)
    sharing.create("plants@v1.0.0", "HEAD", "m", first.root)
    assert asked == [("tag", False), ("push", True), ("update-ref", True)]
    assert first.run("git", "tag").stdout == "plants@v1.0.0\n"
    assert first.run("git", "fsck", "--strict").returncode == 0


def test_a_tag_of_ours_that_never_reached_the_remote_is_pushed(
    clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = clones
    for name in ("plants@v1.0.0", "plants#prod#1"):
        local(first, name)
    sharing.fetch(first.root)
    assert shared(first) == ["plants#prod#1", "plants@v1.0.0"]
    assert "plants#prod#1, plants@v1.0.0 never reached origin; now it is there." in capsys.readouterr().err
    sharing.fetch(second.root)
    assert len(history.read("plants", second.root)) == 1


def test_a_tag_of_ours_whose_name_was_taken_meanwhile_is_dropped(
    clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both the version and what was deployed of it: nobody else ever heard of either."""
    first, second = clones
    first.commit("a phantom")
    local(first, "plants@v1.0.0")
    local(first, "plants#prod#1")
    sharing.create("plants@v1.0.0", "HEAD", "of another commit", second.root)
    sharing.fetch(first.root)
    assert [tag.message for tag in tags.versions(root=first.root)] == ["of another commit"]
    assert "never reached origin, which has another one by now; the one here is dropped" in capsys.readouterr().err
    assert shared(first) == ["plants@v1.0.0"], "what is of no version was shared"
    assert history.look(root=first.root).events == []


def test_what_was_removed_at_the_remote_is_not_brought_back(
    clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    """The cure for a bad tag would be none if the next clone that has it pushed it again."""
    first, second = clones
    sharing.create("plants@v1.0.0", "HEAD", tags.message("m", {"line": "plants"}), first.root)
    sharing.fetch(second.root)
    second.run("git", "push", "--quiet", "origin", ":refs/tags/plants@v1.0.0")
    for _ in range(3):
        sharing.fetch(second.root)
        assert shared(first) == []
    assert "plants@v1.0.0 is in this clone alone; `git push --no-verify origin" in capsys.readouterr().err
    assert len(tags.versions(root=second.root)) == 1


def test_a_tag_that_was_moved_at_the_remote_moves_nothing_here(
    clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = clones
    sharing.create("plants@v1.0.0", "HEAD", "m", first.root)
    sharing.fetch(second.root)
    was = tags.find("plants@v1.0.0", second.root)
    first.commit("elsewhere")
    first.run("git", "tag", "-f", "-a", "plants@v1.0.0", "-m", "moved")
    first.run("git", "push", "--quiet", "--force", "origin", "refs/tags/plants@v1.0.0")
    sharing.fetch(second.root)
    said = capsys.readouterr().err
    assert "plants@v1.0.0 was moved at origin, and stays here as it was" in said
    assert tags.find("plants@v1.0.0", second.root) == was
    second.run("bash", "-ec", said.split("`")[1])
    assert tags.find("plants@v1.0.0", second.root).message == "moved"


def test_other_tags_of_this_clone_are_the_users_own(clones: tuple[Project, Project]) -> None:
    first, second = clones
    first.run("git", "tag", "nightly")
    first.run("git", "push", "--quiet", "origin", "nightly")
    second.commit("later")
    second.run("git", "tag", "nightly")
    second.run("git", "tag", "mine")
    before = second.run("git", "for-each-ref").stdout
    sharing.fetch(second.root)
    assert second.run("git", "for-each-ref").stdout == before
    assert shared(first) == ["nightly"]


def test_a_malformed_tag_of_a_stranger_keeps_no_other_out(clones: tuple[Project, Project]) -> None:
    """Where somebody has Git check what it fetches, which is wise and popular, one such tag stopped every verb."""
    first, second = clones
    head = first.run("git", "rev-parse", "HEAD").stdout
    text = f"object {head}type commit\ntag plants#prod#7\ntagger x <x 1 +0000\n\nm\n"
    first.path("../text").write_text(text)
    made = first.run("git", "hash-object", "-t", "tag", "-w", "--literally", "../text").stdout.strip()
    first.run("git", "push", "--quiet", "origin", f"{made}:refs/tags/plants#prod#7")
    sharing.create("plants@v1.0.0", "HEAD", "m", first.root)
    for key in ("transfer.fsckObjects", "fetch.fsckObjects"):
        second.run("git", "config", key, "true")
    assert second.run("git", "fetch", "--tags", ok=False).returncode != 0
    sharing.fetch(second.root)
    known = history.look(root=second.root)
    assert (len(known.versions), len(known.foreign)) == (1, 1)


def test_what_would_not_be_read_is_not_written(clones: tuple[Project, Project]) -> None:
    with pytest.raises(GaiaError, match="would have 70,000 characters; at most 65,536 are read"):
        sharing.create("plants#prod#1", "HEAD", "x" * 70_000, clones[0].root)
    assert shared(clones[0]) == []


def test_several_tags_are_made_or_none(clones: tuple[Project, Project]) -> None:
    first, second = clones
    sharing.create("plants#prod!#2", "HEAD", "m", second.root)
    new = [sharing.New(f"plants#prod!#{counter}", "HEAD", "m") for counter in (1, 2)]
    with pytest.raises(sharing.TagTaken):
        sharing.create_all(new, first.root)
    assert first.run("git", "tag").stdout == ""
    assert shared(first) == ["plants#prod!#2"]


def test_the_same_decision_of_the_same_second_is_made_once(clones: tuple[Project, Project]) -> None:
    """The same person on two hosts: the objects are the same, and still one of them was second."""
    made = []
    for project in clones:
        try:
            sharing.create("plants#prod#1", "HEAD", "m", project.root)
            made.append(project)
        except sharing.TagTaken:
            assert project.run("git", "tag").stdout == ""
    assert made == [clones[0]]


def test_a_host_that_may_only_read_follows_all_the_same(
    clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = clones
    local(first, "plants@v1.0.0")
    hook = first.path("../origin.git/hooks/pre-receive")
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    sharing.fetch(first.root)
    assert "plants@v1.0.0 can't be shared" in capsys.readouterr().err
    with pytest.raises(GaiaError, match="plants@v1.0.1 was not made, since it can't be pushed to origin"):
        sharing.create("plants@v1.0.1", "HEAD", "m", first.root)
    assert len(tags.versions(root=first.root)) == 1
