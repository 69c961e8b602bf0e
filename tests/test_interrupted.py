"""What a killed DVC leaves is mended, or named with what mends it.

Kind: files that DVC writes in place (.dvc/tmp/rwlock, dvc.lock). The rest of what it writes was tried: its cache and
run cache are renamed into place, its databases are SQLite's.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import zc.lockfile

from conftest import ROOT, Project
from gaia.errors import GaiaError
from gaia.status import status
from gaia.storage import dvc
from gaia.versions import ready

HALVES = [b"", b'{"write": {"/a', b"\xff\xfe", b"\0\0\0\0"]


@pytest.fixture
def mine(drafted: Project, tmp_path: Path) -> Project:
    shutil.copytree(drafted.root, tmp_path / "mine", symlinks=True)
    return Project(tmp_path / "mine")


def busy(project: Project) -> Path:
    return project.path(".dvc/tmp/rwlock")


def test_dvc_itself_is_dead_until_somebody_mends_it(mine: Project) -> None:
    """When this fails, DVC mends it, and dvc.mend() may go."""
    busy(mine).write_bytes(b"")
    assert "Unable to read RWLock-file" in mine.run("dvc", "status", ok=False).stdout


@pytest.mark.parametrize("half", HALVES)
def test_a_list_of_busy_paths_that_was_half_written_is_removed(mine: Project, half: bytes) -> None:
    busy(mine).write_bytes(half)
    dvc.mend(mine.root)
    assert not busy(mine).exists()
    assert mine.repro() == set()


def test_one_that_says_something_stays(mine: Project) -> None:
    said = json.dumps({"read": {"/a": [{"pid": 1, "cmd": "dvc repro"}]}})
    busy(mine).write_text(said)
    dvc.mend(mine.root)
    assert busy(mine).read_text() == said


def test_nobody_mends_what_is_just_being_written(mine: Project) -> None:
    """DVC writes it under this lock: what is empty for a moment is no interrupted write."""
    busy(mine).write_bytes(b"")
    writing = zc.lockfile.LockFile(str(mine.path(".dvc/tmp/rwlock.lock")))
    try:
        with pytest.raises(GaiaError, match="is unreadable, and locked .* let the DVC that is running end"):
            dvc.mend(mine.root)
        assert busy(mine).exists()
    finally:
        writing.close()


def test_our_verbs_and_hooks_and_make_mend_it(mine: Project) -> None:
    mine.path("src").symlink_to(ROOT / "src")
    mine.path(".venv").symlink_to(Path(sys.prefix))
    shutil.copy(ROOT / "Makefile", mine.path("Makefile"))
    shutil.copy(ROOT / "requirements.lock", mine.path("requirements.lock"))
    shutil.copy(ROOT / "pyproject.toml", mine.path("pyproject.toml"))
    mine.path(".git/info/exclude").write_text("/src\n/.venv\n/Makefile\n/requirements.lock\n/pyproject.toml\n")
    with mine.path(".dvc/config.local").open("w") as file:
        file.write("['remote \"models\"']\n    endpointurl = http://127.0.0.1:1\n")
    hooks = ("post-checkout", "pre-commit", "pre-push")  # of which the last has nothing to ask DVC
    for command in (
        ("gaia", "status"),
        ("make", "--silent", "--old-file=.venv/.installed", "--old-file=.git/hooks/post-checkout", "repro"),
        *(("sh", str(ROOT / ".githooks" / hook)) for hook in hooks),
    ):
        busy(mine).write_bytes(b"")
        said = mine.run(*command, ok=False).stdout
        assert ("rwlock half-written; it is removed" in said) is ("pre-push" not in command[-1]), said
        assert "Unable to read RWLock-file" not in said


def test_every_call_of_dvc_goes_through_the_place_that_mends() -> None:
    """`reproduce` asks it in a clone of its own, which nobody has killed yet."""
    callers = [file for file in (ROOT / "src/gaia").rglob("*.py") if '"-m", "dvc"' in (text := file.read_text())
               or "from dvc.repo import" in text.partition("TYPE_CHECKING:")[0]]  # fmt: skip
    assert {file.name for file in callers} <= {"dvc.py", "reproduce.py"}


@pytest.mark.parametrize("harm", ["empty", "half", "gone"])
def test_a_lock_that_is_damaged_or_gone_comes_back_from_git_and_what_was_built_from_the_cache(
    mine: Project, harm: str
) -> None:
    """`git commit` and `dvc repro` alone were advised."""
    mine.edit("params.yaml", lambda params: params["lines"]["plants"].update(seed=7))
    mine.repro()
    mine.run("git", "commit", "--quiet", "-m", "another seed", "params.yaml")
    lock = mine.path("dvc.lock")
    content = lock.read_bytes()
    lock.unlink()
    if harm != "gone":
        lock.write_bytes(content[: len(content) // 2] if harm == "half" else b"")
    found = {check.part: check for check in status(mine.root)}
    word = "missing" if harm == "gone" else "damaged"
    for part in ("lock", "cache") if harm != "gone" else ("lock",):
        assert (found[part].found, found[part].mend) == (f"dvc.lock is {word}", dvc.COMMITTED)
    assert not found["git"].mend
    if harm != "gone":
        with pytest.raises(GaiaError, match="dvc.lock is damaged; `git checkout HEAD -- dvc.lock`"):
            ready.check_pipeline("plants", mine.root)
    mine.run("git", "checkout", "HEAD", "--", "dvc.lock")
    assert "Running stage" not in mine.run("dvc", "repro").stdout
    assert lock.read_bytes() == content
