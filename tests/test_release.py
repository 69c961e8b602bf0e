"""A version exists only if all that a version promises holds; each refusal names what mends it, and makes nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Project, Store, merge
from gaia.errors import GaiaError
from gaia.registry import git, sharing, tags
from gaia.registry.tags import Tag, Version
from gaia.runtime import artifact
from gaia.storage import releases
from gaia.versions import release
from gaia.versions.release import Known, Plan

OTHER_DATA = "data: data/raw/demo_cultures is gone, data/raw/own is new"


def refused(project: Project, *arguments: str) -> str:
    """What `gaia release cultures` says as it refuses, having made nothing."""
    before = project.run("git", "for-each-ref", "refs/tags").stdout
    done = project.run("gaia", "release", "cultures", *arguments, ok=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert project.run("git", "for-each-ref", "refs/tags").stdout == before
    return done.stdout


def test_a_release_is_stored_tagged_shared_and_explained(versioned: Project, store: Store) -> None:
    said = refused(versioned)
    assert "the storage lacks" in said
    assert "`gaia release cultures --push`" in said
    dry = json.loads(versioned.run("gaia", "release", "cultures", "--push", "--dry-run", "--json").stdout)
    assert (dry["version"], dry["made"]) == ("v1.2.0", False)
    assert "the storage lacks" in refused(versioned)

    done = versioned.run("gaia", "release", "cultures", "--push")
    assert "cultures@v1.2.0 is made" in done.stdout
    assert "accuracy_low" in done.stdout
    assert OTHER_DATA in done.stdout
    tag = tags.find("cultures@v1.2.0", versioned.root)
    assert tag.tagger == "test <test@example.org>"
    metrics = json.loads(versioned.path("data/reports/cultures/metrics.json").read_text())
    assert (tag.facts["line"], tag.facts["version"]) == ("cultures", "v1.2.0")
    assert tag.facts["number"] == {
        "bump": "minor",
        "why": ["data: data/raw/demo_cultures is gone, data/raw/own is new"],
    }
    assert tag.facts["metrics"] == {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    gates = {gate["gate"]: gate for gate in tag.facts["gates"]}
    assert gates["accuracy_low"]["found"] == metrics["accuracy_low"]
    assert {"recall of healthy", "drop", "latency_ms", "megabytes", "golden", "leakage"} < set(gates)
    assert all(gate["passed"] for gate in gates.values())
    assert tag.message.startswith(f"cultures v1.2.0: accuracy {metrics['accuracy']:.3f} (")
    assert "refs/tags/cultures@v1.2.0" in versioned.run("git", "ls-remote", "origin").stdout
    place, version = "/releases/cultures/v1.2.0", tag.name
    assert f"{place}\n" in done.stdout
    names = {path.name for path in versioned.path("data/models/cultures").iterdir()}
    assert set(releases.listed(store.client)[version]) == names | {"card.md"}
    releases.remove(version, store.client)  # as of a release that died behind its tag
    assert "this commit is cultures@v1.2.0 already" in refused(versioned)
    assert set(releases.listed(store.client)[version]) == names | {"card.md"}, "who repeats it makes it up"


def on_a_terminal(project: Project, answer: str, *command: str) -> tuple[int, str]:
    """Exit code and output of a command whose question a person answers."""
    person, terminal = pty.openpty()
    os.write(person, answer.encode())
    with os.fdopen(terminal) as stdin:
        done = subprocess.run(
            command, cwd=project.root, env=project.environment, stdin=stdin, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    os.close(person)
    return done.returncode, done.stdout


def test_on_a_terminal_the_missing_push_is_offered_and_the_live_version_is_the_measure(versioned: Project) -> None:
    versioned.run("git", "tag", "-a", "-m", "live", "cultures#prod#1", "cultures@v1.1.0^{}")
    code, said = on_a_terminal(versioned, "n\n", "gaia", "release", "cultures")
    assert code == 1
    assert "Store them now? [y/N]" in said
    assert len(tags.versions("cultures", versioned.root)) == 2
    code, said = on_a_terminal(versioned, "y\n", "gaia", "release", "cultures")
    assert code == 0, said
    _, live, new = tags.versions("cultures", versioned.root)
    (drop,) = (gate for gate in new.facts["gates"] if gate["gate"] == "drop")
    assert drop["found"] == pytest.approx(live.facts["metrics"]["accuracy"] - new.facts["metrics"]["accuracy"])


def test_raw_data_that_nothing_keeps_make_no_version(versioned: Project) -> None:
    versioned.path("data/raw/own.dvc").unlink()
    versioned.commit("the folder itself is ignored still")
    assert "`dvc add data/raw/own`" in refused(versioned, "--push")


def test_a_tree_that_no_commit_holds_is_refused(versioned: Project) -> None:
    versioned.path("notes.txt").write_text("untracked")
    assert "differs from the last commit: notes.txt" in refused(versioned)
    versioned.path("notes.txt").unlink()
    versioned.replace("params.yaml", "max_epochs: 30", "max_epochs: 31")
    said = refused(versioned)
    assert "params.yaml" in said
    assert "git commit" in said


def test_what_is_committed_but_not_built_is_refused(versioned: Project) -> None:
    versioned.replace("conf/model/catboost.yaml", "l2_leaf_reg: 3.0", "l2_leaf_reg: 4.0")
    versioned.commit("conf/ edited, nothing composed")
    said = refused(versioned)
    assert "compose (conf modified" in said
    assert "dvc repro" in said


def test_a_version_needs_a_branch(versioned: Project) -> None:
    versioned.run("git", "checkout", "--quiet", "--detach")
    assert "git switch main" in refused(versioned)


def test_the_same_bytes_never_get_a_second_number(versioned: Project) -> None:
    versioned.run("git", "checkout", "--quiet", "-b", "again", "cultures@v1.0.0")
    versioned.path("README.md").write_text("a change that builds nothing anew")
    versioned.commit("a remark")
    for arguments in ([], ["--retrain"], ["--bump", "major"]):
        assert "cultures@v1.0.0 has the very same bytes" in refused(versioned, *arguments)


def test_gates_are_data_that_build_nothing_and_stop_a_release(versioned: Project) -> None:
    versioned.edit(
        "params.yaml",
        lambda p: merge(p, {"lines": {"cultures": {"gates": {"accuracy_low": 0.999, "megabytes": 0.001}}}}),
    )
    assert versioned.repro() == {"compose"}
    assert versioned.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    versioned.commit("higher gates")
    said = refused(versioned, "--push")
    assert "the gate accuracy_low asks for at least 0.999, found 0." in said
    assert "the gate megabytes asks for at most 0.001" in said
    assert "the gate golden" not in said
    assert "FAILED" in said

    branch = {"lines": {"cultures": {"gates": {"accuracy_low": 0.1, "megabytes": 9.0, "branch": "release"}}}}
    versioned.edit("params.yaml", lambda p: merge(p, branch))
    versioned.repro()
    versioned.commit("another branch")
    assert "`git switch release`" in refused(versioned, "--push")


def test_another_training_of_the_same_inputs_has_to_be_meant(versioned: Project) -> None:
    versioned.run("git", "checkout", "--quiet", "-b", "retrained", "cultures@v1.1.0")
    folder = versioned.path("data/models/cultures")
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    for path, content in contents.items():  # files of DVC's are read-only, and may be links into its cache
        path.unlink()
        path.write_bytes(content)
    (folder / "history.csv").write_bytes(contents[folder / "history.csv"] + b"\n")
    manifest = artifact.read_json(folder / "manifest.json")
    artifact.seal(folder, {key: value for key, value in manifest.items() if key != "files"})
    versioned.run("dvc", "commit", "--force", "evaluate@cultures")
    versioned.commit("as another machine would have trained it")
    said = refused(versioned, "--push")
    assert "cultures@v1.1.0 was made of the same data, settings, code and packages" in said
    assert "--retrain" in said
    made = json.loads(versioned.run("gaia", "release", "cultures", "--push", "--retrain", "--json").stdout)
    assert (made["version"], made["number"]["bump"]) == ("v1.1.1", "patch")
    assert made["number"]["why"] == ["trained once more from the same inputs"]


def test_a_larger_step_may_be_asked_for_and_a_smaller_one_is_refused(versioned: Project) -> None:
    assert f"this is a minor step ({OTHER_DATA})" in refused(versioned, "--push", "--bump", "patch")
    made = json.loads(versioned.run("gaia", "release", "cultures", "--push", "--bump", "major", "--json").stdout)
    assert made["version"] == "v2.0.0"


def test_an_object_that_vanished_or_shrank_in_the_storage_is_seen(versioned: Project, store: Store) -> None:
    versioned.run("dvc", "push")  # leaves DVC believing that all is there
    models = store.settings.buckets["models"]
    stored = sorted(store.client.list_objects(models), key=lambda s: s.size)
    new = [s for s in stored if s.key.endswith(_model(versioned))]
    store.client.delete_object(models, new[0].key)
    assert "model.cbm (missing)" in refused(versioned)
    versioned.path("truncated").write_bytes(b"half")
    store.client.upload_file(versioned.path("truncated"), models, new[0].key)
    versioned.path("truncated").unlink()
    assert "the storage lacks" in refused(versioned)
    versioned.run("gaia", "release", "cultures", "--push")


def _model(project: Project) -> str:
    from gaia.storage import cache
    from gaia.versions.record import Record

    found = Record("cultures", git.commit("HEAD", project.root), root=project.root)
    md5 = found.files(found.artifact)["data/models/cultures/model.cbm"]
    return cache.key(md5).removeprefix("files/md5/")


def test_a_storage_that_does_not_answer_is_not_taken_for_empty(versioned: Project) -> None:
    versioned.environment["S3_ENDPOINT"] = "http://127.0.0.1:9"
    assert "no server answers" in refused(versioned, "--push")


def test_only_lines_of_params_yaml_are_released(versioned: Project) -> None:
    for name in ("culture", "../cultures", "cultures@v1.0.0", "*", "", "Cultures"):
        done = versioned.run("gaia", "release", name, ok=False)
        assert done.returncode == 1
        assert f"no line '{name}'" in done.stdout


def _decide(known: Known) -> Plan:
    newest = known[-1].name if known else Version("plants", 1, 0, 0)
    return Plan(newest._replace(minor=newest.minor + 1), "minor", [])


def _race(root: Path, commit: str, start: Path, results: Path) -> None:
    """Claim a number for a commit as soon as everybody is ready."""
    while not start.exists():
        pass
    planned = release.claim("plants", commit, _decide, lambda plan: f"{commit} claims {plan.version.number}", root)
    (results / commit).write_text(str(planned.version))


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    monkeypatch.setenv("HOME", str(tmp_path))
    yield


def race(roots: list[Path], commits: list[str], folder: Path) -> dict[str, str]:
    """Which version each of the processes got, all started at once: one a root and commit."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    fork = multiprocessing.get_context("fork")
    arguments = [(root, commit, folder / "start", folder) for root, commit in zip(roots, commits, strict=True)]
    processes = [fork.Process(target=_race, args=each) for each in arguments]
    for process in processes:
        process.start()
    (folder / "start").touch()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return {commit: (folder / commit).read_text() for commit in commits}


