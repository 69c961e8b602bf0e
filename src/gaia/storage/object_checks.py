"""What the storage has to hold for dvc.lock and every version: each public function is a check, see `verify`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.storage import cache, objects, remotes, transfer
from gaia.storage.client import S3Client
from gaia.storage.errors import STORE_ANEW
from gaia.storage.objects import Object, Problem

SAMPLE = 20  # objects hashed where not all are asked for


@dataclass(frozen=True)
class Wanted:
    """What the workspace and the versions need of the storage, looked up once for all checks."""

    client: S3Client
    root: Path
    deep: bool

    @cached_property
    def revisions(self) -> dict[str | None, list[Object]]:
        """The objects of each revision; None is the workspace. Raises GaiaError if DVC can't say what one needs."""
        commits = [None, *dict.fromkeys(tag.commit for tag in tags.versions(root=self.root))]
        return {commit: objects.of_revision(commit, client=self.client, root=self.root) for commit in commits}

    @cached_property
    def once(self) -> list[Object]:
        """Every object, once, however many files and revisions have it."""
        return list({(o.bucket, o.key): o for needed in self.revisions.values() for o in needed}.values())

    @cached_property
    def chosen(self) -> list[Object]:
        """Those to be read: all with `deep`, or else a sample."""
        return self.once if self.deep else random.sample(self.once, min(SAMPLE, len(self.once)))

    def mend(self) -> str:
        """Store anew what the storage lacks or has damaged, as far as this clone's cache has it; how much that was."""
        at = cache.folder(self.root)
        harmed = [p for p in objects.damaged(self.once, self.client) if not cache.fault(p.needed.md5, at)]
        transfer.store(harmed, self.client, self.root, "storing anew")
        return f"{len(harmed)} objects were stored anew"


def dvc(at: Wanted) -> str:
    """DVC's remotes are these buckets, and nothing of this shell leads a `dvc push` elsewhere."""
    if not remotes.agree(at.client.settings, at.root):
        raise GaiaError(f"{remotes.LOCAL} is not what .env asks for now", "`gaia storage up` writes it anew")
    if obstacle := remotes.in_the_way(at.client.settings):
        raise GaiaError(*obstacle)
    return "its remotes are these buckets, with these keys"


def objects_there(at: Wanted) -> str:
    """Everything is there, in the right size: judged for each revision, since they have other files under one path."""
    there = objects.sizes(at.once, at.client)
    found = [problem for needed in at.revisions.values() for problem in objects.judged(needed, there)]
    _complain(found, STORE_ANEW)
    if not at.once:
        return "nothing is built yet"
    count, versions = len(at.once), len(tags.versions(root=at.root))
    return f"all {count} that dvc.lock and {versions} versions need are there, in the right size"


def hashes(at: Wanted) -> str:
    """What is read has the hash that names it."""
    _complain(objects.damaged(at.chosen, at.client), STORE_ANEW)
    return f"{len(at.chosen)} of {len(at.once)} objects were read, and each has the hash that names it"


def copies_here(at: Wanted) -> str:
    """This host's cache, which DVC believes and would push, is sound as far as it goes."""
    _complain(
        objects.damaged_here(at.chosen, at.root), f"delete it from {cache.folder(at.root)}, and {objects.PUT_BACK}"
    )
    return "as far as they are in the cache here, their copies are sound, too"


def _complain(problems: list[Problem], cure: str) -> None:
    once = list({(p.needed.bucket, p.needed.key): p for p in problems}.values())
    if once:
        named = ", ".join(f"{p.needed.path} ({p.reason}, {p.needed.bucket}/{p.needed.key})" for p in once[:5])
        more = f" and {len(once) - 5} more" if once[5:] else ""
        raise GaiaError(f"{named}{more}", cure)
