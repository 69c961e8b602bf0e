"""An input as a server has it, a photo's bytes or a row: what answers it, and what it is known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gaia.runtime.answers import Answers, of_photos, of_rows
from gaia.runtime.predictor import Predictor


def answers(model: Predictor, given: Mapping[str, Any], band: float = 0) -> Answers:
    """What a model answers to photos, or rows, by their names; see of_photos and of_rows."""
    if model.contract["input"]["kind"] == "photo":
        return of_photos(model, given.items(), band)
    return of_rows(model, given, band)


def sha256(given: Any) -> str:
    """The hash of a photo's bytes, or of a row's JSON with sorted keys."""
    content = given if isinstance(given, bytes) else json.dumps(given, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()
