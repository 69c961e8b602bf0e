"""An authority of one's own, the certificates that it signs, TLS in front of a server, and servers of others."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import until


class Authority:
    """Signs certificates; `file` is its own, which who trusts it has to know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self._key, self._own = folder / "authority.pem", ec.generate_private_key(ec.SECP256R1()), None
        self._own = self._sign("an authority", self._key, [], days=9)
        self.file.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *names: str, days: int = 9) -> Path:
        """A folder with `public.crt` and `private.key` for these names and addresses, as MinIO wants it; good for so
        many days, from nine days before now."""
        key, folder = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{names[0].strip('*.')}{days}"
        folder.mkdir(exist_ok=True)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (folder / "public.crt").write_bytes(self._sign(names[0], key, list(names), days).public_bytes(pem))
        (folder / "private.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return folder

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, names: list[str], days: int) -> x509.Certificate:
        subject, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._own.subject if self._own else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            known = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            made = made.add_extension(x509.SubjectAlternativeName(known), critical=False)
        return made.sign(self._key, hashes.SHA256())


class Front(NamedTuple):
    """Where a server is asked by TLS: its port; that of a proxy, which takes it for every host; what was asked; and
    whatever a test wants to know about it."""

    port: int
    proxy: int
    asked: bytearray
    about: dict[str, str]


@contextmanager
def in_front(port: int, certificate: Path) -> Iterator[Front]:
    """TLS in front of the server that listens on a port."""
    asked = bytearray()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "public.crt", certificate / "private.key")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: bytearray | None = None) -> None:
        with suppress(OSError):
            while piece := await source.read(2**16):
                if note is not None:
                    note += piece
                sink.write(piece)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, back, asked), pump(there, writer))

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", listening[0])
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(pump(reader, back), pump(there, writer))

    async def start() -> list[asyncio.Server]:
        tls = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        return [tls, await asyncio.start_server(connect, "127.0.0.1", 0)]

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    listening = [server.sockets[0].getsockname()[1] for server in servers]
    yield Front(*listening, asked, {})
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@contextmanager
def program(port: int, *command: str, **variables: str) -> Iterator[int]:
    """Somebody else's server, until it listens on the port; skipped where it isn't on PATH."""
    found = shutil.which(command[0])
    if found is None:
        pytest.skip(f"there is no `{command[0]}` on PATH")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([found, *command[1:]], env=os.environ | variables, **quiet)  # type: ignore[call-overload]
    try:
        until(lambda: listens(port), command[0])
        yield port
    finally:
        process.terminate()
        process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
