"""Could every version be restored now, and do the folders of `releases/` say what the tags say? Looked up in the
storage, and in this host's cache, not believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError, warn
from gaia.registry import git, sharing, tags
from gaia.registry.grammar import Version
from gaia.storage import cache, objects, releases
from gaia.storage.errors import Refused, Unreachable
from gaia.storage.objects import Problem
from gaia.storage.releases import Release
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.wire import Stored
from gaia.versions import folder
from gaia.versions.record import Record

MISSING = "missing"


class Audit(NamedTuple):
    """One version: how many objects it needs, which are `lost`, and whether it takes this host's cache to restore it:
    `only_here` are the objects that the storage lacks."""

    version: str
    objects: int
    only_here: list[str]
    lost: list[str]
    problem: str = ""  # why it could not be looked into
    folder: str = ""  # what is wrong with its folder in the storage; MISSING costs nothing

    @property
    def restorable(self) -> bool:
        """Whether every object is there."""
        return not self.lost and not self.problem

    @property
    def apart(self) -> bool:
        """Whether its folder says something else than the tags do."""
        return self.folder not in ("", MISSING)


def audit(root: Path = Path(), *, deep: bool = False, mend: bool = False) -> list[Audit]:
    """Every version of every line, by line and number, then the folders that no tag names. Where no storage answers,
    the cache alone is judged.

    `deep` reads and hashes the folders' files. `mend` makes each folder that is missing or otherwise, of what the
    storage holds, and removes those that no tag names; then what is left is said. Raises GaiaError if the storage isn't
    set up, or if there is a folder that this clone has no tag of and its remote can't be asked.
    """
    client = S3Client(settings.read(root))
    try:
        client.may_list()
    except Unreachable:
        return [
            _restored(Record(tag.name.line, tag.commit, tag, root), client, False)[0]
            for tag in tags.versions(root=root)
        ]
    try:
        folders, judged = releases.listed(client), True
    except Refused as refusal:
        folders, judged = {}, False
        warn(f"the folders of releases/ are not looked at: {refusal.problems[0].found}.")
    if folders.keys() - {tag.name for tag in tags.versions(root=root)}:
        sharing.fetch(root)  # somebody may have released
    known = tags.read(root=root)
    withdrawn = {tag.name.version for tag in known.withdrawals}
    found = []
    for tag in known.versions:
        version = Record(tag.name.line, tag.commit, tag, root)
        each, release = _restored(version, client, True)
        there = folders.pop(tag.name, {})
        if judged and release and (there or tag.name not in withdrawn):
            each = each._replace(folder=_folder(version, release, there, client, deep, mend))
        found.append(each)
    left = [(version, _without_tag(version, folders[version], client, root, mend)) for version in sorted(folders)]
    return found + [Audit(str(version), 0, [], [], folder=wrong) for version, wrong in left if wrong]


def _restored(version: Record, client: S3Client, answers: bool) -> tuple[Audit, Release | None]:
    """Whether a version can be restored; and what its folder holds, if the storage has all of that."""
    try:
        needed = objects.of_revision(version.commit, version.kept, client=client, root=version.root)
        problems = objects.problems(needed, client) if answers else [Problem(o, "no storage answers") for o in needed]
    except GaiaError as error:
        return Audit(str(version), 0, [], [], str(error)), None
    at = cache.folder(version.root)
    only_here: dict[str, str] = {}
    lost: dict[str, str] = {}
    for o, reason in problems:
        # of a folder whose files have another size together, any may be the culprit
        suspects = [other for other in needed if o.folder and other.path.startswith(f"{o.path}/")]
        here = not any(cache.fault(suspect.md5, at) for suspect in (o, *suspects))
        (only_here if here else lost).setdefault(o.key, f"{o.path} ({reason})")
    found = Audit(str(version), len({o.key for o in needed}), [*only_here.values()], [*lost.values()])
    assert version.tag
    release = releases.of(version.tag.name, version.commit, needed)
    whole = answers and not {problem.needed for problem in problems} & {*release.files.values()}
    return found, release if whole and release.files else None


def _folder(
    version: Record, release: Release, there: Mapping[str, Stored], client: S3Client, deep: bool, mend: bool
) -> str:
    """What is wrong with a version's folder, after `mend`ing it; nothing if it is as it should be."""
    sizes = objects.sizes(release.files.values(), client)
    wrong = releases.fault(release, there, sizes, client, deep)
    if not wrong or not mend:
        return wrong
    try:
        folder.make(version, release, client)
        there = releases.listed(client, releases.place(release.version, client)[1]).get(release.version, {})
        return releases.fault(release, there, sizes, client, deep)
    except GaiaError as error:
        return f"can't be made: {error}".rstrip(".")


def _without_tag(version: Version, there: Mapping[str, Stored], client: S3Client, root: Path, mend: bool) -> str:
    """What is to be said of a folder that no tag names; nothing if it was removed, which is not done to that of another
    repository."""
    bucket, _ = releases.place(version, client)
    said = client.get_object_metadata(bucket, there[min(there)].key)["metadata"].get("commit", "")
    try:
        git.commit(said, root)
    except GaiaError:
        return f"no tag names it, and it is of a commit ({said[:8] or 'none is said'}) that this clone hasn't: it stays"
    if not mend:
        return "no tag names it"
    releases.remove(version, client)
    return ""
