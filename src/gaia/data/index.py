"""The index: one row an item, with its label, its split and whether it could be used. A CSV for people to open.

Items may be ten million. So while an index is made, what it says in words of other items stands there in numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia import files
from gaia.config.schema import Data
from gaia.data import cells
from gaia.data.check import say
from gaia.data.splits import SPLITS, digests, drawn, ranks, unite
from gaia.errors import GaiaError
from gaia.errors import printable as printable  # what an index quotes of files and cells

COLUMNS = ["source", "label", "split", "sha256", "group", "size", "verdict", "reason"]
_AT_ONCE = 2**16  # rows written together
Ints = NDArray[np.integer]


class Items(NamedTuple):
    """An index that is being made.

    `table`: source, label, split, size, verdict, reason; and what `assign_splits` adds, numbers that are -1 where there
    is nothing to say: `same` and `alike`, shared by the items that are the same, or nearly; `twin`, the first item that
    is like this one; `group`, the item whose word speaks for all that share a split.
    """

    table: pd.DataFrame
    hashes: NDArray[np.uint8]  # of the contents, [n, 32]; zeros where none was read
    told: Mapping[str, NDArray[Any]]  # split, group and date of each, as told.Told has them, where the data say any
    labelled: bool  # whether only items with one label may be the same


def assign_splits(line: str, items: Items, config: Data, seed: int, pairs: NDArray[np.int64] | None = None) -> None:
    """Fill the columns `split` and `group` of the usable rows, and note duplicates and near-duplicates.

    `pairs` of rows that are near-duplicates, int [m, 2]. What is the same, nearly the same or of one group that the
    data name lies in one split, and has one word in `group`: the group's name, or the content hash that speaks for all.
    Where the data say the splits, an item that is like one of another split is quarantined, so that one split keeps it:
    test before validation before training; a split that they don't say is drawn from training.
    Raises GaiaError if the data put one group into two splits.
    """
    table, told = items.table, items.told
    usable = (table["verdict"] == "ok").to_numpy()
    table["same"] = _same(items, usable)
    table["alike"] = _least(table["same"].to_numpy(), np.zeros((0, 2), int) if pairs is None else pairs)
    table["twin"], table["group"] = _twins(table), -1
    shares = {"validation": config.splits.validation, "test": config.splits.test}
    split = table["split"].to_numpy(dtype=object, copy=True)
    if "split" in told and (said := set(told["split"].tolist()) - {""}):
        _set_aside(line, table, told)
        usable = (table["verdict"] == "ok").to_numpy()
        split[usable] = told["split"][usable]
        shares = {name: share for name, share in shares.items() if name not in said}
        drawn_too = f"; {' and '.join(shares)} drawn from train" if shares else ""
        say(f"{line}: {', '.join(name for name in SPLITS if name in said)} as the data say{drawn_too}")
    table["group"] = group = _groups(table, told, usable)
    pool = np.flatnonzero(usable & np.isin(split, ["", "train"]))
    if shares and len(pool):
        speakers, unit = np.unique(group[pool], return_inverse=True)
        order = np.argsort(ranks(digests(f"{seed}:{word}" for word in _words(items, speakers))))
        dates = told["date"][pool] if config.splits.by else None
        split[pool] = drawn(unit, order, table["label"].to_numpy()[pool], shares, dates)
    table["split"] = pd.Series(split, dtype=object)


def _same(items: Items, usable: NDArray[np.bool_]) -> Ints:
    """A number for each usable item, in the order of the hashes of what has to be the same of two that are."""
    rows, found = np.flatnonzero(usable), np.full(len(usable), -1, dtype=np.int32)
    hashes = digests(_hashed(items, rows)) if items.labelled else items.hashes[rows]
    found[rows] = ranks(hashes) if len(rows) else 0
    return found


def _hashed(items: Items, rows: Ints) -> Iterator[str]:
    """What is hashed of a label and a content."""
    labels = items.table["label"].to_numpy()
    return (f"{labels[row]}\x1f{items.hashes[row].tobytes().hex()}" for row in rows)


def _words(items: Items, rows: Ints) -> Iterator[str]:
    """The words of items that speak for a group: a name that the data give, or a hash."""
    names = items.told.get("group")
    for row, text in zip(rows, _hashed(items, rows), strict=True):
        if names is not None and names[row]:
            yield names[row]
        else:
            yield hashlib.sha256(text.encode()).hexdigest() if items.labelled else text.rpartition("\x1f")[2]


def _least(numbers: Ints, *relations: Ints) -> Ints:
    """For each item the least number of all that belong together, by these and by the relations; -1 apart."""
    units = unite(len(numbers), numbers, *relations)
    least = np.full(len(numbers) + 1, np.iinfo(np.int32).max, dtype=np.int32)
    known = numbers >= 0
    np.minimum.at(least, units[known], numbers[known])
    return np.where(known, least[units], -1).astype(np.int32)


def _first(numbers: Ints) -> Ints:
    """For each item the first that has its number; itself where it has none."""
    found, rows = np.arange(len(numbers), dtype=np.int32), np.flatnonzero(numbers >= 0)
    _, first, which = np.unique(numbers[rows], return_index=True, return_inverse=True)
    found[rows] = rows[first[which]]
    return found


def _twins(table: pd.DataFrame) -> Ints:
    own = np.arange(len(table), dtype=np.int32)
    same, alike = _first(table["same"].to_numpy()), _first(table["alike"].to_numpy())
    return np.where(same != own, same, np.where(alike != own, alike, -1)).astype(np.int32)


def _groups(table: pd.DataFrame, told: Mapping[str, NDArray[Any]], usable: NDArray[np.bool_]) -> Ints:
    """For each usable item the one whose word speaks for all that share its split: the least name, else hash."""
    rows, same = np.flatnonzero(usable), table["same"].to_numpy().astype(np.int64)
    named, count = np.full(len(table), -1, dtype=np.int64), 0
    if "group" in told:
        has = rows[told["group"][rows] != ""]
        named[has], names = pd.factorize(told["group"][has], sort=True)
        count = len(names)
    units = unite(len(table), np.where(usable, table["alike"].to_numpy(), -1), named)[rows]
    order = np.lexsort((np.where(named >= 0, named, count + same)[rows], units))
    _, first = np.unique(units[order], return_index=True)
    speaker = np.full(len(table), -1, dtype=np.int32)
    speaker[units[order[first]]] = rows[order[first]]
    found = np.full(len(table), -1, dtype=np.int32)
    found[rows] = speaker[units]
    return found


def _set_aside(line: str, table: pd.DataFrame, told: Mapping[str, NDArray[Any]]) -> None:
    """Quarantine what is like an item of another split. Raises GaiaError for a group of the data's in two splits."""
    rows = np.flatnonzero((table["verdict"] == "ok").to_numpy())
    split = told["split"]
    if "group" in told:
        codes = np.full(len(table), -1)
        has = rows[told["group"][rows] != ""]
        codes[has], _ = pd.factorize(told["group"][has])
        first = _first(codes)
        for row in has[split[has] != split[first[has]]][:1].tolist():
            ends = " and ".join(f"{split[i]} ({table['source'].iloc[i]})" for i in (int(first[row]), row))
            raise GaiaError(
                f"{line}: the group '{told['group'][row]}' lies in two splits, {ends}",
                "put all of it into one, or take data.group away if its items don't resemble each other",
            )
    place = np.array([SPLITS.index(name) if name else -1 for name in split[rows].tolist()])
    alike = table["alike"].to_numpy()[rows]
    order = np.lexsort((rows, -place, alike))
    _, first, which = np.unique(alike[order], return_index=True, return_inverse=True)
    best = np.empty(len(rows), dtype=np.int64)
    best[order] = rows[order][first[which]]
    other = split[best] != split[rows]
    twins = zip(table["source"].iloc[best[other]], split[best[other]], strict=True)
    quarantine(table, rows[other], [f"like an item of another split: {source} in {kept}" for source, kept in twins])


