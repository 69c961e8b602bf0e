"""How many copies of a photo are found, and what else is taken for one: `python benchmarks/near_duplicates.py FOLDER`

Each photo of the folder (one sub-folder for each class) is changed in each of the ways below, and laid beside all the
originals. Recall: copies that share their original's group. Precision: pairs in one group that are a photo and its
copy. Then scikit-learn's 1,797 digits, of which none is another's copy. Prints what near_duplicates.md holds.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_digits

from gaia.data import alike, splits
from gaia.inputs import photos

SIZE = 64


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def bordered(image: Image.Image, share: float, colour: str = "white") -> Image.Image:
    return ImageOps.expand(image, round(min(image.size) * share), colour)


def turned(image: Image.Image, degrees: float, colour: str) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=colour)


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "scaled to two thirds": lambda i: i.resize((i.width * 2 // 3, i.height * 2 // 3)),
    "recompressed (quality 40)": lambda i: i,
    "brightened by 25 %": lambda i: ImageEnhance.Brightness(i).enhance(1.25),
    "darkened by 25 %": lambda i: ImageEnhance.Brightness(i).enhance(0.75),
    "mirrored": ImageOps.mirror,
    "cropped by 5 % (2.5 % a side)": lambda i: cropped(i, 0.025, 0.025, 0.025, 0.025),
    "cropped by 10 % (5 % a side)": lambda i: cropped(i, 0.05, 0.05, 0.05, 0.05),
    "cropped by 5 % on two sides": lambda i: cropped(i, 0.05, 0.05, 0, 0),
    "white border, 4 %": lambda i: bordered(i, 0.04),
    "white border, 8 %": lambda i: bordered(i, 0.08),
    "black border, 5 %": lambda i: bordered(i, 0.05, "black"),
    "turned by 2 degrees": lambda i: turned(i, 2, "black"),
    "turned by -3 degrees": lambda i: turned(i, -3, "white"),
    "mirrored, smaller, cropped by 5 %": lambda i: ImageOps.mirror(cropped(i, 0.025, 0.025, 0.025, 0.025)).resize(
        (i.width // 2, i.height // 2)
    ),
}


def prepared(content: bytes) -> NDArray[np.uint8]:
    """The photo as `prepare` sees it."""
    return photos.read(content, "photo.jpg", size=SIZE, framing="crop", max_megapixels=100, min_side=8)[0]


def changed(image: Image.Image, way: str) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    WAYS[way](image).save(stream, "JPEG", quality=40 if "quality" in way else 90)
    return prepared(stream.getvalue())


def groups(pictures: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    looks = [alike.looks(pixels, "crop") for pixels in pictures]
    return splits.unite(len(pictures), alike.pairs(looks, pictures.__getitem__, "crop"))


def main(folder: Path) -> None:
    originals, images = [], []
    for file in sorted(folder.glob("*/*")):
        try:
            originals.append(prepared(file.read_bytes()))
            images.append(Image.open(file).convert("RGB"))
        except (OSError, photos.UnusablePhoto):
            originals = originals[: len(images)]
    n = len(images)
    among = groups(originals)
    twins = np.bincount(among)
    print(f"{n} photos; {n - len(twins)} of them are taken for a copy of another one of these\n")
    print("| copy | recall | precision |\n|---|---|---|")
    for way in WAYS:
        found = groups([*originals, *(changed(image, way) for image in images)])
        same = found[:, None] == found
        owner = np.tile(among, 2)  # what is the same among the originals is no mistake of the copies
        wrong = same & (owner[:, None] != owner)
        right = (found[:n] == found[n:]).mean()
        pairs = same.sum() - len(found)
        print(f"| {way} | {right:.3f} | {1 - wrong.sum() / max(1, pairs):.3f} |", flush=True)
    digits = [Image.fromarray((16 * digit).clip(0, 255).astype(np.uint8)) for digit in load_digits().images]
    shown = [np.asarray(digit.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for digit in digits]
    begin = time.perf_counter()
    sizes = np.bincount(groups(shown))
    seconds = time.perf_counter() - begin
    print(
        f"\nDigits: {sizes[sizes > 1].sum()} of {len(shown)} in groups, the largest of {sizes.max()} ({seconds:.0f} s)"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
