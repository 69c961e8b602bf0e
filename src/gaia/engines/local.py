"""Jobs side by side on this machine, each in a process of its own, as far as cores, GPUs and memory go."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from gaia.engines.job import Done, Heard, Job
from gaia.errors import GaiaError, first_line, missing_extra

_SPAWN = multiprocessing.get_context("spawn")
_LOOK = 1.0  # seconds after which memory is looked at again


def run(jobs: Iterable[Job], heard: Heard, at_once: int | None = None) -> Iterator[Done]:
    """Each job's end, in the order in which they end; the others go on when one fails.

    `jobs` is asked for the next one only when there is room for it, so that it may depend on what has ended. Room:
    `at_once` jobs; or as many as have cores, if it is None. A job whose memory isn't free waits, unless it is alone.
    Jobs still running when the caller stops asking are ended; so they are if this process is killed.
    """
    running: Running = {}
    asked, waiting, gpus = iter(jobs), None, _gpus()
    try:
        while True:
            while (
                _any_room(running, at_once)
                and (waiting := waiting or next(asked, None))
                and ((_room(waiting, running, at_once) and math.ceil(waiting.needs.gpus) <= len(gpus)) or not running)
            ):
                ours, theirs = _SPAWN.Pipe()
                own, gpus = _parted(gpus, math.ceil(waiting.needs.gpus))
                process = _SPAWN.Process(target=_work, args=(theirs, waiting, own), name=waiting.name)
                process.start()
                theirs.close()
                running[ours], waiting = (waiting, process, own), None
            if not running:
                return
            for ready in wait(list(running), _LOOK if waiting else None):
                assert isinstance(ready, Connection)
                job, process, own = running[ready]
                if done := _listen(ready, job, process, heard):
                    del running[ready]
                    gpus += own
                    ready.close()
                    process.join()
                    yield done
    finally:
        for _, process, _ in running.values():
            process.kill()
            process.join()


Running = dict[Connection, tuple[Job, SpawnProcess, list[str]]]


def _gpus() -> list[str]:
    """Those that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in given.split(",") if name]
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def _parted(names: list[str], count: int) -> tuple[list[str], list[str]]:
    return names[:count], names[count:]


def _any_room(running: Running, at_once: int | None) -> bool:
    """Whether there is room for any job at all."""
    if not running:
        return True
    return _free(running) > 0 if at_once is None else len(running) < at_once


def _room(job: Job, running: Running, at_once: int | None) -> bool:
    """Whether there is room for this one, where there is any."""
    import psutil

    if not running:
        return True
    if job.needs.memory and psutil.virtual_memory().available < job.needs.memory * 1e6:
        return False
    return at_once is not None or _cores(job) <= _free(running)


def _free(running: Running) -> float:
    return _all_cores() - sum(_cores(job) for job, _, _ in running.values())


def _cores(job: Job) -> float:
    return _all_cores() if job.needs.cpus is None else job.needs.cpus


def _all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listen(ready: Connection, job: Job, process: SpawnProcess, heard: Heard) -> Done | None:
    """One thing that a job says; its end, if that was the last."""
    try:
        kind, what = ready.recv()
    except (EOFError, OSError):
        process.join()
        return Done(job, error=f"its process ended with {_code(process.exitcode)}")
    if kind == "said":
        if heard(job, what):
            process.kill()
            return Done(job, stopped=True)
        return None
    return Done(job, result=what) if kind == "result" else Done(job, error=what)


def _code(code: int | None) -> str:
    return f"signal {-code}" if code and code < 0 else f"exit code {code}"


def _work(theirs: Connection, job: Job, gpus: list[str]) -> None:
    """The process of a job, with GPUs of its own if it needs some: it ends with the one that started it."""
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard speaks to all; who started this ends it
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    try:
        with missing_extra():
            theirs.send(("result", job.work(*job.arguments, lambda what: theirs.send(("said", what)))))
    except GaiaError as error:
        theirs.send(("error", str(error)))
    except Exception as error:
        import traceback

        traceback.print_exc()
        theirs.send(("error", f"{type(error).__name__}: {first_line(error)}"))
