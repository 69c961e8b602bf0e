"""What was asked and answered, counted for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gaia.runtime.answers import Answer
from gaia.serving.live import Live, Served

PLACE = ("line", "stage", "version")
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
WORKSPACE = "workspace"  # the version of what was never released


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"gaia_{name}", about, labels, registry=self.registry)

        self.requests = counter("requests", "Requests for answers, by what came of them", *PLACE, "status")
        self.answers = counter("answers", "Answers given, by class", *PLACE, "answer")
        self.uncertain = counter("uncertain", "Answers that were doubted", *PLACE)
        self.problems = counter("problems", "Inputs that could not be answered", *PLACE)
        self.shadowed = counter("shadow_asked", "Answers that were compared with the shadow's", *PLACE)
        self.disagreed = counter("shadow_disagreed", "Answers on which the shadow disagreed", *PLACE)
        self.dropped = counter("dropped", "Answers neither logged nor compared, since too many waited for it")
        self.seconds = Histogram(
            "gaia_request_seconds",
            "From a request to its answer",
            PLACE,
            buckets=SECONDS,
            registry=self.registry,
        )
        self.live = Gauge("gaia_live", "What answers now", PLACE, registry=self.registry)

    def text(self, live: Live) -> bytes:
        """All of it, in Prometheus's text format."""
        self.live.clear()
        for served in live.served.values():
            self.live.labels(*place(served)).set(1)
        return generate_latest(self.registry)

    def request(self, served: Served, status: int, seconds: float) -> None:
        """Count a request that a version answered, or refused."""
        self.requests.labels(*place(served), status).inc()
        self.seconds.labels(*place(served)).observe(seconds)

    def answered(self, served: Served, answers: Iterable[Answer], problems: int) -> None:
        """Count the answers of a request, and its inputs that could not be answered."""
        for answer in answers:
            self.answers.labels(*place(served), answer["answer"]).inc()
            self.uncertain.labels(*place(served)).inc(bool(answer["uncertain"]))
        self.problems.labels(*place(served)).inc(problems)


def place(served: Served) -> tuple[str, str, str]:
    """The labels by which a version is counted."""
    return served.line, served.stage, served.version or WORKSPACE


def counted(counter: Counter, line: str) -> int:
    """What a counter came to for a line: all stages and versions."""
    samples = (sample for family in counter.collect() for sample in family.samples)
    return int(sum(each.value for each in samples if each.name.endswith("_total") and each.labels["line"] == line))
