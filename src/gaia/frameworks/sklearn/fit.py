"""How a line is trained with scikit-learn: columns encoded, then a linear model or trees, in one Pipeline."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from gaia.config.schema import TableLine, Trainer
from gaia.console import console
from gaia.data.dataset import Dataset
from gaia.data.encoder import encoder
from gaia.errors import GaiaError, first_line
from gaia.frameworks import loop
from gaia.frameworks.onnx import OUTPUT
from gaia.frameworks.protocol import Fit, History, Show
from gaia.frameworks.sklearn.spec import LINEAR

MODELS = {model.__name__: model for model in (LogisticRegression, HistGradientBoostingClassifier)}


def fit(config: TableLine, data: Dataset, checkpoint: Path, show: Show) -> Fit:
    """Encode the columns as training has them, and fit; keep the rounds up to the best. A matter of seconds, so there
    is no checkpoint.

    The same inputs give the same model: on one thread, since sums of several depend on who is first. Raises GaiaError
    if scikit-learn refuses the arguments, or has no use for the device.
    """
    return _fit(config, data, show)


def refit(config: TableLine, data: Dataset, first: Fit, checkpoint: Path, show: Show) -> Fit:
    """As many rounds as `first` kept, on the rows of both splits."""
    return _fit(config, data, show, first.kept_epoch)


def answers(fitted: Fit, inputs: pd.DataFrame) -> NDArray[np.float32]:
    """scikit-learn's own probabilities [n, classes]: what the exported file has to reproduce."""
    return np.asarray(fitted.network.predict_proba(inputs), dtype=np.float32)


def _fit(config: TableLine, data: Dataset, show: Show, exactly: int | None = None) -> Fit:
    """`exactly` so many rounds, without a look at validation, or as many as that chooses."""
    trainer = config.trainer
    assert trainer is not None  # rounds are counted
    if trainer.device not in ("auto", "cpu"):
        raise GaiaError(f"trainer.device is {trainer.device}, which scikit-learn can't use", "set it to auto or cpu")
    if OUTPUT in (feature["name"] for feature in data.features):
        raise GaiaError(
            f"a feature is called '{OUTPUT}', as the answer in the model's file", "call it otherwise in data"
        )
    target = config.model.target
    is_linear = target == LINEAR
    model = MODELS[target.rpartition(".")[2]](random_state=config.seed, **_arguments(config, trainer, exactly))
    splits = {split: data.rows(split) for split in (("train",) if exactly else ("train", "validation"))}
    weights = loop.class_weights(data, trainer)[data.truth[splits["train"]]]
    with threadpool_limits(1):
        columns = encoder(data.features, data.take(splits["train"]), is_linear)
        inputs = {split: columns.transform(data.take(rows)) for split, rows in splits.items()}
        truth = {split: data.truth[rows] for split, rows in splits.items()}
        watched = {} if is_linear or exactly else {"X_val": inputs["validation"], "y_val": truth["validation"]}
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                model.fit(inputs["train"], truth["train"], sample_weight=weights, **watched)
        except (ValueError, TypeError) as error:
            raise GaiaError(f"model: {target} can't be fitted: {first_line(error)}.") from None
        if any(issubclass(each.category, ConvergenceWarning) for each in said):
            found = (
                f"after {trainer.max_epochs} steps the fit has not settled: a larger trainer.max_epochs may be better"
            )
            console.print(found, style="yellow", markup=False)
        history = _history(model, inputs, truth, show, exactly or trainer.max_epochs)
    kept = exactly or loop.best_epoch(history)
    if not is_linear:
        del model._predictors[kept:]  # no round after the best; scikit-learn keeps those that it waited for
    return Fit(Pipeline([("columns", columns), ("model", model)]), history, kept)


def _arguments(config: TableLine, trainer: Trainer, exactly: int | None) -> dict[str, Any]:
    given = {**config.model.arguments(), "max_iter": trainer.max_epochs}
    if config.model.target == LINEAR:
        return given
    if exactly:
        return given | {"max_iter": exactly, "early_stopping": False}
    return given | {"early_stopping": True, "n_iter_no_change": trainer.patience or trainer.max_epochs}


def _history(
    model: Any, inputs: dict[str, Any], truth: dict[str, NDArray[np.int64]], show: Show, whole: int
) -> History:
    """Loss and accuracy on both splits after each round; of a linear model once, at the end of the `whole`."""
    once = isinstance(model, LogisticRegression)
    ask = (lambda x: [model.predict_proba(x)]) if once else model.staged_predict_proba
    rounds = zip(*(ask(inputs[split]) for split in truth), strict=True)
    history: History = []
    for number, found in enumerate(rounds, start=1):
        row = {"epoch": float(number), "learning_rate": float("nan")}
        for split, probabilities in zip(truth, found, strict=True):
            right = probabilities[np.arange(len(probabilities)), truth[split]]
            row[f"{split}_loss"] = float(-np.log(np.maximum(right, 1e-15)).mean())
            row[f"{split}_accuracy"] = float((probabilities.argmax(axis=1) == truth[split]).mean())
        history.append(row)
        show(whole if once else number, row if number % 100 == 1 else None)
    return history
