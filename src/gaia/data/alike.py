"""Which photos are the same photo: scaled, recompressed, brightened, mirrored, bordered, cropped or turned a little.

Two steps. Hashes of the slowest waves name pairs that may be, at little cost; then their thumbnails are laid over each
other, enlarged and turned and shifted by small steps, and have to agree better than the photo agrees with itself when
it is shifted by one pixel. So what tells two photos apart is their own detail: drawings that all look alike, such as
digits, differ by more than such a step, and copies of one photo by less.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

_ROWS, _BLOCK = 64, 512  # hashes compared with so many others at once, so that the work fits the processor's cache
_BITS = 14  # of 64, up to which two photos may be the same
_SIDE = 32  # px of a thumbnail
_ROOM = 3  # px by which thumbnails are shifted over each other, up and down, left and right
_INNER = _SIDE - 2 * _ROOM
_FULL = 2 * _SIDE  # px of the photo that thumbnails are taken from
_NEARER = (2, 2, _FULL - 2, _FULL - 2)  # what a photo is hashed a second time of
_ENLARGED = (1.0, 1.05, 1.1)
_TURNED = (-3.0, -1.5, 0.0, 1.5, 3.0)  # degrees
_AT_ONCE = 512  # pairs whose small thumbnails are compared at once
_LEFT = 0.6  # of what a step of one pixel changes in a small thumbnail, that may be left where two may be the same
_AGREE = 0.6  # of what a photo's own step of one pixel changes, that may differ
_FLAT = 10  # grey values between which a border, or a whole photo, is of one colour
_WAVES = 11

_BILINEAR = Image.Resampling.BILINEAR
Grey = NDArray[np.uint8]


def _cosines() -> NDArray[np.int64]:
    frequency, place = np.arange(_WAVES)[:, None], np.arange(_SIDE)
    return np.rint(4096 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))).astype(np.int64)


_COSINES = _cosines().astype(np.float64)  # [11, 32], the rows of a discrete cosine transform
_SLOWEST = np.argsort(np.add.outer(np.arange(_WAVES), np.arange(_WAVES)).ravel(), kind="stable")[1:65]  # but the mean
MIRROR = np.packbits(_SLOWEST % _WAVES % 2 == 1).view(np.uint64)[0]  # a mirrored photo's odd waves across are negated


def perceptual_hash(thumbnail: NDArray[np.integer]) -> np.uint64:
    """64 bits, few of which change when a photo is scaled, compressed or brightened, of its thumbnail [32, 32].

    The signs of the slowest cosine waves (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010), in whole numbers, so that every machine finds the same. Half of the bits differ between unrelated
    photos, dark ones too; a photo of one colour all over has none. Mirroring a photo flips those set in `MIRROR`.
    """
    waves = _COSINES @ thumbnail.astype(np.float64) @ _COSINES.T
    return np.packbits(waves.ravel()[_SLOWEST] > 0).view(np.uint64)[0]


class Look(NamedTuple):
    """What is kept of a photo to find its like; `small` and `hashes`: as it is, and enlarged."""

    which: int  # 0: the whole photo; 1: without a border of one colour
    hashes: tuple[np.uint64, np.uint64]
    small: tuple[Grey, Grey]  # [16, 16]
    content: bytes  # the same for photos that look the same to the last bit, and for all of one colour


def looks(pixels: NDArray[np.uint8], framing: str) -> list[Look]:
    """The looks of a prepared photo, uint8 [size, size, 3], whose `framing` says how it became a square."""
    found = []
    for which, full in enumerate(_fulls(pixels, framing)):
        inner = np.asarray(Image.fromarray(full).resize((_FULL, _FULL), _BILINEAR, _NEARER))
        (large, small), (large_inner, small_inner) = map(_thumbnails, (full, inner))
        flat = int(full.max()) - int(full.min()) <= 2
        content = b"" if flat else hashlib.blake2b(full.tobytes(), digest_size=16).digest()
        hashes = perceptual_hash(large), perceptual_hash(large_inner)
        found.append(Look(which, hashes, (small, small_inner), content))
    return found


def pairs(
    found: Sequence[Sequence[Look]], pixels: Callable[[int], NDArray[np.uint8]], framing: str
) -> NDArray[np.int64]:
    """Pairs of photos that are the same, int [m, 2]: enough of them to join all that chains of such pairs join.

    `found`: the looks of each photo (none of those that are not to be compared); `pixels` gives a prepared photo by its
    number. Memory grows with the photos only.
    """
    joined = np.arange(len(found))  # a number for each photo, the same for those that are known to be the same
    pairs: list[tuple[int, int]] = []
    all_looks: list[tuple[int, Look]] = []
    first: dict[bytes, int] = {}

    def join(a: int, b: int) -> None:
        pairs.append((a, b))
        joined[joined == joined[a]] = joined[b]

    @lru_cache(1024)
    def laid(photo: int, which: int) -> _Laid:
        return _laid(_fulls(pixels(photo), framing)[which])

    for photo, its in enumerate(found):
        if its and (twin := first.setdefault(its[0].content, photo)) != photo:
            join(twin, photo)
        else:
            all_looks += [(photo, look) for look in its if look.content]
    for one, other in _likely(all_looks, joined):
        (a, look), (b, second) = all_looks[one], all_looks[other]
        if joined[a] != joined[b] and _agree(laid(a, look.which), laid(b, second.which)):
            join(a, b)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _fulls(pixels: NDArray[np.uint8], framing: str) -> list[Grey]:
    """The photo in grey, [64, 64], and once more without its border if it has one."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    inner = _bordered(grey, framing)
    return [_full(grey)] if inner is None else [_full(grey), _full(inner)]


