"""A folder with one sub-folder a class -> index and one array of pixels."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from gaia import images
from gaia.config.schema import Photos
from gaia.console import bar
from gaia.data import index as indexes
from gaia.errors import GaiaError

_CHUNK = 256  # photos in flight: bounds the memory, whatever the number of photos


class _Photo(NamedTuple):
    row: dict[str, object]
    pixels: NDArray[np.uint8] | None


def prepare(line: str, raw: Path, config: Photos, seed: int, positive: str | None, out: Path) -> None:
    """Decode every photo under `raw` once, with all cores, into `out`: index.csv, images.npy, dataset.json.

    images.npy is uint8 [files, size, size, 3], row by row as in the index (zeros for quarantined files).
    Raises GaiaError if the folder or its content can't be trained on (see index.check).
    """
    if not raw.is_dir():
        raise GaiaError(f"{line}: {raw} is not a folder; give lines.{line}.raw a folder with one sub-folder a class.")
    files = _files(raw)
    if not files:
        raise GaiaError(f"{line}: {raw} holds no file; it needs one sub-folder of photos a class.")
    out.mkdir(parents=True, exist_ok=True)
    shape = (len(files), config.size, config.size, 3)
    pixels = np.lib.format.open_memmap(out / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    hashes = np.zeros((len(files), 4), dtype=np.uint64)
    rows: list[dict[str, object]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar(f"{line}: photos", len(files), "photos") as show:
        for start in range(0, len(files), _CHUNK):  # decoding releases the interpreter's lock
            chunk = files[start : start + _CHUNK]
            for photo in pool.map(lambda file: _read(raw, file, config), chunk):
                if photo.pixels is not None:
                    pixels[len(rows)] = photo.pixels
                    hashes[len(rows)] = perceptual_hash(photo.pixels)
                rows.append(photo.row)
                show(len(rows), "")
    pixels.flush()
    index = pd.DataFrame(rows, columns=indexes.COLUMNS)
    indexes.assign_splits(index, config, seed, hashes, config.near_duplicates)
    indexes.write(out, index)
    labels = indexes.check(line, index, config, positive)
    indexes.write_description(out, labels, features=[])


def perceptual_hash(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """256 bits, uint64 [4], that hardly change when a photo is scaled or compressed again.

    Difference hash: is each cell of a 16 x 17 grey thumbnail brighter than its right neighbour? (N. Krawetz, "Kind of
    Like That", 2013)
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).view(np.uint64)


def _files(raw: Path) -> list[Path]:
    """Every file below `raw`, links included, but for hidden ones; in the order of their names on any system."""
    found = [
        Path(folder, name).relative_to(raw)
        for folder, _, names in os.walk(raw, followlinks=True)
        for name in names
        if not name.startswith(".")
    ]
    return sorted(found, key=lambda p: p.as_posix())


def _read(raw: Path, file: Path, config: Photos) -> _Photo:
    source = file.as_posix().encode("utf-8", "backslashreplace").decode()
    row: dict[str, object] = dict.fromkeys(indexes.COLUMNS, "") | {
        "source": source,
        "size": 0,
        "verdict": "quarantined",
    }
    if len(file.parts) < 2:
        return _Photo(row | {"reason": "stray file: stands in no class folder"}, None)
    label = file.parts[0]
    row["label"] = label
    if config.classes and label not in config.classes:
        return _Photo(row | {"reason": f"folder '{label}' is none of data.classes"}, None)
    try:
        content = (raw / file).read_bytes()
    except FileNotFoundError:
        return _Photo(row | {"reason": "dangling link"}, None)
    except OSError as error:
        return _Photo(row | {"reason": f"can't be opened: {error.strerror}"}, None)
    row |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    try:
        pixels, notes = images.read(
            content, file.name, size=config.size, max_megapixels=config.max_megapixels, min_side=config.min_side
        )
    except images.UnusablePhoto as error:
        return _Photo(row | {"reason": str(error)}, None)
    return _Photo(row | {"verdict": "ok", "reason": "; ".join(notes)}, pixels)
