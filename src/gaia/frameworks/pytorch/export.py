"""A trained network as files: its weights, and ONNX for the runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from gaia.data.dataset import Dataset
from gaia.frameworks.onnx import OPSET, stable_bytes
from gaia.frameworks.protocol import Fit
from gaia.frameworks.pytorch.network import Served


def export(fitted: Fit, data: Dataset, folder: Path) -> str:
    """Write model.safetensors and model.onnx (uint8 [n, size, size, 3] -> probabilities [n, classes]).

    Returns the name of the file that the runtime loads.
    """
    network = fitted.network.to(memory_format=torch.contiguous_format)
    weights = {k: v.contiguous() for k, v in network.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(weights))
    example = torch.from_numpy(np.array(data.inputs[:2]))
    program = torch.onnx.export(
        Served(network).eval(), (example,), dynamo=True, verbose=False, external_data=False,
        opset_version=OPSET, dynamic_shapes=({0: torch.export.Dim("n")},),
    )  # fmt: skip
    assert program is not None
    (folder / "model.onnx").write_bytes(stable_bytes(program.model_proto))
    return "model.onnx"
