"""What a network starts from, and which part of it training leaves as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from gaia.config.schema import NeuralModel
from gaia.errors import GaiaError, first_line

_WITHIN = ("state_dict_ema", "model_ema", "state_dict", "model")  # where checkpoints keep them, beside other things
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of googlenet and inception_v3, which don't ship


def load(network: nn.Module, file: Path, architecture: str) -> None:
    """Give the network the weights of a file; its last layer keeps its own where the file has other classes, or none.

    Nothing is unpickled. Raises GaiaError if the file can't be read so, or isn't for such a network: it names the first
    of what doesn't fit.
    """
    given, own, top = _read(file), network.state_dict(), head(network)
    given = {name.removeprefix("module."): tensor for name, tensor in given.items()}
    given = {name: tensor for name, tensor in given.items() if not name.startswith(_AUXILIARY)}
    shaped = {name for name in own.keys() & given.keys() if own[name].shape == given[name].shape}
    if any(name not in shaped for name in own if name.startswith(f"{top}.")):
        given = {name: tensor for name, tensor in given.items() if not name.startswith(f"{top}.")}
        expected = {name for name in own if not name.startswith(f"{top}.")}
        _begin_small(network.get_submodule(top))
    else:
        expected = set(own)
    lacking = [name for name in own if name in expected - given.keys() and not name.endswith("num_batches_tracked")]
    wrong = {
        "lacks": lacking,
        "holds, of another shape,": [name for name in own if name in (expected & given.keys()) - shaped],
        "holds besides": [name for name in given if name not in expected],
    }
    if any(wrong.values()):
        found = "; it ".join(f"{verb} {_few(names)}" for verb, names in wrong.items() if names)
        raise GaiaError(
            f"{file} doesn't hold the weights of {architecture}: it {found}",
            "name the model that they were made for, or other weights",
        )
    fitting = OrderedDict(given)
    fitting._metadata = own._metadata  # type: ignore[attr-defined]  # the form that some layers (mnasnet's) ask for
    network.load_state_dict(fitting, strict=False)


def _begin_small(layer: nn.Module) -> None:
    """A new last layer answers next to nothing: certain and wrong, as timm's begins, it would spoil what lies below."""
    for name, weight in layer.named_parameters():
        nn.init.zeros_(weight) if name.endswith("bias") else nn.init.normal_(weight, std=0.01)


def head(network: nn.Module) -> str:
    """The name of the layer that answers: as timm notes it beside its own networks, else the last product."""
    noted = getattr(network, "pretrained_cfg", {}).get("classifier")
    if isinstance(noted, str):
        return noted
    return [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]


def groups(network: nn.Module, model: NeuralModel) -> list[dict[str, Any]]:
    """The weights that training moves, for an optimizer, as `model.freeze` and `model.backbone_rate` say; those that it
    doesn't need no gradient any more. A group's `share` is that of the learning rate that it moves by.

    Raises GaiaError if there is no part of the name up to which all is to stay.
    """
    top = f"{head(network)}."
    for name in _frozen(network, model, top):
        network.get_parameter(name).requires_grad_(False)
    moving = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    if model.backbone_rate == 1:
        return [{"params": [weight for _, weight in moving], "share": 1.0}]
    below = [weight for name, weight in moving if not name.startswith(top)]
    above = [weight for name, weight in moving if name.startswith(top)]
    parts = [{"params": below, "share": model.backbone_rate}, {"params": above, "share": 1.0}]
    return [part for part in parts if part["params"]]


def training(network: nn.Module) -> None:
    """The network as it trains: but for batch normalisation that is to stay as it is, statistics included."""
    network.train()
    for layer in network.modules():
        own = list(layer.parameters(recurse=False))
        if hasattr(layer, "running_mean") and own and not any(weight.requires_grad for weight in own):
            layer.eval()


def _frozen(network: nn.Module, model: NeuralModel, top: str) -> list[str]:
    names = [name for name, _ in network.named_parameters() if not name.startswith(top)]
    if model.freeze is None:
        return []
    if not isinstance(model.freeze, dict):
        return names
    until = model.freeze["until"]
    within = [i for i, name in enumerate(names) if name == until or name.startswith(f"{until}.")]
    if not within:
        parts = dict.fromkeys(part for name in names for part in _parts(name))
        raise GaiaError(
            f"model.freeze: until names {until!r}, which is no part of {model.architecture}",
            f"its parts are {', '.join(list(parts)[:20])}",
        )
    return names[: within[-1] + 1]


def _parts(name: str) -> Iterator[str]:
    """`features.0.weight` -> features, features.0"""
    words = name.split(".")[:-1]
    yield from (".".join(words[:n]) for n in range(1, min(len(words), 2) + 1))


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:  # whatever the readers find wrong
        raise GaiaError(f"{file} can't be read as weights, and nothing is unpickled ({first_line(error)})",
                        "save them as safetensors") from None  # fmt: skip
    for key in _WITHIN:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise GaiaError(f"{file} holds no dictionary of weights", "save the network's state_dict()")
    return content


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
