"""What `gaia release` says of a version in its tag's message: written here, and read here, typed.

Others may write anything into a tag. What is not of the right type is taken for not said, and texts are made printable.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gaia.errors import printable
from gaia.registry import tags
from gaia.registry.tags import Tag, Version


class Gate(NamedTuple):
    """One requirement and what was found. `limit` and `found` are numbers, or texts where no number says it."""

    gate: str
    limit: Any
    found: Any
    passed: bool

    @property
    def asked(self) -> str:
        """`at least 0.8`, `at most 0.03`; the limit alone where what was found doesn't tell the side."""
        told = all(isinstance(number, int | float) for number in (self.limit, self.found)) and self.limit != self.found
        return (
            f"{'at least' if (self.found > self.limit) == self.passed else 'at most'} {self.limit}"
            if told
            else str(self.limit)
        )


class Verdict(NamedTuple):
    """`gates` as they were judged, all of them passed; the test `metrics` that are numbers; `bump`, the step from the
    version before, and `why` that one."""

    gates: list[Gate]
    metrics: dict[str, float]
    bump: str
    why: list[str]

    def facts(self, version: Version) -> dict[str, Any]:
        """The facts of the tag's message."""
        return {
            "line": version.line,
            "version": version.number,
            "number": {"bump": self.bump, "why": self.why},
            "metrics": self.metrics,
            "gates": [gate._asdict() for gate in self.gates],
        }

    def message(self, version: Version, measured: str) -> str:
        """The tag's message: a headline with what was `measured`, then the facts."""
        headline = f"{version.line} {version.number}: {measured}, {len(self.gates)} gates passed"
        return tags.message(headline, self.facts(version))


def read(tag: Tag[Version]) -> Verdict | None:
    """The verdict on a version; None if no gate judged it, or one that it names was not passed."""
    facts = tag.facts
    said = facts.get("gates")
    if not isinstance(said, list):
        return None
    gates = [gate for gate in map(_gate, said) if gate]
    if len(gates) < len(said) or not all(gate.passed for gate in gates):
        return None
    return Verdict(gates, numbers(facts.get("metrics")), *_number(facts.get("number")))


def numbers(metrics: Any) -> dict[str, float]:
    """Those of the metrics that are finite numbers."""
    if not isinstance(metrics, dict):
        return {}
    return {printable(key): value for key, value in metrics.items() if _is_number(value)}


def _gate(said: Any) -> Gate | None:
    if not isinstance(said, dict) or not isinstance(said.get("gate"), str) or not isinstance(said.get("passed"), bool):
        return None
    return Gate(printable(said["gate"]), _plain(said.get("limit")), _plain(said.get("found")), said["passed"])


def _number(said: Any) -> tuple[str, list[str]]:
    number = said if isinstance(said, dict) else {}
    bump, why = number.get("bump"), number.get("why")
    reasons = [printable(reason) for reason in why if isinstance(reason, str)] if isinstance(why, list) else []
    return printable(bump) if isinstance(bump, str) else "", reasons


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return value if isinstance(value, bool) or _is_number(value) else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e15 and math.isfinite(value)
