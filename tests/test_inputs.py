"""A version's inputs are all that its stages depend on, to the roots: kept, stored, audited, compared, brought back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.registry import git
from gaia.versions.record import Record

PIPELINE = """
stages:
  derive:
    cmd: cp data/raw/root.bin data/derived.bin
    deps: [data/raw/root.bin, data/raw/note.txt, derive.py]
    outs: [data/derived.bin]
  compose:
    foreach: [spores]
    do:
      cmd: 'mkdir -p data/config && echo "{raw: own, seed: 1, gates: {drop: 0.1}}" > data/config/spores.yaml'
      outs: [data/config/spores.yaml: {cache: false}]
  prepare:
    foreach: [spores]
    do:
      cmd: cp data/raw/own/one.bin data/prepared
      params: [data/config/spores.yaml: [raw, seed]]
      deps: [data/raw/own, code.py]
      outs: [data/prepared]
  train:
    foreach: [spores]
    do:
      cmd: cp data/derived.bin data/trained
      deps: [data/prepared, data/derived.bin, weights/w.bin, data/folder/inside.bin, data/lookup.csv, requirements.lock]
      outs: [data/trained]
  evaluate:
    foreach: [spores]
    do:
      cmd: cp data/trained data/model
      deps: [data/trained, data/parts]
      outs: [data/model]
