"""The faster layers answer, and learn, as Keras's own."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from conftest import framework

SHAPES = [  # side, channels, kernel, stride, padding
    (8, 6, 5, 1, "same"), (4, 6, 5, 1, "same"), (2, 6, 5, 1, "same"), (2, 6, 3, 1, "same"), (1, 6, 3, 1, "same"),
    (8, 6, 3, 1, "same"), (7, 6, 5, 2, "valid"), (8, 4, 5, 2, "same"), (9, 4, 5, 2, "same"), (10, 4, 5, 2, "valid"),
]  # fmt: skip


@pytest.mark.parametrize(("side", "channels", "kernel", "stride", "padding"), SHAPES)
def test_a_depthwise_layer_answers_and_learns_as_kerass(
    side: int, channels: int, kernel: int, stride: int, padding: str
) -> None:
    keras = framework("bags").keras
    same_as_keras(keras.layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False), (3, side, side, channels))


@pytest.mark.parametrize("settings", [{}, {"use_bias": False}, {"activation": "silu"}, {"strides": 2}])
@pytest.mark.parametrize("side", [1, 5])
def test_a_1_x_1_layer_answers_and_learns_as_kerass(side: int, settings: dict[str, object]) -> None:
    keras = framework("bags").keras
    same_as_keras(keras.layers.Conv2D(7, 1, **settings), (3, side, side, 4))


def test_batch_normalisation_answers_and_learns_as_kerass() -> None:
    keras = framework("bags").keras
    same_as_keras(keras.layers.BatchNormalization(), (5, 4, 4, 6), training=True)


def same_as_keras(theirs: Any, shape: tuple[int, ...], **how: bool) -> None:
    tf, layers = framework("bags").tf, importlib.import_module("gaia.frameworks.keras.layers")
    rng = np.random.default_rng(1)
    photos = tf.constant(rng.normal(size=shape).astype(np.float32))
    ours = getattr(layers, type(theirs).__name__).from_config(theirs.get_config())
    assert type(ours) is not type(theirs)
    for layer in (theirs, ours):
        layer.build(photos.shape)
    ours.set_weights(theirs.get_weights())
    found = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(photos)
            answers = layer(photos, **how)
            loss = tf.reduce_sum(tf.sin(answers))
        weights = [variable.value for variable in layer.trainable_weights]
        found.append([answers, *tape.gradient(loss, [photos, *weights]), *layer.get_weights()])
    for name, (expected, got) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5, err_msg=str(name))
