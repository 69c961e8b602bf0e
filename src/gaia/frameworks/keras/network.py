"""Keras's applications, built for a line's photos and classes."""

from __future__ import annotations

import sys
from pathlib import Path

from gaia.config.schema import NeuralModel
from gaia.frameworks import loop
from gaia.frameworks.keras import weights
from gaia.frameworks.keras.backend import keras
from gaia.frameworks.keras.layers import preprocessed, rebuilt


def build(model: NeuralModel, size: int, classes: int) -> keras.Model:
    """uint8 photos -> the Keras application's own preprocessing -> the application without its top -> `classes`; with
    the weights of the file `model.weights`, if there is one.

    Raises GaiaError if an argument or the file doesn't fit, or there is no part up to which all is to stay.
    """
    constructor = getattr(keras.applications, model.target.rpartition(".")[2])
    try:
        base = constructor(
            include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg", **model.arguments()
        )
    except Exception as error:
        raise loop.unbuilt(model.target, size, error) from None
    file = None if model.weights is None else Path(str(model.weights))
    misfit = None if file is None else weights.load(base, file)
    base = rebuilt(base, from_scratch=file is None)
    weights.freeze(base, model)
    photos = keras.Input((size, size, 3), dtype="uint8", name="photos")
    preprocess = sys.modules[constructor.__module__].preprocess_input
    features = base(preprocessed(keras.ops.cast(photos, "float32"), preprocess))
    features = keras.layers.Dropout(0.2)(features)
    head = keras.layers.Dense(classes, dtype="float32")
    network = keras.Model(photos, keras.layers.Softmax(dtype="float32", name="probabilities")(head(features)))
    if file is not None and misfit is not None:
        weights.load_ours(network, head, file, model.target, misfit)
    return network
