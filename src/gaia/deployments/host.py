"""What this host has: the folder deployments/<line>, in which everything appears whole, by a rename, or not at all.

versions/v1.2.0_20261123_101500/   a version, named after its tag's number and date (UTC); never changed
current -> versions/v1.2.0_...     what is live in prod; current-staging for the stage staging
deployment_history.json            a rendering of the tags, for people and scripts; nothing reads it back
.new/                              what is being made, and what a killed run left: the next run removes it
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gaia import files, paths
from gaia.errors import GaiaError
from gaia.registry.history import Event
from gaia.registry.names import PROD
from gaia.registry.tags import Tag, Version
from gaia.storage.s3 import settings

HISTORY = "deployment_history.json"
NAMED = "GAIA_HOST"  # in the environment, or in .env
_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]!-]+")  # of hosts' names


def name(root: Path = Path()) -> str:
    """What this host is called: GAIA_HOST, or else the machine's name as far as it can be one.

    Raises GaiaError if GAIA_HOST can't be one: it stands in a ref of Git.
    """
    given = settings.of_host(NAMED, root)
    if given and (not _NAME.fullmatch(given) or given.endswith(".lock")):
        raise GaiaError(
            f"{NAMED} is '{given}'", "a host's name takes letters and digits, and single . _ - between them"
        )
    return given or "-".join(re.findall(r"[A-Za-z0-9]+", socket.gethostname())) or "host"


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
    here = root / paths.deployments(line)
    making = here / ".new"
    try:
        versions(line, root).mkdir(parents=True, exist_ok=True)
        with _alone(here):
            _remove(making)
            making.mkdir()
            try:
                yield making
            finally:
                _remove(making)
    except OSError as error:
        raise GaiaError(f"{error.filename or here}: {error.strerror or error}.") from None


@contextmanager
def _alone(here: Path) -> Iterator[None]:
    """Nobody else changes the folder meanwhile; that it has to be waited for is said."""
    from filelock import FileLock, Timeout  # 20 ms that who only looks needn't wait for

    lock = FileLock(here / ".lock")  # made with the rights that the umask gives, so that a group may share it
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is changing {here}; waiting for it ...", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def place(made: Path, version: Tag[Version], root: Path = Path()) -> Path:
    """Put a folder that was made in `making` where the version belongs; its files become read-only."""
    for file in made.iterdir():
        file.chmod(0o444)
    there = folder(version, root)
    made.rename(there)
    return there


def mend(there: Path, whole: Path) -> list[str]:
    """Put the files of a whole folder, made in `making`, where a version's folder lacks or has damaged them; their
    names.

    Each takes its place by a rename, so whoever reads meanwhile finds every file; what else lies there stays.
    """
    lack = [file for file in sorted(whole.iterdir()) if files.md5(there / file.name) != files.md5(file)]
    for file in lack:
        file.chmod(0o444)
        file.replace(there / file.name)
    return [file.name for file in lack]


def switch(line: str, stage: str, to: Path, making: Path, root: Path = Path()) -> None:
    """Make the placed folder `to` the live one: the link is replaced in one step, so there always is one."""
    with files.replaced(link(line, stage, root), within=making) as beside:
        beside.symlink_to(Path("versions") / to.name)


def discard(there: Path, making: Path) -> None:
    """Remove a version's folder: out of sight first, then file by file."""
    there.rename(making / there.name)
    _remove(making / there.name)


def render(line: str, events: list[Event], making: Path, root: Path = Path()) -> None:
    """Write deployment_history.json, unless it says the same already."""
    text = json.dumps({"line": line, "deployments": [event.facts() for event in events]}, indent=2) + "\n"
    file = root / paths.deployments(line) / HISTORY
    try:
        if file.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass  # missing or damaged: made anew from the tags
    with files.replaced(file, within=making) as beside:
        beside.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
