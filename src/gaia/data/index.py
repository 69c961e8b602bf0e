"""The index: one row an item, with its label, its split and whether it could be used. A CSV for people to open."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import files
from gaia.config.schema import Data, Photos
from gaia.data import cells
from gaia.data.check import say
from gaia.data.splits import SPLITS, drawn, unite
from gaia.data.told import Told
from gaia.errors import GaiaError
from gaia.errors import printable as printable  # what an index quotes of files and cells

COLUMNS = ["source", "label", "split", "sha256", "group", "size", "verdict", "reason"]


def assign_splits(
    line: str,
    index: pd.DataFrame,
    told: Sequence[Told],
    config: Data,
    seed: int,
    pairs: NDArray[np.int64] | None = None,
) -> None:
    """Fill the columns `split` and `group` of the usable rows, and note duplicates and near-duplicates in `reason`.

    `told` of each row; `pairs` of rows that are near-duplicates, int [m, 2]. What is the same, nearly the same or of
    one group that the data name lies in one split, and has one word in `group`: the group's name, or the content hash
    that speaks for all. Where the data say the splits, an item that is like one of another split is quarantined, so
    that one split keeps it: test before validation before training; a split that they don't say is drawn from training.
    Adds a column `alike`, not to be written: the hash that speaks for all that are the same or nearly so.
    Raises GaiaError if the data put one group into two splits.
    """
    usable = (index["verdict"] == "ok").to_numpy()
    same = np.where(usable, _contents(index, config), "")
    index["alike"] = _least(same, unite(len(index), same.tolist(), np.zeros((0, 2), int) if pairs is None else pairs))
    _note_alike(index, usable)
    shares = {"validation": config.splits.validation, "test": config.splits.test}
    if any(one.split for one in told):
        _set_aside(line, index, told)
        usable = (index["verdict"] == "ok").to_numpy()
        index.loc[usable, "split"] = [one.split for one, use in zip(told, usable, strict=True) if use]
        said = {one.split for one in told} - {""}
        shares = {split: share for split, share in shares.items() if split not in said}
        drawn_too = f"; {' and '.join(shares)} drawn from train" if shares else ""
        say(f"{line}: {', '.join(split for split in SPLITS if split in said)} as the data say{drawn_too}")
    groups = np.array([one.group if use else "" for one, use in zip(told, usable, strict=True)], dtype=object)
    units = unite(len(index), np.where(usable, index["alike"], "").tolist(), groups.tolist())
    named = _least(groups, units)
    index.loc[usable, "group"] = np.where(named == "", _least(same, units), named)[usable]
    pool = np.flatnonzero(usable & index["split"].isin(["", "train"]))
    if shares and len(pool):
        words, labels = (index[column].to_numpy()[pool].tolist() for column in ("group", "label"))
        order = [told[row].date for row in pool.tolist()] if config.splits.by else None
        index.loc[pool, "split"] = drawn(words, labels, seed, shares, order)


def _contents(index: pd.DataFrame, config: Data) -> NDArray[np.object_]:
    """What has to be the same of two items that are: of photos the bytes, of rows the label, too."""
    shas = index["sha256"].to_numpy(dtype=object)
    if isinstance(config, Photos):
        return shas
    both = zip(index["label"], shas, strict=True)
    return np.array([hashlib.sha256(f"{label}\x1f{sha}".encode()).hexdigest() for label, sha in both], dtype=object)


def _least(words: NDArray[np.object_], units: NDArray[np.int64]) -> NDArray[np.object_]:
    """For each item the least word of its unit, '' apart."""
    least: dict[int, str] = {}
    for unit, word in zip(units.tolist(), words, strict=True):
        if word:
            least[unit] = min(least.get(unit, word), word)
    return np.array([least.get(unit, "") for unit in units.tolist()], dtype=object)


def _note_alike(index: pd.DataFrame, usable: NDArray[np.bool_]) -> None:
    """For people: what each is the same as, or much like."""
    sources, labels, shas, alike, reasons = (
        index[column].tolist() for column in ("source", "label", "sha256", "alike", "reason")
    )
    first: dict[tuple[str, str], int] = {}
    for row in np.flatnonzero(usable).tolist():
        keys = ("same as", f"{shas[row]} {alike[row]}"), ("much like", alike[row])
        if known := [key for key in keys if key in first]:
            twin = first[known[0]]
            note = f"{known[0][0]} {sources[twin]}"
            if labels[twin] != labels[row]:
                note += f", which is labelled {labels[twin]}"
            reasons[row] = "; ".join(filter(None, [reasons[row], note]))
        for key in keys:
            first.setdefault(key, row)
    index["reason"] = reasons


def _set_aside(line: str, index: pd.DataFrame, told: Sequence[Told]) -> None:
    """Quarantine what is like an item of another split. Raises GaiaError for a group of the data's in two splits."""
    usable = np.flatnonzero((index["verdict"] == "ok").to_numpy()).tolist()
    sources, alike = index["source"].tolist(), index["alike"].tolist()
    first: dict[str, int] = {}
    for row in usable:
        group = told[row].group
        if group and told[one := first.setdefault(group, row)].split != told[row].split:
            ends = " and ".join(f"{told[i].split} ({sources[i]})" for i in (one, row))
            raise GaiaError(
                f"{line}: the group '{group}' lies in two splits, {ends}",
                "put all of it into one, or take data.group away if its items don't resemble each other",
            )
    best: dict[str, int] = {}
    for row in usable:
        one = best.setdefault(alike[row], row)
        if SPLITS.index(told[row].split) > SPLITS.index(told[one].split):
            best[alike[row]] = row
    for row in usable:
        twin = best[alike[row]]
        if told[twin].split != told[row].split:
            index.loc[row, "verdict"] = "quarantined"
            index.loc[row, "reason"] = f"like an item of another split: {sources[twin]} in {told[twin].split}"


def write(folder: Path, index: pd.DataFrame) -> None:
    """Write `index.csv`, whole or not at all; see cells.inert."""
    with files.replaced(folder / "index.csv") as beside:
        cells.inert_table(index[COLUMNS]).to_csv(beside, index=False, lineterminator="\n")
