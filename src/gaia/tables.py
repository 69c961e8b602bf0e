"""Cells of a table -> numbers. The one way in which numbers are read: for training, and for serving."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

EMPTY = {"", "na", "n/a", "nan", "null", "none"}


def numbers(texts: pd.Series, decimal: str = ".") -> tuple[np.ndarray, pd.Series]:
    """The texts as float64 [n], NaN where the cell is empty; and a mask of those that are no finite number."""
    clean = texts.str.strip()
    empty = clean.str.lower().isin(EMPTY)
    if decimal != ".":
        # a point would be a second decimal mark, so it makes the text no number
        clean = clean.where(~clean.str.contains(".", regex=False), "?").str.replace(decimal, ".", regex=False)
    values = pd.to_numeric(clean.where(~empty, "nan"), errors="coerce").to_numpy(dtype=np.float64, copy=True)
    wrong = ~empty & ~pd.Series(np.isfinite(values), index=texts.index)
    values[wrong.to_numpy()] = np.nan
    return values, wrong


def looks_like_other_decimal(text: str, decimal: str) -> bool:
    """Whether the text would be a number if the other decimal mark were meant."""
    other = "," if decimal == "." else "."
    return bool(re.fullmatch(rf"\s*[+-]?\d*{re.escape(other)}\d+\s*", text))
