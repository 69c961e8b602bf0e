"""DVC itself, as a library and as a command; and what a killed DVC left, mended: `python -m gaia.storage.dvc`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from gaia.errors import GaiaError, errors_as, exit_with_a_sentence, first_line, warn
from gaia.storage import remotes, tethered

if TYPE_CHECKING:
    from dvc.repo import Repo

PIPELINE = "dvc.yaml"
LOCK = Path("dvc.lock")
TMP = Path(".dvc/tmp")
FROM_CACHE = "takes what was built from the cache"
COMMITTED = f"`git checkout HEAD -- {LOCK}` brings the committed one, and `dvc repro` {FROM_CACHE}"


@contextmanager
def repo(root: Path, asked: str) -> Iterator[Repo]:
    """DVC's repository, for what is `asked` of it. What DVC can't do is a GaiaError."""
    from dvc.repo import Repo

    mend(root)
    with complaints(asked, root), Repo(str(root)) as opened:
        yield opened


@contextmanager
def complaints(asked: str, root: Path) -> Iterator[None]:
    """What DVC can't do of what is `asked` of it, as a GaiaError."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        check_lock(root)
        raise GaiaError(f"{asked}: {first_line(error)}.") from None


def start(*arguments: str, root: Path) -> subprocess.Popen[str]:
    """`dvc <arguments>`, begun in `root`; both of its streams are kept."""
    mend(root)
    command = [sys.executable, "-m", "dvc", *arguments]
    given = remotes.environment(root)
    return subprocess.Popen(command, cwd=root, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments: str, root: Path, log: Path | None = None, variables: Mapping[str, str] | None = None) -> int:
    """The exit code of `dvc <arguments>`, run in `root` on the code that lies there, with this environment's packages.

    What it says goes to the end of `log`, or to stderr. It ends with this process, however that ends.
    """
    mend(root)
    given = remotes.environment(root) | {"DVC_NO_ANALYTICS": "1"} | dict(variables or {})
    for name, first in {"PATH": Path(sys.executable).parent, "PYTHONPATH": root.absolute() / "src"}.items():
        given[name] = os.pathsep.join(filter(None, (str(first), given.get(name))))
    command = [sys.executable, "-P", str(Path(tethered.__file__)), str(os.getpid()), *arguments]
    with log.open("ab") if log else nullcontext(2) as said:
        done = subprocess.run(command, cwd=root, env=given, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    return done.returncode


def complaint(said: str) -> str:
    """What DVC's stderr says went wrong: its first error, without colours and advertising."""
    lines = [line for line in said.strip().splitlines() if line.strip()] or ["no reason given"]
    errors = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    return first_line(Exception((errors or lines)[0]))


def mend(root: Path = Path()) -> None:
    """Remove DVC's list of busy paths (.dvc/tmp/rwlock) if a kill left it half-written: until somebody does, every
    command of DVC fails. DVC writes it in place, under a lock of its own, which is held here meanwhile.

    Raises GaiaError if that lock stays taken: then somebody is writing the list.
    """
    file = root / TMP / "rwlock"
    if _is_json(file):
        return
    from dvc.config import Config
    from dvc.lock import make_lock

    core = Config(dvc_dir=str(root / ".dvc")).get("core", {})
    guard = {"tmp_dir": str(file.parent), "hardlink_lock": core.get("hardlink_lock", False)}
    busy = errors_as(f"{file} is unreadable, and locked ({{}})", "let the DVC that is running end")
    with busy, make_lock(f"{file}.lock", **guard):
        if not _is_json(file):
            file.unlink()
            warn(f"a killed DVC had left {file} half-written; it is removed")


def check_lock(root: Path = Path()) -> None:
    """Raise GaiaError if dvc.lock is missing though it was committed, or is no such file: DVC writes it in place, too,
    so that a kill may leave a part of it."""
    from gaia.registry import git

    file = root / LOCK
    if file.exists() and _is_lock(file.read_bytes()):
        return
    committed = git.read("HEAD", str(LOCK), root) is not None
    if file.exists() or committed:
        found = f"{LOCK} is {'damaged' if file.exists() else 'missing'}"
        raise GaiaError(found, COMMITTED if committed else f"`rm {LOCK}`, and `dvc repro` {FROM_CACHE}")


def _is_json(file: Path) -> bool:
    """Whether the file is JSON, or not there, which says as much."""
    try:
        json.loads(file.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:  # a text that is none, too
        return False
    return True


def _is_lock(content: bytes) -> bool:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML

    try:
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(content))  # in C, which is ten times as fast
    except Exception:  # whatever a damaged text makes of a parser
        return False
    return True


if __name__ == "__main__":
    exit_with_a_sentence(mend, Path())
