"""What one server holds: the models, the threads that ask them, the counters, and what is done afterwards."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError, nearest
from gaia.registry.names import PROD
from gaia.runtime.answers import Answers, of_requests, of_rows
from gaia.serving import problems
from gaia.serving.afterwards import Afterwards, Asked
from gaia.serving.live import Live, Served
from gaia.serving.metrics import Metrics
from gaia.serving.problems import Refused
from gaia.serving.settings import Settings, band
from gaia.serving.work import Work

FEW = 4  # photos; with more, a request is a batch of its own


class Server:
    """See above."""

    def __init__(self, settings: Settings, root: Path = Path()) -> None:
        self.settings, self.root = settings, root
        self.live, self.work, self.metrics = Live(root), Work(settings["limits"]), Metrics()
        self.afterwards = Afterwards(self.live, settings, self.metrics, root)

    def served(self, line: str, stage: str) -> Served:
        """What answers. Raises Refused for a line or stage that there isn't (404), or that nothing answers on (503)."""
        if found := self.live.served.get((line, stage)):
            return found
        lines = sorted({*self.live.lines, *(each for each, _ in self.live.served)})
        if line not in lines:
            are = f"there are {', '.join(lines)}{nearest(line, lines)}"
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no line '{line}'", are)
        stages = [at for each, at in self.live.served if each == line]
        if stage != PROD and (line, stage) not in self.live.problems:
            where = f"it is live in {', '.join(stages) or 'no stage'}"
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing of {line} is live in '{stage}'", where)
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, *self.live.lacking(line, stage), retry=5)

    async def ask(self, served: Served, given: dict[str, Any]) -> Answers:
        """The answers to photos (bytes) or rows by their names, counted, and noted for afterwards. A few photos are
        answered together with those that others ask for at the same time."""
        doubted = band(self.settings, served.line)
        if served.model.contract["input"]["kind"] == "photo":
            alone = len(given) > FEW
            asked = self.work.together(
                object() if alone else served.sha256, given, lambda several: of_requests(served.model, several, doubted)
            )
        else:
            asked = self.work.do(partial(of_rows, served.model, given, doubted))
        found = await self.counted(served, asked)
        if found.answers:
            self.afterwards.add(Asked(served, given, found.answers))
        return found

    async def counted(self, served: Served, asked: Awaitable[Answers]) -> Answers:
        """The answers that come, counted, as is the request if none come."""
        start, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            found = await asked
            status = int(HTTPStatus.OK)
        except GaiaError as error:
            status = problems.details(error)["status"]
            raise
        finally:
            self.metrics.request(served, status, time.perf_counter() - start)
        self.metrics.answered(served, found.answers, len(found.problems))
        return found
