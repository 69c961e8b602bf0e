"""A trained network as files: its weights, and ONNX for the runtime."""

from __future__ import annotations

import warnings
from pathlib import Path
from unittest import mock

import onnx

from gaia.console import without_native_chatter
from gaia.data.dataset import Dataset
from gaia.frameworks.keras.backend import keras
from gaia.frameworks.onnx import OPSET, stable_bytes
from gaia.frameworks.protocol import Fit


def export(fitted: Fit, data: Dataset, folder: Path) -> str:
    """Write model.weights.h5 and model.onnx (uint8 [n, size, size, 3] -> probabilities [n, classes]).

    Returns the name of the file that the runtime loads. Raises ValueError if ONNX lacks an operation of
    the network.
    """
    import tf2onnx.convert  # type: ignore[import-untyped]  # takes a second

    # a model of its own over the same layers: the fitted one would ship its optimizer, three times the weights
    keras.Model(fitted.network.inputs, fitted.network.outputs).save_weights(folder / "model.weights.h5")
    beside = folder / "exported.onnx"
    # tf2onnx's optimizer works in the order of addresses in memory, so two runs differ; ONNX Runtime optimizes itself
    as_it_is = mock.patch("tf2onnx.optimizer.optimize_graph", lambda graph, *_, **__: graph)
    # it numbers names over all exports of a process: each begins where the first did
    anew = mock.patch("tf2onnx.utils.INTERNAL_NAME", tf2onnx.utils.INTERNAL_NAME)
    with as_it_is, anew, warnings.catch_warnings(), without_native_chatter():
        warnings.simplefilter("ignore")  # the exporter's own
        fitted.network.export(str(beside), format="onnx", verbose=False, opset_version=OPSET)
    model = onnx.load(beside)
    if lacking := {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)}:
        raise ValueError(f"it needs {' and '.join(sorted(lacking))}, which ONNX lacks")
    (folder / "model.onnx").write_bytes(stable_bytes(model))
    beside.unlink()
    return "model.onnx"
