"""The servers that answer on this host with what is live, by what they say: each in deployments/.serving-8000.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from gaia import files, paths
from gaia.errors import GaiaError, Problem


class Server(NamedTuple):
    """Where one answers, what it answers with (`plants@v1.2.0 in prod`), and why something isn't as it should be."""

    url: str
    answers: list[str]
    problems: list[Problem]


@contextmanager
def saying(port: int, root: Path = Path()) -> Iterator[Callable[[Server], None]]:
    """By what the server on a port says what it is. That holds while it runs, however it ends: a lock tells.

    Raises GaiaError if another one is on that port.
    """
    file = _folder(root) / f".serving-{port}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"))

    def say(server: Server) -> None:
        problems = [each._asdict() for each in server.problems]
        with files.replaced(file) as beside:
            beside.write_text(json.dumps(server._asdict() | {"problems": problems}, indent=2) + "\n", encoding="utf-8")

    try:
        lock.acquire(timeout=0)
    except Timeout:
        taken = f"another server of this project says that it is on port {port}"
        raise GaiaError(taken, "`--port N` takes another") from None
    try:
        yield say
    finally:
        file.unlink(missing_ok=True)
        lock.release()
        file.with_suffix(".lock").unlink(missing_ok=True)


def running(root: Path = Path()) -> list[Server]:
    """Those that run now, by their ports."""
    found = []
    for file in sorted(_folder(root).glob(".serving-*.json")):
        try:
            with FileLock(file.with_suffix(".lock"), timeout=0):
                continue  # nobody holds it: the server was killed
        except Timeout:
            pass
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            found.append(Server(said["url"], said["answers"], [Problem(**each) for each in said["problems"]]))
        except (OSError, ValueError, TypeError, KeyError):  # it has just ended
            continue
    return found


def _folder(root: Path) -> Path:
    return root / paths.deployments("")
