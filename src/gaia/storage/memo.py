"""What took long to find out, kept under a mark of what it depends on: this host's own, and nothing is lost with it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from gaia import files
from gaia.storage import dvc


def place(name: str, root: Path = Path()) -> Path:
    """The file that keeps what has a name."""
    return root / dvc.TMP / "gaia" / f"{name}.json"


def recall(name: str, mark: Any, root: Path = Path()) -> Any:
    """What was kept under this name and this very mark (of JSON's types); None if nothing was, or it can't be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(place(name, root).read_bytes())
        if kept["mark"] == mark:
            return kept["value"]
    return None


def keep(name: str, mark: Any, value: Any, root: Path = Path()) -> None:
    """Keep a value (of JSON's types) in place of what was kept under this name; where nothing can be kept, don't."""
    if (root / dvc.TMP.parent).is_dir():
        with suppress(OSError, TypeError), files.replaced(place(name, root)) as beside:
            beside.write_text(json.dumps({"mark": mark, "value": value}), encoding="utf-8")
