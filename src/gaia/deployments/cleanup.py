"""Remove what nothing needs any more: versions of this host, and objects that no branch and no tag names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from gaia.deployments import host
from gaia.errors import GaiaError
from gaia.registry import history, sharing, tags
from gaia.storage import cache, dvc
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import buckets

KEEP = 5


class Removable(NamedTuple):
    """A version's folder on this host that nothing needs, and the bytes of its files."""

    folder: Path
    size: int


def cleanup(line: str, keep: int = KEEP, remove: bool = False, root: Path = Path()) -> list[Removable]:
    """The versions on this host beyond the `keep` newest, and with `remove` they are removed.

    Never among them is what is live on any stage, by the tags or on this host, nor what a rollback would go back to.
    No tag goes, and a version that went comes back when it is deployed. Raises GaiaError if there is no such line.
    """
    known = tags.of_line(line, root)
    if keep < 0:
        raise GaiaError(f"--keep is {keep}", "it should be 0 or more")
    with host.changing(line, root) as making:
        events = history.read(line, root)
        needed = set(host.live_here(line, root).values())
        for stage in {event.tag.name.stage for event in events}:
            decided = history.of_stage(events, stage)
            live = [event.version for event in history.held(decided)]  # on this host, or on others
            needed |= {host.folder(v, root) for v in (*live, decided[-1].version, history.previous(decided)) if v}
        there = {path for path in host.versions(line, root).iterdir() if path.is_dir()}
        folders = [host.folder(version, root) for version in known]
        newest = [folder for folder in reversed(folders) if folder in there][:keep]
        order = {folder: number for number, folder in enumerate(folders)}
        found = sorted(there - needed - set(newest), key=lambda folder: (order.get(folder, -1), folder))
        removable = [Removable(path, sum(file.stat().st_size for file in path.iterdir())) for path in found]
        if remove:
            for each in removable:
                host.discard(each.folder, making)
    return removable


def unused(remove: bool = False, root: Path = Path()) -> list[str]:
    """The objects, in the buckets and in this clone's cache, that `dvc gc` finds unused, and with `remove` they go.

    Used is what the workspace, any branch of this clone, or any tag needs; tags are fetched before. What went is what
    was listed before and is no more. Raises GaiaError if tags can't be fetched or have not been shared, or with what
    DVC complains of.
    """
    sharing.fetch(root)
    _refuse_unshared_tags(root)
    client = S3Client(settings.read(root))
    before = _everything(client, root) if remove else set()
    said = _gc("--force" if remove else "--dry", root)
    if not remove:  # the one case in which DVC says which
        return re.findall(r"^Removing (.+)$", said, re.MULTILINE)
    return sorted(before - _everything(client, root))


def kept(objects: list[str], root: Path = Path()) -> dict[str, int | None]:
    """The buckets of these objects that keep what is deleted, so that it frees nothing yet: for how many days, or None
    if for ever, or these keys may not know."""
    if not objects:
        return {}
    client = S3Client(settings.read(root))
    concerned = [name for name in client.settings.buckets.values() if any(o.startswith(f"{name}/") for o in objects)]
    found = {bucket: buckets.days(client, bucket) for bucket in concerned}
    return {bucket: days for bucket, days in found.items() if days != 0}


def _refuse_unshared_tags(root: Path) -> None:
    """Raise GaiaError if a version or deployment of this clone is not at the remote: others could not know what it
    needs."""
    found = sharing.compare(root)
    if lacks := sorted(found.here.keys() - found.there.keys()):
        more = f" and {len(lacks) - 1} more are" if lacks[1:] else " is"
        refs = " ".join(f"'refs/tags/{name}'" for name in lacks)
        raise GaiaError(
            f"{lacks[0]}{more} not at {found.remote}, so others could not know what they need",
            f"`git push {found.remote} {refs}` shares them",
        )


def _everything(client: S3Client, root: Path) -> set[str]:
    """Each object of the buckets and of the cache, as `dvc gc` names them."""
    kept, objects = cache.folder(root).absolute() / cache.OBJECTS, f"{cache.OBJECTS}/"
    stored = {f"{bucket}/{found.key}" for bucket in client.settings.buckets.values()
              for found in client.list_objects(bucket, objects)}  # fmt: skip
    return stored | {str(path) for path in kept.rglob("*") if path.is_file()}


def _gc(how: str, root: Path) -> str:
    scope = ("--workspace", "--all-branches", "--all-tags", "--cloud")
    asked = dvc.start("gc", *scope, how, root=root)
    out, said = asked.communicate()
    if asked.returncode:
        dvc.check_lock(root)
        raise GaiaError(f"dvc gc: {dvc.complaint(said)}.")
    return out + said
