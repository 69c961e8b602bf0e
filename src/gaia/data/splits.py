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


def representatives(
    sha256: Sequence[str],
    hashes: NDArray[np.uint64] | None,
    distance: int,
    mirror: NDArray[np.uint64] | None = None,
) -> list[str]:
    """For each item the content hash that speaks for it: the smallest among its duplicates and near-duplicates.

    `hashes`: perceptual hashes uint64 [n, words], or None to compare contents only. Two items are near-duplicates
    if at most `distance` bits differ, or would after one is mirrored, which flips the bits set in `mirror`, uint64
    [words]; the relation is closed over chains, so that no chain spans two splits.
    So an item that is added may give another speaker to those that it duplicates, and to no other.
    """
    if hashes is None or distance == 0 or len(sha256) == 0:
        return list(sha256)
    distinct, where = np.unique(hashes, axis=0, return_inverse=True)
    group = _groups(distinct, distance, mirror)[where.ravel()]
    smallest: dict[int, str] = {}
    for g, sha in zip(group.tolist(), sha256, strict=True):
        smallest[g] = min(smallest.get(g, sha), sha)
    return [smallest[g] for g in group.tolist()]


def _groups(hashes: NDArray[np.uint64], distance: int, mirror: NDArray[np.uint64] | None) -> NDArray[np.int64]:
    """A number [n] for each hash, shared by those that chains of near-duplicates connect. Memory grows with n only."""
    n = len(hashes)
    words = np.ascontiguousarray(hashes.T)
    mirrored = None if mirror is None else words ^ mirror[:, None]
    group = np.arange(n)
    for top in range(0, n, _BLOCK):
        for left in range(top, n, _BLOCK):
            rows, columns = slice(top, top + _BLOCK), slice(left, left + _BLOCK)
            near = _near(words[:, rows], words[:, columns], distance)
            if mirrored is not None:
                near |= _near(words[:, rows], mirrored[:, columns], distance)
            near &= group[rows, None] != group[columns]  # what is connected already would only take time
            if near.any():
                one, other = np.nonzero(near)
                edges = np.append(one + top, np.arange(n)), np.append(other + left, group)
                graph = coo_array((np.ones(len(edges[0]), dtype=bool), edges), shape=(n, n))
                _, number = connected_components(graph, directed=False)
                _, first = np.unique(number, return_index=True)
                group = first[number]  # named by its first member, a group is edges from there to each member
    return group


def _near(one: NDArray[np.uint64], other: NDArray[np.uint64], distance: int) -> NDArray[np.bool_]:
    """Whether hash i of `one` and j of `other`, uint64 [words, n] and [words, m], differ in few bits: bool [n, m]."""
    bits = np.zeros((one.shape[1], other.shape[1]), dtype=np.uint16)
    for row, column in zip(one, other, strict=True):
        bits += np.bitwise_count(row[:, None] ^ column)
    return bits <= distance
