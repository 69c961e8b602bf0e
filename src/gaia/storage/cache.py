"""DVC's cache: where an object lies, whether it is sound, and what a folder's listing names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gaia import files
from gaia.storage import memo

OBJECTS = "files/md5"  # where they lie, in the cache as in a bucket
_DECIDE = ("DVC_", "HOME", "XDG_CONFIG")  # variables that say which files these are
DIR = ".dir"  # at the end of a folder's hash, which is that of the listing of its files


def settings(root: Path = Path()) -> dict[str, dict[str, Any]]:
    """What DVC's configuration says in a project of `core` and `cache`: kept for as long as none of its files changes,
    since to load what reads it takes longer than many a transfer."""
    at = (root / ".dvc").absolute()
    asked = [str(at), {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_DECIDE)}]
    kept = memo.recall("settings", asked, root)
    if kept and all(_stamp(file) == stamp for file, stamp in kept["files"].items()):
        return dict(kept["said"])
    from dvc.config import Config

    config = Config(dvc_dir=str(at))
    said = {part: dict(config.get(part, {})) for part in ("core", "cache")}
    seen = {str(file): _stamp(file) for file in config.files.values()}
    memo.keep("settings", asked, {"files": seen, "said": said}, root)
    return said


def _stamp(file: str) -> list[int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def folder(root: Path = Path()) -> Path:
    """The folder of the project's cache, in which `key` says where an object lies."""
    return Path(settings(root).get("cache", {}).get("dir") or root / ".dvc/cache")


def key(md5: str) -> str:
    """An object's path in the cache, which is its key in a bucket, too: `files/md5/ab/cdef…`"""
    return f"{OBJECTS}/{md5[:2]}/{md5[2:]}"


def fault(md5: str, cache: Path) -> str:
    """`missing`, or `damaged` if the content isn't the one that the hash names; nothing if the object is sound.

    DVC believes its cache; who hands something on does not.
    """
    found = files.md5(cache / key(md5))
    return "missing" if found is None else "" if found == md5.removesuffix(DIR) else "damaged"


def read(md5: str, cache: Path) -> bytes | None:
    """An object's content, if the cache has it sound."""
    try:
        content = (cache / key(md5)).read_bytes()
    except FileNotFoundError:
        return None
    return content if files.digest(content).hexdigest() == md5.removesuffix(DIR) else None


def listed(listing: bytes) -> dict[str, str]:
    """The files that a folder's listing names, `relative path -> md5`."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listing)}


def hash_of(folder: Path) -> str:
    """The hash that DVC gives a folder: that of the listing of all files below it."""
    inside = (path for path in folder.rglob("*") if not path.is_dir())
    return files.md5_of_listing({path.relative_to(folder).as_posix(): files.md5(path) or "" for path in inside})
