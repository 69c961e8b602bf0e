"""The answer log: JSON lines, one for each input, a file for each day (UTC); off unless conf/serving/ says where."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.runtime.answers import BATCH, Answers
from gaia.runtime.predictor import Predictor
from gaia.serving import given

FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.jsonl")


def entry(served: dict[str, Any], asked: Any, answer: dict[str, Any], keep: bool) -> dict[str, Any]:
    """What is kept of an answer to what was `asked`: time, line, stage, version, the input's hash, answer,
    probabilities, doubts; with `keep` also the input itself, a row or a photo's bytes in base64."""
    said = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **{key: served[key] for key in ("line", "stage", "version")},
        "input_sha256": given.sha256(asked),
        **{key: answer[key] for key in ("answer", "probabilities", "uncertain")},
    }
    if keep:
        said["input"] = base64.b64encode(asked).decode() if isinstance(asked, bytes) else asked
    return said


def write(folder: Path, entries: list[dict[str, Any]], days: int) -> None:
    """Add the entries to the file of their day, and remove the files that are older than so many days. The files are
    for their owner alone: they may hold what people sent."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    today = datetime.now(UTC).date()
    file = folder / f"{today}.jsonl"
    if not file.exists():
        file.touch(0o600)
        for old, day in _files(folder):
            if day < today - timedelta(days=days):
                old.unlink(missing_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write("".join(json.dumps(each) + "\n" for each in entries))


def inputs(folder: Path, line: str) -> Iterator[tuple[str, Any]]:
    """The inputs that were kept of a line, each once, as (name, photo's bytes or row), the oldest first.

    Raises GaiaError if none were kept. A last line that a kill cut short is left out.
    """
    seen: set[str] = set()
    for file, day in _files(folder):
        for text in file.read_text(encoding="utf-8").splitlines():
            try:
                said = json.loads(text)
            except ValueError:
                continue
            if said.get("line") == line and "input" in said and said["input_sha256"] not in seen:
                seen.add(said["input_sha256"])
                kept = said["input"]
                yield f"{day} {said['input_sha256'][:12]}", base64.b64decode(kept) if isinstance(kept, str) else kept
    if not seen:
        raise GaiaError(
            f"{folder} keeps no input of {line}", "set log: {folder: answers, inputs: true} in conf/serving/, and serve"
        )


def answers(folder: Path, model: Predictor) -> Iterator[Answers]:
    """What a model answers to the inputs that were kept of its line, in batches. Raises GaiaError if none were."""
    kept = inputs(folder, model.contract["line"])
    while some := dict(islice(kept, BATCH)):
        yield given.answers(model, some)


def _files(folder: Path) -> list[tuple[Path, date]]:
    found = [(file, FILE.fullmatch(file.name)) for file in sorted(folder.glob("*.jsonl"))]
    return [(file, date.fromisoformat(match[1])) for file, match in found if match]
