"""What PyTorch promises."""

import math

from gaia.config import targets
from gaia.config.framework import Framework


def published(target: str) -> list[str]:
    """The members of the enumeration of weights that a model of torchvision takes: DEFAULT, IMAGENET1K_V1, ..."""
    module, _, name = target.rpartition(".")
    return targets.members(module, name, "weights", "_Weights")


SPEC = Framework(
    name="pytorch",
    kind="photos",
    allowed={"model": ("torchvision.models.*", "timm.create_model"), "optimizer": "torch.optim.*"},
    reader="gaia.runtime.onnx",
    packages=("torch", "torchvision", "timm"),
    unit="epochs",
    given={
        "torchvision.models": {"num_classes": "data.classes", "progress": None},
        "timm": {"num_classes": "data.classes", "pretrained": "model.weights", "checkpoint_path": "model.weights"}
        | dict.fromkeys(("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "in_chans", "scriptable")),
        "torch.optim": {"params": None},
    },
    ranges={"weight_decay": (0.0, math.inf), "momentum": (0.0, 1)},
    marks={"torchvision.models": "register_model"},
    refused=("torch.optim.Optimizer",),
    names={("timm.create_model", "model_name"): lambda: targets.decorated("timm", "models", "register_model")},
    published=published,
    weights=(".safetensors", ".pth", ".pt"),
    processes=True,
)
