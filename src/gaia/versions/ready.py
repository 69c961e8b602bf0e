"""What has to be so before a line can be released: each check passes silently, or names the command that mends it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.config import yaml
from gaia.data import hashed
from gaia.errors import GaiaError, nearest
from gaia.registry.git import commit, git
from gaia.registry.pins import Pins
from gaia.storage import cache, dvc, remotes
from gaia.storage.objects import Problem
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
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
    """Raise GaiaError unless every stage of the line is as dvc.lock says, conf/ and the raw data included, and what it
    made lies here; and nothing among the raw data at which DVC, which hashes them, would wait for ever."""
    hashed.check_all(root)
    with dvc.repo(root, "dvc status") as repo:
        stage = f"{repo.root_dir}/dvc.yaml:evaluate@{line}"  # a bare name means the current folder's dvc.yaml
        said: dict[str, Any] = repo.status(targets=[stage], with_deps=True)
    others, changed = apart(said, root)
    if changed:
        stages = [f"{stage} ({_cause(entry)})" for stage, entry in changed.items()]
        more = f" and {len(stages) - 2} more" if len(stages) > 2 else ""
        raise GaiaError(
            f"what is built is not what is committed: {', '.join(stages[:2])}{more}", "run `dvc repro`, and commit"
        )
    if others:
        more = f" and {len(others) - 3} more" if others[3:] else ""
        raise GaiaError(
            f"what lies here is not what {dvc.LOCK} names: {', '.join(others[:3])}{more}", bring(others, root)
        )


def apart(said: dict[str, list[Any]], root: Path = Path()) -> tuple[list[str], dict[str, list[Any]]]:
    """What `dvc status` says, told apart: outputs that are missing here, or others than dvc.lock names, though nothing
    that they are made of has changed (Git brought another lock, or nobody has fetched them yet); and the stages that
    have changed, with what did. Raw data that were edited are a change.
    """
    parts = [part for changes in said.values() for part in changes if isinstance(part, dict)]
    outs = {path: how for part in parts for path, how in part.get("changed outs", {}).items()}
    gone = ("deleted", "not in cache")
    lacking = {path for path, how in outs.items() if how in gone or not path.startswith("data/raw/")}
    lacking -= set(git("ls-files", "--", *sorted(lacking), root=root).splitlines() if lacking else ())

    def stays(part: Any) -> bool:
        """Whether there is more to it than what is lacking."""
        entries = [entry for way in part.values() for entry in way.items()] if isinstance(part, dict) else []
        return not entries or any(isinstance(how, dict) or path not in lacking for path, how in entries)

    changed = {stage: parts for stage, changes in said.items() if (parts := [part for part in changes if stays(part)])}
    return sorted(lacking), changed


def bring(outputs: list[str], root: Path = Path()) -> str:
    """What brings outputs that dvc.lock names: from the cache, or else the storage, which has to be known first.

    DVC asks before it replaces what it has never seen, and must not replace edited raw data: those that lie here are
    named.
    """
    there = [path for path in outputs if (root / path).exists()]
    which = f" --force {shlex.join(there)}" if there else ""
    at, pins = cache.folder(root), Pins("HEAD", commit("HEAD", root), root)
    if all(_is_cached(pins.in_dvc[path].md5, at) for path in outputs if path in pins.in_dvc):
        return f"`dvc checkout{which}` brings it from the cache"
    anew = "`dvc repro` makes it anew"
    try:
        settings.read(root)
    except GaiaError:
        return (
            f"copy .env from where the storage was set up, and `make storage`, `gaia pull{which}` bring it; else {anew}"
        )
    known = (root / remotes.LOCAL).exists()
    return f"{'' if known else '`make storage`, then '}`gaia pull{which}` brings it; where the storage lacks it, {anew}"


def _is_cached(md5: str, at: Path) -> bool:
    content = cache.read(md5, at) if md5.endswith(cache.DIR) else None
    wanted = cache.listed(content).values() if content else () if md5.endswith(cache.DIR) else (md5,)
    return bool(wanted) and all((at / cache.key(each)).exists() for each in wanted)


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
