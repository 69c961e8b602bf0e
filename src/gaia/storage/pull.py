"""`gaia pull`: what DVC keeps, from the storage into the cache, and from there into the workspace."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from gaia.console import megabytes
from gaia.errors import GaiaError
from gaia.storage import cache, checkout, objects, transfer
from gaia.storage.chosen import chosen
from gaia.storage.errors import Corrupted
from gaia.storage.needed import Output
from gaia.storage.objects import Object
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client


class Pulled(NamedTuple):
    """How many objects came, and the outputs that were brought into the workspace."""

    objects: int
    placed: list[str]


def pull(words: Iterable[str] = (), root: Path = Path(), *, every_version: bool = False, force: bool = False) -> Pulled:
    """Bring what the words name (lines, paths, versions), or else all that the workspace's commit pins.

    Of the workspace's commit it is placed there, each output whole or not at all; of a version it comes into the cache,
    as of `every_version`. Every object is verified by its hash as it comes, and those in the cache before they are laid
    out. Raises GaiaError for what the storage lacks or can't give, after all else has been brought, and for what
    `checkout.place` refuses.
    """
    words = list(words)
    wanted = chosen(words, root, every_version=every_version)
    here = wanted.get(None, [])
    every = list(dict.fromkeys(output for some in wanted.values() for output in some))
    failures: list[GaiaError]
    try:
        came, failures = _fetched(every, set(checkout.absent(here, root)), root)
    except GaiaError as error:  # nobody is there to ask
        failures = [error]
    if failures:
        here = [output for output in here if _whole(output, cache.folder(root))]
    placed = checkout.place(here, root, all_of_them=not (words or failures), force=force) if here else []
    if failures:
        raise type(failures[0]).several([problem for failure in failures for problem in failure.problems])
    return Pulled(came, placed)


def _fetched(wanted: list[Output], new: set[Output], root: Path) -> tuple[int, list[GaiaError]]:
    """Bring what the cache lacks; how many objects came, and why others couldn't. The cache is believed, as by DVC, but
    for what is `new` to the workspace, and for listings."""
    client, at = S3Client(settings.read(root, keyless=True)), cache.folder(root)
    failures: list[GaiaError] = []
    beside = ThreadPoolExecutor(1)

    def bring(lacking: list[Object]) -> int:
        if not lacking:
            return 0
        size = sum(o.size or 0 for o in lacking if not o.folder) or sum(output.size or 0 for output in wanted)
        try:
            settings.read(root)  # says so if there are no keys
            beside.submit(checkout.load)  # which nothing waits for until it is used
            with megabytes("pull", size) as passed:
                return transfer.fetch(lacking, client, root, passed)
        except Corrupted as error:
            failures.append(error)
            return 0

    tops = objects.tops(wanted, client, root)
    came = bring([o for o in tops.values() if o.folder and cache.fault(o.md5, at)])
    known = {output: o for output, o in tops.items() if not (o.folder and cache.fault(o.md5, at))}
    needed = objects.by_output(known, client, root)
    rest = [o for output, some in needed.items() for o in some if output in new or not (at / o.key).exists()]
    return came + bring(rest), failures


def _whole(output: Output, at: Path) -> bool:
    """Whether the cache has all of an output."""
    if cache.fault(output.md5, at):
        return False
    if not output.md5.endswith(cache.DIR):
        return True
    listed = cache.listed((at / cache.key(output.md5)).read_bytes())
    return all((at / cache.key(md5)).exists() for md5 in listed.values())
