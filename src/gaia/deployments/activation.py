"""Bring a version to this host and prove that it is the one that was released, and answers as it did then."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from gaia import paths
from gaia.deployments import host
from gaia.errors import GaiaError
from gaia.registry.tags import Tag, Version
from gaia.versions.record import Record


class Tested(NamedTuple):
    """A version's folder on this host after its test: `difference` is the largest between the golden answers given now
    and those sealed, over `inputs` inputs."""

    folder: Path
    inputs: int
    difference: float


def prepare(version: Tag[Version], new: Path, root: Path = Path()) -> Tested:
    """The version's folder, fetched from the cache or else the storage if it isn't here yet, verified and tested.

    `new` is the folder that `host.changing` gave. Nothing that is live changes. Raises GaiaError naming the file if
    one is missing or damaged, or if the model answers otherwise than it did when it was sealed.
    """
    pinned, there = pin(version, root), host.folder(version, root)
    if there.exists():
        return test(there, pinned, version)
    made = new / there.name
    made.mkdir()
    _link(_files(pinned, version, root), made)
    tested = test(made, pinned, version)
    return tested._replace(folder=host.place(made, version, root))


def pin(version: Tag[Version], root: Path = Path()) -> str:
    """The hash of the artifact's folder in dvc.lock on the version's commit. Raises GaiaError if it has none."""
    return Record(version.name.line, version.commit, version, root).artifact.md5


def verify(folder: Path, pinned: str, version: Tag[Version]) -> None:
    """See that a folder is the version's artifact: each file the one that the manifest names, and all of them together
    the ones that dvc.lock names. Raises GaiaError naming the file, or the folder, that isn't."""
    from gaia.runtime import artifact

    mend = f"remove {folder}, and `gaia sync {version.name.line}` brings it anew"
    artifact.verify(folder, mend)
    if artifact.md5(folder) != pinned:
        raise GaiaError(f"{folder / artifact.MANIFEST} is not the one of {version.name}", f"{mend}")


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


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _files(pinned: str, version: Tag[Version], root: Path) -> dict[str, Path]:
    """The artifact's files by name, in the cache and verified; what it lacks is fetched."""
    from gaia.storage import objects

    cache = objects.cache(root)
    files, lack = _cached(pinned, cache)
    if lack:
        try:
            _fetch(version, root)
        except GaiaError as error:
            raise GaiaError(f"{version.name} can't be had: {lack}, and the storage can't help: {error}") from None
        files, lack = _cached(pinned, cache)
    if lack:
        raise GaiaError(f"{version.name} can't be had: {lack}, although it was fetched.")
    return files


def _cached(pinned: str, cache: Path) -> tuple[dict[str, Path], str]:
    """The files by name, as far as the cache has them, and what is wrong with the first that it hasn't."""
    from gaia.storage import objects

    def wrong(path: Path, md5: str) -> str:
        if not path.is_file():
            return f"{path} is missing"
        return "" if _md5(path) == md5.removesuffix(".dir") else f"{path} is damaged"

    listing = cache / objects.key(pinned)
    if lack := wrong(listing, pinned):
        return {}, lack
    files = {}
    for entry in json.loads(listing.read_bytes()):
        if Path(entry["relpath"]).name != entry["relpath"]:
            return {}, f"{listing} names {entry['relpath']}, and an artifact has no folders"
        files[entry["relpath"]] = path = cache / objects.key(entry["md5"])
        if lack := wrong(path, entry["md5"]):
            return files, f"{lack} ({entry['relpath']})"
    return files, ""


def _fetch(version: Tag[Version], root: Path) -> None:
    from gaia.console import bar
    from gaia.storage import objects, settings
    from gaia.storage.client import S3Client

    client = S3Client(settings.read(root))
    needed = objects.of_revision(version.commit, [paths.model(version.name.line).as_posix()], client=client, root=root)
    size = max(o.size or 0 for o in needed)  # the folder's, which dvc.lock knows
    done = 0
    with bar(f"fetching {version.name}", size, "bytes") as show:

        def passed(count: int) -> None:
            nonlocal done
            done += count
            show(done, "")

        objects.fetch(needed, client, root, passed)


def _link(files: dict[str, Path], folder: Path) -> None:
    """Put files into a folder without copying their content, where the file system can."""
    from dvc_objects.fs.generic import transfer
    from dvc_objects.fs.local import localfs

    sources = [str(path) for path in files.values()]
    transfer(localfs, sources, localfs, [str(folder / name) for name in files], hardlink=True)
