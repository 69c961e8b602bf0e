"""Golden answers: a few inputs with the answers that were sealed; replayed wherever the artifact is loaded."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from PIL import Image

from gaia.errors import GaiaError
from gaia.runtime.predictor import Predictor

TOLERANCE = 1e-3  # of a probability: other processors round differently, another model answers differently


def record(predictor: Predictor, inputs: Any) -> dict[str, Any]:
    """The inputs (photos as PNG, rows as they are) with the answers given now."""
    if predictor.contract["input"]["kind"] == "photo":
        kept: list[Any] = [_png(photo) for photo in inputs]
    else:
        kept = [{k: None if v != v else v for k, v in row.items()} for row in inputs.to_dict("records")]
    answers = predictor.probabilities(inputs)
    return {"tolerance": TOLERANCE, "inputs": kept, "probabilities": [[round(float(p), 6) for p in a] for a in answers]}


def read(predictor: Predictor, kept: list[Any]) -> Any:
    """Kept inputs, read as users' inputs are: what `Predictor.probabilities` takes."""
    if predictor.contract["input"]["kind"] != "photo":
        return predictor.read_rows(kept)
    photos = ((base64.b64decode(png), "golden.png") for png in kept)
    # already of the model's size: the contract's limits are those of photos as they come
    return predictor.read_photos(photos, max_megapixels=math.inf, min_side=1)


def replay(predictor: Predictor, golden: dict[str, Any]) -> float:
    """The largest difference between the answers given now and those sealed, through the whole reading of inputs.

    Raises GaiaError if it is over the tolerance.
    """
    expected = np.asarray(golden["probabilities"])
    difference = float(np.abs(predictor.probabilities(read(predictor, golden["inputs"])) - expected).max())
    if not difference <= golden["tolerance"]:
        raise GaiaError(
            f"{predictor.contract['line']}: the golden answers differ by {difference:.2g}, allowed is "
            f"{golden['tolerance']:g}",
            "this is not the model that was sealed, or this host computes otherwise",
        )
    return difference


def _png(photo: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
