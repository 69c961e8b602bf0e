"""What PyTorch promises."""

import math

from gaia.config.framework import Framework

SPEC = Framework(
    name="pytorch",
    kind="photos",
    allowed={"model": "torchvision.models.*", "optimizer": "torch.optim.*"},
    reader="gaia.runtime.onnx",
    packages=("torch", "torchvision"),
    unit="epochs",
    given={
        "torchvision.models": {"num_classes": "data.classes", "progress": None},
        "torch.optim": {"params": None},
    },
    ranges={"weight_decay": (0.0, math.inf), "momentum": (0.0, 1)},
    marks={"model": "register_model"},
    refused=("torch.optim.Optimizer",),
)
