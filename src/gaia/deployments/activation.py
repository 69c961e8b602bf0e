"""Bring a version to this host and prove that it is the one that was released, and answers as it did then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from gaia import paths
from gaia.deployments import host
from gaia.errors import GaiaError
from gaia.registry.names import PROD
from gaia.registry.tags import Tag, Version
from gaia.storage import cache, copies
from gaia.versions.record import Record


class Tested(NamedTuple):
    """A version's folder on this host after its test: `difference` is the largest between the golden answers given now
    and those sealed, over `inputs` inputs."""

    folder: Path
    inputs: int
    difference: float


def prepare(version: Tag[Version], making: Path, root: Path = Path()) -> Tested:
    """The version's folder, verified and tested: made if it isn't here yet, mended if it is damaged. What it takes
    comes from the cache, or else the storage.

    `making` is the folder that `host.changing` gave. Nothing that is live changes but for the better. Raises GaiaError
    naming the file if one is missing or damaged and can't be had, or if the model answers otherwise than it did when it
    was sealed.
    """
    pinned, there = pin(version, root), host.folder(version, root)
    if is_whole(there, pinned):
        return test(there, pinned, version)
    made = making / there.name
    made.mkdir()
    try:
        copies.lay_out(pinned, paths.model(version.name.line).as_posix(), version.commit, made, root)
    except GaiaError as error:
        harm = f"{there} is damaged, and " if there.exists() else ""
        found, mend = error.problems[0]
        raise GaiaError(f"{harm}{version.name} can't be had: {found}", mend) from None
    tested = test(made, pinned, version)
    if not there.exists():
        return tested._replace(folder=host.place(made, version, root))
    mended = host.mend(there, made)
    if mended:
        print(f"mended {', '.join(mended)} in {there}", file=sys.stderr)
    verify(there, pinned, version)
    return tested._replace(folder=there)


def is_whole(folder: Path, pinned: str) -> bool:
    """Whether a folder holds just the files that the artifact's hash in dvc.lock names. Every file is read."""
    return folder.is_dir() and cache.hash_of(folder) == pinned


def pin(version: Tag[Version], root: Path = Path()) -> str:
    """The hash of the artifact's folder in dvc.lock on the version's commit. Raises GaiaError if it has none."""
    return Record(version.name.line, version.commit, version, root).artifact.md5


def verify(folder: Path, pinned: str, version: Tag[Version], stage: str = PROD) -> None:
    """See that a folder, live on a stage, is the version's artifact: each file the one that the manifest names, and all
    of them together the ones that dvc.lock names. Raises GaiaError naming the file, or the folder, that isn't."""
    from gaia.runtime import artifact

    mend = f"gaia sync {version.name.line}" + ("" if stage == PROD else f" --stage {stage}")
    artifact.verify(folder, f"`{mend}` mends it")
    if not is_whole(folder, pinned):
        raise GaiaError(f"{folder / artifact.MANIFEST} is not the one of {version.name}", f"`{mend}` mends it")


def test(folder: Path, pinned: str, version: Tag[Version]) -> Tested:
    """Verify a folder, load it with the runtime, and replay its golden answers. Raises GaiaError if any of it fails."""
    from gaia.runtime import contract, golden
    from gaia.runtime.load import open_model

    verify(folder, pinned, version)
    try:
        model = open_model(folder, contract.read(folder))
        kept = golden.read(folder)
        return Tested(folder, len(kept["inputs"]), golden.replay(model, kept))
    except GaiaError:
        raise
    except Exception as error:  # each framework has its own
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise GaiaError(f"{version.name} can't be loaded here: {said[0].rstrip('.')}.") from error
