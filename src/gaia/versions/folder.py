"""A version's folder in the storage, `releases/plants/v1.2.0/`, made in a clone that knows the version."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gaia import paths
from gaia.storage import objects, releases
from gaia.storage.releases import MANIFEST, Release
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.versions import card, record
from gaia.versions.record import Record


def make(version: Record, release: Release, client: S3Client) -> None:
    """Make a version's folder, or make it anew.

    Raises GaiaError if its artifact can't be read, and StorageError if the storage lacks a file or refuses a copy.
    """
    manifest = version.read(f"{paths.model(version.line)}/{MANIFEST}")
    sha256 = {entry["name"]: entry["sha256"] for entry in version.manifest["files"]}
    sha256[MANIFEST] = hashlib.sha256(manifest).hexdigest()
    releases.make(release, sha256, card.of_release(version), client)


def completed(name: str, root: Path = Path()) -> str:
    """Make the folder of a version (`plants@v1.2.0`) if it has none, or another than it should; where it is."""
    version, client = record.of(name, root), S3Client(settings.read(root))
    assert version.tag
    needed = objects.of_revision(version.commit, [paths.model(version.line).as_posix()], client=client, root=root)
    release = releases.of(version.tag.name, version.commit, needed)
    sizes = objects.sizes(release.files.values(), client)
    there = releases.listed(client, releases.place(release.version, client)[1]).get(release.version, {})
    if releases.fault(release, there, sizes, client, deep=False):
        make(version, release, client)
    return releases.shown(release.version, client)
