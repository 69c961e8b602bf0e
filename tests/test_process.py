"""A stage runs alone with its outputs, and no longer than the `dvc repro` that started it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import until
from gaia.stages import process

STAGE = """
import sys, time
from gaia.stages.process import run

def slow(name):
    with open("log", "a") as log:
        print("begins", file=log, flush=True)
        time.sleep(float(sys.argv[1]))
        print("ends", file=log, flush=True)

run(slow, "a line")
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("shell", ["exec", ""])  # it gives way to what it runs, as bash does; it waits, as dash does
def test_a_stage_ends_with_the_dvc_that_started_it(number: signal.Signals, shell: str) -> None:
    command = f"{shell} {shlex.join([sys.executable, '-c', STAGE, '30'])}; true"
    as_dvc_does = (
        "import os, subprocess, sys; subprocess.run(['sh', '-c', sys.argv[1]], env={**os.environ, 'DVC_STAGE': 's'})"
    )
    parent = subprocess.Popen([sys.executable, "-c", as_dvc_does, command])
    until(lambda: Path("log").exists(), "the stage")
    parent.send_signal(number)
    parent.wait()
    with FileLock(process.LOCKS / "gaia.stages.slow-a-line.lock", timeout=5):  # free again
        assert Path("log").read_text() == "begins\n"


def test_a_stage_that_was_started_by_hand_outlives_what_started_it() -> None:
    command = [sys.executable, "-c", STAGE, "1"]
    parent = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"])
    until(lambda: Path("log").exists(), "the stage")
    parent.kill()
    parent.wait()
    until(lambda: Path("log").read_text() == "begins\nends\n", "its end")


def test_two_of_the_same_stage_go_one_after_the_other() -> None:
    both = [subprocess.Popen([sys.executable, "-c", STAGE, "0.5"]) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert Path("log").read_text() == "begins\nends\n" * 2


def test_a_stage_that_another_process_does_already_says_how_to_find_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(line: str) -> None:
        raise AssertionError(f"{line} is trained twice")

    monkeypatch.setattr(process, "PATIENCE", 0)
    process.LOCKS.mkdir(parents=True)
    with FileLock(process.LOCKS / "gaia.stages.train-plants.lock"), pytest.raises(SystemExit):
        process.run(train, "plants")
    said = capsys.readouterr().err
    assert said.startswith("error: another process does `gaia.stages.train plants` in this folder already; let it end")
    assert "pgrep -f 'gaia.stages.train plants'" in said
