"""Users of the storage with fewer rights than the keys in .env: host reads, reader lists, too, writer writes, too.

Each role's rights are conf/storage/<role>.json, a policy as AWS and MinIO know them, with the buckets' names put in.
Its keys are in .env.<role>, to hand over as somebody's .env.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from gaia import files
from gaia.errors import GaiaError
from gaia.storage.s3 import dotenv, settings
from gaia.storage.s3.settings import ENV, KEYS, Settings
from gaia.storage.servers import docker
from gaia.storage.servers.buckets import FOLDER

ROLES = ("host", "reader", "writer")
SCRIPT = FOLDER / "users.sh"


def make(at: Settings, root: Path = Path()) -> list[Path]:
    """See to it that the MinIO of these settings has the three users; the files with their keys, mode 600.

    Repeating it changes nothing: keys that are there stay. Raises GaiaError where there is no way to make users.
    """
    run = _in_docker if docker.runs(root) else _by_hand
    if run is _by_hand and not _has_client():
        raise GaiaError(
            "there is no `mc` of MinIO on PATH, by which users are made where Docker doesn't run the server here",
            f"install it, or make users elsewhere with the policies in {FOLDER}",
        )
    given, files_made = settings.variables(at), []
    for role in ROLES:
        keys = _keys(role, at, root)
        given |= {f"USER_{role.upper()}_{name.removeprefix('S3_')}": key for name, key in zip(KEYS, keys, strict=True)}
        files_made.append(_hand_over(role, keys, at, root))
    run(root, at, given)  # after the files, so that a kill leaves no user whose keys nobody knows
    return files_made


def _keys(role: str, at: Settings, root: Path) -> tuple[str, ...]:
    """Those that were made before, or else new ones."""
    try:
        found = dotenv.read(_file(role, root).read_text(encoding="utf-8").splitlines(), _file(role, root))
    except FileNotFoundError:
        found = {}
    if found.get("S3_ENDPOINT") == at.endpoint and all(found.get(key) for key in KEYS):
        return tuple(found[key] for key in KEYS)
    return f"gaia-{role}-{secrets.token_hex(6)}", secrets.token_hex(20)


def _has_client() -> bool:
    if not shutil.which("mc"):
        return False
    said = subprocess.run(["mc", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return "Midnight" not in said  # a file manager has the same name


def _in_docker(root: Path, at: Settings, given: dict[str, str]) -> None:
    docker.make_users(root, at, given)


def _by_hand(root: Path, at: Settings, given: dict[str, str]) -> None:
    script = root.absolute() / SCRIPT
    done = subprocess.run(
        ["sh", script], env=os.environ | given, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise GaiaError(
            f"{at.endpoint} makes no users by {SCRIPT}: {said.removeprefix('mc: <ERROR> ').rstrip('.')}",
            f"that is for MinIO, with the keys of its root; elsewhere make users with the policies in {FOLDER}",
        )


def _hand_over(role: str, keys: tuple[str, ...], at: Settings, root: Path) -> Path:
    file = _file(role, root)
    theirs = replace(at, access_key=keys[0], secret_key=keys[1], session_token="", profile="")
    lines = [
        f"# What {FOLDER / f'{role}.json'} allows: somebody's {ENV}, with S3_ENDPOINT as it is reached from there.",
        *(dotenv.line(name, value) for name, value in settings.variables(theirs).items()),
    ]
    with files.replaced(file, durable=True, mode=0o600) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _file(role: str, root: Path) -> Path:
    return root / f"{ENV}.{role}"
