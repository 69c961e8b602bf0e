"""torchvision's models, built for a line's photos and classes, and as they ship."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from gaia.config import targets
from gaia.config.schema import NeuralModel
from gaia.errors import GaiaError
from gaia.frameworks import loop

# Mean and standard deviation of ImageNet's RGB values in 0..1, which torchvision's weights expect
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(model: NeuralModel, size: int, classes: int) -> nn.Module:
    """The torchvision model of the configuration for photos of `size` px, its last layer cut to `classes`.

    Raises GaiaError if its weights can't be downloaded or an argument doesn't fit.
    """
    module, _, name = model.target.rpartition(".")
    constructor = getattr(importlib.import_module(module), name)
    arguments = _arguments(model, size) | model.arguments()
    if model.weights is None:
        try:
            return _without_auxiliary_heads(constructor(weights=None, num_classes=classes, **arguments))
        except Exception as error:
            raise loop.unbuilt(model.target, size, error) from None
    try:
        network = _without_auxiliary_heads(constructor(weights=model.weights, **arguments))
    except (TypeError, ValueError) as error:
        raise loop.unbuilt(model.target, size, error) from None
    except Exception as error:
        known = ", ".join(importlib.import_module(module).get_model_weights(name).__members__)
        raise GaiaError(
            f"model.weights: '{model.weights}' of {model.target} can't be had ({error})",
            f"set weights: null to train from scratch, or to DEFAULT or {known}",
        ) from None
    path, last = [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    parent = network.get_submodule(path.rpartition(".")[0])
    if isinstance(last, nn.Linear):
        head: nn.Module = nn.Linear(last.in_features, classes)
    else:
        head = nn.Conv2d(last.in_channels, classes, kernel_size=1)  # squeezenet*
    setattr(parent, path.rpartition(".")[2], head)
    return network


def _arguments(model: NeuralModel, size: int) -> dict[str, Any]:
    """Those that follow from the photos' size, where the model takes them."""
    taken = targets.arguments(model.target) or {}
    ours = {"image_size": size, "input_size": (size, size)}  # vit_*, maxvit_t
    if model.weights is None and taken.get("init_weights", True) is None:
        ours["init_weights"] = True  # the default, which googlenet and inception_v3 want said
    return {key: value for key, value in ours.items() if key in taken}


def _without_auxiliary_heads(network: nn.Module) -> nn.Module:
    """The network with the one answer that ships: googlenet and inception_v3 give others beside it in training."""
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(network, name):
            setattr(network, name, None)
            network.aux_logits = False  # type: ignore[assignment]
    return network


def pixels(photos: torch.Tensor) -> torch.Tensor:
    """uint8 [n, size, size, 3] -> the standardised float32 [n, 3, size, size] that torchvision's models take."""
    mean = torch.tensor(MEAN, device=photos.device) * 255
    std = torch.tensor(STD, device=photos.device) * 255
    return ((photos.float() - mean) / std).permute(0, 3, 1, 2)


class Served(nn.Module):
    """The network as it ships: scaling and softmax inside, so that serving can't do them otherwise."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.network(pixels(photos)).softmax(dim=1)
