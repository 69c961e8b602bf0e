"""A version brought to a host that has no Git and no project: from its folder in the storage, `releases/plants/v1.2.0/`
in the bucket of models, with a key that may do nothing but read objects."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gaia import files
from gaia.console import megabytes
from gaia.errors import GaiaError
from gaia.registry import grammar
from gaia.registry.grammar import Version
from gaia.runtime import artifact
from gaia.storage import releases
from gaia.storage.errors import Corrupted, Missing
from gaia.storage.releases import MANIFEST
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.wire import THREADS

COPY_ANEW = "`gaia audit --deep --mend` copies it anew, in a clone of the project"


def fetch(name: str, folder: Path, root: Path = Path()) -> dict[str, Any]:
    """Bring a version (`plants@v1.2.0`) from its folder in the storage, with GetObject alone: `version`, `commit`,
    `folder`, `files`, `bytes`, and `new`, whether anything had to come.

    The manifest is held to the sha256 that its object says of itself, with line and version; every file to the sha256
    that the manifest says. `folder` appears when it is whole; one that is this very version already stays. Raises
    GaiaError naming what is missing, refused or damaged, or if another thing stands at `folder`.
    """
    version, asked = grammar.version(name), settings.read(root, keyless=True)
    if not asked.known:
        raise GaiaError(
            f"nothing says how to get into {asked.endpoint}",
            f"set S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY in the environment, or in {settings.ENV} in this folder",
        )
    client = S3Client(asked)
    bucket, at = releases.place(version, client)
    content, commit = _manifest(version, client)
    said = {"version": name, "commit": commit, "folder": str(folder)}
    if folder.exists() and (folder / MANIFEST).is_file() and (folder / MANIFEST).read_bytes() == content:
        found = artifact.verify(folder, f"remove {folder}, and fetch it again")
        return said | _counted(found, content) | {"new": False}
    if folder.exists():
        raise GaiaError(f"{folder} exists already, and is not {name}", "name a folder that doesn't, or remove it")
    with files.replaced_folder(folder) as beside:
        (beside / MANIFEST).write_bytes(content)
        found = artifact.manifest(beside, COPY_ANEW)
        counted = _counted(found, content)

        def bring(entry: artifact.File) -> None:
            path = beside / entry["name"]
            if path.name != entry["name"]:
                raise Corrupted(f"{bucket}/{at}{MANIFEST} names '{entry['name']}', which is no file of a folder.")
            client.download_file(bucket, at + entry["name"], path, progress=passed)
            if files.sha256(path) != entry["sha256"]:
                raise Corrupted(f"{bucket}/{at}{entry['name']} at {client.endpoint} is damaged", COPY_ANEW)

        with megabytes(f"fetching {name}", counted["bytes"]) as passed, ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(bring, found["files"]):
                pass
    return said | counted | {"new": True}


def _manifest(version: Version, client: S3Client) -> tuple[bytes, str]:
    """The manifest, held to what its object says of itself, and the commit that this says."""
    bucket, at = releases.place(version, client)
    where, pieces = f"{bucket}/{at}{MANIFEST}", list[bytes]()
    try:
        client.read(bucket, at + MANIFEST, pieces.append)
        headers = client.wire.head(bucket, at + MANIFEST)
    except Missing as error:
        found = error.problems[0].found.rstrip(".")
        raise Missing(
            found, "if there is such a version, `gaia audit --mend` makes its folder, in a clone of the project"
        ) from None
    said = {name.lower().removeprefix("x-amz-meta-"): value for name, value in headers.items()}
    content = b"".join(pieces)
    if said.get("sha256") != hashlib.sha256(content).hexdigest():
        raise Corrupted(f"{where} at {client.endpoint} has not the sha256 that its metadata say", COPY_ANEW)
    if (said.get("line"), said.get("version")) != (version.line, version.number):
        raise Corrupted(f"{where} at {client.endpoint} is that of {said.get('line')}@{said.get('version')}", COPY_ANEW)
    return content, said.get("commit", "")


def _counted(manifest: artifact.Manifest, content: bytes) -> dict[str, int]:
    """How many files a version has, and their bytes."""
    sizes = [entry["size"] for entry in manifest["files"]]
    return {"files": len(sizes) + 1, "bytes": sum(sizes) + len(content)}
