"""torchvision's and timm's models, built for a line's photos and classes, and as they ship."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gaia.config import targets
from gaia.config.schema import NeuralModel
from gaia.frameworks import loop
from gaia.frameworks.pytorch.weights import load

# Mean and standard deviation of ImageNet's RGB values in 0..1, which torchvision's networks expect
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(model: NeuralModel, size: int, classes: int) -> nn.Module:
    """The torchvision or timm model of the configuration for photos of `size` px, its last layer cut to `classes`; with
    the weights of the file `model.weights`, if there is one.

    Raises GaiaError if an argument or the file doesn't fit.
    """
    module, _, name = model.target.rpartition(".")
    constructor = getattr(importlib.import_module(module), name)
    arguments = _arguments(model, size) | model.arguments()
    if "timm" not in module:
        arguments["weights"] = None
    try:
        network = _without_auxiliary_heads(constructor(num_classes=classes, **arguments))
    except Exception as error:
        raise loop.unbuilt(model.architecture, size, error) from None
    if model.weights is not None:
        load(network, Path(str(model.weights)), model.architecture)
    return network


def _arguments(model: NeuralModel, size: int) -> dict[str, Any]:
    """Those that follow from the photos' size and the weights, where the model takes them."""
    taken = targets.arguments(model.target) or {}
    ours: dict[str, Any] = {"image_size": size, "input_size": (size, size)}  # vit_*, maxvit_t
    ours["transform_input"] = True  # googlenet, inception_v3: their published weights want photos scaled so
    if taken.get("init_weights", True) is None:
        ours["init_weights"] = model.weights is None  # which the same two want said
    return {key: value for key, value in ours.items() if key in taken}


def _without_auxiliary_heads(network: nn.Module) -> nn.Module:
    """The network with the one answer that ships: googlenet and inception_v3 give others beside it in training."""
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(network, name):
            setattr(network, name, None)
            network.aux_logits = False  # type: ignore[assignment]
    return network


def pixels(photos: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """uint8 [n, size, size, 3] -> the standardised float32 [n, 3, size, size] that the network takes: as timm notes
    it beside its own networks, ImageNet's otherwise."""
    noted = getattr(network, "pretrained_cfg", {})
    mean = torch.tensor(noted.get("mean", MEAN), device=photos.device) * 255
    std = torch.tensor(noted.get("std", STD), device=photos.device) * 255
    return ((photos.float() - mean) / std).permute(0, 3, 1, 2)


class Served(nn.Module):
    """The network as it ships: scaling and softmax inside, so that serving can't do them otherwise."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.network(pixels(photos, self.network)).softmax(dim=1)
