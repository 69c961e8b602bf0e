"""Servers that a test may start, ask and kill: those whose binary is on PATH, else the test is skipped and says so."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import ROOT, Store, until
from gaia.storage.s3 import client, settings
from gaia.storage.servers import server


def binary(name: str) -> str:
    """A program on PATH, or else the test is skipped."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"there is no `{name}` on PATH")
    return found


class Foreign(Store):
    """A server that was not started by gaia, as somebody else's is: MinIO, or versitygw."""

    def __init__(self, folder: Path, kind: str = "minio") -> None:
        self.kind, self.program = kind, binary(kind)
        self.process: subprocess.Popen[bytes] | None = None
        if not (folder / "conf").exists():
            shutil.copytree(ROOT / "conf/storage", folder / "conf/storage")
        super().__init__(folder)

    @property
    def data(self) -> Path:
        return self.root / "data"

    def start(self) -> None:
        settings.make_keys(self.root)
        at = settings.read(self.root)
        here, console = (f"127.0.0.1:{at.address[1] + number}" for number in (0, 1))
        data, versions = str(self.data), str(self.root / "versions")
        words = {
            "minio": ["server", data, "--address", here, "--console-address", console],
            "versitygw": ["--port", here, "posix", "--versioning-dir", versions, data],
        }  # fmt: skip
        for folder in (data, versions):
            Path(folder).mkdir(exist_ok=True)
        given = os.environ | {"MINIO_ROOT_USER": at.access_key, "MINIO_ROOT_PASSWORD": at.secret_key}
        given |= {"ROOT_ACCESS_KEY": at.access_key, "ROOT_SECRET_KEY": at.secret_key}
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *words[self.kind]], cwd=self.root, env=given, stdout=log, stderr=log
            )
        until(lambda: client.answers(at), "the server")
        server.up(self.root)

    def stop(self) -> None:
        self.kill()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def as_aws(store: Store) -> Iterator[str]:
    """The endpoint of a proxy to a server. It doesn't say that an object is missing (404), but refuses it (403), as AWS
    does to keys that may not list the bucket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = http.client.HTTPConnection(*store.settings.address)
            asked.request(self.command, self.path, body or None, dict(self.headers))  # signed with this Host
            got = asked.getresponse()
            content, status = got.read(), got.status
            if status == 404 and b"NoSuchBucket" not in content:
                content, status = b"<Error><Code>AccessDenied</Code></Error>", 403
            self.send_response(status)
            for name, value in got.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            size = got.headers["Content-Length"] if status == got.status and self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(0 if size is None else size))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *words: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()
