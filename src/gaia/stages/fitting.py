"""One training of a line, and the one that ships: asked for by `train`, and by `evaluate` for each fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia import paths
from gaia.config.framework import framework
from gaia.config.schema import PhotoLine, TableLine
from gaia.console import bar
from gaia.data.dataset import Dataset
from gaia.frameworks import loop
from gaia.frameworks.protocol import Fit, fitting
from gaia.runtime import artifact
from gaia.runtime.artifact import Weights

FEW = 64  # items answered at once: a network holds what each of its layers answers


class Chosen(NamedTuple):
    """The training whose epochs the validation split has chosen, and its answers there, float32 [items, classes]."""

    fitted: Fit
    answers: NDArray[np.float32]


def starting(config: Any, folder: Path) -> tuple[Any, Weights | None]:
    """The configuration with the path of the file, which the weights stage has put into the folder, for the word that
    names it; and what is known of that file. As it was from scratch."""
    found: Weights | None = artifact.read_json(folder / paths.WEIGHTS_FACTS, "`dvc repro` makes it")
    if found is None:
        return config, None
    model = config.model.model_copy(update={"weights": str(folder / found["file"])})
    return config.model_copy(update={"model": model}), found


def fit(name: str, config: PhotoLine | TableLine, data: Dataset, state: Path) -> Chosen:
    """The training that the validation split judges; `name` is shown, `state` its checkpoint."""
    unit, epochs = framework(config.framework).unit or "steps", config.trainer.max_epochs if config.trainer else 1
    with bar(f"{name}: training", epochs, unit) as update:

        def show(done: float, row: dict[str, float] | None) -> None:
            update(done, _text(row, epochs))
            if row:
                loop.note(state, row)

        fitted = fitting(config).fit(config, data, state, show)
        if (best_epoch := loop.best_epoch(fitted.history)) < (ran := len(fitted.history)) < epochs:
            best = f"none of the last {ran - best_epoch} {unit} had a lower validation loss"
            update(ran, f"stopped after {ran} of {epochs} {unit}: {best}; the artifact holds epoch {fitted.kept_epoch}")
    return Chosen(fitted, answers(config, fitted, data, data.rows("validation")))


def refit(name: str, config: PhotoLine | TableLine, data: Dataset, chosen: Chosen, state: Path) -> Fit:
    """The training that ships: the same, or, if the trainer says so, anew on the validation split, too. No item is left
    then to judge its epochs by, so there are as many as the first one kept."""
    if config.trainer is None or not config.trainer.refit:
        return chosen.fitted
    all_of_it, epochs = data.joined(), chosen.fitted.kept_epoch
    unit, n = framework(config.framework).unit or "steps", len(all_of_it.rows("train"))
    with bar(f"{name}: training on train and validation, {n} items", epochs, unit) as update:
        return fitting(config).refit(
            config, all_of_it, chosen.fitted, state, lambda done, row: update(done, _text(row, epochs))
        )


def answers(config: PhotoLine | TableLine, fitted: Fit, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """A training's own probabilities [n, classes] for these rows of the index."""
    blocks = data.blocks(rows, FEW)
    return np.concatenate([fitting(config).answers(fitted, data.take(block)) for block in blocks])


def _text(row: dict[str, float] | None, epochs: int) -> str:
    if row is None:
        return ""
    numbers = "  ".join(
        f"{key.replace('_', ' ')} {row[key]:.4g}" for key in row if key not in ("epoch", "learning_rate")
    )
    return f"epoch {row['epoch']:g}/{epochs}  {numbers}"
