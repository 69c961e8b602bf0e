"""What answers from an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gaia.runtime.contract import Contract
    from gaia.runtime.predictor import Probabilities

_BATCH = 64


def open_model(file: Path, contract: Contract, threads: int | None = None) -> Callable[[Any], Probabilities]:
    """A function from photos, uint8 [n, size, size, 3], to probabilities, float32 [n, classes]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(photos: NDArray[np.uint8]) -> Probabilities:
        pieces = [photos[i : i + _BATCH] for i in range(0, len(photos), _BATCH)]
        return np.concatenate([session.run(None, {name: np.ascontiguousarray(p)})[0] for p in pieces])

    return run
