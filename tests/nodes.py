"""Hosts of a Ray cluster on this machine, which share nothing but what a project's Git remote and store have: each has a
home, caches and processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from conftest import ROOT, free_ports

RAY = Path(sys.executable).parent / "ray"


class Cluster:
    """A head that runs nothing, and hosts with two cores each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, f"127.0.0.1:{free_ports()}"
        self.hosts: dict[str, list[psutil.Process]] = {}
        self._start("head", "--head", f"--port={self.address.rpartition(':')[2]}", "--num-cpus=0")

    def add(self, name: str) -> None:
        """One host more."""
        self._start(name, f"--address={self.address}", "--num-cpus=1")

    def kill(self, name: str) -> None:
        """A power cut of one host: its raylet, its workers and what they have started."""
        for process in [each for own in self.hosts.pop(name) for each in [own, *own.children(recursive=True)]]:
            process.kill()

    def end(self) -> None:
        """Leave nothing behind."""
        for name in list(self.hosts):
            self.kill(name)

    def home(self, name: str) -> Path:
        """The home of a host."""
        return self.folder / name

    def _start(self, name: str, *arguments: str) -> None:
        self.home(name).mkdir(parents=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "RAY_", "DVC_"))}
        environment |= {
            "HOME": str(self.home(name)),
            "PYTHONPATH": str(ROOT / "src"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            **{f"GIT_{who}_{what}": "gaia@host" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        before = set(psutil.pids())
        command = [str(RAY), "start", *arguments, "--node-ip-address=127.0.0.1", "--disable-usage-stats",
                   "--include-dashboard=false", "--object-store-memory=80000000", f"--temp-dir=/tmp/r{os.getpid() % 9999}"]  # fmt: skip
        if "--head" not in arguments:
            command = [word for word in command if not word.startswith(("--include-dashboard", "--temp-dir"))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        mine = [process for process in psutil.process_iter() if process.pid not in before]
        self.hosts[name] = [process for process in mine if _is_of(process, environment["HOME"])]
        assert self.hosts[name]


def _is_of(process: psutil.Process, home: str) -> bool:
    try:
        return process.environ().get("HOME") == home
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False


