"""`releases/<line>/<version>/` in the bucket of models: the artifact of each version under its own names, for people
who look into the bucket and for hosts without Git.

Copies, which the server makes of the objects that are named by hash. The tag is the truth, and such a folder comes
after it. The manifest is copied last and removed first: where it stands, the folder is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from gaia import paths
from gaia.errors import GaiaError
from gaia.registry import grammar
from gaia.registry.grammar import Version
from gaia.storage.errors import Missing, Refused
from gaia.storage.objects import Object
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.wire import THREADS, Stored

FOLDER = "releases"
MANIFEST, CARD = "manifest.json", "card.md"  # the card is for people, and no part of the artifact


class Release(NamedTuple):
    """What a version's folder holds: the objects that its files are copied from, by the file's name."""

    version: Version
    commit: str
    files: dict[str, Object]


def place(version: Version, client: S3Client) -> tuple[str, str]:
    """The bucket, and the prefix of a version's keys: `releases/plants/v1.2.0/`"""
    return client.settings.buckets["models"], f"{FOLDER}/{version.line}/{version.number}/"


def shown(version: Version, client: S3Client) -> str:
    """Where a version's folder is, for people: `models/releases/plants/v1.2.0`"""
    return "/".join(place(version, client)).rstrip("/")


def of(version: Version, commit: str, needed: Iterable[Object]) -> Release:
    """The folder that a version has to have, given the objects that its commit needs."""
    top = f"{paths.model(version.line).as_posix()}/"
    return Release(version, commit, {o.path.removeprefix(top): o for o in needed if o.path.startswith(top)})


def listed(client: S3Client, within: str = f"{FOLDER}/") -> dict[Version, dict[str, Stored]]:
    """The folders that there are, and the files in each by name; what no version can be called is passed over."""
    found: dict[Version, dict[str, Stored]] = {}
    for stored in client.list_objects(client.settings.buckets["models"], within):
        _, line, number, name = (*stored.key.split("/", 3), "", "")[:4]
        version = grammar.parse(f"{line}@{number}")
        if isinstance(version, Version) and name:
            found.setdefault(version, {})[name] = stored
    return found


def fault(
    release: Release, there: Mapping[str, Stored], sizes: Mapping[tuple[str, str], int], client: S3Client, deep: bool
) -> str:
    """What is wrong with a version's folder, of which `there` is listed, where the objects have `sizes`; nothing if it
    is as it should be. `deep`: every file is read and hashed."""
    bucket, at = place(release.version, client)
    if not there or MANIFEST not in release.files:
        return "missing"
    if absent := (release.files.keys() | {CARD}) - there.keys():
        return f"lacks {min(absent)}"
    if unknown := there.keys() - release.files.keys() - {CARD}:
        return f"holds {min(unknown)}, which is no file of the version"
    for name, o in release.files.items():
        if there[name].size != sizes.get((o.bucket, o.key), there[name].size):
            return f"has {name} in another size"
    manifest = client.get_object_metadata(bucket, at + MANIFEST)["metadata"]
    if (manifest.get("commit"), manifest.get("md5")) != (release.commit, release.files[MANIFEST].md5):
        return f"is of another commit ({manifest.get('commit', '')[:8] or 'none is said'})"
    if deep:
        for name, o in release.files.items():
            if client.read(bucket, at + name, lambda piece: None) != o.md5:
                return f"has {name} damaged"
    return ""


def make(release: Release, sha256: Mapping[str, str], card: str, client: S3Client) -> None:
    """Copy a version's files to its folder, in place of all that is there; `sha256` of each by name, which the copies'
    metadata say, with line, version, commit and md5. The objects have to be in the storage.

    Raises StorageError: then there is a folder without a manifest, or none.
    """
    if MANIFEST not in release.files:
        raise GaiaError(f"{release.version} has no {MANIFEST}, so nothing says what its files are.")
    bucket, at = place(release.version, client)
    remove(release.version, client)
    about = {"line": release.version.line, "version": release.version.number, "commit": release.commit}

    def copy(name: str) -> None:
        o = release.files[name]
        said = about | {"sha256": sha256[name], "md5": o.md5}
        client.copy_object(o.bucket, o.key, bucket, at + name, metadata=said)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(copy, release.files.keys() - {MANIFEST}):
            pass
    with tempfile.TemporaryDirectory(prefix="gaia-") as folder:
        file = Path(folder) / CARD
        file.write_text(card, encoding="utf-8")
        client.upload_file(file, bucket, at + CARD, metadata=about)
    copy(MANIFEST)


def remove(version: Version, client: S3Client) -> list[Stored]:
    """Remove a version's folder; what it held."""
    bucket, at = place(version, client)
    there = listed(client, at).get(version, {})
    if MANIFEST in there:
        client.delete_object(bucket, at + MANIFEST)
    client.delete_objects(bucket, [each.key for each in there.values()])
    return [*there.values()]


def key_of(name: str, release: Release, client: S3Client) -> tuple[str, str] | None:
    """Bucket and key of one file in a version's folder; None if it isn't there, or is another version's."""
    bucket, at = place(release.version, client)
    try:
        said = client.get_object_metadata(bucket, at + name)["metadata"]
    except (Missing, Refused):  # which is what keys are told that may not list
        return None
    o = release.files.get(name)
    same = said.get("commit") == release.commit and (name == CARD if o is None else said.get("md5") == o.md5)
    return (bucket, at + name) if same else None
