"""How a line is trained with CatBoost: by its own `fit`, early stopping and snapshots."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import catboost
import catboost.utils
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import TableLine
from gaia.config.targets import AUTO
from gaia.console import without_native_chatter
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError, first_line
from gaia.frameworks import loop
from gaia.frameworks.protocol import Fit, History, Show

BY_COUNT = ("learning_rate", "leaf_estimation_iterations")  # which CatBoost chooses by the number of trees asked for
WEIGHTS = ("class_weights", "scale_pos_weight")  # arguments of the model that weigh rows


def fit(config: TableLine, data: Dataset, checkpoint: Path, show: Show, first: Fit | None = None) -> Fit:
    """Grow trees from the snapshot found in `checkpoint` (or from none) to the end; keep those up to the best, or as
    many as `first` kept, at its rate.

    The same inputs give the same trees on the same machine, interrupted or not. Raises GaiaError if CatBoost refuses
    the arguments or the device.
    """
    trainer = config.trainer
    assert trainer is not None  # trees are counted
    on_gpu = _on_gpu(trainer.device)
    weighted = bool(trainer.class_weights) or any(key in config.model.arguments() for key in WEIGHTS)
    loss = "Logloss" if len(data.labels) == 2 else "MultiClass"
    checkpoint.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {
        **{key: value for key, value in config.model.arguments().items() if value != AUTO},
        "iterations": trainer.max_epochs,
        "loss_function": loss,
        "custom_metric": ["Accuracy:use_weights=false" if weighted else "Accuracy"],  # of rows, as everywhere
        "random_seed": config.seed,
        "early_stopping_rounds": trainer.patience,
        "task_type": "GPU" if on_gpu else "CPU",
        "train_dir": str(checkpoint),
        "save_snapshot": True,
        "snapshot_file": "snapshot",
        "snapshot_interval": 2,  # seconds
        "use_best_model": True,
    }
    if trainer.threads:
        arguments["thread_count"] = trainer.threads
    if first:
        settled = first.network.get_all_params()
        arguments |= {key: settled[key] for key in BY_COUNT if key in settled}
        arguments |= {"iterations": first.kept_epoch, "early_stopping_rounds": None, "use_best_model": False}
    constructor = getattr(catboost, config.model.target.rpartition(".")[2])
    # of the training rows alone: the best tree is chosen by the loss of validation rows as they come, as in networks
    weights = loop.class_weights(data, trainer)[data.truth[data.rows("train")]] if trainer.class_weights else None
    interrupted = (checkpoint / "snapshot").exists()
    trees = _Trees(loss, show, checkpoint if interrupted else None)
    try:
        booster = constructor(**arguments)
        booster.fit(
            _pool(data, "train", weights), eval_set=None if first else _pool(data, "validation"), verbose=False,
            callbacks=None if on_gpu else [trees],  # CatBoost refuses them there
        )  # fmt: skip
    except (catboost.CatBoostError, TypeError, ValueError) as error:
        if interrupted:
            loop.say_unreadable(checkpoint, first_line(error))
            shutil.rmtree(checkpoint)
            return fit(config, data, checkpoint, show, first)
        shutil.rmtree(checkpoint)
        said = re.sub(r"^\S+\.cpp:\d+: ", "", first_line(error))  # where in CatBoost's own source
        raise GaiaError(f"model: {config.model.target} can't be fitted: {said}.") from None
    return Fit(booster, _history(booster.get_evals_result(), loss), booster.tree_count_)


def refit(config: TableLine, data: Dataset, first: Fit, checkpoint: Path, show: Show) -> Fit:
    """As many trees as `first` kept, at its rate, on the rows of both splits."""
    return fit(config, data, checkpoint, show, first)


def answers(fitted: Fit, rows: pd.DataFrame) -> NDArray[np.float32]:
    """The trees' own probabilities [n, classes]: what the exported file has to reproduce."""
    return np.asarray(fitted.network.predict_proba(rows), dtype=np.float32)


def _on_gpu(device: str) -> bool:
    if device == "mps":
        raise GaiaError("trainer.device is mps, which CatBoost can't use", "set it to auto or cpu")
    if device != "cuda":
        return False
    with without_native_chatter():
        there = catboost.utils.get_gpu_device_count()
    if not there:
        raise GaiaError("trainer.device is cuda, which this machine lacks", "set it to auto or cpu")
    return True


class _Trees:
    """CatBoost calls an object after each tree."""

    def __init__(self, loss: str, show: Show, checkpoint: Path | None) -> None:
        self.loss, self.show, self.checkpoint = loss, show, checkpoint

    def after_iteration(self, info: Any) -> bool:
        if self.checkpoint:  # from a snapshot that it can't read, CatBoost begins with the first tree
            if info.iteration > 1:
                loop.say_resumed(self.checkpoint)
            else:
                loop.say_unreadable(self.checkpoint, "it is cut")
            self.checkpoint = None
        row = _row(info.metrics, self.loss, info.iteration - 1, -1) if info.iteration % 100 == 0 else None
        self.show(info.iteration, row)
        return True


def _history(results: dict[str, dict[str, list[float]]], loss: str) -> History:
    return [_row(results, loss, i, i) for i in range(len(results["learn"][loss]))]


def _row(results: dict[str, dict[str, list[float]]], loss: str, number: int, at: int) -> dict[str, float]:
    row = {"epoch": float(number + 1), "learning_rate": float("nan")}
    for ours, theirs in (("train", "learn"), ("validation", "validation")):
        if theirs not in results:  # of a refit
            continue
        row[f"{ours}_loss"] = results[theirs][loss][at]
        row[f"{ours}_accuracy"] = next(v[at] for k, v in results[theirs].items() if k.startswith("Accuracy"))
    return row


def _pool(data: Dataset, split: str, weights: NDArray[np.float32] | None = None) -> catboost.Pool:
    rows = data.rows(split)
    categories = [feature["name"] for feature in data.features if feature["type"] == "category"]
    return catboost.Pool(data.inputs.iloc[rows], data.truth[rows], cat_features=categories, weight=weights)
