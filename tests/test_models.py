"""A model version is its tag and its objects: uploaded once, downloaded verified, deleted where nothing needs it."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

import gaia
from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.storage.errors import Corrupted

VERSIONS = ("plants@v2.0.0", "plants@v9.0.0", "plants@v10.0.0")  # as text, in another order


@pytest.fixture(scope="module")
def three(drafted: Project, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three versions of plants that share some bytes; not to be changed."""
    root = tmp_path_factory.mktemp("three") / "project"
    shutil.copytree(drafted.root, root, symlinks=True)
    project = store.connect(Project(root))
    # of different lengths: Git overlooks an edit in the same second that leaves a file's size
    for seed, version in zip((5, 60, 700), VERSIONS, strict=True):
        project.edit("params.yaml", lambda p, seed=seed: p["lines"]["plants"].update(seed=seed))
        project.repro()
        project.commit(version)
        project.run("git", "tag", "-a", version, "-m", version)
    return project


@pytest.fixture
def released(three: Project, store: Store, tmp_path: Path) -> Project:
    """A copy of the project with three versions; their bytes are in the store."""
    shutil.copytree(three.root, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    store.fill(project, *VERSIONS)
    return project


def models(project: Project) -> gaia.ModelStorage:
    return gaia.ModelStorage(project.root)


def stored(store: Store) -> set[str]:
    return {found.key for found in store.client.list_objects(store.settings.buckets["models"])}


def test_versions_are_listed_and_the_latest_is_so_by_number(released: Project) -> None:
    assert models(released).list_model_versions("plants") == list(VERSIONS)
    assert models(released).get_latest_version("plants") == "plants@v10.0.0"
    assert models(released).list_model_versions("cultures") == []
    with pytest.raises(GaiaError, match=r"there is no version of a line 'plant'; .*\(did you mean 'plants'\?\)"):
        models(released).get_latest_version("plant")


def test_uploading_what_dvc_has_pushed_sends_nothing_and_the_other_way_round(released: Project, store: Store) -> None:
    there = stored(store)
    assert models(released).upload_model("plants") == 0
    store.empty()
    assert models(released).upload_model("plants") == 3
    released.run("dvc", "push")
    assert models(released).upload_model("plants", "plants@v2.0.0") == 2  # contract.json is in every version
    assert stored(store) < there


def test_a_damaged_cache_is_not_uploaded(released: Project, store: Store) -> None:
    store.empty()
    model = next(f for f in released.path(".dvc/cache").rglob("*") if f.is_file() and f.stat().st_size == 100_000)
    model.chmod(0o644)
    model.write_bytes(b"x" + model.read_bytes()[1:])
    with pytest.raises(GaiaError, match=r"data/models/plants/model.onnx is damaged in this clone's cache"):
        for version in models(released).list_model_versions("plants"):
            models(released).upload_model("plants", version)


def test_a_version_is_downloaded_as_it_was_released(released: Project, store: Store, tmp_path: Path) -> None:
    newest = {p.name: p.read_bytes() for p in released.path("data/models/plants").iterdir()}
    shutil.rmtree(released.path(".dvc/cache"))
    folder = models(released).download_model("plants@v10.0.0", tmp_path / "there/v10")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == newest
    older = models(released).download_model("plants@v2.0.0", tmp_path / "v2")
    assert (older / "model.onnx").read_bytes() != newest["model.onnx"]
    with pytest.raises(GaiaError, match="exists already"):
        models(released).download_model("plants@v2.0.0", older)
    released.run("git", "diff", "--quiet")


def test_a_damaged_version_is_not_handed_over(released: Project, store: Store, tmp_path: Path) -> None:
    from test_objects import flip, needed

    [bad] = [o for o in needed(released, store, "plants@v9.0.0") if o.path == "data/models/plants/model.onnx"]
    flip(store, bad)
    shutil.rmtree(released.path(".dvc/cache"))
    with pytest.raises(Corrupted, match=r"data/models/plants/model.onnx: .*damaged"):
        models(released).download_model("plants@v9.0.0", tmp_path / "v9")
    assert list(tmp_path.glob("v9*")) == []


@pytest.mark.parametrize("name", ["plants@v2", "plants@v2.0.1", "2", "plants", "../plants@v2.0.0", "bags@v2.0.0"])
def test_a_name_that_is_not_exactly_a_version_s_is_refused(released: Project, name: str, tmp_path: Path) -> None:
    for question in (
        lambda: models(released).download_model(name, tmp_path / "x"),
        lambda: models(released).delete_model_version(name),
        lambda: models(released).url(name),
    ):
        with pytest.raises(GaiaError, match=r"there is no version|names no version"):
            question()


def test_a_link_leads_to_one_file_of_one_version(released: Project) -> None:
    released.run("git", "checkout", "--quiet", "plants@v2.0.0")
    released.run("dvc", "checkout")
    link = released.run("gaia", "storage", "url", "plants@v2.0.0", "--expires", "1m").stdout.strip()
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == released.path("data/models/plants/model.onnx").read_bytes()
        assert "model.onnx" in answer.headers["Content-Disposition"]
    done = released.run("gaia", "storage", "url", "plants@v2.0.0", "modl.onnx", ok=False)
    assert done.returncode == 1
    assert "its files are contract.json, model.onnx (did you mean 'model.onnx'?)" in done.stdout


def test_the_listing_counts_shared_bytes_once_and_shows_what_is_missing(released: Project, store: Store) -> None:
    shown = released.run("gaia", "storage", "ls", "plants").stdout
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("plants")] == [
        "plants@v2.0.0", "plants@v9.0.0", "plants@v10.0.0", "plants",
    ]  # fmt: skip
    assert "0.3 MB in all" in shown  # three models of 100 kB; the workspace has the newest
    [*_, newest] = json.loads(released.run("gaia", "storage", "ls", "plants", "--json").stdout)
    [contract, model] = newest["files"]
    assert (contract["name"], model["name"], model["size"]) == ("contract.json", "model.onnx", 100_000)
    store.client.delete_object(model["bucket"], f"files/md5/{model['md5'][:2]}/{model['md5'][2:]}")
    assert "missing" in released.run("gaia", "storage", "ls", "plants").stdout
    done = released.run("gaia", "storage", "ls", "plant", ok=False)
    assert (done.returncode, done.stdout) == (1, "error: there is no line 'plant' (did you mean 'plants'?).\n")


