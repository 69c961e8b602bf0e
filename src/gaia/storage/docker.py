"""MinIO in Docker, as docker-compose.yml describes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gaia.errors import GaiaError
from gaia.storage import settings
from gaia.storage.settings import Settings


def available() -> bool:
    """Whether `docker compose` can start something: the client, its plug-in, and an engine that answers."""
    return all(_said(*asked) is not None for asked in (("compose", "version"), ("info", "--format", "{{.ID}}")))


def runs(root: Path) -> bool:
    """Whether the server of docker-compose.yml runs."""
    return bool(_said("compose", "ps", "--quiet", "--status", "running", "server", root=root))


def start(root: Path, at: Settings) -> None:
    """Start the server and wait until it answers; then make its buckets. Raises GaiaError with what Docker says."""
    _compose(root, at, "up", "--detach", "--wait", "server")
    _compose(root, at, "run", "--rm", "buckets")


def stop(root: Path, at: Settings) -> None:
    """Stop the server; its volume stays. Raises GaiaError with what Docker says."""
    _compose(root, at, "down")


def _said(*arguments: str, root: Path = Path()) -> str | None:
    """What `docker <arguments>` prints; None if it fails, or isn't there."""
    try:
        done = subprocess.run(["docker", *arguments], cwd=root, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _compose(root: Path, at: Settings, *arguments: str) -> None:
    """Run `docker compose <arguments>` with the settings that hold, whichever of .env and environment they are from."""
    given = settings.variables(at) | {"S3_PORT": str(at.address[1])}
    done = subprocess.run(
        ["docker", "compose", *arguments], cwd=root, env=os.environ | given, capture_output=True, text=True
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise GaiaError(f"docker compose {arguments[0]}: {said[-1].rstrip('.')}.")
