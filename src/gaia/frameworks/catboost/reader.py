"""Answers from a .cbm file, which CatBoost alone can read where categories are text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from gaia.runtime.contract import Contract
    from gaia.runtime.predictor import Probabilities


def open_model(file: Path, contract: Contract, threads: int | None = None) -> Callable[[Any], Probabilities]:
    """A function from rows (a frame with the contract's features) to probabilities, float32 [n, classes].

    Raises whatever CatBoost says of a file that it can't read.
    """
    import catboost

    booster = catboost.CatBoost().load_model(str(file))
    asked = contract["input"]
    features = asked["features"] if asked["kind"] == "table" else []
    categories = [feature["name"] for feature in features if feature["type"] == "category"]
    several = len(contract["labels"]) > 2

    def run(rows: pd.DataFrame) -> Probabilities:
        pool = catboost.Pool(rows, cat_features=categories)
        kind = "Probability"
        answers = np.asarray(booster.predict(pool, prediction_type=kind, thread_count=threads or -1), dtype=np.float32)
        return answers if several or answers.ndim == 2 else np.stack([1 - answers, answers], axis=1)

    return run


def calibrate(file: Path, temperature: float) -> None:
    """Divide the scores of the trees in a file, whose answers p then are p^(1/temperature) over their sum. The same
    bytes each time."""
    import catboost

    booster = catboost.CatBoost().load_model(str(file))
    scale, bias = booster.get_scale_and_bias()
    booster.set_scale_and_bias(scale / temperature, (np.asarray(bias) / temperature).tolist())
    booster.save_model(str(file), format="cbm")
