"""The artifact's folder: sealed with a manifest that names each file's sha256, verified before it is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.files import sha256

MANIFEST, CONTRACT, GOLDEN = "manifest.json", "contract.json", "golden.json"
MEND = "`dvc checkout --force` restores it, or `dvc repro` makes it"  # in the workspace, where DVC puts artifacts


def write_json(path: Path, content: Any) -> None:
    """Write stable, readable JSON (keys in the order given, floats as they are, never NaN)."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, mend: str = MEND) -> Any:
    """The content of a JSON file of the artifact; GaiaError, with what would `mend` it, if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GaiaError(f"{path} is missing", f"{mend}") from None
    except ValueError as error:
        raise GaiaError(f"{path} is damaged ({error})", f"{mend}") from None


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write manifest.json last: `facts`, then name, size and sha256 of every other file of the folder."""
    files = [
        {"name": path.name, "size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    ]
    write_json(folder / MANIFEST, facts | {"files": files})


def verify(folder: Path, mend: str = MEND) -> dict[str, Any]:
    """The manifest, after every file that it names was found to be the one that it names, and no other is there.

    Raises GaiaError naming the file that is missing, changed or unknown, with what would `mend` it.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST, mend)
    try:
        named = {entry["name"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]}
    except (KeyError, TypeError):
        raise GaiaError(f"{folder / MANIFEST} is damaged: it doesn't say which files there are", f"{mend}") from None
    for name, (size, digest) in named.items():
        path = folder / name
        if path.name != name or not path.is_file():
            raise GaiaError(f"{path} is missing, though {MANIFEST} names it", f"{mend}")
        if path.stat().st_size != size or sha256(path) != digest:
            raise GaiaError(f"{path} is not the file that {MANIFEST} names", f"{mend}")
    if unknown := {p.name for p in folder.iterdir()} - set(named) - {MANIFEST}:
        raise GaiaError(f"{folder / min(unknown)} is not named in {MANIFEST}", "remove it")
    return manifest
