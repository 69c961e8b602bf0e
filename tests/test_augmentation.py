"""Augmentation: each setting does what its line in conf/augmentation/none.yaml says, and no more."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaia.config.schema import Augmentation
from gaia.frameworks import augmentation
from gaia.frameworks.augmentation import augment

STRONG = {"flip": True, "rotate": 15.0, "zoom": 0.6, "light": 0.3, "colour": 0.2, "erase": 0.25}
Rng = np.random.Generator


def how(**settings_: object) -> Augmentation:
    none = {"flip": False, "rotate": 0.0, "zoom": 0.0, "light": 0.0, "colour": 0.0, "erase": 0.0}
    return Augmentation(**(none | settings_))


def noise(size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def places(size: int = 128) -> NDArray[np.uint8]:
    """Red says how far right a pixel lies, green how far down: from 20 to 220; blue is 120."""
    ramp = np.linspace(20, 220, size)
    photo = np.full((size, size, 3), 120.0)
    photo[..., 0], photo[..., 1] = ramp[None], ramp[:, None]
    return photo.round().astype(np.uint8)


def many(photo: NDArray[np.uint8], count: int = 300, **settings_: object) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(1)
    return [augment(photo, how(**settings_), rng) for _ in range(count)]


def test_none_leaves_the_photo_as_it_is_and_draws_no_chance() -> None:
    rng = np.random.default_rng(1)
    assert augment(noise(), how(), rng).tobytes() == noise().tobytes()
    assert rng.random() == np.random.default_rng(1).random()


rates = st.floats(0, 1)


@given(
    size=st.sampled_from([16, 17, 64]), seed=st.integers(0, 2**32), flip=st.booleans(), rotate=st.floats(0, 180),
    zoom=st.floats(0, 0.999), light=rates, colour=rates, erase=rates,
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_shape_and_type_stay_the_photo_is_not_written_to_and_the_same_chance_gives_the_same(
    size: int, seed: int, **settings_: object
) -> None:
    photo = noise(size)
    photo.setflags(write=False)  # as in the memory-mapped array
    one, other = (augment(photo, how(**settings_), np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (size, size, 3)
    assert one.dtype == np.uint8
    assert one.tobytes() == other.tobytes()


def test_another_chance_gives_another_photo() -> None:
    assert len({photo.tobytes() for photo in many(noise(), 50, **STRONG)}) == 50


def test_flip_mirrors_half_of_the_photos_left_to_right() -> None:
    photo = noise()
    mirrored = [bool((varied == photo[:, ::-1]).all()) for varied in many(photo, flip=True)]
    assert 0.4 < np.mean(mirrored) < 0.6
    assert sum(bool((varied == photo).all()) for varied in many(photo, flip=True)) == 300 - sum(mirrored)


@pytest.mark.parametrize("zoom", [0.05, 0.3, 0.9])
def test_zoom_cuts_away_up_to_this_share_of_the_area_all_within_the_photo(zoom: float) -> None:
    kept, lefts = [], []
    for varied in many(places(), zoom=zoom):
        across, down = (np.diff(side[[16, 111]].astype(float))[0] / 95 for side in (varied[64, :, 0], varied[:, 64, 1]))
        kept.append(across * down / (200 / 127) ** 2)
        lefts.append(varied[64, 0, 0])
        assert varied[..., :2].min() >= 19
        assert varied[..., :2].max() <= 221
        assert 0.75 < across / down < 1.35
        assert np.abs(varied[..., 2].astype(int) - 120).max() <= 1
    assert 1 - zoom - 0.03 <= min(kept) < 1 - zoom * 0.9
    assert 1 - zoom * 0.1 < max(kept) <= 1.03
    assert zoom < 0.1 or np.ptp(lefts) > 50 * zoom  # the place varies


@pytest.mark.parametrize("rotate", [10.0, 90.0])
def test_rotate_turns_by_up_to_so_many_degrees_either_way(rotate: float) -> None:
    angles = []
    for varied in many(places(), rotate=rotate):
        middle = varied[44:84, 44:84].astype(float)
        right, down = (middle[:, -1] - middle[:, 0]).mean(axis=0)[:2]
        angles.append(np.rad2deg(np.arctan2(down, right)))
        assert varied.min() > 15  # the corners show the photo's mean, not black
    assert -rotate - 1 < min(angles) < -0.9 * rotate
    assert 0.9 * rotate < max(angles) < rotate + 1


def test_light_changes_brightness_and_contrast_by_up_to_this_share() -> None:
    photo = (noise() // 4 + 96).astype(np.uint8)  # nothing is cut off at 0 or 255
    brightness = [varied.mean() / photo.mean() for varied in many(photo, light=0.3)]
    contrast = [varied.std() / photo.std() for varied in many(photo, light=0.3)]
    for found in (brightness, contrast):
        assert 0.68 < min(found) < 0.75
        assert 1.25 < max(found) < 1.32
    hue = many(np.full((16, 16, 3), (90, 120, 150), dtype=np.uint8), light=0.3)
    assert all(np.ptp(varied - varied[:1, :1]) == 0 for varied in hue)


def test_colour_changes_saturation_and_white_balance_by_up_to_this_share() -> None:
    grey = np.array([varied[0, 0] / 100 for varied in many(np.full((16, 16, 3), 100, dtype=np.uint8), colour=0.2)])
    assert 0.89 <= grey.min() < 0.92
    assert 1.08 < grey.max() <= 1.11
    assert np.ptp(grey, axis=1).max() > 0.1
    red = [np.ptp(v[0, 0]) / 60 for v in many(np.full((16, 16, 3), (140, 80, 80), dtype=np.uint8), colour=0.2)]
    assert np.quantile(red, 0.1) < 0.95
    assert np.quantile(red, 0.9) > 1.05


def test_changes_of_nearly_nothing_leave_the_pixels() -> None:
    assert all((varied == noise()).all() for varied in many(noise(), 20, light=1e-9, colour=1e-9))


@pytest.mark.parametrize("size", [16, 64])
def test_erase_blanks_one_rectangle_in_this_share_of_photos_anywhere(size: int) -> None:
    photo = noise(size)
    changed = np.array([(varied != photo).any(axis=2) for varied in many(photo, 1500, erase=0.25)])
    erased = changed[changed.any(axis=(1, 2))]
    assert 0.2 < len(erased) / 1500 < 0.3
    for edge in (erased[:, 0], erased[:, -1], erased[:, :, 0], erased[:, :, -1]):
        assert edge.any()
    for mask in erased:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        for side in (rows, columns):
            assert len(side) == np.ptp(side) + 1
            assert size // 8 <= len(side) <= size // 2
        assert mask[np.ix_(rows, columns)].mean() > 0.9


def test_a_photo_is_varied_within_two_milliseconds() -> None:
    photo, rng = noise(64), np.random.default_rng(0)
    start = time.process_time()
    for _ in range(200):
        augment(photo, how(**STRONG), rng)
    assert (time.process_time() - start) / 200 < 2e-3


@pytest.mark.parametrize("few", [augmentation.CORES, 0])
def test_photos_come_out_the_same_whatever_varies_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Threads where there are few cores, processes where there are many: each photo by (seed, epoch, row) alone."""
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    photos = np.load(tmp_path / "images.npy", mmap_mode="r")
    monkeypatch.setattr(augmentation, "FEW", few)
    rows = np.random.default_rng(1).permutation(40)
    found = augmentation.varied(photos, rows, how(**STRONG), 7, 3)
    alone = [augment(photos[row], how(**STRONG), np.random.default_rng([7, 3, row])) for row in rows]
    assert np.array_equal(found, np.stack(alone))


def test_no_helper_outlives_a_training_that_is_killed(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((8, 32, 32, 3), dtype=np.uint8))
    (tmp_path / "train.py").write_text(KILLED)
    with subprocess.Popen([sys.executable, "train.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout and training.stdout.readline() == "varied\n"
        helpers = psutil.Process(training.pid).children(recursive=True)
        assert len(helpers) >= augmentation.CORES
        training.kill()
        _, alive = psutil.wait_procs(helpers, 20)
    assert not alive


KILLED = """
import time
import numpy as np
from gaia.config.schema import Augmentation
from gaia.frameworks import augmentation
if __name__ == "__main__":
    augmentation.FEW = 0
    how = Augmentation(flip=True, rotate=0, zoom=0.3, light=0.2, colour=0, erase=0)
    augmentation.varied(np.load("images.npy", mmap_mode="r"), np.arange(8), how, 1, 1)
    print("varied", flush=True)
    time.sleep(60)
"""
