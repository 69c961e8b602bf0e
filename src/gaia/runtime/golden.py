"""Golden answers: a few inputs with the answers that were sealed; replayed wherever the artifact is loaded."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np

from gaia.errors import GaiaError
from gaia.runtime import artifact, rows
from gaia.runtime.predictor import Predictor
from gaia.runtime.typed import misfit

TOLERANCE = 1e-3  # of a probability: other processors round differently, another model answers differently


class Golden(TypedDict):
    """golden.json; `inputs` are photos as PNG in base64, or rows as mappings."""

    format: int
    tolerance: float
    inputs: list[Any]
    probabilities: list[list[float]]


def record(predictor: Predictor, inputs: Any) -> Golden:
    """The inputs, as `Predictor.probabilities` takes them, with the answers given now."""
    asked = predictor.contract["input"]
    kept: list[Any] = [_png(photo) for photo in inputs] if asked["kind"] == "photo" else rows.as_given(asked, inputs)
    answers = [[round(float(p), 6) for p in answer] for answer in predictor.probabilities(inputs)]
    return {"format": artifact.FORMAT, "tolerance": TOLERANCE, "inputs": kept, "probabilities": answers}


def write(folder: Path, golden: Golden) -> None:
    """Write golden.json."""
    artifact.write_json(folder / artifact.GOLDEN, golden)


def read(folder: Path, mend: str | None = None) -> Golden:
    """golden.json (of which format 2 says no more than 1).

    Raises GaiaError, with what would `mend` it, if it is missing, damaged, or of a later format.
    """
    path = folder / artifact.GOLDEN
    content = artifact.read_format(path, mend)
    if wrong := misfit(content, Golden):
        raise GaiaError(f"{path} is damaged: {wrong}", mend or artifact.restored(folder))
    return cast("Golden", content)


def inputs(predictor: Predictor, kept: list[Any]) -> Any:
    """Kept inputs, read as users' inputs are: what `Predictor.probabilities` takes."""
    if predictor.contract["input"]["kind"] != "photo":
        return predictor.read_rows(kept)
    photos = ((base64.b64decode(png), "golden.png") for png in kept)
    # already of the model's size: the contract's limits are those of photos as they come
    return predictor.read_photos(photos, max_megapixels=math.inf, min_side=1)


def replay(predictor: Predictor, golden: Golden) -> float:
    """The largest difference between the answers given now and those sealed, through the whole reading of inputs.

    Raises GaiaError if it is over the tolerance.
    """
    expected = np.asarray(golden["probabilities"])
    difference = float(np.abs(predictor.probabilities(inputs(predictor, golden["inputs"])) - expected).max())
    if not difference <= golden["tolerance"]:
        raise GaiaError(
            f"{predictor.contract['line']}: the golden answers differ by {difference:.2g}, allowed is "
            f"{golden['tolerance']:g}",
            "this is not the model that was sealed, or this host computes otherwise",
        )
    return difference


def _png(photo: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