def quarantine(table: pd.DataFrame, rows: Ints, reasons: list[str]) -> None:
    """Take items out of use, for these reasons alone."""
    table.loc[rows, "verdict"], table.loc[rows, "reason"] = "quarantined", reasons
    table.loc[rows, "split"], table.loc[rows, ["group", "twin"]] = "", -1


def parts(items: Items) -> Iterator[pd.DataFrame]:
    """The index in words, a part of it at a time."""
    table = items.table
    for start in range(0, len(table), _AT_ONCE):
        some = table.iloc[start : start + _AT_ONCE]
        hashes = (hashed.tobytes().hex() for hashed in items.hashes[start : start + _AT_ONCE])
        group = some["group"].to_numpy()
        words = np.full(len(some), "", dtype=object)
        words[group >= 0] = list(_words(items, group[group >= 0]))
        shas = ["" if hashed == "0" * 64 else hashed for hashed in hashes]
        yield some.assign(sha256=shas, group=words, reason=_reasons(table, some))


def _reasons(table: pd.DataFrame, some: pd.DataFrame) -> list[str]:
    """For people: why an item isn't used, or what it is the same as, or much like."""
    found = some["reason"].tolist()
    twins = some["twin"].to_numpy()
    at = np.flatnonzero(twins >= 0)
    one, twin = some.iloc[at], table.iloc[twins[at]]
    same = one["same"].to_numpy() == twin["same"].to_numpy()
    for i, is_same, source, own, label in zip(at, same, twin["source"], one["label"], twin["label"], strict=True):
        note = f"{'same as' if is_same else 'much like'} {source}"
        if label != own:
            note += f", which is labelled {label}"
        found[i] = "; ".join(filter(None, [found[i], note]))
    return found


def write(folder: Path, some: Iterable[pd.DataFrame]) -> None:
    """Write `index.csv`, whole or not at all, of its parts; see cells.inert."""
    with files.replaced(folder / "index.csv") as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        for i, part in enumerate(some):
            cells.inert_table(part[COLUMNS]).to_csv(stream, index=False, header=not i, lineterminator="\n")