"""
ADDED = ("data/raw/root.bin", "data/raw/own", "weights/w.bin", "data/folder", "data/parts/a.bin")
FILES = ("data/raw/root.bin", "data/raw/note.txt", "data/raw/own/one.bin", "weights/w.bin", "data/folder/inside.bin",
         "data/folder/other.bin", "data/lookup.csv", "data/parts/a.bin", "data/parts/in_git.csv", "code.py",
         "derive.py", "requirements.lock")  # fmt: skip
EXTRA = "data/raw/extra.bin"


@pytest.fixture
def spores(tmp_path: Path) -> Project:
    """A line whose data are kept in every way there is: by DVC as a file, a folder, in parts, derived; and by Git."""
    project = Project.empty(tmp_path / "spores")
    project.run("dvc", "init", "--quiet")
    for file in FILES:
        project.path(file).parent.mkdir(parents=True, exist_ok=True)
        project.path(file).write_text(f"{file}\n")
    project.path("dvc.yaml").write_text(PIPELINE)
    project.run("dvc", "add", "--quiet", *ADDED)
    project.repro()
    project.commit()
    return project


def at_head(project: Project) -> Record:
    return Record("spores", git.commit("HEAD", project.root), root=project.root)


def test_data_are_all_that_git_does_not_hold_or_that_lies_under_data_walked_to_the_roots(spores: Project) -> None:
    found = at_head(spores)
    roots = {"data/derived.bin", "data/raw/root.bin"}  # not the note: Git holds it, and the derived file speaks for it
    here = {"data/raw/own", "weights/w.bin", "data/folder/inside.bin", "data/lookup.csv", "data/parts"}
    assert set(found.data) == roots | here
    assert set(found.code) == {"code.py"}
    assert set(found.inputs) == {*found.data, *found.code, "requirements.lock"}
    assert set(found.keepers) == {*ADDED, "data/derived.bin"}
    assert set(found.kept) == {*found.keepers, "data/prepared", "data/trained", "data/model"}


def test_what_is_kept_in_parts_is_kept_as_a_whole_or_refused(spores: Project) -> None:
    spores.path("data/parts/b.bin").write_text("nobody keeps this")
    spores.path(".gitignore").write_text("b.bin\n")
    spores.repro()
    spores.commit()
    with pytest.raises(GaiaError, match="of the 5 files in data/parts, DVC and Git keep 4; run `dvc add`"):
        _ = at_head(spores).kept
    spores.run("dvc", "add", "data/parts/b.bin")
    spores.repro()
    spores.commit()
    assert "data/parts/b.bin" in at_head(spores).kept


def test_data_that_nothing_keeps_are_named_with_what_would_keep_them(spores: Project) -> None:
    spores.path("weights/w.bin.dvc").unlink()
    spores.commit("weights/.gitignore names the file still")
    with pytest.raises(GaiaError, match="weights/w.bin is kept by neither DVC nor Git; run `dvc add weights/w.bin`"):
        _ = at_head(spores).kept


def test_settings_are_those_that_the_lock_pins_and_gates_those_that_were_composed(spores: Project) -> None:
    spores.path("data/config/spores.yaml").write_text("{raw: other, seed: 2, gates: {drop: 0.2}}\n")
    spores.commit("a configuration that built nothing")
    assert at_head(spores).settings == {"seed": 1}
    assert at_head(spores).config == {"raw": "own", "seed": 1, "gates": {"drop": 0.2}}


@pytest.fixture
def extended(versioned: Project) -> Project:
    """The line learns from a second thing that `dvc add` keeps; built and committed, neither released nor stored."""
    _write(versioned, "a table to look things up in")
    versioned.edit("dvc.yaml", lambda content: content["stages"]["train"]["do"]["deps"].append(EXTRA))
    versioned.repro()
    versioned.commit("a lookup table")
    return versioned


def _write(project: Project, content: str) -> None:
    project.path(EXTRA).unlink(missing_ok=True)
    project.path(EXTRA).write_text(content)
    project.run("dvc", "add", EXTRA)


def _release(project: Project) -> dict:
    return json.loads(project.run("gaia", "release", "cultures", "--push", "--json").stdout)


def test_a_second_input_is_stored_audited_and_shown(extended: Project, store: Store) -> None:
    md5 = hashlib.md5(extended.path(EXTRA).read_bytes(), usedforsecurity=False).hexdigest()
    key = f"files/md5/{md5[:2]}/{md5[2:]}"
    extended.run("dvc", "push", "train@cultures", "evaluate@cultures", "prepare@cultures", "data/raw/own.dvc")
    said = extended.run("gaia", "release", "cultures", ok=False)
    assert said.returncode == 1
    assert f"the storage lacks 1 object(s) of this version: {EXTRA} (missing)" in said.stdout
    assert _release(extended)["number"]["why"][0].startswith("data: ")
    images = store.settings.buckets["plants-images"]
    assert store.client.object_exists(images, key)
    shown = extended.run("gaia", "show", "cultures@v1.2.0").stdout
    assert f"data      {EXTRA}, 1 file," in shown
    store.client.delete_object(images, key)
    assert "1 in this cache alone" in extended.run("gaia", "audit").stdout
    extended.path(".dvc/cache", key).unlink()
    audited = extended.run("gaia", "audit", ok=False)
    assert audited.returncode == 1
    assert f"{EXTRA} (missing)" in audited.stdout


def test_a_second_input_is_brought_back_to_make_the_version_once_more(extended: Project, store: Store) -> None:
    _release(extended)
    extended.run("git", "push", "--quiet", "origin", "main")
    extended.run("git", "clone", "--quiet", "../origin.git", "../fresh")
    fresh = store.connect(Project(extended.root.with_name("fresh")))
    done = fresh.run("gaia", "reproduce", "cultures@v1.2.0")
    assert "cultures@v1.2.0: identical" in done.stdout


def test_another_second_input_is_other_data_and_named(extended: Project) -> None:
    _release(extended)
    _write(extended, "another table")
    extended.repro("train@cultures")
    trained = extended.path("data/training/cultures/history.csv")
    history = trained.read_text()
    trained.unlink()
    trained.write_text(history + "\n")  # as if the table had been of use
    extended.run("dvc", "commit", "--force", "train@cultures")
    extended.repro()
    extended.commit("another table")
    made = _release(extended)
    assert (made["version"], made["number"]) == ("v1.3.0", {"bump": "minor", "why": [f"data: {EXTRA} changed"]})
    found = json.loads(extended.run("gaia", "diff", "cultures@v1.2.0", "cultures@v1.3.0", "--json").stdout)
    assert found["inputs"] == [f"{EXTRA} changed"]
    assert found["data"] == {"added": [], "removed": [], "relabelled": []}
    shown = extended.run("gaia", "diff", "cultures@v1.2.0", "cultures@v1.3.0").stdout
    assert f"data: the same items\n  {EXTRA} changed\n" in shown
