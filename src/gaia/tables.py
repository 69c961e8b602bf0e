"""Cells of a table -> numbers. The one way in which numbers are read: for training, and for serving."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

EMPTY = {"", "na", "n/a", "#n/a", "nan", "null", "none"}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SWAP = str.maketrans(",.", ".,")


def numbers(texts: Iterable[str], decimal: str = ".") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The texts as float64 [n], NaN where the cell is empty; and a mask of those that are no finite number.

    The other decimal mark makes a text no number: whether "1,234" is little or much is not guessed.
    """
    cells = [text.strip() for text in texts]
    values, wrong = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    for i, cell in enumerate(cells):
        text = cell if decimal == "." else cell.translate(_SWAP)
        if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
            values[i] = value
        else:
            wrong[i] = cell.lower() not in EMPTY
    return values, wrong


def looks_like_other_decimal(text: str, decimal: str) -> bool:
    """Whether the text would be a number if the other decimal mark were meant."""
    other = "," if decimal == "." else "."
    return bool(re.fullmatch(rf"\s*[+-]?\d*{re.escape(other)}\d+\s*", text))
