"""Which split an item belongs to: decided by its content and the seed, not by its place or its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = ("train", "validation", "test")
_BLOCK = 512  # hashes compared with as many others at once, so that the work fits the processor's cache


def split_of(sha256: str, seed: int, validation: float, test: float) -> str:
    """`train`, `validation` or `test`, with the shares given, by a uniform hash of content and seed.

    Each item is decided alone: adding or removing others moves nothing, and every class is split in the same
    shares (in expectation), since the hash knows no class.
    """
    digest = hashlib.sha256(f"{seed}:{sha256}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


def representatives(sha256: Sequence[str], hashes: NDArray[np.uint64] | None, distance: int) -> list[str]:
    """For each item the content hash that speaks for it: the smallest among its duplicates and near-duplicates.

    `hashes`: perceptual hashes uint64 [n, words], or None to compare contents only. Two items are near-duplicates
    if at most `distance` bits differ; the relation is closed over chains, so that no chain spans two splits.
    So an item that is added may give another speaker to those that it duplicates, and to no other.
    """
    if hashes is None or distance == 0 or len(sha256) == 0:
        return list(sha256)
    distinct, where = np.unique(hashes, axis=0, return_inverse=True)
    group = _groups(distinct, distance)[where.ravel()]
    smallest: dict[int, str] = {}
    for g, sha in zip(group.tolist(), sha256, strict=True):
        smallest[g] = min(smallest.get(g, sha), sha)
    return [smallest[g] for g in group.tolist()]


def _groups(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """A number [n] for each hash, shared by those that chains of near-duplicates connect. Memory grows with n only."""
    n = len(hashes)
    words = np.ascontiguousarray(hashes.T)
    group = np.arange(n)
    for top in range(0, n, _BLOCK):
        for left in range(top, n, _BLOCK):
            rows, columns = _near(words, top, left, distance)
            if len(rows):
                edges = np.append(rows, np.arange(n)), np.append(columns, group)
                graph = coo_array((np.ones(len(edges[0]), dtype=bool), edges), shape=(n, n))
                _, number = connected_components(graph, directed=False)
                _, first = np.unique(number, return_index=True)
                group = first[number]  # named by its first member, a group is edges from there to each member
    return group


def _near(words: NDArray[np.uint64], top: int, left: int, distance: int) -> NDArray[np.int64]:
    """The pairs [2, m] of near-duplicates, the first in the block at `top`, the second behind it, in that at `left`."""
    rows, columns = words[:, top : top + _BLOCK, None], words[:, None, left : left + _BLOCK]
    bits = np.bitwise_count(rows[0] ^ columns[0]).astype(np.uint16)
    for row, column in zip(rows[1:], columns[1:], strict=True):
        bits += np.bitwise_count(row ^ column)
    pairs = np.argwhere(bits <= distance).T + np.array([[top], [left]])
    return pairs[:, pairs[0] < pairs[1]]
