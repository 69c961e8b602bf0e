"""What DVC said of the workspace, kept for as long as no file has changed: asked again, it would look at every stage
anew, which takes a minute where there are a hundred lines."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.storage import cache, dvc, memo

ASKED = {"lock": ("status", "--json"), "cache": ("data", "status", "--json")}
NOT_OURS = {"deployments", "__pycache__"}  # in which no stage reads or writes


def look(root: Path) -> str:
    """The hash of each file's name, size and time of change, of all that DVC could look at: the project, its settings,
    and what its cache has. By these DVC itself takes a file for the one that it hashed before. Empty if it can't be
    told: a folder can't be read, or is a link."""
    found = hashlib.sha256()
    try:
        for line in chain(_project(root), _dvc(root)):
            found.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return ""
    return found.hexdigest()


def recall(looked: str, root: Path) -> dict[str, Any]:
    """What was kept of this very look; nothing if the last one was another."""
    return (looked and memo.recall("said", looked, root)) or {}


def ask(root: Path) -> dict[str, subprocess.Popen[str]]:
    """Begin to ask DVC, by part, side by side."""
    return {part: dvc.start(*command, root=root) for part, command in ASKED.items()}


def answers(asked: dict[str, subprocess.Popen[str]], looked: str, root: Path) -> dict[str, Any]:
    """What DVC says, by part, or the GaiaError by which it can't be told; kept, if all could be, for the next look that
    finds what was `looked` at before DVC was asked."""
    found: dict[str, Any] = {}
    for part, process in asked.items():
        try:
            found[part] = _answer(part, process, root)
        except GaiaError as error:
            found[part] = error
    if looked and found and not any(isinstance(answer, GaiaError) for answer in found.values()):
        memo.keep("said", looked, found, root)
    return found


def _answer(part: str, asked: subprocess.Popen[str], root: Path) -> Any:
    answer, complaint = asked.communicate()
    if asked.returncode or part == "lock":  # DVC takes a lock that is missing for one that is empty
        dvc.check_lock(root)
    if asked.returncode:
        raise GaiaError(f"dvc fails: {dvc.complaint(complaint)}", f"`dvc {' '.join(ASKED[part][:-1])}` says more")
    return json.loads(answer or "{}")


def _project(root: Path) -> Iterator[str]:
    for place, folders, names in os.walk(root, onerror=_unreadable):
        top = place == str(root)
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and not (top and name.startswith(".")))
        if any(os.path.islink(f"{place}/{name}") for name in folders):  # noqa: PTH114 (as below)
            raise OSError
        for name in sorted(names):
            yield _stamp(f"{place}/{name}")


def _unreadable(error: OSError) -> None:
    raise error


def _dvc(root: Path) -> Iterator[str]:
    for name in ("config", "config.local"):
        yield _stamp(f"{root}/.dvc/{name}")
    objects = cache.folder(root) / cache.OBJECTS
    for folder in sorted(objects.iterdir()) if objects.is_dir() else ():
        yield _stamp(str(folder))


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path for each takes longer)
    except OSError:
        return path
    return f"{path}\0{found.st_mtime_ns} {found.st_size} {found.st_ino} {found.st_mode}"
