"""What the model looks at: how much worse it gets when one feature is shuffled among the test items."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.evaluation.metrics import Array, log_loss

GRID = 4  # a photo's features are the cells of a 4 x 4 grid

Inputs = pd.DataFrame | Array


def sample(n: int, most: int, seed: int) -> NDArray[np.int64]:
    """Positions of at most `most` of `n` items in their order, drawn with `seed`: enough to see what matters."""
    return np.sort(np.random.default_rng(seed).choice(n, size=min(most, n), replace=False))


def importance(
    predict: Callable[[Inputs], Array],
    inputs: Inputs,
    truth: Array,
    seed: int,
    repeats: int = 1,
) -> pd.DataFrame:
    """Permutation importance (Breiman 2001; Fisher et al. 2019): the increase in log loss per feature.

    `predict` takes inputs like those given and returns probabilities [n, k]. `inputs` is a DataFrame, whose
    columns are the features, or photos uint8 [n, h, w, 3], whose features are the cells "row 1, column 1"
    to "row 4, column 4". Each feature is shuffled `repeats` times, in orders drawn with `seed`, and the increases
    averaged. The same arguments give the same table.
    Returns columns `feature` and `importance`, the most important first; below 0 means noise.
    Raises ValueError on empty input or when inputs and truth differ in length.
    """
    if len(truth) == 0 or len(inputs) != len(truth):
        raise ValueError(f"Importance needs as many inputs ({len(inputs)}) as true classes ({len(truth)}), at least 1.")
    random = np.random.default_rng(seed)
    # every feature is shuffled in the same ways, so that they differ by what they say and not by luck
    orders = [random.permutation(len(truth)) for _ in range(repeats)]
    base = log_loss(truth, predict(inputs))
    increases: dict[str, float] = {}
    for order in orders:
        for feature, shuffled in _shuffled(inputs, order):
            increase = log_loss(truth, predict(shuffled)) - base
            increases[feature] = increases.get(feature, 0.0) + increase / repeats
    table = pd.DataFrame({"feature": list(increases), "importance": list(increases.values())}).round(6)
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def cell(row: int, column: int) -> str:
    """The name of a cell of the photo grid, counted from 0 here and from 1 in the name."""
    return f"row {row + 1}, column {column + 1}"


def _shuffled(inputs: Inputs, order: Array) -> Iterator[tuple[str, Inputs]]:
    """Each feature's name, and the inputs with that feature alone in another order."""
    return _columns(inputs, order) if isinstance(inputs, pd.DataFrame) else _cells(inputs, order)


def _columns(inputs: pd.DataFrame, order: Array) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in inputs.columns:
        shuffled = inputs.copy()
        shuffled[name] = inputs[name].array.take(order)  # keeps the dtype, categories included
        yield str(name), shuffled


def _cells(inputs: Array, order: Array) -> Iterator[tuple[str, Array]]:
    rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in inputs.shape[1:3])
    for row in range(GRID):
        for column in range(GRID):
            area = np.s_[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            shuffled = inputs.copy()
            shuffled[area] = inputs[area][order]
            yield cell(row, column), shuffled
