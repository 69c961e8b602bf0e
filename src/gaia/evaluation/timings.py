"""How long each stage took here: data/reports/<line>/timings.json, which no lock pins."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaia import files, paths

# What tells one run's output from another's, of each stage that is timed.
MADE = {
    "prepare": lambda line: paths.prepared(line) / "index.csv",
    "train": lambda line: paths.training(line) / "training.json",
    "evaluate": lambda line: paths.model(line) / "manifest.json",
}


@contextmanager
def timed(line: str, stage: str) -> Iterator[None]:
    """Note the wall-clock seconds of the block under the stage's name, and what it made."""
    start = time.perf_counter()
    yield
    seconds = round(time.perf_counter() - start, 1)
    noted = _noted(line) | {stage: {"seconds": seconds, "made": files.md5(MADE[stage](line))}}
    with files.replaced(_file(line)) as beside:
        beside.write_text(json.dumps(noted) + "\n")


def read(line: str) -> dict[str, float]:
    """Seconds by stage, of those whose output here is what they made: not what Git and DVC brought since."""
    noted = {stage: entry for stage, entry in _noted(line).items() if stage in MADE and isinstance(entry, dict)}
    return {stage: entry["seconds"] for stage, entry in noted.items() if entry["made"] == files.md5(MADE[stage](line))}


def _file(line: str) -> Path:
    return paths.reports(line) / "timings.json"


def _noted(line: str) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads(_file(line).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return noted
