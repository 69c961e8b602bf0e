"""The S3 server of this host: MinIO where a Docker engine answers, else an embedded SeaweedFS, at the same address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from gaia.errors import GaiaError, warn
from gaia.storage import remotes
from gaia.storage.errors import Refused, Unreachable
from gaia.storage.s3 import client, settings
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.settings import ENV, Settings
from gaia.storage.servers import buckets, docker, embedded, users


def up(root: Path = Path(), *, roles: bool = False) -> dict[str, Any]:
    """A running server with the buckets, and a DVC that knows it; what `status` gives. Repeating it changes nothing.
    With `roles`, on MinIO, three users as well (users.py), and in `users` the files with their keys.

    A server that answers at the endpoint with these keys is taken as it is; only where none does, and the endpoint is
    this machine, one is started. An embedded one of an earlier version, whose inner ports are open, is started anew.
    Raises GaiaError if there can be no server, and names who holds the port; then no keys are made for it.
    """
    with FileLock(embedded.close_folder(root) / "lock", mode=0o600):
        wanted = settings.read(root, keyless=True)
        if wanted.ours and not settings.keys(root):  # who listens there was started with other keys than new ones
            embedded.refuse_busy(wanted.address[1], root)
        settings.make_keys(root)  # by one alone: a second pair would lock the first one's server
        at = settings.read(root)
        if embedded.is_open(root):
            embedded.stop(root)
        if not _answers(at):
            if not at.here:
                raise Unreachable(
                    f"no server answers at {at.endpoint} (S3_ENDPOINT)", "start it there, or check the address"
                )
            if not at.ours:
                raise Unreachable(
                    f"no server answers at {at.endpoint} (S3_ENDPOINT), and one started here speaks http with own keys",
                    f"start yours, or set S3_ENDPOINT=http://127.0.0.1:<port> in {ENV}",
                )
            if docker.available():
                embedded.refuse_busy(at.address[1], root)
                docker.start(root, at)
            else:
                embedded.start(root, at)
        now = status(root)
        for note in buckets.prepare(S3Client(at), root, ours=now["server"] != "elsewhere"):
            warn(note)
        remotes.write(at, root)
        if roles and now["server"] == "embedded":
            raise GaiaError(
                "the embedded server knows one pair of keys, and no users",
                "start MinIO (with Docker, `gaia storage up` does), or hand out links: `gaia storage url`",
            )
        made = {"users": [str(file) for file in users.make(at, root)]} if roles else {}
    return now | made


def down(root: Path = Path()) -> str:
    """Stop the server that `up` started here, whichever it was; its data stay. What was stopped: `embedded`, `docker`
    or `none`."""
    if embedded.stop(root):
        return "embedded"
    if docker.runs(root):
        docker.stop(root, settings.read(root))
        return "docker"
    return "none"


def status(root: Path = Path()) -> dict[str, Any]:
    """`server` (embedded, docker, or elsewhere: not started from here), `endpoint`, `answers`, and the `pid`, or None,
    of an embedded one."""
    at = settings.read(root)
    process = embedded.process(root)
    kind = "embedded" if process else "docker" if docker.runs(root) else "elsewhere"
    return {
        "server": kind,
        "endpoint": at.endpoint,
        "answers": _answers(at),
        "pid": process.pid if process else None,
    }


def _answers(at: Settings) -> bool:
    """Whether an S3 server takes these keys at the endpoint. Raises Refused if one answers and doesn't, and says whose
    it is."""
    try:
        return client.answers(at)
    except Refused as error:
        holder = embedded.holder_of(at.address[1]) if at.here else None
        project = embedded.project_of(holder) if holder else None
        if not project:
            raise
        found, mend = error.problems[0]
        raise Refused(found, f"{mend}: it is the server of {project}, whose {ENV} has its keys") from None
