"""Tags name versions and deployments: strictly, in the order of their numbers, and fast however many there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Project
from gaia.errors import GaiaError
from gaia.registry import git, sharing, tags

VERSIONS = {
    "plants@v1.2.0": ("plants", 1, 2, 0),
    "plants@v0.0.1": ("plants", 0, 0, 1),
    "bags@v10.0.123": ("bags", 10, 0, 123),
    "grow-bags-2@v1.0.0": ("grow-bags-2", 1, 0, 0),
    "x@v999999999.0.0": ("x", 999999999, 0, 0),
}
NO_VERSIONS = [
    "", "plants", "plants@", "plants@1.2.0", "plants@v1.2", "plants@v1.2.0.0", "plants@v01.2.0", "plants@v1.2.0-rc1",
    "plants@v1.2.0 ", " plants@v1.2.0", "plants@v1.2.0\n", "Plants@v1.2.0", "plants_a@v1.2.0", "-a@v1.2.0", "a-@v1.2.0",
    "a--b@v1.2.0", "1a@v1.2.0", "../plants@v1.2.0", "plants/x@v1.2.0", "plants@v1.2.0/..", "plants@v-1.2.0",
    "plants@v١.2.0", "plants@v1.2.0!", "@v1.2.0", "plants#prod#1", "plants@v1234567890.0.0", "plants@V1.2.0",
]  # fmt: skip
DEPLOYMENTS = {
    "plants#prod#7": ("plants", "prod", 7),
    "plants#staging-eu#1": ("plants", "staging-eu", 1),
    "a-b#c-d#100": ("a-b", "c-d", 100),
}
NO_DEPLOYMENTS = [
    "", "plants", "plants#prod", "plants#prod#", "plants#prod#0", "plants#prod#07", "plants#prod#-1", "plants#Prod#1",
    "plants#prod#1#2", "plants##1", "#prod#1", "plants#prod#1\n", "plants#../x#1", "plants#prod!#1", "plants@v1.2.0",
    "plants#prod#1 ", "plants/x#prod#1", "plants#prod#¹",
]  # fmt: skip


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows who makes a tag."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_is_built_and_parsed_by_inverse_functions(name: str) -> None:
    assert tags.version(name) == VERSIONS[name]
    assert str(tags.version(name)) == str(tags.Version(*VERSIONS[name])) == name


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_is_built_and_parsed_by_inverse_functions(name: str) -> None:
    assert tags.deployment(name) == DEPLOYMENTS[name]
    assert str(tags.deployment(name)) == str(tags.Deployment(*DEPLOYMENTS[name])) == name


@pytest.mark.parametrize("name", NO_VERSIONS)
def test_what_is_not_exactly_a_version_is_refused(name: str) -> None:
    with pytest.raises(GaiaError, match="names no version"):
        tags.version(name)


@pytest.mark.parametrize("name", NO_DEPLOYMENTS)
def test_what_is_not_exactly_a_deployment_is_refused(name: str) -> None:
    with pytest.raises(GaiaError, match="names no deployment"):
        tags.deployment(name)


def test_names_are_those_of_gto() -> None:
    from gto.tag import parse_name

    assert parse_name("plants@v1.2.0")["version"] == tags.version("plants@v1.2.0").number
    assert parse_name("plants#prod#7")["counter"] == tags.deployment("plants#prod#7").counter


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Versions whose order by text, by date and by number differ, and tags that are none of ours."""
    project = Project.empty(tmp_path_factory.mktemp("tagged") / "project")
    project.commit("first")
    for number, name in enumerate(("plants@v10.0.0", "plants@v2.0.0", "plants@v1.9.9", "bags@v1.0.0", "plant@v3.0.0")):
        project.environment["GIT_COMMITTER_DATE"] = f"2026-11-2{number} 10:00 +0100"
        project.run("git", "tag", "-a", name, "-m", f'{name}: why\n\n{{"accuracy": 0.9}}\n\x01 and so on')
    project.commit("second")
    del project.environment["GIT_COMMITTER_DATE"]
    for name in ("plants#prod#10", "plants#prod#9", "plants#prod#2", "plants#staging#1", "bags#prod#1"):
        project.run("git", "tag", "-a", name, "-m", "deployed")  # within one second
    for name in ("plants@v1.0.0-rc1", "plants@latest", "plants#prod", "other"):
        project.run("git", "tag", name)
    project.run("git", "tag", "plants@v0.1.0")  # not annotated
    return project


def test_versions_are_listed_by_number_not_by_text_or_date(tagged: Project) -> None:
    listed = [str(tag.name) for tag in tags.versions("plants", tagged.root)]
    assert listed == ["plants@v0.1.0", "plants@v1.9.9", "plants@v2.0.0", "plants@v10.0.0"]
    assert {str(tag.name) for tag in tags.versions(root=tagged.root)} == {*listed, "bags@v1.0.0", "plant@v3.0.0"}


def test_deployments_are_listed_by_counter(tagged: Project) -> None:
    listed = [str(tag.name) for tag in tags.deployments("plants", tagged.root)]
    assert listed == ["plants#prod#2", "plants#prod#9", "plants#prod#10", "plants#staging#1"]


