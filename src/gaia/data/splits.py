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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = ("train", "validation", "test")
DRAWN = ("test", "validation")  # in this order, from what is for training otherwise
_BLOCK = 2**16  # units looked at together


def unite(n: int, *relations: Sequence[str] | NDArray[np.integer]) -> NDArray[np.int64]:
    """A number [n] for each item, shared by those that belong together by any of the relations.

    A relation is a word or a number [n] for each item, shared by those that it joins ('' or one below 0 joins none), or
    pairs, int [m, 2].
    """
    edges: list[NDArray[np.int64]] = []
    for relation in relations:
        if isinstance(relation, np.ndarray) and relation.ndim == 2:
            edges.append(relation.astype(np.int64))
            continue
        numbers = relation if isinstance(relation, np.ndarray) else _numbered(relation)
        items = np.flatnonzero(numbers >= 0)
        _, first, which = np.unique(numbers[items], return_index=True, return_inverse=True)
        ends = np.stack([items[first[which]], items], axis=1)
        edges.append(ends[ends[:, 0] != ends[:, 1]])
    ends = np.concatenate([np.zeros((0, 2), dtype=np.int64), *edges])
    graph = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _numbered(words: Sequence[str]) -> NDArray[np.int64]:
    known: dict[str, int] = {"": -1}
    return np.fromiter((known.setdefault(word, len(known)) for word in words), np.int64, len(words))


def digests(words: Iterable[str]) -> NDArray[np.uint8]:
    """The sha256 of each word, uint8 [n, 32]: half of what it takes as text."""
    hashes, left = bytearray(), iter(words)
    while some := list(itertools.islice(left, _BLOCK)):  # join makes a list of all that it is given
        hashes += b"".join([hashlib.sha256(word.encode()).digest() for word in some])
    return np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32)


def ranks(hashes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Where each hash, uint8 [n, 32], stands among those that differ: int [n], the same for the same."""
    parts = hashes.view(">u8")
    begin = parts[:, 0].astype(np.uint64)
    order = np.argsort(begin, kind="stable")
    new = begin[order[1:]] != begin[order[:-1]]
    like = np.flatnonzero(~new)
    if any(
        (hashes[order[some]] != hashes[order[some + 1]]).any() for some in np.array_split(like, 1 + len(like) // _BLOCK)
    ):
        order = np.lexsort(parts.T[::-1])  # two hashes begin alike and differ: once in a million sets of a million
        new = (parts[order[1:]] != parts[order[:-1]]).any(axis=1)
    found = np.zeros(len(order), dtype=np.int32)
    found[order[1:]] = np.cumsum(new, dtype=np.int32)
    return found


def drawn(
    unit: NDArray[np.integer],
    order: NDArray[np.int64],
    labels: Sequence[str] | NDArray[np.object_],
    shares: Mapping[str, float],
    dates: NDArray[np.float64] | None,
) -> NDArray[np.object_]:
    """The split of each item: `shares` of them for `test` and `validation` (either may be missing), the rest for
    training. Items of one `unit`, a number from 0, share a split.

    Without `dates` the shares hold for each label: to within one item where units are single items, else as close as
    whole units come, in the `order` [units] that is given. Each split gets at least one item of a label that has three
    units. With `dates`, larger is later: the last units are for the test
    split, those before for validation, whatever their labels; units that are equally late are not parted.
    """
    if dates is not None:
        late = np.full(len(order), -math.inf)
        np.maximum.at(late, unit, dates)
        return _latest(late, np.bincount(unit, minlength=len(order)), shares)[unit]
    label, classes = pd.factorize(np.asarray(labels, dtype=object), sort=True)
    counts = np.zeros((len(order), len(classes)), dtype=np.int32)
    np.add.at(counts, (unit, label), 1)
    return _filled(counts, order, shares)[unit]


def _filled(counts: NDArray[np.int32], order: NDArray[np.int64], shares: Mapping[str, float]) -> NDArray[np.object_]:
    """The split of each unit, of which `counts` [units, labels] says what it holds. A unit is taken if it fits beside
    those that stand before it in the order; at the end the one that closes most of a gap. The last units of a label
    are left to the splits that come after."""
    found = np.full(len(counts), "train", dtype=object)
    kinds = [name for name in DRAWN if name in shares]
    quotas = np.array([_quotas(n, shares) for n in counts.sum(axis=0).tolist()], dtype=np.int64).T
    units = (counts > 0).sum(axis=0)  # that no split has taken yet
    rest = order
    for others, split, missing in zip(range(len(kinds), 0, -1), kinds, quotas, strict=True):
        had = np.zeros_like(missing)

        def take(some: NDArray[np.int64], split: str = split, missing: Any = missing, had: Any = had) -> None:
            found[some] = split
            held = counts[some].sum(axis=0)
            np.subtract(missing, held, out=missing)
            np.add(had, held, out=had)
            np.subtract(units, (counts[some] > 0).sum(axis=0), out=units)

        for start in range(0, len(rest), _BLOCK):
            if not missing.any():
                break
            block = rest[start : start + _BLOCK]
            block = block[_fit(counts[block], 0, missing, units, others)]
            before = np.cumsum(counts[block], axis=0) - counts[block]
            gone: Any = np.cumsum(counts[block] > 0, axis=0) - (counts[block] > 0)
            fits = _fit(counts[block], before, missing, units - gone, others)
            sure = len(block) if fits.all() else int(np.argmin(fits))  # up to there each one fits beside all before it
            take(block[:sure])
            for at in range(sure, len(block)):
                if _fit(counts[block[at : at + 1]], 0, missing, units, others)[0]:
                    take(block[at : at + 1])
        rest = rest[found[rest] == "train"]
        while missing.any():
            spare = rest[((units > others) | (counts[rest] == 0)).all(axis=1)]
            if not len(spare) or (best := _closing(counts[spare], missing, had)) is None:
                break
            take(spare[best : best + 1])
            rest = rest[rest != spare[best]]
    return found


def _fit(counts: Any, before: Any, missing: Any, units: Any, others: int) -> NDArray[np.bool_]:
    """Which units [n, labels] hold no more than is missing once `before` is there, and are not the last of a label."""
    enough = counts <= np.maximum(missing - before, 0)
    return np.asarray((enough & ((units > others) | (counts == 0))).all(axis=1))


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


def _latest(late: NDArray[np.float64], sizes: NDArray[np.int64], shares: Mapping[str, float]) -> NDArray[np.object_]:
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
    return found
