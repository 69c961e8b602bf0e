"""What happens to an answer after it was given, outside the request's time: it is logged, and the shadow is asked."""

from __future__ import annotations

import queue
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import errors_as, first_line, warn
from gaia.registry.names import PROD
from gaia.runtime.answers import Answer
from gaia.serving import answerlog
from gaia.serving.given import answers, sha256
from gaia.serving.live import Live, Served
from gaia.serving.metrics import Metrics, place
from gaia.serving.settings import Settings, band

WAITING = 256  # requests; more are dropped, and counted
SHOWN = 50  # disagreements that are remembered


class Asked(NamedTuple):
    """A request that was answered: who answered, the inputs by name, and the answers."""

    served: Served
    given: dict[str, Any]
    answers: list[Answer]


class Afterwards:
    """A queue, and a thread that empties it."""

    def __init__(self, live: Live, settings: Settings, metrics: Metrics, root: Path) -> None:
        self.live, self.settings, self.metrics, self.root = live, settings, metrics, root
        self.disagreements: deque[dict[str, Any]] = deque(maxlen=SHOWN)
        self._queue: queue.Queue[Asked | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="afterwards", daemon=True)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.settings["log"]["folder"] or self.settings["shadow"])

    def start(self) -> None:
        """Begin."""
        if self.wanted:
            self._thread.start()

    def stop(self) -> None:
        """End when the queue is empty."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=10)

    def add(self, asked: Asked) -> None:
        """Have it done, unless too much waits already."""
        if not self.wanted:
            return
        try:
            self._queue.put_nowait(asked)
        except queue.Full:
            self.metrics.dropped.inc()

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            for what, do in (("logged", self._log), ("compared with the shadow", self._compare)):
                try:
                    do(asked)
                except Exception as error:  # a full disk: answers go on, and it is said once
                    warn(f"answers can't be {what} ({first_line(error)})", about=what)
                    self.metrics.dropped.inc()

    def _log(self, asked: Asked) -> None:
        log = self.settings["log"]
        if log["folder"]:
            facts = asked.served.facts()
            kept = [
                answerlog.entry(facts, asked.given[each["input"]], dict(each), log["inputs"]) for each in asked.answers
            ]
            answerlog.write(self.root / log["folder"], kept, log["days"])

    def _compare(self, asked: Asked) -> None:
        served, stage = asked.served, self.settings["shadow"]
        shadow = self.live.served.get((served.line, stage or ""))
        if served.stage != PROD or not shadow or shadow.sha256 == served.sha256:
            return
        given = {each["input"]: asked.given[each["input"]] for each in asked.answers}
        with errors_as(f"{shadow.folder} gives no answer ({{}})"):
            said = answers(shadow.model, given, band(self.settings, served.line))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        other = {each["input"]: each for each in said.answers}
        for each in asked.answers:
            self.metrics.shadowed.labels(*place(shadow)).inc()
            if each["input"] in other and (theirs := other[each["input"]])["answer"] != each["answer"]:
                self.metrics.disagreed.labels(*place(shadow)).inc()
                self.disagreements.append(
                    {"at": now, "line": served.line, "input": each["input"], "sha256": sha256(given[each["input"]]),
                     "version": served.version, "answer": each["answer"], "probabilities": each["probabilities"],
                     "shadow": shadow.version, "shadow_answer": theirs["answer"],
                     "shadow_probabilities": theirs["probabilities"]}
                )  # fmt: skip
