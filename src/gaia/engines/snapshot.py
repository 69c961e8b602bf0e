"""The working tree as a commit: what others build is what stands here, edits that nobody committed included."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.registry.git import git

REFS = "refs/gaia/snapshots"  # each is called by its key
_NOBODY = {f"GIT_{who}_{what}": "gaia" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Snapshot(NamedTuple):
    """A commit that holds a working tree, and the ref that keeps it and brings it to others."""

    commit: str
    ref: str


def take(root: Path = Path(), ref: str | None = None) -> Snapshot:
    """All that Git tracks or would (not what it ignores) as it stands in the working tree, kept by a ref: one that is
    called by the tree, or `ref`, which is left as it is if it is there.

    Neither the index nor a branch moves. The same tree on the same HEAD gives the same commit; HEAD itself, if nothing
    was edited. Raises GaiaError in a repository without a commit.
    """
    if ref and (known := git("rev-parse", "--verify", "--quiet", ref, root=root, ok=(0, 1)).strip()):
        return Snapshot(known, ref)
    head = git("rev-parse", "--verify", "--quiet", "HEAD", root=root, ok=(0, 1)).strip()
    if not head:
        raise GaiaError("this repository has no commit yet", "`git add --all && git commit` makes one")
    key = tree(root)
    commit = head
    if key != git("rev-parse", f"{head}^{{tree}}", root=root).strip():
        commit = commit_of(key, head, "the working tree as it stood", root)
    taken = Snapshot(commit, ref or f"{REFS}/{key}")
    git("update-ref", taken.ref, commit, root=root)
    return taken


def tree(root: Path = Path(), instead: Mapping[str, str | None] | None = None) -> str:
    """The id of the working tree's content; `instead` are paths, from `root`, which have another text in it, or
    none."""
    index = Path(git("rev-parse", "--absolute-git-dir", root=root).strip()) / "index"
    with tempfile.TemporaryDirectory(prefix="gaia-snapshot-") as folder:
        own = Path(folder) / "index"
        if index.exists():
            shutil.copyfile(index, own)  # with what Git knows of the files, so that few are read
        variables = {"GIT_INDEX_FILE": str(own)}
        git("add", "--all", ":/", root=root, variables=variables)
        if instead:
            git("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *instead, root=root, variables=variables)
        for path, text in (instead or {}).items():
            if text is not None:
                blob = git("hash-object", "-w", "--stdin", root=root, given=text).strip()
                entry = f"100644,{blob},{git('rev-parse', '--show-prefix', root=root).strip()}{path}"
                git("update-index", "--add", "--cacheinfo", entry, root=root, variables=variables)
        return git("write-tree", root=root, variables=variables).strip()


def commit_of(tree: str, parent: str, message: str, root: Path = Path()) -> str:
    """A commit of a tree, which nobody signs: it has its parent's date, so that it is the same however often made."""
    date = git("show", "--no-patch", "--format=%ct", parent, root=root).strip()
    when = {f"GIT_{who}_DATE": f"@{date} +0000" for who in ("AUTHOR", "COMMITTER")}
    made = git(
        "-c", "commit.gpgSign=false", "commit-tree", tree, "-p", parent, "-m", message,
        root=root, variables=_NOBODY | when,
    )  # fmt: skip
    return made.strip()
