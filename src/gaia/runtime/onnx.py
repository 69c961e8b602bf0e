"""What answers from an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaia.runtime.predictor import Said

if TYPE_CHECKING:
    import pandas as pd

    from gaia.runtime.contract import Contract

_BATCH, _ROWS = 64, 10_000  # photos and rows, asked at once


def open_model(file: Path, contract: Contract, threads: int | None = None) -> Callable[[Any], Said]:
    """A function from photos, uint8 [n, size, size, 3], or rows (a frame with the contract's features), to
    probabilities, float32 [n, classes], and if the contract says what is strange, to the strangeness, too."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    asked = contract["input"]
    wanted = [session.get_outputs()[0].name, *(["strangeness"] if "strange_above" in contract else [])]

    def run(photos: NDArray[np.uint8]) -> Said:
        pieces = [photos[i : i + _BATCH] for i in range(0, len(photos), _BATCH)]
        found = [session.run(wanted, {name: np.ascontiguousarray(piece)}) for piece in pieces]
        return Said(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def run_rows(rows: pd.DataFrame) -> Said:
        """Each column is an input of its own, [n, 1]."""
        types: dict[str, Any] = {"category": object, "number": np.float64}
        columns = {f["name"]: rows[f["name"]].to_numpy(types[f["type"]])[:, None] for f in features}
        pieces = [slice(i, i + _ROWS) for i in range(0, len(rows), _ROWS)]
        found = [session.run(wanted[:1], {n: c[piece] for n, c in columns.items()})[0] for piece in pieces]
        return Said(np.concatenate(found))

    features = asked["features"] if asked["kind"] == "table" else []
    return run_rows if features else run
