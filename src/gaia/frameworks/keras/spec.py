"""What Keras promises."""

import math

from gaia.config.framework import Framework

SPEC = Framework(
    name="keras",
    kind="photos",
    allowed={"model": "keras.applications.*", "optimizer": "keras.optimizers.*"},
    reader="gaia.runtime.onnx",
    packages=("keras", "tensorflow"),
    unit="epochs",
    given={
        "keras.applications": {"classes": "data.classes", "input_shape": "data.image_size", "input_tensor": None}
        | dict.fromkeys(("include_top", "pooling", "classifier_activation")),
        "keras.optimizers": {"learning_rate": "optimizer.lr", "name": None},
    },
    ranges={"weight_decay": (0.0, math.inf), "momentum": (0.0, 1)},
    refused=("keras.optimizers.Optimizer", "keras.optimizers.LossScaleOptimizer"),
    published=lambda target: ("imagenet",),
    weights=(".weights.h5", ".h5", ".keras"),
    one_rate=True,
)
