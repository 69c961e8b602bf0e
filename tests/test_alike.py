"""Near-duplicates: copies of a photo are found, whatever was done to them, and photos that only look alike are not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from gaia.data import alike, splits
from gaia.demo import plants
from pictures import encoded, picture, read

REAL = Path(__file__).parents[2] / "shared" / "photos"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="real photos are not at ../shared/photos")
Pixels = NDArray[np.uint8]


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = (round(side * share / 2) for side in image.size)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES = {
    "smaller": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=50),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2), "JPEG"),
    "mirrored": lambda image: encoded(ImageOps.mirror(image), "JPEG"),
    "cropped by 5 %": lambda image: encoded(cropped(image, 0.05), "JPEG"),
    "cropped by 10 %": lambda image: encoded(cropped(image, 0.1), "JPEG"),
    "with a white border": lambda image: encoded(ImageOps.expand(image, min(image.size) // 20, "white"), "JPEG"),
    "turned by 2 degrees": lambda image: encoded(image.rotate(2, Image.Resampling.BICUBIC), "JPEG"),
    "turned by -3 degrees": lambda image: encoded(image.rotate(-3, Image.Resampling.BICUBIC), "JPEG"),
}


def groups(photos: list[Pixels], framing: str = "crop") -> NDArray[np.int64]:
    """A number for each photo, the same for those that are the same."""
    found = alike.pairs([alike.looks(pixels, framing) for pixels in photos], photos.__getitem__, framing)
    return splits.unite(len(photos), found)


def drawn(count: int, light: float = 1) -> list[Image.Image]:
    images = (plants.draw(plants.LABELS[i % 2], np.random.default_rng(i), 96) for i in range(count))
    return [ImageEnhance.Brightness(image).enhance(light) for image in images]


@needs_real
@pytest.mark.parametrize("framing", ["crop", "stretch"])
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_real_photo_is_found_and_no_other_photo(how: str, framing: str) -> None:
    """Of all 300 photos: benchmarks/near_duplicates.md."""
    files = sorted(REAL.rglob("*.jpg"))[::10]
    contents = [content for file in files for content in (file.read_bytes(), COPIES[how](opened(file)))]
    found = groups([read(content, size=64, framing=framing) for content in contents], framing).reshape(-1, 2)
    assert (found[:, 0] == found[:, 1]).mean() >= 0.9
    assert all(len(set(found[found[:, 0] != at].ravel()) & {at}) == 0 for at in found[:, 0])


def opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize("light", [1, 0.03], ids=["as drawn", "nearly black"])
def test_drawn_photos_are_told_apart_even_in_the_dark(light: float) -> None:
    found = groups([read(encoded(image, "JPEG"), size=64) for image in drawn(60, light)])
    assert len(set(found)) == 60


def test_copies_of_drawn_photos_are_found() -> None:
    images = drawn(20)
    for how, copy in COPIES.items():
        found = groups([read(content, size=64) for i in images for content in (encoded(i), copy(i))]).reshape(-1, 2)
        assert (found[:, 0] == found[:, 1]).mean() >= 0.9, how
        assert len(set(found.ravel())) >= 20, how


def test_digits_that_look_alike_are_no_duplicates() -> None:
    """Before: 762 of 1,797 in groups of up to 122. What is left can't be told apart by eye."""
    from sklearn.datasets import load_digits

    images = [Image.fromarray((16 * digit).clip(0, 255).astype(np.uint8)) for digit in load_digits().images[:700]]
    found = groups([read(encoded(image), size=64) for image in images])
    sizes = np.bincount(found)
    assert sizes[sizes > 1].sum() <= 14
    assert sizes.max() <= 3


def test_photos_of_one_colour_all_over_count_as_the_same_photo() -> None:
    flat = [encoded(Image.new("RGB", (50, 50), colour), "JPEG") for colour in ("black", "white", "grey")]
    found = groups([read(content, size=64) for content in (*flat, encoded(picture(1)))])
    assert found[0] == found[1] == found[2] != found[3]


def test_the_order_of_the_photos_does_not_matter() -> None:
    photos = [read(content, size=64) for i in drawn(8) for content in (encoded(i), COPIES["cropped by 5 %"](i))]
    found = groups(photos)
    back = groups(photos[::-1])[::-1]
    assert ((found[:, None] == found) == (back[:, None] == back)).all()


@pytest.mark.parametrize("size", [16, 33, 64, 256])
def test_photos_of_any_size_are_compared(size: int) -> None:
    image = drawn(1)[0]
    photos = [
        read(encoded(one), size=size) for one in (image, ImageEnhance.Brightness(image).enhance(1.1), drawn(2)[1])
    ]
    found = groups(photos)
    assert found[0] == found[1] != found[2]


GROUP = """
import resource
import numpy as np
from gaia.data import alike
def looks(hashes):
    return [[alike.Look(0, (h, h), (small, small), bytes(f"{i}", "ascii"))] for i, h in enumerate(hashes)]
small = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
random = np.random.default_rng(0).integers(0, 2**63, 10_000, dtype=np.uint64)
pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
alike.pairs(looks(random[:9]), lambda _: pixels, "crop")
for hashes in (random, np.arange(3_000, dtype=np.uint64) % 64):
    given = looks(hashes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    alike.pairs(given, lambda _: pixels, "crop")
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_grouping_takes_memory_for_the_photos_not_for_their_pairs() -> None:
    """All pairs of 10,000 hashes are 50 million; those of 3,000 photos that are all alike would take 72 MB."""
    out = subprocess.run([sys.executable, "-c", GROUP], capture_output=True, text=True, check=True).stdout
    assert max(map(float, out.split())) < 60
