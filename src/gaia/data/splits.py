"""Which split an item belongs to: by the shares, by what its data say, or by date; groups lie in one.

The shares are drawn by content and seed, class by class: the items of a class stand in the order of their hashes, the
first are for the test split, the next for validation. So a split holds its share of each class to within one item, and
an item more moves at most one other of its class over each of the two borders. (That none moves is only possible where
shares vary: if no item's split depends on another's, a set may be chosen of which all are in the test split.)
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = ("train", "validation", "test")
DRAWN = ("test", "validation")  # in this order, from what is for training otherwise


def unite(n: int, *relations: Sequence[str] | NDArray[np.int64]) -> NDArray[np.int64]:
    """A number [n] for each item, shared by those that belong together by any of the relations.

    A relation is a word [n] for each item, shared by those that it joins ('' joins none), or pairs, int [m, 2].
    """
    edges: list[NDArray[np.int64]] = []
    for relation in relations:
        if isinstance(relation, np.ndarray):
            edges.append(relation.reshape(-1, 2))
            continue
        first: dict[str, int] = {}
        edges.append(np.array([(first.setdefault(w, i), i) for i, w in enumerate(relation) if w], int).reshape(-1, 2))
    ends = np.concatenate([np.zeros((0, 2), dtype=np.int64), *edges])
    graph = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def drawn(
    units: Sequence[str], labels: Sequence[str], seed: int, shares: Mapping[str, float], order: Sequence[float] | None
) -> list[str]:
    """The split of each item: `shares` of them for `test` and `validation` (either may be missing), the rest for
    training. Items of one unit, a word, share a split.

    Without `order` the shares hold for each label: to within one item where units are single items, else as close as
    whole units in the order of their hashes come. Each split gets at least one item of a label that has three units.
    With `order`, larger is later: the last units are for the test split, those before for validation, whatever their
    labels; units that are equally late are not parted.
    """
    names, unit = np.unique(np.array(units, dtype=object), return_inverse=True)
    classes, label = np.unique(np.array(labels, dtype=object), return_inverse=True)
    if order is not None:
        late = np.full(len(names), -math.inf)
        np.maximum.at(late, unit, np.array(order, dtype=np.float64))
        found = _latest(late, np.bincount(unit, minlength=len(names)), shares)
    else:
        counts = np.zeros((len(names), len(classes)), dtype=np.int64)
        np.add.at(counts, (unit, label), 1)
        hashes = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names.tolist()]
        found = _filled(counts, sorted(range(len(names)), key=hashes.__getitem__), shares)
    return [found[u] for u in unit.tolist()]


def _filled(counts: NDArray[np.int64], order: list[int], shares: Mapping[str, float]) -> list[str]:
    """The split of each unit, of which `counts` [units, labels] says what it holds. A unit is taken if it fits beside
    those that stand before it in the order; at the end the one that closes most of a gap. The last units of a label
    are left to the splits that come after."""
    found = ["train"] * len(counts)
    kinds = [name for name in DRAWN if name in shares]
    quotas = np.array([_quotas(n, shares) for n in counts.sum(axis=0).tolist()], dtype=np.int64).T
    holds = counts > 0
    units = holds.sum(axis=0)  # that no split has taken yet
    rest = order
    for others, split, missing in zip(range(len(kinds), 0, -1), kinds, quotas, strict=True):
        had = np.zeros_like(missing)

        def take(u: int, split: str = split, missing: Any = missing, had: Any = had) -> None:
            found[u] = split
            missing -= counts[u]
            had += counts[u]
            np.subtract(units, holds[u], out=units)

        for u in rest:
            if not missing.any():
                break
            if (counts[u] <= np.maximum(missing, 0)).all() and (units[holds[u]] > others).all():
                take(u)
        rest = [u for u in rest if found[u] == "train"]
        while missing.any():
            spare = [u for u in rest if (units[holds[u]] > others).all()]
            if not spare or (best := _closing(counts[spare], missing, had)) is None:
                break
            take(spare[best])
            rest.remove(spare[best])
    return found


def _quotas(n: int, shares: Mapping[str, float]) -> list[int]:
    """How many of n items of a label each split should hold that is drawn: at least one, and one is left for those
    that come after. No border between them moves by more than one place where n does."""
    kinds = [name for name in DRAWN if name in shares]
    borders, share = [0], 0.0
    for others, kind in zip(range(len(kinds), 0, -1), kinds, strict=True):
        share += shares[kind]
        place = min(max(borders[-1] + 1, math.floor(n * share + 0.5)), n - others)
        borders.append(max(borders[-1], place))
    return [end - begin for begin, end in itertools.pairwise(borders)]


def _closing(counts: NDArray[np.int64], missing: NDArray[np.int64], had: NDArray[np.int64]) -> int | None:
    """Which unit brings a split closest to what it misses, the first of equals; None if each would only take it
    further away. That a label has none at all is worse than any number too many."""
    none = 1 + 2 * int(counts.sum() + abs(missing).sum())
    after = abs(missing - counts).sum(axis=1) + none * ((had + counts == 0) & (missing > 0)).sum(axis=1)
    best = int(after.argmin())
    now = abs(missing).sum() + none * ((had == 0) & (missing > 0)).sum()
    return best if after[best] < now else None


def _latest(late: NDArray[np.float64], sizes: NDArray[np.int64], shares: Mapping[str, float]) -> list[str]:
    """The split of each unit: the last for the test split, those before for validation, cut between two times so that
    the numbers come closest."""
    found = np.full(len(late), "train", dtype=object)
    times, when = np.unique(-late, return_inverse=True)  # the latest first
    held = np.bincount(when, weights=sizes)
    total, begin = int(sizes.sum()), 0
    for split in (name for name in DRAWN if name in shares):
        if begin >= len(times):
            break
        filled = np.cumsum(held[begin:])
        end = begin + 1 + int(abs(filled - total * shares[split]).argmin())
        found[(when >= begin) & (when < end)] = split
        begin = end
    return found.tolist()
