"""Model versions in the storage: a version is its tag and the objects that its commit's dvc.lock names.

Versions are named as their tags are (`plants@v1.2.0`). Functions raise GaiaError, and StorageError for what the server
can't do. `dvc push` and `dvc pull` see the same objects.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gaia import files, paths
from gaia.errors import GaiaError, nearest
from gaia.registry import tags
from gaia.registry.git import git
from gaia.storage import copies, objects, releases, transfer
from gaia.storage.objects import Object
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client


def upload(line: str, revision: str | None = None, root: Path = Path()) -> int:
    """Push what the storage lacks of a line's artifact, as dvc.lock names it (in the workspace, or at a revision); the
    number of objects that had to go. Each is hashed before: a damaged cache is refused, naming the file."""
    client = S3Client(settings.read(root))
    lacking = objects.problems(_artifact(revision, line, client, root), client)
    transfer.store(lacking, client, root, f"push {line}")
    return len(lacking)


def download(version: str, folder: Path, root: Path = Path()) -> Path:
    """A version's artifact as a folder, every file verified by its hash; cached files are not fetched again.

    `folder` must not exist yet; it appears when it is whole. Raises GaiaError naming the file that can't be had.
    """
    if folder.exists():
        raise GaiaError(f"{folder} exists already", "name a folder that doesn't, or remove it")
    tag, client = tags.find(version, root), S3Client(settings.read(root))
    pinned = next(o for o in _artifact(tag.commit, tag.name.line, client, root) if o.folder)
    with files.replaced_folder(folder) as beside:
        copies.lay_out(pinned.md5, pinned.path, tag.commit, beside, root)
    return folder


def models(line: str | None = None, root: Path = Path()) -> list[dict[str, Any]]:
    """The files of the workspace's artifacts and of each version, newest last: `version`, `line`, and `files` with
    `name`, `size` in the storage (None: missing there), `md5` and `bucket`."""
    client = S3Client(settings.read(root))
    everything = objects.of_revision(None, client=client, root=root)
    built = {o.path.split("/")[2] for o in everything if o.path.startswith(f"{paths.model('')}/")}
    released = tags.versions(line, root)
    if line and line not in built and not released:
        raise GaiaError(f"there is no line '{line}'{nearest(line, built)}.")
    wanted: list[tuple[str, str, str | None]] = [(f"{t.name}", t.name.line, t.commit) for t in released]
    wanted += [(f"{name} (workspace)", name, None) for name in sorted(built) if line in (None, name)]
    needed = [(shown, name, _artifact(revision, name, client, root)) for shown, name, revision in wanted]
    sizes = objects.sizes((o for _, _, some in needed for o in some), client)
    return [
        {
            "version": shown,
            "line": name,
            "files": [
                {"name": file, "size": sizes.get((o.bucket, o.key)), "md5": o.md5, "bucket": o.bucket}
                for file, o in _files(some, name).items()
            ],
        }
        for shown, name, some in sorted(needed, key=lambda entry: entry[1])
    ]


def url(version: str, file: str | None = None, *, expires: int = 3600, root: Path = Path()) -> str:
    """A link to one file of a version (the model if `file` is not given), good for `expires` seconds without keys: in
    the version's folder, or to the object where that lacks it. The download has the file's own name."""
    tag, client = tags.find(version, root), S3Client(settings.read(root))
    release = releases.of(tag.name, tag.commit, _artifact(tag.commit, tag.name.line, client, root))
    found = release.files
    name = file or _model_file(found, client)
    if name not in (*found, releases.CARD):
        raise GaiaError(f"{version} has no file '{name}'", f"its files are {', '.join(found)}{nearest(name, found)}")
    place = releases.key_of(name, release, client)
    if not place and name not in found:
        raise GaiaError(f"{version} has no {name} in the storage", "`gaia audit --mend` makes it, with its folder")
    bucket, key = place or (found[name].bucket, found[name].key)
    return client.get_presigned_url(bucket, key, expires=expires, filename=Path(name).name)


def delete(version: str, confirm: str | None = None, root: Path = Path()) -> dict[str, Any]:
    """Delete a version in two steps: without `confirm`, nothing happens but the answer, what would be deleted, with
    the word to `confirm` it by; with that word it is done.

    The answer: `version`, `objects` (paths whose content nothing else needs), `folder` (its copies in `releases/`; None
    if there are none), `bytes`, `confirm`, `deleted`. Objects that another version, a branch or the workspace needs
    stay. A tag that was pushed has to be deleted at the Git remote as well. Raises GaiaError if a deployment is of this
    version, or the word is for something else.
    """
    tag = tags.find(version, root)
    for deployment in tags.deployments(tag.name.line, root):
        if deployment.commit == tag.commit:
            raise GaiaError(f"{version} is what {deployment.name} deployed", "versions with such a history stay")
    client = S3Client(settings.read(root))
    others = [t.commit for t in tags.versions(root=root) if t.name != tag.name]
    others += [d.commit for d in tags.deployments(root=root)]
    others += git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", root=root).split()
    revisions = (None, *dict.fromkeys(others))
    kept = {(o.bucket, o.key) for rev in revisions for o in objects.of_revision(rev, client=client, root=root)}
    freed = {(o.bucket, o.key): o for o in _artifact(tag.commit, tag.name.line, client, root)}
    freed = {place: o for place, o in freed.items() if place not in kept}
    copies = releases.listed(client, releases.place(tag.name, client)[1]).get(tag.name, {})
    said = [version, tag.commit, *sorted(map(str, freed)), *copies]
    word = hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]
    plan = {
        "version": version,
        "objects": sorted(o.path for o in freed.values()),
        "folder": releases.shown(tag.name, client) if copies else None,
        "bytes": sum(objects.sizes(freed.values(), client).values()) + sum(each.size for each in copies.values()),
        "confirm": word,
        "deleted": confirm is not None,
    }
    if confirm is None:
        return plan
    if confirm != word:
        raise GaiaError(f"'{confirm}' confirms something else than what would be deleted now", "ask for it anew")
    git("tag", "--delete", version, root=root)  # first: a version without its bytes would be a lie
    releases.remove(tag.name, client)
    for name in {bucket for bucket, _ in freed}:
        client.delete_objects(name, [key for bucket, key in freed if bucket == name])
    return plan


def _artifact(revision: str | None, line: str, client: S3Client, root: Path) -> list[Object]:
    if not paths.NAME.fullmatch(line):
        raise GaiaError(f"'{line}' can't name a line", "names take lower-case letters, digits and single dashes")
    return objects.of_revision(revision, [str(paths.model(line))], client=client, root=root)


def _files(artifact: list[Object], line: str) -> dict[str, Object]:
    """The artifact's files by name."""
    return {o.path.removeprefix(f"{paths.model(line)}/"): o for o in artifact if not o.folder}


def _model_file(found: dict[str, Object], client: S3Client) -> str:
    """Which file is the model that answers: the contract says it."""
    if "contract.json" not in found:
        raise GaiaError("the version has no contract.json", f"name one of its files {', '.join(found)}")
    pieces: list[bytes] = []
    client.read(found["contract.json"].bucket, found["contract.json"].key, pieces.append)
    return str(json.loads(b"".join(pieces))["model"])
