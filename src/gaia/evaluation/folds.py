"""Cross-validation: every usable item is answered once, by a model that saw neither it nor its group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.evaluation.metrics import Array, Folds, log_loss, number, roc_auc, score

DRAWS = 500  # of the items, with replacement, which tell how far a number may be chance


def parts(line: str, data: Dataset, folds: int, validation: float, seed: int) -> Iterator[Dataset]:
    """The same line, split anew for each fold: a `folds`-th of all usable items is `test`, as near as can be the share
    `validation` of all is for validation, the rest for training. Groups of the index stay together, and classes keep
    their shares as well as that allows.

    Raises GaiaError if there are fewer groups of a class than folds.
    """
    usable = np.flatnonzero(data.truth >= 0)
    truth, groups = data.truth[usable], data.table["group"].to_numpy()[usable]
    for label, name in enumerate(data.labels):
        if (n := len(set(groups[truth == label]))) < folds:
            raise GaiaError(f"{line}: evaluation.folds is {folds}, and {name} has {n} items of different groups", FEWER)
    share = validation * folds / (folds - 1)  # of what a fold leaves
    for rest, test in _splitter(folds, seed).split(usable, truth, groups):
        inner = _splitter(max(2, round(1 / share)), seed).split(rest, truth[rest], groups[rest])
        _, chosen = next(inner)
        split = np.full(len(data.truth), "", dtype=object)
        split[usable[rest]], split[usable[test]], split[usable[rest[chosen]]] = "train", "test", "validation"
        yield data._replace(table=data.table.assign(split=split))


FEWER = "ask for fewer folds, or null for none"


def _splitter(folds: int, seed: int) -> StratifiedGroupKFold:
    return StratifiedGroupKFold(folds, shuffle=True, random_state=seed)


def summary(
    folds: int, truth: Array, probabilities: Array, predicted: Array, labels: list[str], positive: int, seed: int
) -> Folds:
    """All items' truth (int [n]), probabilities ([n, classes]) and answers (int [n]), judged together."""
    found = score(truth, probabilities, predicted, labels, positive)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(truth), len(truth)) for _ in range(DRAWS)]
    losses = [log_loss(truth[d], probabilities[d]) for d in drawn]
    areas = [roc_auc(truth[d], probabilities[d], positive) for d in drawn]
    (loss_low, loss_high), (area_low, area_high) = (np.nanpercentile(v, [2.5, 97.5]) for v in (losses, areas))
    return {
        "folds": folds,
        "n": found["n"],
        "accuracy": found["accuracy"],
        "accuracy_low": found["accuracy_low"],
        "accuracy_high": found["accuracy_high"],
        "log_loss": found["log_loss"],
        "log_loss_low": number(loss_low),
        "log_loss_high": number(loss_high),
        "roc_auc": found["roc_auc"],
        "roc_auc_low": number(area_low),
        "roc_auc_high": number(area_high),
    }
