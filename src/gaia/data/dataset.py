"""A prepared line as training and evaluation see it: the index, the inputs and the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.data import cells

_AT_ONCE = 2**18  # rows of the index


class Dataset(NamedTuple):
    """A prepared line. Row i of the inputs is row i of the index; quarantined rows hold nothing of use."""

    table: pd.DataFrame  # the index
    labels: list[str]
    inputs: Any  # photos: uint8 [n, size, size, 3], memory-mapped; tables: a DataFrame of features
    features: list[dict[str, Any]]  # tables only: name, column, type and categories of each feature
    truth: NDArray[np.int64]  # [n], position in `labels`; -1 for quarantined rows

    def rows(self, split: str) -> NDArray[np.int64]:
        """The usable rows of a split, in the index's order."""
        return np.flatnonzero((self.table["split"] == split).to_numpy())

    def take(self, rows: NDArray[np.int64]) -> Any:
        """The inputs of these rows, in memory: photos uint8 [n, size, size, 3], or a DataFrame numbered from 0."""
        return self.inputs.iloc[rows].reset_index(drop=True) if self.features else np.asarray(self.inputs[rows])

    def joined(self) -> Dataset:
        """The same line with the rows of the validation split in training."""
        split = self.table["split"].replace("validation", "train")
        return self._replace(table=self.table.assign(split=split))

    @staticmethod
    def blocks(rows: NDArray[np.int64], size: int = 1024) -> list[NDArray[np.int64]]:
        """The rows, `size` at a time: so few that their photos fit into any memory."""
        return [rows[start : start + size] for start in range(0, len(rows), size)]


def _index(file: Path, only: Sequence[str] | None) -> pd.DataFrame:
    how: dict[str, Any] = {"dtype": str, "keep_default_na": False, "usecols": only}
    with pd.read_csv(file, chunksize=_AT_ONCE, **how) as parts:  # else each cell is an object for a while
        return pd.concat([_plain(part) for part in parts], ignore_index=True)


def _plain(part: pd.DataFrame) -> pd.DataFrame:
    written = [column for column in ("source", "label", "group", "reason") if column in part]
    return part.assign(**{column: part[column].map(cells.plain) for column in written})


def write_description(folder: Path, labels: list[str], features: list[dict[str, Any]]) -> None:
    """Write `dataset.json`: the labels in order, and for tables the features."""
    content = {"labels": labels, "features": features}
    (folder / "dataset.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, only: Sequence[str] | None = None) -> Dataset:
    """A prepared line; its photos stay on disk until they are touched. Of its index `only` some columns may be loaded,
    label, split and verdict among them: the others are most of it."""
    index = _index(folder / "index.csv", only)
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    position = {label: i for i, label in enumerate(description["labels"])}
    usable = index["verdict"] == "ok"
    truth = index["label"].map(position).where(usable, -1).fillna(-1).to_numpy(dtype=np.int64)
    features = description["features"]
    inputs: Any
    if features:
        numbers = np.load(folder / "numbers.npy", mmap_mode="r")
        codes = np.load(folder / "categories.npy", mmap_mode="r")
        columns: dict[str, Any] = {}
        for kind, array in (("category", codes), ("number", numbers)):
            for i, feature in enumerate(f for f in features if f["type"] == kind):
                values = array[:, i]
                if kind == "category":  # -1, the code of quarantined rows, picks the last: never looked at
                    values = np.array([*feature["categories"], ""], dtype=object)[values]
                columns[feature["name"]] = values
        inputs = pd.DataFrame({f["name"]: columns[f["name"]] for f in features})
    else:
        inputs = np.load(folder / "images.npy", mmap_mode="r")
    return Dataset(index, description["labels"], inputs, features, truth)
