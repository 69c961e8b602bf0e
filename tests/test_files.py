"""A file or folder appears whole or not at all; content is named by the hashes that DVC and the manifest use."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import ROOT, Project
from gaia import files
from gaia.config import yaml
from gaia.storage import cache


def test_a_file_is_the_old_one_or_the_new_one_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "new folder/file"
    with files.replaced(path) as beside:
        beside.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), files.replaced(path, durable=True) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    with files.replaced(path, within=tmp_path, durable=True) as beside:
        beside.write_text("two")
        assert beside.parent == tmp_path
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.rglob("*")] == ["new folder", "file"]


def test_what_was_linked_elsewhere_stays_as_it_was_there(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("cached")
    os.link(tmp_path / "cache", tmp_path / "file")
    with files.replaced(tmp_path / "file") as beside:
        beside.write_text("mine")
    assert (tmp_path / "cache").read_text() == "cached"


def test_a_secret_is_nobody_else_s_from_its_first_byte_on_and_other_files_have_the_usual_rights(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with files.replaced(tmp_path / "secret", mode=0o600) as beside:
            assert stat.S_IMODE(beside.stat().st_mode) == 0o600
            beside.write_text("x")
        with files.replaced(tmp_path / "usual") as beside:
            beside.write_text("x")
    finally:
        os.umask(old)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "usual")] == [0o600, 0o640]


def test_two_that_write_the_same_file_at_once_both_succeed(tmp_path: Path) -> None:
    """Kind: a temporary name that two processes share."""

    def write(number: int) -> None:
        yaml.write(tmp_path / "x.yaml", {"number": number, "long": ["a"] * 200}, "of a test")
        assert len(yaml.read(tmp_path / "x.yaml")["long"]) == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert [p.name for p in tmp_path.iterdir()] == ["x.yaml"]


def test_what_a_kill_leaves_is_seen_by_neither_git_nor_dvc(small: Project) -> None:
    shutil.copy(ROOT / ".dvcignore", small.root)
    small.commit("as the project has it")
    code = "import os, sys, pathlib; from gaia import files; b = files.replaced(pathlib.Path(sys.argv[1])).__enter__()"
    for path in ("params.yaml", ".env", "data/models/plants/model.onnx"):
        subprocess.run([sys.executable, "-c", f"{code}; b.write_text('half'); os._exit(9)", path], cwd=small.root,
                       env=small.environment, check=False)  # fmt: skip
    assert len([*small.root.glob(".*.new")]) == 2
    assert small.run("git", "status", "--porcelain").stdout == ""
    assert small.run("dvc", "status", "--json").stdout.strip() == "{}"
    assert "modified" not in small.run("dvc", "data", "status").stdout


def test_a_folder_is_the_old_one_until_the_new_one_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("one", "two"):
        with files.replaced_folder(folder) as beside:
            (beside / name).touch()
    with pytest.raises(ZeroDivisionError), files.replaced_folder(folder) as beside:
        (beside / "half").touch()
        raise ZeroDivisionError
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["folder", "folder/two"]


def test_the_hash_of_a_folder_is_dvc_s(small: Project) -> None:
    for name in ("b/ü x.bin", "b/c/d", "a", "b.txt", "b-", "Z", "empty"):
        small.path("own", name).parent.mkdir(parents=True, exist_ok=True)
        small.path("own", name).write_text("" if name == "empty" else name)
    small.run("dvc", "add", "own")
    assert f"md5: {cache.hash_of(small.path('own'))}\n" in small.path("own.dvc").read_text()


def test_hashes_are_those_of_the_content_and_a_missing_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert files.md5(tmp_path / "file") == "9a0364b9e99bb480dd25e1f0284c8555"
    assert files.sha256(tmp_path / "file").startswith("ed7002b439e9ac845f22357d822bac14")
    assert files.md5(tmp_path / "absent") is None