def test_deleting_takes_two_steps_and_leaves_shared_bytes(released: Project, store: Store) -> None:
    before, tags = stored(store), released.run("git", "tag").stdout
    released.run("git", "checkout", "--quiet", "--detach")
    released.run("git", "branch", "--quiet", "-D", "main")  # a branch would need its versions' bytes
    plan = models(released).delete_model_version("plants@v9.0.0")
    assert plan["objects"] == ["data/models/plants", "data/models/plants/model.onnx"]
    assert (stored(store), released.run("git", "tag").stdout, plan["deleted"]) == (before, tags, False)
    with pytest.raises(GaiaError, match="confirms something else"):
        models(released).delete_model_version("plants@v10.0.0", confirm=plan["confirm"])
    assert models(released).delete_model_version("plants@v9.0.0", confirm=plan["confirm"])["deleted"]
    assert len(before - stored(store)) == 2
    assert models(released).list_model_versions("plants") == ["plants@v2.0.0", "plants@v10.0.0"]
    for version in ("plants@v2.0.0", "plants@v10.0.0"):
        shutil.rmtree(released.path(".dvc/cache"), ignore_errors=True)
        models(released).download_model(version, released.root.parent / version)


def test_a_version_that_the_workspace_or_a_branch_has_keeps_its_bytes(released: Project, store: Store) -> None:
    before = stored(store)
    plan = models(released).delete_model_version("plants@v10.0.0")
    assert (plan["objects"], plan["bytes"]) == ([], 0)
    models(released).delete_model_version("plants@v10.0.0", confirm=plan["confirm"])
    assert stored(store) == before
    assert models(released).get_latest_version("plants") == "plants@v9.0.0"


def test_a_version_that_was_deployed_is_not_deleted(released: Project, store: Store) -> None:
    before = stored(store)
    for counter, version in ((1, "v9.0.0"), (2, "v10.0.0")):
        released.run("git", "tag", "-a", f"plants#prod#{counter}", "-m", "live", f"plants@{version}^{{}}")
    for version, tag in (("v9.0.0", "plants#prod#1"), ("v10.0.0", "plants#prod#2")):
        with pytest.raises(GaiaError, match=f"plants@{version} is what {tag} deployed"):
            models(released).delete_model_version(f"plants@{version}")
    assert stored(store) == before
