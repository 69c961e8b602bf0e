"""Keras's applications, built for a line's photos and classes."""

from __future__ import annotations

import sys

from gaia.config.schema import NeuralModel
from gaia.errors import GaiaError
from gaia.frameworks import loop
from gaia.frameworks.keras.backend import keras
from gaia.frameworks.keras.layers import preprocessed, rebuilt


def build(model: NeuralModel, size: int, classes: int) -> keras.Model:
    """uint8 photos -> the Keras application's own preprocessing -> the application without its top -> `classes`.

    Raises GaiaError if its weights can't be downloaded or an argument doesn't fit.
    """
    constructor = getattr(keras.applications, model.target.rpartition(".")[2])
    try:
        base = constructor(
            include_top=False, weights=model.weights, input_shape=(size, size, 3), pooling="avg", **model.arguments()
        )
    except Exception as error:
        if isinstance(error, TypeError | ValueError) and "fetch" not in str(error):
            raise loop.unbuilt(model.target, size, error) from None
        raise GaiaError(
            f"model.weights: '{model.weights}' of {model.target} can't be had ({error})",
            "set weights: null to train from scratch",
        ) from None
    base = rebuilt(base, from_scratch=model.weights is None)
    photos = keras.Input((size, size, 3), dtype="uint8", name="photos")
    preprocess = sys.modules[constructor.__module__].preprocess_input
    features = base(preprocessed(keras.ops.cast(photos, "float32"), preprocess))
    features = keras.layers.Dropout(0.2)(features)
    scores = keras.layers.Dense(classes, dtype="float32")(features)
    return keras.Model(photos, keras.layers.Softmax(dtype="float32", name="probabilities")(scores))
