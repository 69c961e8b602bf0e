"""`gaia status` asks DVC once, for as long as nothing has changed that DVC looks at."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Project
from gaia import status
from gaia.storage import dvc, memo, said


@pytest.fixture
def tiny(tmp_path: Path) -> Project:
    """One stage, built and committed."""
    project = Project.empty(tmp_path / "tiny")
    project.path(".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, project.path(name))
    project.edit("params.yaml", lambda params: params.update(lines={"a": {}}))
    project.path("in.txt").write_text("one")
    project.path("folder").mkdir()
    project.path("folder/part").write_text("a part")
    stage = {"cmd": "cp in.txt out.txt", "deps": ["in.txt", "folder"], "outs": ["out.txt"]}
    project.edit("dvc.yaml", lambda pipeline: pipeline.update(stages={"copy": stage}))
    project.repro()
    project.commit()
    return project


def test_what_dvc_said_is_said_again_until_something_changes(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    start = dvc.start
    monkeypatch.setattr(dvc, "start", lambda *command, root: asked.append(command[0]) or start(*command, root=root))

    def lock() -> list[str]:
        asked.clear()
        return [check.found for check in status.status(tiny.root) if check.part in ("lock", "cache")]

    first = lock()
    assert (first, asked) == (["everything is built", "has everything that dvc.lock names"], ["status", "data"])
    assert (lock(), asked) == (first, [])
    tiny.path("in.txt").write_text("two")  # as long as before
    changed = lock()
    assert (changed[0], asked) == ("changed since it was built: copy", ["status", "data"])
    assert (lock(), asked) == (changed, [])
    tiny.path("in.txt").write_text("one")
    assert lock() == first
    shutil.rmtree(tiny.path(".dvc/cache/files/md5"))
    assert (lock()[1], asked) == ("lacks out.txt", ["status", "data"])


CHANGES: dict[str, Callable[[Project], object]] = {
    "edited": lambda p: p.path("folder/part").write_text("a trap"),
    "replaced by one as old": lambda p: _replaced(p.path("in.txt")),
    "added": lambda p: p.path("folder/more").write_text(""),
    "hidden": lambda p: p.path("folder/.more").write_text(""),
    "removed": lambda p: p.path("out.txt").unlink(),
    "renamed": lambda p: p.path("folder/part").rename(p.path("folder/trap")),
    "ignored by DVC": lambda p: p.path(".dvcignore").write_text("folder/part\n"),
    "settings": lambda p: p.path(".dvc/config.local").write_text("[cache]\n    dir = elsewhere\n"),
    "lock": lambda p: p.path("dvc.lock").unlink(),
}


def _replaced(file: Path) -> None:
    before = file.stat()
    beside = file.with_name("beside")
    beside.write_text("two")
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(file)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_look_tells_every_change_that_dvc_would_find(tiny: Project, change: Callable[[Project], object]) -> None:
    before = said.look(tiny.root)
    assert before == said.look(tiny.root) != ""
    change(tiny)
    assert said.look(tiny.root) != before


def test_where_a_change_could_be_overlooked_nothing_is_kept(tiny: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    tiny.path("linked").symlink_to(tmp_path / "elsewhere")
    assert said.look(tiny.root) == ""
    assert said.answers(said.ask(tiny.root), "", tiny.root)["lock"] == {}
    assert not memo.place("said", tiny.root).exists()


@pytest.mark.parametrize("kept", ["", "{", "[]", json.dumps({"mark": ""}), json.dumps({"mark": "a", "value": {}})])
def test_a_damaged_memory_is_none(tiny: Project, kept: str) -> None:
    memo.place("said", tiny.root).parent.mkdir(parents=True)
    memo.place("said", tiny.root).write_text(kept)
    assert said.recall("b", tiny.root) == said.recall("", tiny.root) == {}
