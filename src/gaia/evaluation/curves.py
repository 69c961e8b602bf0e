"""Tables behind the curves, written as CSV for `dvc plots` and drawn in the report."""

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from gaia.evaluation.metrics import Array, check, classes_to_compare, reliability

POINTS = 500  # at most, in one curve: more cannot be seen


def confusion(truth: Array, predicted: Array, labels: list[str]) -> pd.DataFrame:
    """One row per test item with the names of both classes, which is what DVC's template counts."""
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(f"Truth {truth.shape} and predictions {predicted.shape} must be lists of the same length.")
    names = np.array(labels, dtype=object)
    return pd.DataFrame({"actual": names[truth], "predicted": names[predicted]})


def roc(truth: Array, probabilities: Array, labels: list[str], positive: int) -> pd.DataFrame:
    """Columns `fpr` and `tpr`, both in [0, 1] and never falling.

    Two classes: the curve of the positive one. More: the mean over classes of the curves of one against
    the rest, at equal fpr. Without rows where the test set has a single class, which leaves it undefined.
    Raises ValueError as `metrics.check` does.
    """
    check(truth, probabilities, labels)
    classes = classes_to_compare(truth, len(labels), positive)
    curves = [sk.roc_curve(truth == c, probabilities[:, c])[:2] for c in classes]
    if len(curves) == 1:
        fpr, tpr = curves[0]
    else:
        grid = np.linspace(0, 1, POINTS - 1)
        fpr = np.append(0, grid)  # twice 0, as every curve starts at (0, 0) and may rise there
        tpr = np.append(0, np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)) if curves else fpr
    return _thin(pd.DataFrame({"fpr": fpr, "tpr": tpr})) if curves else pd.DataFrame(columns=["fpr", "tpr"])


def precision_recall(truth: Array, probabilities: Array, labels: list[str], positive: int) -> pd.DataFrame:
    """Columns `recall` (rising from 0 to 1) and `precision`, both in [0, 1].

    Two classes: the curve of the positive one. More: the mean over classes of the interpolated precision
    (the best at this recall or a higher one; Manning et al. 2008, section 8.4). Without rows where the test
    set has a single class. Raises ValueError as `metrics.check` does.
    """
    check(truth, probabilities, labels)
    classes = classes_to_compare(truth, len(labels), positive)
    curves = [sk.precision_recall_curve(truth == c, probabilities[:, c])[:2] for c in classes]
    if not curves:
        return pd.DataFrame(columns=["recall", "precision"])
    if len(curves) == 1:
        precision, recall = (values[::-1] for values in curves[0])
    else:
        recall = np.linspace(0, 1, POINTS)
        # each curve ends with a point (0, 1) that scikit-learn adds, which no answers stand behind
        precision = np.mean([_best_from(recall, x[-2::-1], y[-2::-1]) for y, x in curves], axis=0)
    return _thin(pd.DataFrame({"recall": recall, "precision": precision}))


def calibration(truth: Array, probabilities: Array, labels: list[str]) -> pd.DataFrame:
    """The reliability diagram of the most probable label: columns `predicted` (mean confidence of a bin),
    `observed` (share of right answers in it) and `n`. The gaps, weighted by n, are the calibration error.
    Raises ValueError as `metrics.check` does.
    """
    check(truth, probabilities, labels)
    confidence, accuracy, n = reliability(truth, probabilities)
    return pd.DataFrame({"predicted": confidence, "observed": accuracy, "n": n}).round(6)


def _best_from(grid: Array, recall: Array, precision: Array) -> Array:
    best = np.maximum.accumulate(precision[::-1])[::-1]
    # the least point of the curve that reaches the recall asked for; 1e-12 forgives the last bit of 1.0
    return best[np.searchsorted(recall, grid - 1e-12, side="left")]


def _thin(curve: pd.DataFrame) -> pd.DataFrame:
    kept = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), POINTS)).round().astype(int))
    return curve.iloc[kept].round(6).reset_index(drop=True)
