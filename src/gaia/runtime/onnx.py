"""What answers from an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaia.runtime.predictor import Said

if TYPE_CHECKING:
    from gaia.runtime.contract import Contract

_BATCH = 64


def open_model(file: Path, contract: Contract, threads: int | None = None) -> Callable[[Any], Said]:
    """A function from photos, uint8 [n, size, size, 3], to probabilities, float32 [n, classes], and if the contract
    says what is strange, to the strangeness, too."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    wanted = [session.get_outputs()[0].name, *(["strangeness"] if "strange_above" in contract else [])]

    def run(photos: NDArray[np.uint8]) -> Said:
        pieces = [photos[i : i + _BATCH] for i in range(0, len(photos), _BATCH)]
        found = [session.run(wanted, {name: np.ascontiguousarray(piece)}) for piece in pieces]
        return Said(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    return run
