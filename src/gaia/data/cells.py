"""Text in a CSV that people open: names of files, classes and columns come from whoever made the data, and a
spreadsheet would run what looks like a formula."""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"'*(?![+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?\Z)[=+\-@\t\r]")  # apostrophes, then no number


def inert(cell: str) -> str:
    """A text as a spreadsheet shows it and doesn't run it: behind an apostrophe where it would be taken for a formula.
    Numbers stay as they are."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """The text that `inert` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def inert_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table with every text made inert."""
    texts = [name for name, column in table.items() if not pd.api.types.is_numeric_dtype(column)]
    return table.assign(**{str(name): table[name].map(inert) for name in texts})
