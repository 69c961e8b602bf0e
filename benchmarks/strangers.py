"""How many strangers are found by the photo lines that are built here, and what it costs: benchmarks/strangers.md.

    python benchmarks/strangers.py [FOLDER ...]

Strangers are sets that no threshold has seen: noise, frames of one colour, pages of text, the other lines' photos,
those that scikit-learn, matplotlib and (where it is installed) scikit-image carry, ../shared/photos, each FOLDER given.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gaia import paths
from gaia.data import dataset
from gaia.errors import GaiaError
from gaia.runtime.load import load
from gaia.runtime.predictor import Predictor

Photos = NDArray[np.uint8]  # [n, size, size, 3]
CARRIED = {  # real photos; not what is text, a drawing or grass
    "sklearn": "datasets/images/*.jpg",
    "matplotlib": "mpl-data/sample_data/*.jpg",
    "skimage": "data/[abcgimr][!r]*.*",
}
SKIPPED = ("grass", "phantom", "chessboard", "microaneurysms")


def main(*folders: str) -> None:
    """Print a table: a row for each photo line, a column for each set with the share that is doubted."""
    built = {line.name: line for line in sorted(paths.model("").glob("*")) if (line / "model.onnx").exists()}
    for line, folder in built.items():
        model, data = load(folder), dataset.load(paths.prepared(line))
        if "strange_above" not in model.contract:
            continue
        found = {"its own (test)": data.take(data.rows("test"))}
        for other in built.keys() - {line}:
            theirs = dataset.load(paths.prepared(other))
            found[other] = _resized(theirs.take(theirs.rows("test")), model.photo["size"])
        found |= dict(_drawn(model.photo["size"]))
        given = {"shared photos": Path("../shared/photos"), **{Path(each).name: Path(each) for each in folders}}
        for name, place in given.items():
            if place.is_dir() and not (name == "shared photos" and "photos" in str(paths.raw(line))):
                found[name] = _read(model, sorted(p for p in place.rglob("*") if p.is_file()))
        found["packages' photos"] = _read(model, _carried())
        print(f"| {line} | " + " | ".join(f"{name} ({len(photos)})" for name, photos in found.items()) + " |")
        print("|---" * (len(found) + 1) + "|")
        print("| doubted | " + " | ".join(f"{_doubted(model, photos):.2f}" for photos in found.values()) + " |")
        plain, sealed = (file / "model.onnx" for file in (paths.training(line), folder))
        for n in (1, 16):
            before, after = _milliseconds([plain, sealed], found["its own (test)"][:n])
            print(f"\n{n} photo(s): {before:.2f} ms without, {after:.2f} ms with ({after / before - 1:+.1%})")


def _doubted(model: Predictor, photos: Photos) -> float:
    strange = model.ask(photos).strangeness
    assert strange is not None
    return float((strange > model.contract["strange_above"]).mean())


def _drawn(size: int) -> Iterator[tuple[str, Photos]]:
    random = np.random.default_rng(0)
    noise = []
    for scale in (1, 2, 4, 8, 16):
        n = max(2, size // scale)
        for kind in (random.integers(0, 256, (4, n, n, 3)), np.repeat(random.integers(0, 256, (4, n, n, 1)), 3, axis=3),
                     np.clip(random.normal(128, 50, (4, n, n, 3)), 0, 255)):  # fmt: skip
            noise += [_resized(kind.astype(np.uint8), size)]
    yield "noise", np.concatenate(noise)
    colours = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0),
               (0, 255, 255), (255, 0, 255), (120, 80, 40), (30, 90, 30), (135, 180, 235)]  # fmt: skip
    yield "one colour", np.stack([np.full((size, size, 3), colour, np.uint8) for colour in colours])
    pages = []
    for _ in range(20):
        page = Image.new("RGB", (620, 877), (255, 255, int(random.integers(225, 256))))
        height = int(random.integers(12, 28))
        for top in range(40, 830, int(height * 1.5)):
            words = " ".join(random.choice(["invoice", "total", "of", "the", "last", "delivery", "note", "find"], 9))
            ImageDraw.Draw(page).text((40, top), words, (20, 20, 20), ImageFont.load_default(height))
        pages.append(np.asarray(page.resize((size, size), Image.Resampling.BILINEAR)))
    yield "pages of text", np.stack(pages)


def _carried() -> list[Path]:
    places = {name: find_spec(name) for name in CARRIED}
    found = [
        file
        for name, spec in places.items()
        if spec and spec.origin
        for file in sorted(Path(spec.origin).parent.glob(CARRIED[name]))
    ]
    return [file for file in found if not file.name.startswith(SKIPPED)]


def _read(model: Predictor, files: list[Path]) -> Photos:
    read = []
    for file in files:
        try:
            read.append(model.read_photos([(file.read_bytes(), file.name)]))
        except GaiaError:
            continue  # no photo
    return np.concatenate(read)


def _resized(photos: Photos, size: int) -> Photos:
    return np.stack([np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR)) for p in photos])


def _milliseconds(files: list[Path], photos: Photos, rounds: int = 60) -> list[float]:
    """Processor time of an answer by each of the files, in one thread, asked in turn: that of a quiet moment."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(file, options) for file in files]
    times: list[list[float]] = [[] for _ in sessions]
    for _ in range(rounds):
        for session, taken in zip(sessions, times, strict=True):
            start = time.thread_time()
            session.run(None, {session.get_inputs()[0].name: photos})
            taken.append(time.thread_time() - start)
    return [1000 * float(np.quantile(each, 0.2)) for each in times]


if __name__ == "__main__":
    main(*sys.argv[1:])
