"""Work that takes a core, done by as many threads as there are cores for it; what is too much is told to come again."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from gaia.serving.problems import Refused
from gaia.serving.settings import Limits

T = TypeVar("T")
CGROUP = Path("/sys/fs/cgroup/cpu.max")


def cores(limit: Path = CGROUP) -> int:
    """The cores that this process may use: by its affinity, and by the limit of its cgroup (version 2), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text().split()
        return min(allowed, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup, or no limit: `max 100000`
        return allowed


class Work:
    """A pool of threads, and how many wait for one."""

    def __init__(self, limits: Limits) -> None:
        self.at_once = limits["at_once"] or cores()
        self.limits = limits
        self.taken = 0
        self._pool = ThreadPoolExecutor(self.at_once, thread_name_prefix="answer")

    async def do(self, task: Callable[[], T]) -> T:
        """What `task` returns, run in a thread. Raises Refused if too many wait, or it took too long; a task that has
        begun is not stopped, and keeps its place until it ends."""
        if self.taken >= self.at_once + self.limits["waiting"]:
            busy = f"{self.taken} requests are being answered or wait"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, busy, "come again", retry=1)
        self.taken += 1
        future = self._pool.submit(task)
        future.add_done_callback(lambda _: self._end())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limits["seconds"])
        except TimeoutError:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"there was no answer within {self.limits['seconds']:g} s",
                "ask for less at once, or come again",
                retry=1,
            ) from None

    def _end(self) -> None:
        self.taken -= 1  # under the interpreter's lock; a place too many for a moment harms nothing

    def close(self) -> None:
        """Let what has begun end, and take nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
