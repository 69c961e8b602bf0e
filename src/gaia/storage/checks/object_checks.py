"""What the storage has to hold for dvc.lock and every version: each public function is a check, see `verify`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gaia.errors import GaiaError
from gaia.errors import Problem as Fault
from gaia.registry import tags
from gaia.storage import cache, objects, remotes, transfer
from gaia.storage.errors import STORE_ANEW
from gaia.storage.objects import Object, Problem
from gaia.storage.s3.client import S3Client

SAMPLE = 20  # objects hashed where not all are asked for
STORE = "`gaia push --all` stores it, in a clone that has it in its cache"


@dataclass(frozen=True)
class Wanted:
    """What the workspace and the versions need of the storage, looked up once for all checks."""

    client: S3Client
    root: Path
    deep: bool

    @cached_property
    def revisions(self) -> dict[str, list[Object]]:
        """The objects of the workspace (dvc.lock) and of each version, one of several that are of one commit. Raises
        GaiaError if DVC can't say what one needs."""
        names = {tag.commit: str(tag.name) for tag in reversed(tags.versions(root=self.root))}
        commits = {"dvc.lock": None} | {name: commit for commit, name in names.items()}
        return {
            name: objects.of_revision(commit, client=self.client, root=self.root) for name, commit in commits.items()
        }

    @cached_property
    def once(self) -> list[Object]:
        """Every object, once, however many files and revisions have it."""
        return list({_place(o): o for needed in self.revisions.values() for o in needed}.values())

    @cached_property
    def lacking(self) -> list[Problem]:
        """What the storage lacks or has in another size: judged for each revision by itself, since they have other
        files under one path."""
        there = objects.sizes(self.once, self.client)
        return [problem for needed in self.revisions.values() for problem in objects.judged(needed, there)]

    @cached_property
    def chosen(self) -> list[Object]:
        """Those to be read, of what is there: all with `deep`, or else a sample."""
        lacking = {_place(problem.needed) for problem in self.lacking}
        there = [o for o in self.once if _place(o) not in lacking]
        return there if self.deep else random.sample(there, min(SAMPLE, len(there)))

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
    """Everything is there, in the right size."""
    missing = [problem for problem in at.lacking if problem.reason == "missing"]
    others = [problem for problem in at.lacking if problem.reason != "missing"]
    _complain(at, (missing, STORE), (others, STORE_ANEW))
    if not at.once:
        return "nothing is built yet"
    count, versions = len(at.once), len(tags.versions(root=at.root))
    return f"all {count} that dvc.lock and {versions} versions need are there, in the right size"


def hashes(at: Wanted) -> str:
    """What is read has the hash that names it."""
    _complain(at, (objects.damaged(at.chosen, at.client), STORE_ANEW))
    return f"{len(at.chosen)} of {len(at.once)} objects were read, and each has the hash that names it"


def copies_here(at: Wanted) -> str:
    """This host's cache, which DVC believes and would push, is sound as far as it goes."""
    cure = f"delete it from {cache.folder(at.root)}, and `gaia pull --all` brings it whole"
    _complain(at, (objects.damaged_here(at.chosen, at.root), cure))
    return "as far as they are in the cache here, their copies are sound, too"


def _place(o: Object) -> tuple[str, str]:
    return o.bucket, o.key


def _complain(at: Wanted, *found: tuple[list[Problem], str]) -> None:
    """Raise GaiaError for problems and their cure: each object once, under the first revision that needs it."""
    of = {_place(o): name for name, needed in reversed(at.revisions.items()) for o in needed}

    def named(problem: Problem) -> str:
        o, revision = problem.needed, of[_place(problem.needed)]
        whose = "" if revision == "dvc.lock" else f" of {revision}"
        return f"{o.path}{whose} ({problem.reason}, {o.bucket}/{o.key})"

    faults = []
    for problems, cure in found:
        once = list({_place(problem.needed): problem for problem in reversed(problems)}.values())[::-1]
        more = f" and {len(once) - 5} more" if once[5:] else ""
        if once:
            faults.append(Fault(f"{', '.join(map(named, once[:5]))}{more}", cure))
    if faults:
        raise GaiaError.several(faults)
