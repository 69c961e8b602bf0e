"""A workspace whose last build answers, and an application over it: no Git, no DVC, two small real models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from gaia.config import yaml
from gaia.serving import app, settings
from pictures import encoded

HERE = Path(__file__).parent
RED, GREEN = (encoded(Image.new("RGB", (20, 30), colour)) for colour in ((230, 20, 20), (10, 240, 30)))
ROW = {"species": "oyster", "days": 3}
PARAMS = "lines:\n  plants: {}\n  cultures: {}\n"


def workspace(root: Path) -> Path:
    """`plants` tells red (dandelion) from green (grass); `cultures` takes species and days."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text("stages: {}\n")
    shutil.copytree(HERE.parent / "conf" / "serving", root / "conf" / "serving")
    for line, stored in (("plants", "photo-1"), ("cultures", "table-1")):
        shutil.copytree(HERE / "artifacts" / stored, root / "data" / "models" / line)
        reports = root / "data" / "reports" / line
        reports.mkdir(parents=True)
        metrics = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "n": 100}
        (reports / "metrics.json").write_text(json.dumps(metrics))
    return root


def set_serving(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit conf/serving/default.yaml; `inspect` asks the lines that the workspace has."""
    file = root / "conf" / "serving" / "default.yaml"
    said = yaml.read(file)
    if said["inspect"]:
        said["inspect"]["photo"] = "plants"
    change(said)
    file.write_text(yaml.dump(said))


@contextmanager
def serving(root: Path, key: str | None = None, **limits: Any) -> Iterator[TestClient]:
    """A client of the application over a project, while it runs."""
    set_serving(root, lambda said: said["limits"].update(limits))
    application = app.make(settings.read(root), root, key)
    with TestClient(application, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def photos(*contents: bytes, name: str = "photo.png") -> list[tuple[str, tuple[str, bytes]]]:
    """A form's field `files`, as httpx takes it."""
    return [("files", (name, content)) for content in contents]
