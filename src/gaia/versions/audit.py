"""Could every version be restored now? Looked up in the storage, and in this host's cache, not believed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.storage import cache, objects, settings
from gaia.storage.client import S3Client
from gaia.storage.errors import Unreachable
from gaia.storage.objects import Problem
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
    try:
        client.may_list()
        answers = True
    except Unreachable:
        answers = False
    return [_audit(Record(tag.name.line, tag.commit, tag, root), client, answers) for tag in tags.versions(root=root)]


def _audit(record: Record, client: S3Client, answers: bool) -> Audit:
    try:
        needed = objects.of_revision(record.commit, record.kept, client=client, root=record.root)
        problems = objects.problems(needed, client) if answers else [Problem(o, "no storage answers") for o in needed]
    except GaiaError as error:
        return Audit(str(record), 0, [], [], str(error))
    at = cache.folder(record.root)
    only_here: dict[str, str] = {}
    lost: dict[str, str] = {}
    for o, reason in problems:
        # of a folder whose files have another size together, any may be the culprit
        suspects = [other for other in needed if o.folder and other.path.startswith(f"{o.path}/")]
        here = not any(cache.fault(suspect.md5, at) for suspect in (o, *suspects))
        (only_here if here else lost).setdefault(o.key, f"{o.path} ({reason})")
    return Audit(str(record), len({o.key for o in needed}), [*only_here.values()], [*lost.values()])
