"""Files and folders that appear whole or not at all, and the hashes that name what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(
    path: Path, *, within: Path | None = None, durable: bool = False, mode: int | None = None
) -> Iterator[Path]:
    """Where to write what shall stand at `path` when the block ends: a name of its own, renamed in one step.

    At any moment `path` is what it was or what it becomes, however the process ends; if the block raises, it stays what
    it was. The file at `path` is never written to: DVC may have linked it to its cache. Folders above are made. The
    name lies beside `path`, or `within` another folder of that file system; with `durable` the content is on the disk
    before the rename, so that a power cut spoils nothing either; `mode` are the rights of the file from its first byte
    on. What a kill leaves is hidden and called *.new, which Git, DVC and the reader of photos pass over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path, within)
    try:
        if mode is not None:
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield beside
        if durable:
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which is what stands at `folder` when the block ends; if it raises, nothing changes.

    A folder that was there is moved out of the way and then removed, so for a moment there is none. See `replaced`.
    """
    beside, old = _beside(folder), _beside(folder)
    beside.mkdir(parents=True)
    try:
        yield beside
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
    finally:
        for left in (beside, old):
            shutil.rmtree(left, ignore_errors=True)


def digest(content: bytes = b"") -> hashlib._Hash:
    """The md5 of content, to which more may be added. It names, and protects nothing: hosts that allow no md5 for that
    allow it."""
    return hashlib.md5(content, usedforsecurity=False)


def md5(path: Path) -> str | None:
    """The file's md5, which is what DVC names content by, read in pieces; None if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, digest).hexdigest()
    except FileNotFoundError:
        return None


def md5_of_listing(hashes: Mapping[str, str]) -> str:
    """The hash that DVC gives a folder whose files have these, `relative path -> md5`: that of their listing."""
    listing = [{"md5": hashes[name], "relpath": name} for name in sorted(hashes)]
    return digest(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def sha256(path: Path) -> str:
    """The file's sha256, read in pieces. Raises OSError if it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path, within: Path | None = None) -> Path:
    """A name that no other process, thread or run has."""
    return (within or path.parent) / f".{path.name}.{secrets.token_hex(4)}.new"
