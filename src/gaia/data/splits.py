"""Which split an item belongs to: decided by its content and the seed, not by its place or its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = ("train", "validation", "test")
_BLOCK = 512  # rows compared at once: 512 x n distances bound the memory


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
    """
    n = len(sha256)
    if hashes is None or distance == 0 or n == 0:
        return list(sha256)
    rows, columns = [], []
    for start in range(0, n, _BLOCK):
        block = hashes[start : start + _BLOCK]
        bits = np.zeros((len(block), n), dtype=np.uint16)
        for word in range(hashes.shape[1]):
            bits += np.bitwise_count(block[:, word, None] ^ hashes[None, :, word])
        near = np.nonzero(bits <= distance)
        rows.append(near[0] + start)
        columns.append(near[1])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row), dtype=bool), (row, column)), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    smallest: dict[int, str] = {}
    for g, sha in zip(group, sha256, strict=True):
        smallest[g] = min(smallest.get(g, sha), sha)
    return [smallest[g] for g in group]
