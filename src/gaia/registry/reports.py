"""What hosts say of themselves at the Git remote: a small text of each, under refs/gaia/hosts/<name>, the last alone.

No branch and no tag: `git fetch` doesn't bring it, and nothing is decided by it.
"""

from __future__ import annotations

from pathlib import Path

from gaia.errors import GaiaError
from gaia.registry.git import blobs, git, remote
from gaia.registry.sharing import PUSH

REFS = "refs/gaia/hosts"
LARGEST = 65_536  # bytes that are read of one; ours have a few hundred


def say(name: str, text: str, root: Path = Path()) -> None:
    """Replace what a host says. Raises GaiaError if there is no remote, or it doesn't take it."""
    oid = git("hash-object", "-w", "--stdin", root=root, given=text).strip()
    git(*PUSH, "--force", _remote(root), f"{oid}:{REFS}/{name}", root=root)
    git("update-ref", f"{REFS}/{name}", oid, root=root)


def said(name: str, root: Path = Path()) -> str | None:
    """What this clone has said, or heard, of a host last; None if nothing."""
    return _text(blobs([f"{REFS}/{name}"], root)[0])


def hear(root: Path = Path()) -> dict[str, str | None]:
    """What each host says now, by name; None if it is no text, or too long. Raises GaiaError if there is no remote, or
    it can't be asked."""
    only = ("--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
    git("fetch", *only, _remote(root), f"+{REFS}/*:{REFS}/*", root=root)
    refs = git("for-each-ref", "--format=%(refname)", REFS, root=root).splitlines()
    return {ref.removeprefix(f"{REFS}/"): _text(content) for ref, content in zip(refs, blobs(refs, root), strict=True)}


def _text(content: bytes | None) -> str | None:
    try:
        return None if content is None or len(content) > LARGEST else content.decode()
    except UnicodeDecodeError:
        return None


def _remote(root: Path) -> str:
    found = remote(root)
    if not found:
        raise GaiaError(
            "this clone has no Git remote, at which hosts tell of themselves", "`git remote add origin ...`"
        )
    return found
