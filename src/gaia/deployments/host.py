"""What this host has: the folder deployments/<line>, in which everything appears whole, by a rename, or not at all.

versions/v1.2.0_20261123_101500/   a version, named after its tag's number and date (UTC); never changed
current -> versions/v1.2.0_...     what is live in prod; current-staging for the stage staging
deployment_history.json            a rendering of the tags, for people and scripts; nothing reads it back
.new/                              what is being made, and what a killed run left: the next run removes it
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gaia import paths
from gaia.errors import GaiaError
from gaia.registry.history import Event
from gaia.registry.names import PROD
from gaia.registry.tags import Tag, Version

HISTORY = "deployment_history.json"


def folder(version: Tag[Version], root: Path = Path()) -> Path:
    """Where a version lies on this host."""
    made = datetime.fromisoformat(version.date).astimezone(UTC)
    return versions(version.name.line, root) / f"{version.name.number}_{made:%Y%m%d_%H%M%S}"


def versions(line: str, root: Path = Path()) -> Path:
    """The folder of the versions of a line."""
    return root / paths.deployments(line) / "versions"


def link(line: str, stage: str = PROD, root: Path = Path()) -> Path:
    """The link to what is live on a stage of a line. Whoever reads several files resolves it once, and reads there."""
    return root / paths.deployments(line) / ("current" if stage == PROD else f"current-{stage}")


def current(line: str, stage: str = PROD, root: Path = Path()) -> Path | None:
    """The folder of the version that is live here, as it lies under `versions`; None if none is."""
    here = link(line, stage, root)
    try:
        found = here.parent / here.readlink()
    except OSError:
        return None
    return found if found.is_dir() else None


def lines(root: Path = Path()) -> set[str]:
    """The lines that this host has something of."""
    folders = (root / paths.deployments("")).glob("*/")
    return {path.name for path in folders if path.is_dir()}


def live_here(line: str, root: Path = Path()) -> dict[str, Path]:
    """The folder that is live here, for each stage that has one."""
    links = (root / paths.deployments(line)).glob("current*")
    stages = sorted(path.name.removeprefix("current").lstrip("-") or PROD for path in links)
    found = {stage: current(line, stage, root) for stage in stages}
    return {stage: path for stage, path in found.items() if path}


@contextmanager
def changing(line: str, root: Path = Path()) -> Iterator[Path]:
    """The right to change what this host has of a line, one process at a time, and an empty folder to make things in.

    The right ends with the process, however it ends. What a killed run left is removed.
    """
    import fcntl  # not where Windows is

    here = root / paths.deployments(line)
    new = here / ".new"
    try:
        versions(line, root).mkdir(parents=True, exist_ok=True)
        with (here / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"another process is changing {here}; waiting for it ...", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            _remove(new)
            new.mkdir()
            try:
                yield new
            finally:
                _remove(new)
    except OSError as error:
        raise GaiaError(f"{error.filename or here}: {error.strerror or error}.") from None


def place(made: Path, version: Tag[Version], root: Path = Path()) -> Path:
    """Put a folder that was made in `.new` where the version belongs; its files become read-only."""
    for file in made.iterdir():
        file.chmod(0o444)
    there = folder(version, root)
    made.rename(there)
    return there


def switch(line: str, stage: str, to: Path, new: Path, root: Path = Path()) -> None:
    """Make the placed folder `to` the live one: the link is replaced in one step, so there always is one."""
    (new / "link").symlink_to(Path("versions") / to.name)
    os.replace(new / "link", link(line, stage, root))


def discard(there: Path, new: Path) -> None:
    """Remove a version's folder: out of sight first, then file by file."""
    there.rename(new / there.name)
    _remove(new / there.name)


def render(line: str, events: list[Event], new: Path, root: Path = Path()) -> None:
    """Write deployment_history.json, unless it says the same already."""
    text = json.dumps({"line": line, "deployments": [event.facts() for event in events]}, indent=2) + "\n"
    file = root / paths.deployments(line) / HISTORY
    try:
        if file.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass  # missing or damaged: made anew from the tags
    (new / HISTORY).write_text(text, encoding="utf-8")
    os.replace(new / HISTORY, file)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
