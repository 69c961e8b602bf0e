"""`git checkout` brings the whole project of a commit, models included; a merge conflict in dvc.lock has a way out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ROOT, Project, Store, free_ports
from gaia.deployments import activation
from gaia.registry import tags
from gaia.status import status
from gaia.storage import remotes
from gaia.storage.s3 import settings


def models(project: Project) -> dict[str, bytes]:
    """Every file of the artifacts in the workspace."""
    return {
        str(path.relative_to(project.root)): path.read_bytes() for path in project.path("data/models").glob("*/*")
    }  # fmt: skip


def test_a_checkout_of_a_version_brings_its_models_and_leaves_nothing_to_do(released: Project) -> None:
    newest = models(released)
    for name in ("spores@v1.0.0", "spores@v1.1.0", "spores@v1.0.0"):
        released.run("git", "checkout", "--quiet", name)
        version = tags.find(name, released.root)
        pinned = activation.pin(version, released.root)
        activation.verify(released.path("data/models/spores"), pinned, version)
        assert models(released) != newest
        assert released.repro() == set()
    released.run("git", "checkout", "--quiet", "main")
    assert models(released) == newest
    assert released.repro() == set()
    assert released.run("git", "status", "--porcelain").stdout == ""


def with_hooks(project: Project, before: bool = False) -> Project:
    """A clone as `make setup` leaves it; or as it left one `before` there were `gaia pull` and `gaia push`."""
    shutil.copytree(ROOT / ".githooks", project.path(".git/hooks"), dirs_exist_ok=True)
    for verb in () if before else ("pull", "push"):
        project.path("src/gaia/storage").mkdir(parents=True, exist_ok=True)
        project.path(f"src/gaia/storage/{verb}.py").touch()
        project.path(".git/info/exclude").write_text("/src\n")
    return project


@pytest.mark.parametrize("before", [False, True])
def test_a_checkout_in_a_new_clone_fetches_what_its_cache_lacks(
    small: Project, store: Store, tmp_path: Path, before: bool
) -> None:
    first = models(small)
    small.edit("params.yaml", lambda params: params["lines"]["plants"].update(seed=9))
    small.repro()
    small.commit("another seed")
    store.fill(small, "HEAD~1", "HEAD")
    small.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = with_hooks(store.connect(Project(tmp_path / "clone")), before)
    clone.run("dvc", "pull")
    assert models(clone) == models(small) != first
    said = clone.run("git", "checkout", "--quiet", "HEAD~1").stdout
    assert models(clone) == first
    assert "ERROR" not in said
    assert clone.repro() == set()


@pytest.mark.parametrize("before", [False, True])
def test_a_push_without_its_storage_says_how_to_have_it_and_pushes_nothing(
    small: Project, tmp_path: Path, before: bool
) -> None:
    small.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    small.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    with_hooks(small, before).run("git", "push", "--quiet", "origin", "main")
    nowhere = replace(settings.read(small.root), endpoint=f"http://127.0.0.1:{free_ports()}")
    small.path(".env").write_text("".join(f"{key}={value}\n" for key, value in settings.variables(nowhere).items()))
    remotes.write(nowhere, small.root)
    small.commit("one more")
    refused = small.run("git", "push", "--quiet", "origin", "main", ok=False)
    assert refused.returncode != 0
    assert "error: the storage did not take the data, so nothing is pushed; `make storage` starts it" in refused.stdout
    theirs, ours = (small.run("git", "rev-parse", name).stdout for name in ("origin/main", "main"))
    assert theirs != ours


def build(project: Project, line: str, **settings: int) -> dict[str, bytes]:
    """Build a line with other settings and commit it; the models then."""
    project.edit("params.yaml", lambda params: params["lines"][line].update(settings))
    project.repro()
    project.commit(f"{line}: {settings}")
    return models(project)


def test_branches_that_changed_two_lines_merge_by_themselves_and_nothing_runs_again(released: Project) -> None:
    released.run("git", "checkout", "--quiet", "-b", "theirs")
    theirs = build(released, "cultures", turn=20)
    released.run("git", "checkout", "--quiet", "main")
    ours = build(released, "spores", turn=9)  # Git may overlook an edit as long and as fast as the last
    released.run("git", "merge", "--quiet", "theirs")
    assert not {stage for stage in released.repro() if stage.startswith("evaluate")}
    assert released.run("git", "status", "--porcelain").stdout == ""
    for file, content in models(released).items():
        assert content == (ours if "/spores/" in file else theirs)[file]


def test_branches_that_changed_one_line_end_with_one_side_and_a_repro(released: Project) -> None:
    """The settings merge by themselves; what was built of each alone does not, since nobody has built both yet."""
    released.run("git", "checkout", "--quiet", "-b", "theirs")
    build(released, "spores", depth=3)
    released.run("git", "checkout", "--quiet", "main")
    build(released, "spores", turn=9)  # Git may overlook an edit as long and as fast as the last
    conflict = released.run("git", "merge", "theirs", ok=False).stdout
    assert "Merge conflict in dvc.lock" in conflict
    assert "Merge conflict in params.yaml" not in conflict
    (found,) = (check for check in status(released.root) if check.part == "git")
    assert found.found == "dvc.lock is in a merge conflict"
    for command in found.mend.split(" && "):
        released.run("bash", "-ec", command)
    released.run("git", "commit", "--quiet", "--no-edit")
    assert released.path("data/config/spores.yaml").read_text().startswith("turn: 9\ndepth: 3\n")
    assert [check for check in status(released.root) if check.mend] == []