def test_a_tag_brings_commit_date_tagger_and_message(tagged: Project) -> None:
    light, _, second, _ = tags.versions("plants", tagged.root)
    assert second.commit == tagged.run("git", "rev-parse", "HEAD~1").stdout.strip()
    assert (second.date, second.tagger) == ("2026-11-21T10:00:00+01:00", "test <test@example.org>")
    assert second.message == 'plants@v2.0.0: why\n\n{"accuracy": 0.9}\n\x01 and so on'
    assert (light.commit, light.tagger, light.message) == (
        tagged.run("git", "rev-parse", "HEAD").stdout.strip(),
        "",
        "",
    )


def test_a_version_is_found_by_its_exact_name_alone(tagged: Project) -> None:
    assert tags.find("plants@v2.0.0", tagged.root).name == ("plants", 2, 0, 0)
    for wrong, said in {
        "plants@v2.0.1": r"there is no version plants@v2.0.1; the newest are plants@v10.0.0, plants@v2.0.0",
        "plantss@v2.0.0": "nor another of 'plantss'",
        "plants@2": "names no version",
        "2": "names no version",
    }.items():
        with pytest.raises(GaiaError, match=said):
            tags.find(wrong, tagged.root)


def test_thousands_of_tags_are_listed_by_one_command_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.empty(tmp_path / "project")
    project.commit()
    head = project.run("git", "rev-parse", "HEAD").stdout.strip()
    names = [f"plants@v1.{i}.0" for i in range(1000)] + [f"plants#prod#{i + 1}" for i in range(3000)]
    stream = "".join(
        f"tag {name}\nfrom {head}\ntagger test <test@example.org> 1795000000 +0000\ndata 5\nwhy {i % 10}\n"
        for i, name in enumerate(names)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=project.root, input=stream, text=True, check=True)
    project.run("git", "pack-refs", "--all")
    asked: list[str] = []
    monkeypatch.setattr(tags, "git", lambda *words, **how: asked.append(words[0]) or git.git(*words, **how))
    assert len(tags.versions(root=project.root)) == 1000
    assert tags.deployments("plants", project.root)[-1].name.counter == 3000
    assert asked == ["for-each-ref"] * 2  # one for each listing


def test_reading_tags_imports_nothing_heavy() -> None:
    code = "import sys, gaia.registry.tags; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dvc", "hydra", "pydantic", "botocore", "pandas", "numpy", "rich"} & set(loaded)


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Project, Project]:
    """Two clones of a repository with one commit."""
    first = Project.empty(tmp_path / "first")
    first.commit()
    first.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    first.run("git", "remote", "add", "origin", "../origin.git")
    first.run("git", "clone", "--quiet", "../origin.git", "../second")
    return first, Project(tmp_path / "second")


def test_a_tag_is_made_here_and_where_tags_are_shared(clones: tuple[Project, Project], identity: None) -> None:
    first, second = clones
    message = 'plants v1.0.0: fine\n\n# not a comment\n{"line": "plants"}'
    sharing.create("plants@v1.0.0", "HEAD", message, first.root)
    sharing.fetch(second.root)
    there = tags.find("plants@v1.0.0", second.root)
    assert there == tags.find("plants@v1.0.0", first.root)
    assert there.message == message
    assert there.tagger == "test <test@example.org>"


def test_a_name_that_is_taken_here_or_there_is_refused_and_leaves_no_tag(
    clones: tuple[Project, Project], identity: None
) -> None:
    first, second = clones
    sharing.create("plants#prod#1", "HEAD", "first", first.root)
    for project in clones:
        with pytest.raises(sharing.TagTaken, match="plants#prod#1"):
            sharing.create("plants#prod#1", "HEAD", "second", project.root)
    assert second.run("git", "tag").stdout == ""
    sharing.fetch(second.root)
    assert tags.deployments("plants", second.root)[0].message == "first"


def test_a_tag_that_cannot_be_shared_is_not_made(clones: tuple[Project, Project], identity: None) -> None:
    first, _ = clones
    first.run("git", "remote", "set-url", "origin", "../nowhere.git")
    with pytest.raises(GaiaError, match="plants@v1.0.0 was not made"):
        sharing.create("plants@v1.0.0", "HEAD", "m", first.root)
    assert first.run("git", "tag").stdout == ""


def test_only_names_of_versions_and_deployments_are_made(clones: tuple[Project, Project]) -> None:
    for name in ("v1.0.0", "--list", "plants@v1", "../x@v1.0.0"):
        with pytest.raises(GaiaError, match="can name neither"):
            sharing.create(name, "HEAD", "m", clones[0].root)


def test_a_tag_that_differs_from_the_shared_one_is_named(clones: tuple[Project, Project], identity: None) -> None:
    first, second = clones
    sharing.create("plants@v1.0.0", "HEAD", "m", first.root)
    second.run("git", "tag", "plants@v1.0.0")
    with pytest.raises(GaiaError, match="git tag -d"):
        sharing.fetch(second.root)


def test_tags_are_signed_when_git_is_configured_to_sign(
    clones: tuple[Project, Project], identity: None, tmp_path: Path
) -> None:
    first, _ = clones
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    settings = {"gpg.format": "ssh", "user.signingKey": str(tmp_path / "key"), "tag.gpgSign": "true"}
    for key, value in settings.items():
        first.run("git", "config", key, value)
    sharing.create("plants@v1.0.0", "HEAD", "signed\n\n{}", first.root)
    assert "SSH SIGNATURE" in first.run("git", "cat-file", "tag", "plants@v1.0.0").stdout
    assert tags.find("plants@v1.0.0", first.root).message == "signed\n\n{}"
