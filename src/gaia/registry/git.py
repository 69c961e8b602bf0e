"""Git, asked through its command: text out, or a sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
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
        raise GaiaError(f"'{revision}' names no commit in this repository", "`git fetch --tags` brings those of others")
    return done.stdout.decode().strip()


def read(revision: str, path: str, root: Path = Path()) -> bytes | None:
    """A file's content as committed at a revision, its path relative to `root`; None if it isn't there.

    Raises GaiaError if the revision names no commit.
    """
    done = _run("cat-file", "blob", f"{commit(revision, root)}:./{path}", root=root)
    return None if done.returncode else done.stdout


def blobs(names: Iterable[str], root: Path = Path()) -> list[bytes | None]:
    """The content of each `<commit>:<path>`, in order; None where there is none. One call of Git, however many."""
    asked = list(names)
    done = _run("cat-file", "--batch", root=root, given="".join(f"{name}\n" for name in asked).encode())
    if done.returncode:
        git("rev-parse", "--git-dir", root=root)  # says so if this is no repository
    found: list[bytes | None] = []
    out, at = done.stdout, 0
    while len(found) < len(asked):
        end = out.index(b"\n", at)
        head = out[at:end].split(b" ")
        if head[-2:-1] == [b"blob"]:
            size = int(head[-1])
            found.append(out[end + 1 : end + 1 + size])
            at = end + size + 2
        else:
            found.append(None)
            at = end + 1 + (int(head[-1]) + 1 if head[-1].isdigit() else 0)  # a folder's content is passed over
    return found


def remote(root: Path = Path()) -> str | None:
    """Where tags are shared: the remote of the current branch, or else `origin`, or else the only one there is."""
    branch = git("branch", "--show-current", root=root).strip()
    known = git("remote", root=root).split()
    of_branch = _run("config", f"branch.{branch}.remote", root=root).stdout.decode().strip()
    if of_branch in known:
        return of_branch
    return "origin" if "origin" in known else known[0] if len(known) == 1 else None


def _run(*arguments: str, root: Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, input=given, capture_output=True, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise GaiaError("git is not installed, and versions are kept in Git", "install it") from None
