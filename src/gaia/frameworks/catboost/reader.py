"""Answers from a .cbm file, which CatBoost alone can read where categories are text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def open_model(file: Path, contract: Any) -> Callable[[Any], NDArray[np.float32]]:
    """A function from rows (a frame with the contract's features) to probabilities, float32 [n, classes].

    Raises whatever CatBoost says of a file that it can't read.
    """
    import catboost

    booster = catboost.CatBoost().load_model(str(file))
    categories = [f["name"] for f in contract["input"]["features"] if f["type"] == "category"]
    several = len(contract["labels"]) > 2

    def run(rows: Any) -> NDArray[np.float32]:
        pool = catboost.Pool(rows, cat_features=categories)
        kind = "Probability"
        answers = np.asarray(booster.predict(pool, prediction_type=kind, thread_count=-1), dtype=np.float32)
        return answers if several or answers.ndim == 2 else np.stack([1 - answers, answers], axis=1)

    return run
