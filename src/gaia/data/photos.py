"""A folder of photos -> index and one array of pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import Photos
from gaia.console import bar
from gaia.data import alike, hashed, shards
from gaia.data import index as indexes
from gaia.data.check import check
from gaia.data.dataset import write_description
from gaia.data.told import Told, of_photos
from gaia.errors import GaiaError
from gaia.inputs import photos as images

_IN_FLIGHT = 2**26  # bytes of prepared photos held at once: bounds the memory, whatever their number


class _Photo(NamedTuple):
    row: dict[str, object]
    sha256: bytes = bytes(32)  # zeros: not read
    pixels: NDArray[np.uint8] | None = None
    looks: Sequence[alike.Look] = ()


def prepare(line: str, raw: Path, config: Photos, seed: int, positive: str | None, out: Path) -> None:
    """Decode every photo that DVC hashes under `raw` once, with all cores: index.csv, images.npy, dataset.json.

    images.npy is uint8 [files, size, size, 3], row by row as in the index (zeros for quarantined files).
    Raises GaiaError if the folder or its content can't be trained on (see check.check).
    """
    if not raw.is_dir():
        raise GaiaError(
            f"{line}: {raw} is not a folder", f"give lines.{line}.raw a folder with one sub-folder for each class"
        )
    files, left_out, problems = hashed.look(raw)
    if problems:
        raise GaiaError.several(problems)
    if not files:
        raise GaiaError(f"{line}: {raw} holds no file", "it needs one sub-folder of photos for each class")
    places, inside = shards.look(line, raw, [file for file in files if file.name != config.labels])
    labels = {file: place.label for file, place in places.items() if place.label}
    beside = [file for file in files if file.suffix.lower() not in shards.SUFFIXES] if places else files
    told = of_photos(line, raw, [*places, *beside], config, labels)
    files, left_out = list(told), left_out | inside
    out.mkdir(parents=True, exist_ok=True)
    shape = (len(files), config.image_size, config.image_size, 3)
    blank = np.zeros(shape[1:], dtype=np.uint8)
    looks: list[Sequence[alike.Look]] = [()] * len(files)
    rows: dict[str, list[Any]] = {key: [None] * len(files) for key in ("source", "label", "size", "verdict", "reason")}
    hashes = np.zeros((len(files), 32), dtype=np.uint8)
    order = sorted(range(len(files)), key=lambda at: places.get(files[at], ()))
    cores = os.cpu_count() or 1
    chunk = min(512, max(2 * cores, _IN_FLIGHT // blank.nbytes))
    with (
        open(out / "images.npy", "wb") as array,
        ThreadPoolExecutor(cores) as pool,  # decoding releases the interpreter's lock
        bar(f"{line}: photos", len(files), "photos") as show,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(array, header)
        begin = array.tell()
        array.truncate(begin + len(files) * blank.nbytes)
        for start in range(0, len(files), chunk):
            some = order[start : start + chunk]
            read = pool.map(lambda at: _read(raw, files[at], told[files[at]], config, places.get(files[at])), some)
            for done, (at, photo) in enumerate(zip(some, read, strict=True), start + 1):
                array.seek(begin + at * blank.nbytes)
                array.write((blank if photo.pixels is None else photo.pixels).tobytes())
                looks[at] = photo.looks
                hashes[at] = np.frombuffer(photo.sha256, dtype=np.uint8)
                for key, found in rows.items():
                    found[at] = photo.row[key]
                show(done, "")
    if not config.classes and not config.labels and not config.label:
        _set_aside_strays(rows)
    table = pd.DataFrame(rows | {"split": ""}, dtype=object).astype({"size": np.int64})
    given = {key: np.array([getattr(one, key) for one in told.values()], dtype=object) for key in ("split", "group")}
    given["date"] = np.array([one.date for one in told.values()])
    items = indexes.Items(table, hashes, given, labelled=False)
    pixels = np.load(out / "images.npy", mmap_mode="r")
    pairs = alike.pairs(looks, pixels.__getitem__, config.framing)
    indexes.assign_splits(line, items, config, seed, pairs)
    indexes.write(out, indexes.parts(items))
    write_description(out, check(line, table, config, positive, left_out), features=[])


def _read(raw: Path, file: Path, told: Told, config: Photos, place: shards.Place | None) -> _Photo:
    row = {"source": indexes.printable(file.as_posix()), "label": told.label, "size": 0, "verdict": "quarantined"}
    sha256 = bytes(32)
    if told.reason:
        return _Photo(row | {"reason": told.reason})
    if config.classes and told.label not in config.classes:
        return _Photo(row | {"verdict": "left out", "reason": f"is none of data.classes: '{told.label}'"})
    try:
        content = place.read() if place else _content(raw / file, config.max_megapixels)
        row |= {"size": len(content)}
        sha256 = hashlib.sha256(content).digest()
        pixels, notes = images.read(
            content, file.name, size=config.image_size, framing=config.framing,
            max_megapixels=config.max_megapixels, min_side=config.min_side,
        )  # fmt: skip
    except images.UnusablePhoto as error:
        return _Photo(row | {"reason": indexes.printable(str(error))}, sha256)
    return _Photo(
        row | {"verdict": "ok", "reason": "; ".join(notes)},
        sha256,
        pixels,
        alike.looks(pixels, config.framing) if config.near_duplicates else (),
    )


def _set_aside_strays(rows: dict[str, list[Any]]) -> None:
    """Folders in which nothing is an image, nor named like one, are no classes: their files get a reason that says so.

    A folder of damaged photos stays a class, which is then missed.
    """
    suffixes = frozenset().union(*images.SUFFIXES.values())
    photographic = {
        label
        for label, reason, source in zip(rows["label"], rows["reason"], rows["source"], strict=True)
        if reason not in ("not an image", "empty file") or Path(source).suffix.lower() in suffixes
    }
    for i, label in enumerate(rows["label"]):
        if label not in photographic:
            rows["reason"][i] = f"stray folder: {rows['reason'][i]}, nor is anything beside it"
            rows["label"][i] = ""


def _content(path: Path, max_megapixels: float) -> bytes:
    """The file's bytes. Raises UnusablePhoto; never reads what no photo of that size can fill."""
    try:
        size = path.stat().st_size
        if size > max_megapixels * 8e6 + 2**24:  # 16 bits a sample, four samples; EXIF and the like
            raise images.UnusablePhoto(f"too large: {size / 1e6:.0f} MB")
        return path.read_bytes()
    except OSError as error:
        raise images.UnusablePhoto(f"can't be opened: {error.strerror}") from None
