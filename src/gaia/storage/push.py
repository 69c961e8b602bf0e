"""`gaia push`: what DVC keeps, from the cache into the storage."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gaia.storage import objects, transfer
from gaia.storage.chosen import chosen
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client


def push(words: Iterable[str] = (), root: Path = Path(), *, every_version: bool = False) -> int:
    """Store what the words name (lines, paths, versions), or else all that the workspace's commit pins, as far as the
    storage lacks it or has it in another size; the number of objects that had to go.

    Each is hashed as it goes, and a folder's listing goes after its files, and only with them. Raises GaiaError for
    what neither the storage nor the cache has sound, after all else has gone.
    """
    wanted = chosen(list(words), root, every_version=every_version)
    client = S3Client(settings.read(root))
    tops = objects.tops([output for some in wanted.values() for output in some], client, root)
    needed = objects.by_output(tops, client, root)
    there = objects.sizes([o for some in needed.values() for o in some], client)
    lacking = {(p.needed.bucket, p.needed.key): p for some in needed.values() for p in objects.judged(some, there)}
    transfer.store(lacking.values(), client, root, "push")
    return len(lacking)
