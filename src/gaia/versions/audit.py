"""Could every version be restored now? Looked up in the storage, and in this host's cache, not believed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from gaia import tags
from gaia.errors import GaiaError
from gaia.storage import objects, settings
from gaia.storage.client import S3Client
from gaia.storage.errors import Unreachable
from gaia.storage.objects import Object
from gaia.versions.record import Record


class Audit(NamedTuple):
    """One version: how many objects it needs, which are `lost`, and whether it takes this host's cache to restore it:
    `only_here` are the objects that the storage lacks."""

    version: str
    objects: int
    only_here: list[str]
    lost: list[str]
    problem: str = ""  # why it could not be looked into

    @property
    def restorable(self) -> bool:
        """Whether every object is there."""
        return not self.lost and not self.problem


def audit(root: Path = Path()) -> list[Audit]:
    """Every version of every line, by line and number. Where no storage answers, the cache alone is judged.

    Raises GaiaError if the storage isn't set up.
    """
    client = S3Client(settings.read(root))
    return [_audit(Record(tag.name.line, tag.commit, tag, root), client) for tag in tags.versions(root=root)]


def _audit(record: Record, client: S3Client) -> Audit:
    try:
        needed = objects.of_revision(record.commit, record.kept, client=client, root=record.root)
        try:
            lacking = {p.needed: p.reason for p in objects.problems(needed, client)}
        except Unreachable:
            lacking = dict.fromkeys(needed, "no storage answers")
    except GaiaError as error:
        return Audit(str(record), 0, [], [], str(error))
    cache = objects.cache(record.root)
    sound = {o: _sound(o, cache) for o in lacking}
    said = {o: f"{o.path} ({reason})" for o, reason in lacking.items()}
    return Audit(
        str(record), len(needed), [said[o] for o in lacking if sound[o]], [said[o] for o in lacking if not sound[o]]
    )  # fmt: skip


def _sound(o: Object, cache: Path) -> bool:
    """Whether the cache holds the content that the hash names."""
    try:
        with (cache / o.key).open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == o.md5.removesuffix(".dir")
    except FileNotFoundError:
        return False