def _full(grey: Grey) -> Grey:
    if grey.shape == (_FULL, _FULL):
        return grey
    method = Image.Resampling.BOX if min(grey.shape) >= _FULL else _BILINEAR
    return np.asarray(Image.fromarray(grey).resize((_FULL, _FULL), method))


def _bordered(grey: Grey, framing: str) -> Grey | None:
    """What lies within a border of one colour, of a fifth of the photo at most; None if there is none."""
    side = len(grey)
    ends = []
    for lines in (grey, grey[::-1], grey.T, grey.T[::-1]):
        outer = lines[: side // 5]
        flat = int(np.argmin([*(outer.max(axis=1) - outer.min(axis=1) <= _FLAT), False]))
        ends.append(flat + 1 if flat else 0)  # and the line in which border and photo are mixed
    if not any(ends):
        return None
    top, bottom, left, right = ends[0], side - ends[1], ends[2], side - ends[3]
    if framing == "crop":  # the photo was wider than the square, or higher, and so was what lies within
        spare = (bottom - top) - (right - left)
        cut = abs(spare) // 2
        top, bottom = (top + cut, bottom - cut) if spare > 0 else (top, bottom)
        left, right = (left + cut, right - cut) if spare < 0 else (left, right)
    return np.ascontiguousarray(grey[top:bottom, left:right])


def _thumbnails(full: Grey) -> tuple[NDArray[np.uint16], Grey]:
    """The sums of 2 x 2 px [32, 32], and the means of 4 x 4 px [16, 16]."""
    large = _fours(full.astype(np.uint16))
    return large, ((_fours(large) + 8) >> 4).astype(np.uint8)


def _fours(picture: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]


def _likely(all_looks: Sequence[tuple[int, Look]], joined: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs of looks that may be of the same photo: few bits differ, and little is left of one small thumbnail that
    isn't the other, brightened and moved a little. What is `joined` meanwhile would only take time."""
    if not all_looks:
        return
    photo = np.array([photo for photo, _ in all_looks])
    hashes = np.array([look.hashes for _, look in all_looks], dtype=np.uint64).T
    small = np.array([look.small for _, look in all_looks])
    for one, other in _near(hashes, photo):
        apart = joined[photo[one]] != joined[photo[other]]
        if not apart.any():
            continue
        one, other = one[apart], other[apart]
        involved, at = np.unique([one, other], return_inverse=True)
        base, step = _moves(small[involved, 0])
        ways = [small[involved, enlarged, 1:-1, 1:-1][:, :, ::flip] for enlarged in (0, 1) for flip in (1, -1)]
        others = np.stack([_unit(way) for way in ways], axis=-1)  # [looks, pixels, ways]
        at = at.reshape(2, -1)
        explained = [(np.matmul(base[a].mT, others[b]) ** 2).sum(axis=1).max(axis=1) for a, b in (at, at[::-1])]
        left = 1 - np.maximum(*explained)
        likely = left <= _LEFT * (1 - np.maximum(*step[at]) ** 2)
        yield from zip(one[likely].tolist(), other[likely].tolist(), strict=True)


def _moves(small: Grey) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What small thumbnails [n, 16, 16] become when they are brightened, shifted, enlarged or turned by little: an
    orthonormal base [n, 14 x 14, 6]; and how well each agrees with itself after a step of one pixel.

    To the first order: B. D. Lucas, T. Kanade, "An Iterative Image Registration Technique", 1981.
    """
    grey = small.astype(np.float64)
    inner = grey[:, 1:-1, 1:-1]
    down, across = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]) / 2, (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]) / 2
    x = np.arange(inner.shape[2]) - (inner.shape[2] - 1) / 2
    y = x[:, None]
    moved = [np.ones_like(inner), inner, across, down, x * across + y * down, x * down - y * across]
    base: NDArray[np.float64] = np.linalg.qr(np.stack(moved, axis=-1).reshape(len(grey), -1, len(moved)))[0]
    shifted = (grey[:, 1:-1, 2:], grey[:, 1:-1, :-2], grey[:, 2:, 1:-1], grey[:, :-2, 1:-1])
    step = np.max([(_unit(inner) * _unit(other)).sum(axis=1) for other in shifted], axis=0)
    return base, step


def _unit(pictures: NDArray[Any]) -> NDArray[np.float64]:
    """Each picture, [n, ...], without its mean and of length 1: [n, pixels]."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(1e-9, np.linalg.norm(flat, axis=1, keepdims=True)), dtype=np.float64)


def _near(
    hashes: NDArray[np.uint64], photo: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of looks, some at a time, of which few bits differ, or would after one is mirrored; `hashes` [2,
    n]: as they are, and enlarged. All cores look: each pair of 200,000 is compared, in six ways."""
    ways = [(hashes[a] ^ flip, hashes[b]) for a, b in ((0, 0), (0, 1), (1, 0)) for flip in (np.uint64(0), MIRROR)]
    held: list[NDArray[np.int64]] = []
    with ThreadPoolExecutor() as pool:
        for some in pool.map(partial(_near_those, ways, photo), range(0, len(photo), _ROWS)):
            held.append(some)
            if sum(map(len, held)) >= _AT_ONCE:
                yield from _in_blocks(held)
                held = []
    yield from _in_blocks(held)


def _in_blocks(held: list[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *held])
    for start in range(0, len(pairs), _AT_ONCE):
        yield pairs[start : start + _AT_ONCE, 0], pairs[start : start + _AT_ONCE, 1]


def _near_those(ways: Sequence[Any], photo: NDArray[np.int64], top: int) -> NDArray[np.int64]:
    """The pairs, int [m, 2], whose first look is one of `_ROWS` from `top` on."""
    found, rows = [np.zeros((0, 2), dtype=np.int64)], slice(top, top + _ROWS)
    for left in range(top, len(photo), _BLOCK):
        columns = slice(left, left + _BLOCK)
        shape = len(photo[rows]), len(photo[columns])
        differ, count = np.empty(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint8)
        least = np.full(shape, 64, dtype=np.uint8)
        for one, other in ways:
            np.bitwise_xor(one[rows, None], other[columns], out=differ)
            np.bitwise_count(differ, out=count)
            np.minimum(least, count, out=least)
        if least.min() <= _BITS:
            near = np.argwhere((least <= _BITS) & (photo[rows, None] < photo[columns]))
            found.append(near + np.array([top, left]))
    return np.concatenate(found)


def _moments(pictures: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and n^2 variances of each picture [k, n]. Whole numbers below 2^53 throughout: exact on any machine."""
    total = pictures.sum(axis=1)
    return total, pictures.shape[1] * np.einsum("ij,ij->i", pictures, pictures) - total * total


class _Laid(NamedTuple):
    """A photo as it is laid over others."""

    plain: Grey  # [32, 32]
    varied: Grey  # [variations, 26 x 26]: enlarged and turned
    step: float  # how well it agrees with itself, shifted by one pixel


def _laid(full: Grey) -> _Laid:
    plain, middle, half = ((_fours(full.astype(np.uint16)) + 2) >> 2).astype(np.uint8), _SIDE / 2, _INNER / 2
    varied = []
    for enlarged, degrees in product(_ENLARGED, _TURNED):
        c, s = (f(math.radians(degrees)) / enlarged for f in (math.cos, math.sin))
        matrix = (c, s, middle - half * (c + s), -s, c, middle + half * (s - c))
        part = Image.fromarray(plain).transform((_INNER, _INNER), Image.Transform.AFFINE, matrix, _BILINEAR)
        varied.append(np.asarray(part).ravel())
    itself = _overlaid(plain[None, _ROOM:-_ROOM, _ROOM:-_ROOM].reshape(1, -1), plain)[0]
    here, row = _ROOM * (2 * _ROOM + 1) + _ROOM, 2 * _ROOM + 1
    step = max(itself[here + shift] for shift in (-1, 1, -row, row))
    return _Laid(plain, np.array(varied), float(step))


def _agree(one: _Laid, other: _Laid) -> bool:
    """Whether two photos agree better, at the best of all ways to lay them, than either with itself after a step."""
    enough = 1 - _AGREE * (1 - max(one.step, other.step))
    ways = ((a.varied, b.plain[:, ::flip]) for a, b in ((one, other), (other, one)) for flip in (1, -1))
    return any(_overlaid(varied, plain).max() >= enough for varied, plain in ways)


def _overlaid(varied: Grey, plain: Grey) -> NDArray[np.float64]:
    """Pearson's r of each variation [k, 26 x 26] with each shifted part of a thumbnail [32, 32]: [k, 49]."""
    parts = sliding_window_view(plain, (_INNER, _INNER)).reshape(-1, _INNER * _INNER).astype(np.float64)
    others = varied.astype(np.float64)
    (sum_a, spread_a), (sum_b, spread_b) = _moments(others), _moments(parts)
    both = _INNER * _INNER * (others @ parts.T) - np.outer(sum_a, sum_b)
    return np.asarray(both / np.sqrt(np.maximum(1.0, np.outer(spread_a, spread_b))), dtype=np.float64)
