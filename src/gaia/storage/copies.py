"""What DVC keeps, as bytes or as a folder: from the cache, or the storage where the cache hasn't got it sound."""

from __future__ import annotations

import shutil
from pathlib import Path

from gaia import files
from gaia.errors import GaiaError
from gaia.storage import cache, objects, transfer
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client


def content(md5: str, path: str, revision: str, root: Path = Path()) -> bytes:
    """An object's content, from the cache, or else the storage; it is of the output `path` at a revision.

    Raises GaiaError if neither has it sound.
    """
    at = cache.folder(root)
    found = cache.read(md5, at)
    if found is None:
        client = S3Client(settings.read(root))
        needed = objects.of_revision(revision, [path], client=client, root=root)
        transfer.fetch([o for o in needed if o.md5 == md5], client, root)
        found = cache.read(md5, at)
    if found is None:
        raise GaiaError(f"{path}: {md5} is neither in DVC's cache nor in the storage.")
    return found


def lay_out(md5: str, path: str, revision: str, into: Path, root: Path = Path()) -> None:
    """Copy the files of a folder that DVC keeps, the output `path` at a revision, into an empty folder: each verified
    by its hash, from the cache, or from the storage where the cache has one not or damaged.

    Copies, not links: what is damaged in one place is whole in the other. Raises GaiaError, or the kind of StorageError
    that it came from, naming the file that can't be had whole.
    """
    from gaia.console import megabytes

    at = cache.folder(root)
    lack = _copied(md5, at, into)
    if not lack:
        return
    try:
        client = S3Client(settings.read(root))
        needed = objects.of_revision(revision, [path], client=client, root=root)
        with megabytes(f"fetching {path}", sum(o.size or 0 for o in needed if o.folder)) as passed:
            transfer.fetch(needed, client, root, passed)
    except GaiaError as error:
        first = error.problems[0]
        raise type(error)(f"{lack}, and the storage can't help: {first.found}", first.mend) from None
    if lack := _copied(md5, at, into):
        raise GaiaError(f"{lack}, although it was fetched.")


def _copied(md5: str, at: Path, into: Path) -> str:
    """Copy what a folder's listing names and isn't there yet; what is wrong with the first file that can't be."""
    if fault := cache.fault(md5, at):
        return f"{at / cache.key(md5)} is {fault}"
    for name, wanted in cache.listed((at / cache.key(md5)).read_bytes()).items():
        source, copy = at / cache.key(wanted), into / name
        if not copy.resolve().is_relative_to(into.resolve()):
            return f"{at / cache.key(md5)} names {name}, which is no file of the folder"
        if files.md5(copy) == wanted:
            continue
        if not source.is_file():
            return f"{source} is missing ({name})"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        if files.md5(copy) != wanted:  # hashed where it will be read, so that nothing is hashed twice
            return f"{source} is damaged ({name})"
    return ""
