"""The index: one row an item, with its label, its split and whether it could be used. A CSV for people to open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import files
from gaia.config.schema import Data, Photos
from gaia.data import cells
from gaia.data.splits import representatives, split_of
from gaia.errors import printable as printable  # what an index quotes of files and cells

COLUMNS = ["source", "label", "split", "sha256", "group", "size", "verdict", "reason"]


def assign_splits(
    index: pd.DataFrame,
    config: Data,
    seed: int,
    hashes: NDArray[np.uint64] | None = None,
    mirror: NDArray[np.uint64] | None = None,
) -> None:
    """Fill the columns `split` and `group` of the usable rows, and note duplicates and near-duplicates in `reason`.

    The group is the content hash that speaks for a row and all that are like it (`hashes`, `mirror`: see
    representatives): one group lies in one split. The note is for people.
    """
    usable = np.flatnonzero((index["verdict"] == "ok").to_numpy())
    shas = index["sha256"].to_numpy()[usable].tolist()
    distance = config.near_duplicates if isinstance(config, Photos) else 0
    speakers = representatives(shas, None if hashes is None else hashes[usable], distance, mirror)
    shares = config.splits
    index.loc[usable, "group"] = speakers
    index.loc[usable, "split"] = [split_of(s, seed, shares.validation, shares.test) for s in speakers]
    sources, labels, reasons = (index[column].tolist() for column in ("source", "label", "reason"))
    first: dict[tuple[str, str], int] = {}
    for row, sha, speaker in zip(usable.tolist(), shas, speakers, strict=True):
        keys = ("same as", sha), ("much like", speaker)
        if known := [key for key in keys if key in first]:
            twin = first[known[0]]
            note = f"{known[0][0]} {sources[twin]}"
            if labels[twin] != labels[row]:
                note += f", which is labelled {labels[twin]}"
            reasons[row] = "; ".join(filter(None, [reasons[row], note]))
        for key in keys:
            first.setdefault(key, row)
    index["reason"] = reasons


def write(folder: Path, index: pd.DataFrame) -> None:
    """Write `index.csv`, whole or not at all; see cells.inert."""
    with files.replaced(folder / "index.csv") as beside:
        cells.inert_table(index[COLUMNS]).to_csv(beside, index=False, lineterminator="\n")
