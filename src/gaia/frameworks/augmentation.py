"""Training photos, varied: what `augmentation:` in YAML means, the same for every framework."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaia.config.schema import Augmentation

CORES = os.cpu_count() or 1
FEW = 4  # cores; with more, threads of one process wait for each other's memory, and processes don't


def varied(
    photos: Any, rows: NDArray[np.int64], how: Augmentation, seed: int, epoch: int, cores: int = CORES
) -> NDArray[np.uint8]:
    """These rows of `photos`, uint8 [n, size, size, 3] in memory or mapped from a file, each varied, by so many cores.

    What comes of a photo depends on (seed, epoch, row) alone.
    """
    shared = cores > FEW and isinstance(photos, np.memmap)
    given = Path(photos.filename) if shared else photos
    parts = [part for part in np.array_split(rows, cores) if len(part)]
    return np.concatenate(list(_pool(shared, cores).map(partial(_varied, given, how, seed, epoch), parts)))


def _varied(photos: Any, how: Augmentation, seed: int, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    opened = _opened(photos) if isinstance(photos, Path) else photos
    rngs = (np.random.default_rng([seed, epoch, int(row)]) for row in rows)
    return np.stack([augment(np.asarray(opened[row]), how, rng) for row, rng in zip(rows, rngs, strict=True)])


@cache
def _pool(processes: bool, cores: int) -> Executor:
    """Kept for all epochs: a process takes a second to start."""
    if processes:
        return ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), end_with_parent)
    return ThreadPoolExecutor(cores)


@cache
def _opened(file: Path) -> NDArray[np.uint8]:
    photos: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return photos


def end_with_parent() -> None:
    """To be called in a process that multiprocessing has started: if what started it is killed, it ends, too."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def augment(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A varied copy of a photo, uint8 [size, size, 3], or the photo itself; all chance comes from `rng`.

    Pillow does the work in one go, outside of the interpreter's lock: threads may vary many photos at once.
    """
    size = photo.shape[0]
    image = Image.fromarray(photo)
    if how.flip and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if how.zoom or how.rotate:
        image = _turn_and_zoom(image, how, rng)
    if how.light or how.colour:
        image = _light(image, how, rng)
    if how.erase and rng.random() < how.erase:
        height, width = rng.integers(size // 8, size // 2 + 1, size=2).tolist()
        top, left = rng.integers(0, (size - height + 1, size - width + 1)).tolist()
        image.paste(tuple(rng.integers(0, 256, size=3).tolist()), (left, top, left + width, top + height))
    return np.asarray(image)


def _turn_and_zoom(image: Image.Image, how: Augmentation, rng: np.random.Generator) -> Image.Image:
    """One resampling: a turned rectangle of the photo, of random area, aspect and place, fills the frame."""
    size = image.width
    area = rng.uniform(1 - how.zoom, 1)
    aspect = np.exp(rng.uniform(-0.2, 0.2)).clip(area, 1 / area)  # neither side longer than the photo's
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    x, y = rng.uniform(-0.5, 0.5, size=2) * (1 - width, 1 - height) * size
    angle = np.deg2rad(rng.uniform(-how.rotate, how.rotate))
    centre = size / 2
    if angle == 0:  # three times as fast as the general way
        left, top = max(0, centre * (1 - width) + x), max(0, centre * (1 - height) + y)
        box = (left, top, min(size, left + width * size), min(size, top + height * size))
        return image.resize((size, size), Image.Resampling.BILINEAR, box)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b, d, e = cos * width, -sin * height, sin * width, cos * height
    matrix = (a, b, x + centre - (a + b) * centre, d, e, y + centre - (d + e) * centre)
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # shows in the corners
    return image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=mean)


def _light(image: Image.Image, how: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Brightness and contrast around the mean, then saturation and white balance: together one colour matrix."""
    brightness, contrast = 1 + rng.uniform(-how.light, how.light, size=2)
    saturation = 1 + rng.uniform(-how.colour, how.colour)
    balance = 1 + rng.uniform(-how.colour, how.colour, size=3) / 2
    counts = np.array(image.histogram()).reshape(3, 256).sum(axis=0)
    mean = float(counts @ np.arange(256)) / counts.sum()
    matrix = contrast * (saturation * np.eye(3) + (1 - saturation) / 3) * balance[:, None]
    rows = np.hstack([matrix, (mean * (brightness - contrast) * balance)[:, None]])
    return image.convert("RGB", matrix=tuple(rows.ravel().tolist()))
