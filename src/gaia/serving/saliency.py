"""What a photo's answer hangs on, by occlusion (Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaia.runtime.predictor import Predictor

PATCHES = 10  # along each side
COVER = 2  # patches that one grey square covers along a side: its neighbours overlap


def heat(model: Predictor, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """By how much the probability of the answer falls when a grey square hides that part: float32 [PATCHES, PATCHES],
    -1..1, for a photo, uint8 [size, size, 3]. Asks the model PATCHES^2 + 1 times."""
    size = len(photo)
    edges = np.linspace(0, size, PATCHES + 1).round().astype(int)
    grey = photo.mean(axis=(0, 1)).astype(np.uint8)
    reach = COVER - 1
    hidden = np.repeat(photo[None], PATCHES * PATCHES, axis=0)
    for at in range(PATCHES * PATCHES):
        row, column = divmod(at, PATCHES)
        top, left = edges[max(row - reach, 0)], edges[max(column - reach, 0)]
        hidden[at, top : edges[min(row + COVER, PATCHES)], left : edges[min(column + COVER, PATCHES)]] = grey
    whole = model.probabilities(photo[None])
    answer = int(model.decide(whole)[0])
    fall = whole[0, answer] - model.probabilities(hidden)[:, answer]
    return fall.reshape(PATCHES, PATCHES).astype(np.float32)
