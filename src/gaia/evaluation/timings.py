"""How long each stage took here: data/reports/<line>/timings.json, which no lock pins."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gaia import paths


@contextmanager
def timed(line: str, stage: str) -> Iterator[None]:
    """Note the wall-clock seconds of the block under the stage's name."""
    start = time.perf_counter()
    yield
    file = paths.reports(line) / "timings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name("timings.json.new")
    beside.write_text(json.dumps(read(line) | {stage: round(time.perf_counter() - start, 1)}) + "\n")
    os.replace(beside, file)


def read(line: str) -> dict[str, float]:
    """Seconds by stage, as far as they ran here."""
    try:
        seconds: dict[str, float] = json.loads((paths.reports(line) / "timings.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return seconds
