"""What scikit-learn's models promise."""

import math

from gaia.config.framework import Framework

LINEAR, BOOSTING = "sklearn.linear_model.LogisticRegression", "sklearn.ensemble.HistGradientBoostingClassifier"
COMMON: dict[str, str | None] = {
    "max_iter": "trainer.max_epochs",
    "class_weight": "trainer.class_weights",
    "random_state": "seed",
    "warm_start": None,
    "verbose": None,
}

SPEC = Framework(
    name="sklearn",
    kind="table",
    allowed={"model": (BOOSTING, LINEAR)},
    reader="gaia.runtime.onnx",
    packages=("scikit-learn", "onnx"),
    unit="rounds",  # trees of each class; the linear model's solver counts its own steps, and they are one row
    given={
        "sklearn.linear_model": {**COMMON, "n_jobs": None},
        "sklearn.ensemble": {
            **COMMON,
            "n_iter_no_change": "trainer.patience",
            "categorical_features": "data.categories",
            # the validation split is the line's own; these would name encoded columns
            **dict.fromkeys(("early_stopping", "scoring", "validation_fraction", "loss")),
            **dict.fromkeys(("monotonic_cst", "interaction_cst")),
        },
    },
    ranges={
        "C": (1e-9, math.inf),
        "learning_rate": (1e-6, 1),
        "max_leaf_nodes": (2, math.inf),
        "max_depth": (1, math.inf),
        "min_samples_leaf": (1, math.inf),
        "l2_regularization": (0.0, math.inf),
        "max_bins": (2, 255),
    },
)
