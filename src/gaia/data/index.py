"""The index: one row an item, with its label, its split and whether it could be used. A CSV for people to open."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import Data
from gaia.console import console
from gaia.data.splits import SPLITS, representatives, split_of
from gaia.errors import GaiaError, nearest

COLUMNS = ["source", "label", "split", "sha256", "size", "verdict", "reason"]


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


def assign_splits(
    index: pd.DataFrame, config: Data, seed: int, hashes: NDArray[np.uint64] | None, distance: int
) -> None:
    """Fill the column `split` of the usable rows, and note duplicates and near-duplicates in `reason`."""
    usable = np.flatnonzero((index["verdict"] == "ok").to_numpy())
    shas = index["sha256"].to_numpy()[usable].tolist()
    speakers = representatives(shas, None if hashes is None else hashes[usable], distance)
    shares = config.splits
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


def check(line: str, index: pd.DataFrame, config: Data, positive: str | None) -> list[str]:
    """The labels in order, after the checks that would make training pointless.

    Raises GaiaError: nothing usable, too many quarantined, fewer than two classes, a class with too few items or
    none in a split, a configured or positive class that isn't there.
    """
    usable = index[index["verdict"] == "ok"]
    bad = index[index["verdict"] != "ok"]
    _summarise(line, usable, bad)
    where = f"data/prepared/{line}/index.csv"
    share = len(bad) / max(1, len(index))
    if share > config.max_quarantined:
        examples = "; ".join(f"{r.source}: {r.reason}" for r in bad.head(3).itertuples())
        raise GaiaError(
            f"{line}: {len(bad)} of {len(index)} items ({share:.0%}) can't be used, more than data.max_quarantined "
            f"allows ({config.max_quarantined:.0%}): {examples}. "
            f"All are in {where}; mend or remove them, or raise the limit."
        )
    counts = usable["label"].value_counts()
    labels = config.classes or sorted(set(index["label"]) - {""})
    if len(labels) < 2:
        found = ", ".join(labels) or "none"
        raise GaiaError(f"{line}: at least two classes are needed, found {found}; give each class items of its own.")
    for label in labels:
        n = int(counts.get(label, 0))
        if n < config.min_per_class:
            raise GaiaError(
                f"{line}: the class '{label}' has {n} usable items, data.min_per_class asks for "
                f"{config.min_per_class}; add some, or remove the class"
                f"{nearest(label, set(index['label']) - set(labels))}."
            )
        for split in SPLITS:
            if not ((usable["label"] == label) & (usable["split"] == split)).any():
                raise GaiaError(
                    f"{line}: none of the {n} items of class '{label}' fell into the {split} split; "
                    f"add items, enlarge data.splits, or choose another seed."
                )
    if positive is not None and positive not in labels:
        raise GaiaError(
            f"{line}: evaluation.positive is '{positive}', which is none of the classes "
            f"{', '.join(labels)}{nearest(positive, labels)}."
        )
    return labels


def _summarise(line: str, usable: pd.DataFrame, bad: pd.DataFrame) -> None:
    classes = ", ".join(f"{label} {n}" for label, n in usable["label"].value_counts().sort_index().items())
    splits = ", ".join(f"{split} {(usable['split'] == split).sum()}" for split in SPLITS)
    _say(f"{line}: {len(usable)} usable ({classes}; {splits}), {len(bad)} quarantined")
    kinds = bad["reason"].str.split(":").str[0]
    for kind, n in kinds.value_counts().items():
        _say(f"  quarantined {n} x {kind}: {', '.join(bad.loc[kinds == kind, 'source'].head(3))}", style="yellow")


def _say(text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, emoji=False)  # file names may hold what looks like markup


def printable(text: str) -> str:
    """The text with control characters, and bytes that are no UTF-8, written as `\\n`, `\\x00` or `\\udcff`."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", lambda c: c[0].encode("unicode_escape").decode(), text)


def write(folder: Path, index: pd.DataFrame) -> None:
    """Write `index.csv` beside, then in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    index[COLUMNS].to_csv(folder / "index.csv.new", index=False, lineterminator="\n")
    os.replace(folder / "index.csv.new", folder / "index.csv")


def write_description(folder: Path, labels: list[str], features: list[dict[str, Any]]) -> None:
    """Write `dataset.json`: the labels in order, and for tables the features."""
    content = {"labels": labels, "features": features}
    (folder / "dataset.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Dataset:
    """A prepared line; its photos stay on disk until they are touched."""
    index = pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False)
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
