"""Servers that a test may start, ask and kill: those whose binary is on PATH, else the test is skipped and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Store, until
from gaia.storage import client, server, settings


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
        super().__init__(folder)

    def start(self) -> None:
        settings.make_keys(self.root)
        at = settings.read(self.root)
        here, console = (f"127.0.0.1:{at.address[1] + number}" for number in (0, 1))
        words = {
            "minio": ["server", "data", "--address", here, "--console-address", console],
            "versitygw": ["--port", here, "posix", "--versioning-dir", "versions", "data"],
        }  # fmt: skip
        for name in ("data", "versions"):
            (self.root / name).mkdir(exist_ok=True)
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
