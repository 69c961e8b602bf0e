"""What a model has to beat, on the same test items: always the most common class, and a logistic regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from gaia.data.dataset import Dataset
from gaia.data.encoder import encoder
from gaia.evaluation.metrics import Array, Baseline, log_loss, number

Rows = NDArray[np.int64]  # positions in the index

THUMBNAIL = 16  # px: side of the photos that the regression sees
MOST = 20_000  # items that it is fitted on: more would take longer and tell it little


def baselines(data: Dataset, train: Rows, test: Rows, seed: int) -> dict[str, Baseline]:
    """`majority`: the shares that the classes have in `train`; `linear`: scikit-learn's LogisticRegression on columns
    (numbers scaled, gaps filled and marked, categories one-hot), or on photos of 16 px. Fitted on the rows `train`,
    measured on `test`. The same arguments give the same numbers.
    """
    truth, k = data.truth[test], len(data.labels)
    shares = np.bincount(data.truth[train], minlength=k) / len(train)
    majority = _measured(truth, np.tile(shares, (len(test), 1)))
    if len(train) > MOST:
        train = np.sort(np.random.default_rng(seed).choice(train, MOST, replace=False))
    with threadpool_limits(1):  # sums in another order end in other digits
        if data.features:
            seen, asked = data.take(train), data.take(test)
            regression = make_pipeline(encoder(data.features, seen, is_linear=True), LogisticRegression(max_iter=300))
        else:
            seen, asked = (_thumbnails(data, rows) for rows in (train, test))
            # a photo has more pixels than there are photos
            regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        answers = regression.fit(seen, data.truth[train]).predict_proba(asked)
    probabilities = np.zeros((len(test), k))
    probabilities[:, np.unique(data.truth[train])] = answers
    return {"linear": _measured(truth, probabilities), "majority": majority}


def _measured(truth: Array, probabilities: Array) -> Baseline:
    right = float((probabilities.argmax(axis=1) == truth).mean())
    return {"accuracy": round(right, 6), "log_loss": number(log_loss(truth, probabilities))}


def _thumbnails(data: Dataset, rows: Rows) -> NDArray[np.float64]:
    small = (THUMBNAIL, THUMBNAIL)
    photos = (photo for block in data.blocks(rows) for photo in data.take(block))
    shrunk = [np.asarray(Image.fromarray(photo).resize(small, Image.Resampling.BOX)) for photo in photos]
    return np.stack(shrunk).reshape(len(rows), -1) / 255.0
