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

from gaia.config.schema import Data, Photos
from gaia.console import console
from gaia.data.splits import SPLITS, representatives, split_of
from gaia.errors import GaiaError, nearest

_REASONS = 10  # shown on screen, the most frequent ones
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
    index: pd.DataFrame,
    config: Data,
    seed: int,
    hashes: NDArray[np.uint64] | None = None,
    mirror: NDArray[np.uint64] | None = None,
) -> pd.Series[str]:
    """Fill the column `split` of the usable rows, and note duplicates and near-duplicates in `reason`.

    Gives the group of each usable row: the content hash that speaks for it (`hashes`, `mirror`: see representatives).
    """
    usable = np.flatnonzero((index["verdict"] == "ok").to_numpy())
    shas = index["sha256"].to_numpy()[usable].tolist()
    distance = config.near_duplicates if isinstance(config, Photos) else 0
    speakers = representatives(shas, None if hashes is None else hashes[usable], distance, mirror)
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
    return pd.Series(speakers, index=usable, dtype=object)


def check(line: str, index: pd.DataFrame, groups: pd.Series[str], config: Data, positive: str | None) -> list[str]:
    """The labels in order, after the checks that would make training pointless. `groups`: see assign_splits.

    Raises GaiaError: nothing usable, too many quarantined, fewer than two classes, a class with too few items or
    none in a split, a configured or positive class that isn't there.
    """
    usable = index[index["verdict"] == "ok"]
    bad = index[index["verdict"] == "quarantined"]
    groups = groups[usable.index]
    _summarise(line, index, groups)
    where = f"data/prepared/{line}/index.csv"
    asked = len(usable) + len(bad)
    share = len(bad) / max(1, asked)
    if share > config.max_quarantined:
        examples = "; ".join(f"{r.source}: {r.reason}" for r in bad.head(3).itertuples())
        raise GaiaError(
            f"{line}: {len(bad)} of {asked} items ({share:.0%}) can't be used, more than data.max_quarantined "
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
                    f"{line}: none of the {n} items of class '{label}' fell into the {split} split"
                    f"{_remedy(usable[usable['label'] == label], groups, config)}."
                )
    if positive is not None and positive not in labels:
        raise GaiaError(
            f"{line}: evaluation.positive is '{positive}', which is none of the classes "
            f"{', '.join(labels)}{nearest(positive, labels)}."
        )
    return labels


def _remedy(members: pd.DataFrame, groups: pd.Series[str], config: Data) -> str:
    """Why a class misses a split, and what would do: few groups can't be spread, however many items they hold."""
    n = groups[members.index].nunique()
    if n > len(members) / 2:
        return "; add items, enlarge data.splits, or choose another seed"
    if not isinstance(config, Photos) or n == members["sha256"].nunique():
        return f": only {n} of them differ; add items that do"
    largest = groups.value_counts()[groups[members.index]].max()
    return (
        f": near-duplicates share a split, and these are {n} groups of such, the largest of {largest} items; "
        f"lower data.near_duplicates ({config.near_duplicates}) if those differ, else add items that do"
    )


def _summarise(line: str, index: pd.DataFrame, groups: pd.Series[str]) -> None:
    usable, bad, out = (index[index["verdict"] == verdict] for verdict in ("ok", "quarantined", "left out"))
    splits = ", ".join(f"{split} {(usable['split'] == split).sum()}" for split in SPLITS)
    _say(f"{line}: {len(usable)} usable ({_counts(usable)}; {splits}), {len(bad)} quarantined")
    if len(out):
        _say(f"  left out {len(out)} that are none of data.classes: {_counts(out)}", style="yellow")
    grouped = usable[groups.duplicated(keep=False)]
    if len(grouped):
        same = grouped["sha256"].duplicated(keep=False).sum()
        found = [f"{n} {kind}" for n, kind in ((same, "the same"), (len(grouped) - same, "nearly the same")) if n]
        alike = grouped.groupby(groups[grouped.index])["label"]
        mixed = sum(len(set(labels)) > 1 for _, labels in alike)
        _say(
            f"  {' and '.join(found)} as others, in {alike.ngroups} group{'s' * (alike.ngroups > 1)} of up to "
            f"{alike.size().max()}; each stays in one split{f'; {mixed} with different labels' if mixed else ''}",
            style="yellow" if mixed else None,
        )
    kinds = bad["reason"].str.split(":").str[0]
    counts = kinds.value_counts()
    for kind, n in counts.head(_REASONS).items():
        _say(f"  quarantined {n} x {kind}: {', '.join(bad.loc[kinds == kind, 'source'].head(3))}", style="yellow")
    if len(counts) > _REASONS:
        _say(f"  and {len(counts) - _REASONS} more reasons: {counts[_REASONS:].sum()} items", style="yellow")


def _counts(items: pd.DataFrame) -> str:
    """The labels in alphabetical order, each with the number of its items; at most twenty."""
    counts = items["label"].value_counts().sort_index()
    more = [f"{len(counts) - 20} more labels"] if len(counts) > 20 else []
    return ", ".join([*(f"{label} {n}" for label, n in counts.head(20).items()), *more])


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
