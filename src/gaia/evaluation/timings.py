"""How long each stage took here: data/reports/<line>/timings.json, which no lock pins."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gaia import files, paths


@contextmanager
def timed(line: str, stage: str) -> Iterator[None]:
    """Note the wall-clock seconds of the block under the stage's name."""
    start = time.perf_counter()
    yield
    file = paths.reports(line) / "timings.json"
    seconds = read(line) | {stage: round(time.perf_counter() - start, 1)}
    with files.replaced(file) as beside:
        beside.write_text(json.dumps(seconds) + "\n")


def read(line: str) -> dict[str, float]:
    """Seconds by stage, as far as they ran here."""
    try:
        seconds: dict[str, float] = json.loads((paths.reports(line) / "timings.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return seconds
