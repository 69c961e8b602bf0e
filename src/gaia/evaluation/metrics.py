"""The numbers of one test run, the same keys for every line and any number of classes."""

import math
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn import metrics as sk

Array = npt.NDArray[Any]

BINS = 10  # of the calibration error and its diagram


class PerClass(TypedDict):
    """Of one class: shares in [0, 1], None where nothing defines them, and how many items are of it."""

    precision: float | None
    recall: float | None
    f1: float | None
    n: int


class Scores(TypedDict):
    """What `score` gives."""

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float | None
    f1: float | None
    roc_auc: float | None
    log_loss: float | None
    calibration_error: float | None
    per_class: dict[str, PerClass]


class Baseline(TypedDict):
    """What a simpler model shows on the same test items."""

    accuracy: float
    log_loss: float | None


class Folds(TypedDict):
    """What all items together show, each answered by the model of its fold; the ends of 95 % intervals. Those of log
    loss and area are percentiles of a bootstrap (Efron, 1979)."""

    folds: int
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    log_loss: float | None
    log_loss_low: float | None
    log_loss_high: float | None
    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None


class Uncalibrated(TypedDict):
    """The same test, answered at a temperature of 1."""

    log_loss: float | None
    calibration_error: float | None


class Metrics(Scores):
    """metrics.json"""

    temperature: float  # see calibration.temperature
    uncalibrated: Uncalibrated
    coverage: float  # share of answers that are not doubted, as see gaia.runtime.doubt (but for its band)
    covered_accuracy: float | None  # of those
    risk: list[list[float]]  # [share, error]: of the surest share of the answers, how many are wrong
    artifact_bytes: int
    threshold: float | None  # of the positive class; None where there are more than two
    baselines: dict[str, Baseline]  # linear, majority
    folds: Folds | None  # None where none are asked for


def score(truth: Array, probabilities: Array, predicted: Array, labels: list[str], positive: int) -> Scores:
    """Judge the answers `predicted` (int [n]) and their `probabilities` ([n, k]) against `truth` (int [n]).

    `predicted` is taken as it is: the runtime decides by a threshold or by the largest probability.
    `accuracy_low` and `accuracy_high` bound the 95 % interval of Wilson (1927). `roc_auc` is that of the
    positive class for two classes, else the mean over classes of one against the rest. Means over classes
    leave out a class that they are not defined for (one that the test items lack).
    Floats have 6 decimals; what cannot be computed is None, so the dict is JSON without NaN.
    Raises ValueError on empty input, mismatched shapes, and rows that are not probabilities.
    """
    check(truth, probabilities, labels, predicted)
    n, k = probabilities.shape
    right = int(np.sum(predicted == truth))
    interval = binomtest(right, n).proportion_ci(confidence_level=0.95, method="wilson")
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, predicted, labels=range(k), zero_division=np.nan
    )
    return {
        "n": n,
        "accuracy": round(right / n, 6),
        "accuracy_low": round(float(interval.low), 6),
        "accuracy_high": round(float(interval.high), 6),
        "balanced_accuracy": number(_mean(recall)),
        "f1": number(_mean(f1)),
        "roc_auc": number(roc_auc(truth, probabilities, positive)),
        "log_loss": number(log_loss(truth, probabilities)),
        "calibration_error": number(calibration_error(truth, probabilities)),
        "per_class": {
            label: {
                "precision": number(precision[i]),
                "recall": number(recall[i]),
                "f1": number(f1[i]),
                "n": int(support[i]),
            }
            for i, label in enumerate(labels)
        },
    }


def check(truth: Array, probabilities: Array, labels: list[str], predicted: Array | None = None) -> None:
    """Refuse, with a ValueError of one sentence, what cannot be judged."""
    n, k = len(truth), len(labels)
    if n == 0:
        raise ValueError("There is nothing to evaluate: the test set is empty.")
    if k < 2 or len(set(labels)) != k:
        raise ValueError(f"Evaluation needs at least two labels, all different, and got {labels}.")
    if truth.shape != (n,) or (predicted is not None and predicted.shape != (n,)):
        got = truth.shape if predicted is None else f"{truth.shape} and {predicted.shape}"
        raise ValueError(f"Truth and predictions must be lists of the same length, but their shapes are {got}.")
    if probabilities.shape != (n, k):
        raise ValueError(f"Probabilities must have the shape {(n, k)} (items, labels), not {probabilities.shape}.")
    for name, classes in (("truth", truth), ("predictions", predicted)):
        if classes is not None and not np.isin(classes, np.arange(k)).all():
            raise ValueError(f"The {name} must be class numbers from 0 to {k - 1}.")
    # `not (... <= ...)` also refuses NaN; softmax in half precision is off by about 1e-3
    if not (probabilities.min() >= 0 and np.abs(probabilities.sum(axis=1) - 1).max() <= 1e-2):
        raise ValueError("Each row of probabilities must be between 0 and 1 and add up to 1.")


def log_loss(truth: Array, probabilities: Array) -> float:
    """Mean of -log(probability given to the true class): 0 is perfect, log(k) knows nothing."""
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # float32 rows miss 1 by 1e-7, which scikit-learn warns about
    return float(sk.log_loss(truth, exact, labels=np.arange(exact.shape[1])))


def calibration_error(truth: Array, probabilities: Array) -> float:
    """Expected calibration error of the most probable label, in [0, 1]: the mean over items of
    |accuracy - confidence| of the item's bin; Naeini et al. (2015), as in Guo et al. (2017), equation 3.
    """
    confidence, accuracy, n = reliability(truth, probabilities)
    return float(np.sum(n * np.abs(accuracy - confidence)) / np.sum(n))


def reliability(truth: Array, probabilities: Array) -> tuple[Array, Array, Array]:
    """Mean confidence, accuracy and number of items of each bin that is not empty.

    The bins are ((m - 1) / 10, m / 10] of the largest probability, as in Guo et al. (2017), section 2.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    edges = np.arange(1, BINS) / BINS
    _, bins, n = np.unique(np.digitize(confidence, edges, right=True), return_inverse=True, return_counts=True)
    return np.bincount(bins, confidence) / n, np.bincount(bins, right) / n, n


def classes_to_compare(truth: Array, k: int, positive: int) -> list[int]:
    """The classes whose curves are drawn against the rest: those with items both in and out of them."""
    classes = [positive] if k == 2 else range(k)
    return [c for c in classes if 0 < np.sum(truth == c) < len(truth)]


def number(value: float) -> float | None:
    """A plain float of 6 decimals, or None for what is not finite."""
    return round(float(value), 6) if math.isfinite(value) else None


def roc_auc(truth: Array, probabilities: Array, positive: int) -> float:
    """Area under the ROC curve: of the positive class for two, else the mean over classes of one against the rest; NaN
    where no class has items both in and out of it."""
    classes = classes_to_compare(truth, probabilities.shape[1], positive)
    return _mean(np.array([sk.roc_auc_score(truth == c, probabilities[:, c]) for c in classes]))


def _mean(values: Array) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else math.nan
