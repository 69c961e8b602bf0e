"""What answers from an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from gaia.runtime.contract import Contract
    from gaia.runtime.predictor import Probabilities

_BATCH, _ROWS = 64, 10_000  # photos and rows, asked at once


def open_model(file: Path, contract: Contract, threads: int | None = None) -> Callable[[Any], Probabilities]:
    """A function from photos, uint8 [n, size, size, 3], or rows (a frame with the contract's features), to
    probabilities, float32 [n, classes]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    asked = contract["input"]

    def run(photos: NDArray[np.uint8]) -> Probabilities:
        pieces = [photos[i : i + _BATCH] for i in range(0, len(photos), _BATCH)]
        return np.concatenate([session.run(None, {name: np.ascontiguousarray(p)})[0] for p in pieces])

    def run_rows(rows: pd.DataFrame) -> Probabilities:
        """Each column is an input of its own, [n, 1]."""
        types: dict[str, Any] = {"category": object, "number": np.float64}
        columns = {f["name"]: rows[f["name"]].to_numpy(types[f["type"]])[:, None] for f in features}
        pieces = [slice(i, i + _ROWS) for i in range(0, len(rows), _ROWS)]
        return np.concatenate([session.run(None, {n: c[piece] for n, c in columns.items()})[0] for piece in pieces])

    features = asked["features"] if asked["kind"] == "table" else []
    return run_rows if features else run
