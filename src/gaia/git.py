"""Git, asked through its command: text out, or a sentence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gaia.errors import GaiaError


def git(*arguments: str, root: Path = Path(), given: str | None = None, ok: tuple[int, ...] = (0,)) -> str:
    """What `git <arguments>` prints, run in `root` with `given` on its standard input.

    Raises GaiaError with Git's own complaint if the exit code is none of `ok`, or Git is not installed.
    """
    done = _run(*arguments, root=root, given=None if given is None else given.encode())
    if done.returncode not in ok:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise GaiaError(f"git {arguments[0]}: {' '.join(line.removeprefix('fatal: ') for line in said)}.")
    return done.stdout.decode(errors="surrogateescape")


def commit(revision: str, root: Path = Path()) -> str:
    """The full id of the commit that a tag, a branch or a shortened id names. Raises GaiaError if it names none."""
    done = _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", root=root)
    if done.returncode:
        git("rev-parse", "--git-dir", root=root)  # says so if this is no repository
        raise GaiaError(f"'{revision}' names no commit in this repository; `git fetch --tags` brings those of others.")
    return done.stdout.decode().strip()


def read(revision: str, path: str, root: Path = Path()) -> bytes | None:
    """A file's content as committed at a revision, its path relative to `root`; None if it isn't there.

    Raises GaiaError if the revision names no commit.
    """
    done = _run("cat-file", "blob", f"{commit(revision, root)}:./{path}", root=root)
    return None if done.returncode else done.stdout


def _run(*arguments: str, root: Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, input=given, capture_output=True, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise GaiaError("git is not installed, and versions are kept in Git; install it.") from None
