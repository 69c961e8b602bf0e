"""The artifact's folder: sealed with a manifest that names each file's hashes, verified before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from gaia import files
from gaia.errors import GaiaError
from gaia.runtime.typed import misfit

MANIFEST, CONTRACT, GOLDEN = "manifest.json", "contract.json", "golden.json"
FORMAT = 2  # of the manifest, the contract and the golden answers; 1 said no number


class File(TypedDict):
    """A file of the artifact."""

    name: str
    size: int  # bytes
    sha256: str
    md5: NotRequired[str]  # by which DVC names it; from format 2 on


class Weights(TypedDict):
    """What a network started from."""

    name: str  # as model.weights says it
    file: str
    source: str | None  # where it was published; None: nobody said
    licence: str | None
    sha256: str
    size: int  # bytes


class Facts(TypedDict):
    """What is known of how the artifact was made; from `architecture` on what the train stage found."""

    line: str
    architecture: str
    classes: int
    best_epoch: int
    total_epochs: int
    optimizer: str | None
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    refitted_on: NotRequired[int]  # items of train and validation, if what ships was trained anew on both; the four
    # numbers above, and the history, are those of the training before, which chose the epochs
    data_sha256: str  # of the index of the prepared data
    packages: dict[str, str]
    weights: NotRequired[Weights]  # left out where training began from scratch
    config_sha256: str
    temperature: NotRequired[float]  # by which the model's own answers were calibrated; it stands in the model's file


class Manifest(Facts):
    """manifest.json"""

    format: int
    files: list[File]  # all others of the folder


def write_json(path: Path, content: Any) -> None:
    """Write stable, readable JSON (keys in the order given, floats as they are, never NaN)."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, mend: str | None = None) -> Any:
    """The content of a JSON file of the artifact; GaiaError, with what would `mend` it, if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GaiaError(f"{path} is missing", mend or restored(path.parent)) from None
    except (ValueError, RecursionError) as error:
        raise GaiaError(f"{path} is damaged ({error})", mend or restored(path.parent)) from None


def read_format(path: Path, mend: str | None = None) -> dict[str, Any]:
    """As `read_json`, of a file that says its format: a mapping, whose `format` (1 where none stands there) is one that
    this code reads. Raises GaiaError if it is a later one, or none."""
    content = read_json(path, mend)
    number = content.get("format", 1) if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise GaiaError(f"{path} is damaged: it says no format", mend or restored(path.parent))
    if number > FORMAT:
        raise GaiaError(
            f"{path} has format {number}, and this code reads 1 to {FORMAT}",
            "a later Gaia wrote it, and reads it: `git pull` brings its code, or `git checkout` of the commit that "
            "names the artifact",
        )
    return content | {"format": number}


def restored(folder: Path) -> str:
    """What brings an artifact back in the workspace, where DVC puts artifacts."""
    # removed first: DVC takes a file whose time stamp is the old one for the old file
    return (
        f"`rm -r {folder} && dvc checkout {folder}` restores it, or, if DVC's cache is damaged too, "
        f"`dvc repro --force --single-item evaluate@{folder.name}` makes it"
    )


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write manifest.json last: `facts` (see Facts), then name, size and hashes of every other file of the folder."""
    entries = [
        File(name=path.name, size=path.stat().st_size, sha256=files.sha256(path), md5=files.md5(path) or "")
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    ]
    write_json(folder / MANIFEST, {"format": FORMAT} | dict(facts) | {"files": entries})


def manifest(folder: Path, mend: str | None = None) -> Manifest:
    """manifest.json, of which each file's entry was checked, and the facts are believed.

    Raises GaiaError if it is missing, damaged, or of a later format.
    """
    content = read_format(folder / MANIFEST, mend)
    if misfit(content.get("files"), list[File]):
        raise GaiaError(
            f"{folder / MANIFEST} is damaged: it doesn't say which files there are", mend or restored(folder)
        )
    return cast("Manifest", content)


def verify(folder: Path, mend: str | None = None) -> Manifest:
    """The manifest, after every file that it names was found to be the one that it names, and no other is there.

    Raises GaiaError naming the file that is missing, changed or unknown, with what would `mend` it (if nothing is
    given: in the workspace).
    """
    found = manifest(folder, mend)
    mend = mend or restored(folder)
    for entry in found["files"]:
        path = folder / entry["name"]
        if path.name != entry["name"] or not path.is_file():
            raise GaiaError(f"{path} is missing, though {MANIFEST} names it", mend)
        if path.stat().st_size != entry["size"] or files.sha256(path) != entry["sha256"]:
            raise GaiaError(f"{path} is not the file that {MANIFEST} names", mend)
    if unknown := {p.name for p in folder.iterdir()} - {entry["name"] for entry in found["files"]} - {MANIFEST}:
        raise GaiaError(f"{folder / min(unknown)} is not named in {MANIFEST}", "remove it")
    return found


def md5(folder: Path) -> str:
    """The hash by which dvc.lock names the folder: that of the listing of its files with their hashes.

    Of all files but the manifest it is the manifest's word that is taken (`verify` holds them to it), which saves
    reading them; an artifact of format 1 is read. Raises GaiaError as `manifest` does.
    """
    hashes = {entry["name"]: entry.get("md5") for entry in manifest(folder)["files"]} | {MANIFEST: None}
    return files.md5_of_listing({name: md5 or files.md5(folder / name) or "" for name, md5 in hashes.items()})
