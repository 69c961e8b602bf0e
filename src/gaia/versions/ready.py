"""What has to be so before a line can be released: each check passes silently, or names the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gaia import paths
from gaia.config import yaml
from gaia.data import hashed
from gaia.errors import GaiaError, nearest
from gaia.registry.git import git
from gaia.storage.client import S3Client
from gaia.storage.objects import Problem
from gaia.versions.record import Record


def check_line(line: str, root: Path = Path()) -> None:
    """Raise GaiaError if params.yaml has no such line."""
    known = yaml.read(root / paths.PARAMS).get("lines") or {}
    if line not in known:
        raise GaiaError(f"params.yaml has no line '{line}'", f"its lines are {', '.join(known)}{nearest(line, known)}")


def check_tree(root: Path = Path()) -> None:
    """Raise GaiaError unless the working tree is exactly what a commit holds, and that commit is on a branch."""
    changed = git("status", "--porcelain", "--untracked-files=normal", root=root).splitlines()
    if changed:
        names = [text[3:] for text in changed]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise GaiaError(
            f"the working tree differs from the last commit: {', '.join(names[:3])}{more}",
            "`git commit` what belongs to the version, and remove the rest or let .gitignore name it",
        )
    if not git("branch", "--show-current", root=root).strip():
        raise GaiaError(
            "no branch is checked out, so the commit might get lost", "`git switch main`, or `git switch -c`"
        )


def check_branch(wanted: str | None, root: Path = Path()) -> None:
    """Raise GaiaError on another branch than the one that gates.branch asks for."""
    current = git("branch", "--show-current", root=root).strip()
    if wanted and current != wanted:
        raise GaiaError(
            f"this is the branch {current}, and gates.branch says that versions are made on {wanted}",
            f"merge, and `git switch {wanted}`",
        )


def check_pipeline(line: str, root: Path = Path()) -> None:
    """Raise GaiaError unless every stage of the line is as dvc.lock says, conf/ and the raw data included: which DVC
    hashes, so that nothing may lie there at which it would wait for ever."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    hashed.check_all(root)
    try:
        with Repo(str(root)) as repo:
            stage = f"{repo.root_dir}/dvc.yaml:evaluate@{line}"  # a bare name means the current folder's dvc.yaml
            changed: dict[str, Any] = repo.status(targets=[stage], with_deps=True)
    except DvcException as error:
        raise GaiaError(f"dvc status: {error}.") from None
    if changed:
        stages = [f"{stage} ({_cause(entry)})" for stage, entry in changed.items()]
        more = f" and {len(stages) - 2} more" if len(stages) > 2 else ""
        raise GaiaError(
            f"what is built is not what is committed: {', '.join(stages[:2])}{more}", "run `dvc repro`, and commit"
        )


def missing(record: Record, client: S3Client) -> list[Problem]:
    """The objects of a version that the storage lacks or has otherwise, after looking.

    Raises GaiaError if the storage can't be asked.
    """
    from gaia.storage import objects

    needed = objects.of_revision(record.commit, record.kept, client=client, root=record.root)
    return objects.problems(needed, client)


def _cause(entry: list[Any]) -> str:
    """`changed deps`: {path: modified} -> `path modified`; {path: {key: modified}} -> `path: key modified`"""
    for change in entry:
        if isinstance(change, dict):
            parts = [part for paths in change.values() for part in paths.items()]
            return ", ".join(f"{path}{_how(how)}" for path, how in parts)
    return str(entry[0])


def _how(how: Any) -> str:
    """In which way a path changed, or its keys."""
    return f": {', '.join(f'{key} {way}' for key, way in how.items())}" if isinstance(how, dict) else f" {how}"