@pytest.mark.slow
@pytest.mark.parametrize("clones", [1, 2])
def test_numbers_are_never_shared_however_many_release_at_once(tmp_path: Path, identity: None, clones: int) -> None:
    rounds, at_once = (20, 4) if clones == 1 else (6, 2)
    first = Project.empty(tmp_path / "0")
    first.commit()
    first.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    for number in range(1, clones):
        first.run("git", "clone", "--quiet", "../origin.git", f"../{number}")
    if clones > 1:
        first.run("git", "remote", "add", "origin", "../origin.git")
    tree = first.run("git", "rev-parse", "HEAD^{tree}").stdout.strip()
    roots = [tmp_path / str(number % clones) for number in range(at_once)]
    given: dict[str, str] = {}
    for turn in range(rounds):
        commits = [git.git("commit-tree", tree, "-m", f"{turn} {n}", root=root).strip() for n, root in enumerate(roots)]
        given |= race(roots, commits, tmp_path / "race")
    assert len(set(given.values())) == rounds * at_once, "a number was given twice"
    for number in range(clones):
        root = tmp_path / str(number)
        sharing.fetch(root)
        kept = {tag.commit: tag for tag in tags.versions("plants", root)}
        assert {commit: str(tag.name) for commit, tag in kept.items()} == given
        assert all(tag.message == f"{commit} claims {tag.name.number}" for commit, tag in kept.items())


def test_who_is_second_with_the_same_commit_is_told(tmp_path: Path, identity: None) -> None:
    project = Project.empty(tmp_path / "project")
    project.commit()
    commit = git.commit("HEAD", project.root)

    def decide(known: list[Tag[Version]]) -> Plan:
        if known:
            raise GaiaError("this commit is a version already")
        sharing.create("plants@v1.0.0", commit, "somebody else, a moment before", project.root)
        return Plan(Version("plants", 1, 0, 0), "first", [])

    with pytest.raises(GaiaError, match="a version already"):
        release.claim("plants", commit, decide, lambda plan: "mine", project.root)
    assert [tag.message for tag in tags.versions("plants", project.root)] == ["somebody else, a moment before"]
