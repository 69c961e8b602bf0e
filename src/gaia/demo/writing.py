"""Demo data on disk: photos in a folder per label, and the table of cultures."""

import multiprocessing
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from gaia import files

Draw = Callable[[str, np.random.Generator, int], Image.Image]

OURS = re.compile(r"demo-\d{5,}\.jpg|\.demo-\d{5,}\.jpg\..+\.new")  # the second is what a kill has left
QUALITY = 88
# Below this many photos a process would take longer to start than it would save.
PHOTOS_PER_PROCESS = 100


def write_photos(
    folder: Path, draw: Draw, labels: Sequence[str], count: int, size: int, seed: int, label_noise: float
) -> None:
    """Write `count` photos, `folder`/<label>/demo-00001.jpg and on, the labels taking turns.

    A photo depends on `seed`, its label and its number alone: more photos leave the earlier ones as they
    were, byte for byte, and so does any number of processes. A share `label_noise` of them, in [0, 1], lands
    in the folder of another label. Photos of an earlier call that are no longer wanted are deleted; a file
    under any other name than demo-<digits>.jpg is never touched. `draw` is a module's function, as it goes to
    other processes. Raises ValueError for fewer than two labels, a negative `count` or a `label_noise` out of
    range.
    """
    if len(set(labels)) < 2:
        raise ValueError(f"labels is {list(labels)}: expected two different ones or more")
    if count < 0:
        raise ValueError(f"count is {count}: expected 0 or more")
    if not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise is {label_noise}: expected a share in [0, 1]")
    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
    write = partial(_write_photo, folder, draw, tuple(labels), size, seed, label_noise)
    console = Console(stderr=True)
    written = set(track(_spread(write, count), f"Drawing {folder}", count, console=console))
    for path in folder.glob("*/*demo-*"):
        if OURS.fullmatch(path.name) and path not in written:
            path.unlink()


def write_table(folder: Path, rows: int, seed: int, label_noise: float) -> None:
    """Write `folder`/cultures.csv, whole or not at all: `cultures.table` of the same arguments."""
    # Here, as pandas takes a second to load: each process that draws photos would spend it.
    from gaia.demo import cultures

    table = cultures.table(rows, seed, label_noise)
    with files.replaced(folder / "cultures.csv") as part:
        table.to_csv(part, index=False, lineterminator="\n")


def _spread(write: Callable[[int], Path], count: int) -> Iterator[Path]:
    """The path of each photo as it is written, over all cores where that pays."""
    processes = min(os.cpu_count() or 1, count // PHOTOS_PER_PROCESS)
    if processes < 2:
        yield from map(write, range(1, count + 1))
        return
    # Spawned, not forked: a caller may hold the threads of torch or tensorflow, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(write, range(1, count + 1), chunksize=10)


def _write_photo(
    folder: Path, draw: Draw, labels: tuple[str, ...], size: int, seed: int, label_noise: float, number: int
) -> Path:
    label = labels[(number - 1) % len(labels)]
    rng = np.random.default_rng([seed, zlib.crc32(label.encode()), number])
    # Both drawn for every photo, so that another share of noise moves photos without redrawing any.
    strays, others = rng.random() < label_noise, [other for other in labels if other != label]
    stray = others[rng.integers(len(others))]
    path = folder / (stray if strays else label) / f"demo-{number:05d}.jpg"
    with files.replaced(path) as part:
        draw(label, rng, size).save(part, "JPEG", quality=QUALITY)
    return path
