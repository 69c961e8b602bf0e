"""Work that takes a core, done by as many threads as there are cores for it; what is too much is told to come again.

What waits and is of one kind is done together: a network answers eight photos in half the time of eight times one.
Nothing ever waits for company.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from gaia.serving.problems import Refused
from gaia.serving.settings import Limits

TOGETHER = 16  # jobs; beyond, a network gains little more
CGROUP = Path("/sys/fs/cgroup/cpu.max")


def cores(limit: Path = CGROUP) -> int:
    """The cores that this process may use: by its affinity, and by the limit of its cgroup (version 2), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text().split()
        return min(allowed, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup, or no limit: `max 100000`
        return allowed


class _Job(NamedTuple):
    kind: Hashable  # jobs of the same kind may be done together
    given: Any
    do: Callable[[list[Any]], list[Any]]  # what was given of several jobs -> what comes of each
    done: asyncio.Future[Any]


class Work:
    """A few threads, and the jobs that wait for one."""

    def __init__(self, limits: Limits) -> None:
        self.at_once = limits["at_once"] or cores()
        self.limits = limits
        self.taken = 0  # jobs that wait or are being done
        self._waiting: deque[_Job] = deque()
        self._there = threading.Condition()
        self._closed = False
        for at in range(self.at_once):
            threading.Thread(target=self._run, name=f"answer-{at}", daemon=True).start()

    async def do(self, task: Callable[[], Any]) -> Any:
        """What `task` returns, done in a thread. Raises Refused as `together` does."""
        return await self.together(object(), None, lambda _: [task()])

    async def together(self, kind: Hashable, given: Any, do: Callable[[list[Any]], list[Any]]) -> Any:
        """What comes of `given`, by a `do` that takes what was given of several jobs of the same kind.

        Raises Refused if too many wait, or it took too long; a job that has begun keeps its place until it ends.
        """
        if self.taken >= self.at_once + self.limits["waiting"]:
            busy = f"{self.taken} requests are being answered or wait"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, busy, "come again", retry=1)
        job = _Job(kind, given, do, asyncio.get_running_loop().create_future())
        with self._there:
            self.taken += 1
            self._waiting.append(job)
            self._there.notify()
        try:
            return await asyncio.wait_for(job.done, self.limits["seconds"])
        except TimeoutError:
            late = f"there was no answer within {self.limits['seconds']:g} s"
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, late, "ask for less at once, or come again", retry=1
            ) from None

    def close(self) -> None:
        """Let what has begun end, and begin nothing more."""
        with self._there:
            self._closed = True
            self._there.notify_all()

    def _run(self) -> None:
        while jobs := self._take():
            found = _found([job for job in jobs if not job.done.cancelled()])
            with self._there:
                self.taken -= len(jobs)
            _tell(found)

    def _take(self) -> list[_Job]:
        """The first job that waits, and this thread's share of those of its kind; none when all is over."""
        with self._there:
            self._there.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            first = self._waiting.popleft()
            alike = [job for job in self._waiting if job.kind == first.kind]
            share = alike[: min(TOGETHER, math.ceil((1 + len(alike)) / self.at_once)) - 1]
            for job in share:
                self._waiting.remove(job)
            return [first, *share]


def _found(jobs: list[_Job]) -> list[tuple[_Job, Any]]:
    """Each job with what comes of it, or the exception; if several fail together, each is done alone, so that it fails
    for those that it has to."""
    if not jobs:
        return []
    try:
        return list(zip(jobs, jobs[0].do([job.given for job in jobs]), strict=True))
    except BaseException as error:
        return [(jobs[0], error)] if len(jobs) == 1 else [each for job in jobs for each in _found([job])]


def _tell(found: list[tuple[_Job, Any]]) -> None:
    """Hand what was found to those who wait: the loop is woken once for all of them."""

    def settle() -> None:
        for job, each in found:
            if job.done.done():  # it took too long, or whoever asked is gone
                continue
            if isinstance(each, BaseException):
                job.done.set_exception(each)
            else:
                job.done.set_result(each)

    if found:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            found[0][0].done.get_loop().call_soon_threadsafe(settle)
