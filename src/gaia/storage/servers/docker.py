"""MinIO in Docker, as docker-compose.yml describes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gaia.errors import GaiaError
from gaia.storage.s3 import settings
from gaia.storage.s3.settings import Settings


def available() -> bool:
    """Whether `docker compose` can start something: the client, its plug-in, and an engine that answers."""
    return all(_said(*asked) is not None for asked in (("compose", "version"), ("info", "--format", "{{.ID}}")))


def runs(root: Path) -> bool:
    """Whether the server of docker-compose.yml runs."""
    return bool(_said("compose", "ps", "--quiet", "--status", "running", "server", root=root))


def start(root: Path, at: Settings) -> None:
    """Start the server and wait until it answers; then make its buckets. Raises GaiaError with what Docker says."""
    image = _said("compose", "config", "--images", "server", root=root, given=_given(at))
    if not image or _said("image", "inspect", image) is None:
        _compose(root, at, "pull", "server", shown=True)  # it may take minutes
    _compose(root, at, "up", "--detach", "--wait", "server")
    _compose(root, at, "run", "--rm", "buckets")


def stop(root: Path, at: Settings) -> None:
    """Stop the server; its volume stays. Raises GaiaError with what Docker says."""
    _compose(root, at, "down")


def make_users(root: Path, at: Settings, keys: dict[str, str]) -> None:
    """Make the users of the server that runs, with these keys. Raises GaiaError with what Docker says."""
    _compose(root, at, "run", "--rm", "users", given=keys)


def _said(*arguments: str, root: Path = Path(), given: dict[str, str] | None = None) -> str | None:
    """What `docker <arguments>` prints; None if it fails, or isn't there."""
    try:
        done = subprocess.run(
            ["docker", *arguments], cwd=root, env=os.environ | (given or {}), capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _given(at: Settings) -> dict[str, str]:
    return settings.variables(at) | {"S3_PORT": str(at.address[1])}


def _compose(
    root: Path, at: Settings, *arguments: str, shown: bool = False, given: dict[str, str] | None = None
) -> None:
    """Run `docker compose <arguments>` with the settings that hold, whichever of .env and environment they are from.
    What it says is `shown` on stderr as it comes, or else kept for the sentence if it fails."""
    done = subprocess.run(
        ["docker", "compose", *arguments], cwd=root, env=os.environ | _given(at) | (given or {}), text=True,
        stdin=subprocess.DEVNULL, stdout=2 if shown else subprocess.PIPE, stderr=2 if shown else subprocess.PIPE,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or "").strip().splitlines() or [f"exit code {done.returncode}"]
        raise GaiaError(f"docker compose {arguments[0]}: {said[-1].rstrip('.')}.")
