"""What a network starts from, and which part of it training leaves as it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py

from gaia.config.schema import NeuralModel
from gaia.errors import GaiaError, first_line
from gaia.frameworks.keras.backend import keras

OURS = "model.weights.h5"  # as the export calls it


def load(base: keras.Model, file: Path) -> Exception | None:
    """Give an application without its top the weights of a file, with a top or without; why not, if they don't fit."""
    try:
        with _silent():
            base.load_weights(file)
    except Exception as error:  # whatever Keras's readers find wrong
        if file.name.endswith(".weights.h5") or file.suffix != ".h5":
            return error
        return _by_name(base, file)
    return None


def load_ours(network: keras.Model, head: keras.layers.Layer, file: Path, target: str, why: Exception) -> None:
    """Give a network the weights of one that this project trained; the last layer keeps its own where the classes are
    others. Raises GaiaError if they don't fit either: `why` they didn't fit the application."""
    further: list[dict[str, Any]] = [{}, {"objects_to_skip": [head]}]
    for skipped in further if file.name.endswith(".weights.h5") else further[:1]:
        try:
            with _silent():
                network.load_weights(file, **skipped)
        except Exception as error:
            why = error if file.name == OURS else why
        else:
            return
    raise GaiaError(
        f"{file} doesn't hold the weights of {target}: {first_line(why)}",
        "name the model that they were made for, or others",
    )


def freeze(base: keras.Model, model: NeuralModel) -> None:
    """Leave the layers as they are that `model.freeze` names. Raises GaiaError if it names none."""
    if model.freeze is None:
        return
    layers = [layer.name for layer in base.layers]
    until = model.freeze["until"] if isinstance(model.freeze, dict) else layers[-1]
    if until not in layers:
        few = ", ".join(name for name in layers if name.endswith(("add", "activation")))
        raise GaiaError(f"model.freeze: until names {until!r}, which is no layer of {model.target}", f"such are {few}")
    for layer in base.layers[: layers.index(until) + 1]:
        layer.trainable = False


def _silent() -> warnings.catch_warnings[None]:
    """Keras warns of what it passes over; what it lacks is an error."""
    return warnings.catch_warnings(action="ignore")


def _by_name(base: keras.Model, file: Path) -> Exception | None:
    """A file of Keras 2 that holds more layers than the application has without its top."""
    try:
        with h5py.File(file) as content:
            stored = content.get("model_weights", content)
            names = {name.decode() if isinstance(name, bytes) else name for name in stored.attrs["layer_names"]}
        if lacking := [layer.name for layer in base.layers if layer.weights and layer.name not in names]:
            return KeyError(f"it lacks {', '.join(lacking[:3])}")
        base.load_weights(file, by_name=True)
    except Exception as error:
        return error
    return None
