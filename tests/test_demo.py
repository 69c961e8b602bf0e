"""The demo data: drawn from a seed, hard enough to need a model, never in the way of a user's files."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gaia.config import yaml
from gaia.demo import bags, cultures, plants, write_photos, write_table, writing
from gaia.errors import GaiaError
from gaia.stages.demo import demo

LINES = pytest.mark.parametrize("line", [plants, bags], ids=["plants", "bags"])
LABELS = ("one", "two")


def flat(label: str, rng: np.random.Generator, size: int) -> Image.Image:
    """A stand-in for a drawing, fast and different for every label and state of the rng."""
    colour = (0 if label == "one" else 255, *rng.integers(0, 256, 2).tolist())
    return Image.new("RGB", (size, size), colour)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def photos(folder: Path, count: int, label_noise: float = 0.0, seed: int = 1) -> dict[str, bytes]:
    write_photos(folder, flat, LABELS, count, 16, seed, label_noise)
    return contents(folder)


@LINES
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(16, 70), data=st.data())
def test_a_drawing_has_the_size_asked_for_and_its_seed_alone_decides_it(
    line: ModuleType, seed: int, size: int, data: st.DataObject
) -> None:
    label = data.draw(st.sampled_from(line.LABELS))
    photo, again = (line.draw(label, np.random.default_rng(seed), size) for _ in range(2))
    assert photo.mode == "RGB"
    assert max(photo.size) == size
    assert min(photo.size) >= size * 3 // 4
    assert photo.tobytes() == again.tobytes()
    assert np.asarray(photo).std() > 2


@LINES
def test_an_unknown_label_or_a_tiny_size_is_refused(line: ModuleType) -> None:
    with pytest.raises(ValueError, match="label"):
        line.draw("oak", np.random.default_rng(0), 64)
    with pytest.raises(ValueError, match="size"):
        line.draw(line.LABELS[0], np.random.default_rng(0), 8)


@LINES
def test_colour_alone_does_not_separate_the_classes(line: ModuleType) -> None:
    features, truth = [], np.arange(400) % 2
    for number, index in enumerate(truth):
        photo = line.draw(line.LABELS[index], np.random.default_rng([5, number]), 64)
        pixels = np.asarray(photo).reshape(-1, 3) / 255
        histograms = [np.histogram(pixels[:, channel], 8, (0, 1))[0] / len(pixels) for channel in range(3)]
        features.append(np.concatenate([pixels.mean(0), pixels.std(0), *histograms]))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    assert cross_val_score(model, np.array(features), truth, cv=4).mean() < 0.8


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = photos(tmp_path / "a", 8, seed=3)
    assert first == photos(tmp_path / "b", 8, seed=3)
    assert first != photos(tmp_path / "c", 8, seed=4)


def test_many_processes_write_the_bytes_one_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (bags.draw, bags.LABELS, 6, 16, 7, 0.2)
    write_photos(tmp_path / "one", *arguments)
    monkeypatch.setattr(writing, "PHOTOS_PER_PROCESS", 3)
    monkeypatch.setattr(writing.os, "cpu_count", lambda: 2)
    write_photos(tmp_path / "two", *arguments)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_photos_are_jpegs_split_evenly(tmp_path: Path) -> None:
    names = photos(tmp_path, 9)
    assert sorted(names) == sorted(f"{LABELS[(number - 1) % 2]}/demo-{number:05d}.jpg" for number in range(1, 10))
    with Image.open(tmp_path / "one/demo-00001.jpg") as photo:
        assert (photo.format, photo.size) == ("JPEG", (16, 16))


@settings(max_examples=20, deadline=None)
@given(few=st.integers(0, 12), more=st.integers(0, 12), label_noise=st.floats(0, 1))
def test_more_photos_leave_the_earlier_ones_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, few: int, more: int, label_noise: float
) -> None:
    folder = tmp_path_factory.mktemp("photos")
    before = photos(folder, few, label_noise)
    after = photos(folder, few + more, label_noise)
    assert len(after) == few + more
    assert before.items() <= after.items()
    assert photos(folder, few, label_noise) == before


@pytest.mark.parametrize("name", ["mine.jpg", "demo-my-cat.jpg", "demo-00001.jpeg", "DEMO-00001.JPG", "demo-1.jpg"])
def test_a_photo_added_by_a_user_survives_regeneration(tmp_path: Path, name: str) -> None:
    photos(tmp_path, 6)
    for label in (*LABELS, "three"):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / name).write_bytes(b"mine")
    photos(tmp_path, 0)
    assert contents(tmp_path) == {f"{label}/{name}": b"mine" for label in (*LABELS, "three")}


def test_label_noise_moves_that_share(tmp_path: Path) -> None:
    clean, noisy = photos(tmp_path, 190, 0.0), photos(tmp_path, 190, 0.2)
    moved = clean.keys() - noisy.keys()
    assert 0.14 < len(moved) / 190 < 0.26
    for name in moved:
        label, file = name.split("/")
        assert noisy[f"{'two' if label == 'one' else 'one'}/{file}"] == clean[name]
    assert photos(tmp_path, 10, 1.0).keys().isdisjoint(clean)


def test_a_drawing_that_fails_leaves_nothing_half_written(tmp_path: Path) -> None:
    before = photos(tmp_path, 2)

    def broken(label: str, rng: np.random.Generator, size: int) -> Image.Image:
        raise RuntimeError("no paint left")

    with pytest.raises(RuntimeError, match="no paint left"):
        write_photos(tmp_path, broken, LABELS, 2, 16, 1, 0.0)
    assert contents(tmp_path) == before


def test_a_photo_linked_to_a_cache_is_replaced_not_written_through(tmp_path: Path) -> None:
    folder, cached = tmp_path / "photos", tmp_path / "cached"
    photos(folder, 2)
    cached.hardlink_to(folder / "one/demo-00001.jpg")
    before = cached.read_bytes()
    photos(folder, 2, seed=2)
    assert cached.read_bytes() == before != (folder / "one/demo-00001.jpg").read_bytes()


@pytest.mark.parametrize(("labels", "count", "label_noise"), [(("one",), 2, 0.0), (LABELS, -1, 0.0), (LABELS, 2, 1.5)])
def test_arguments_that_make_no_sense_write_nothing(
    tmp_path: Path, labels: tuple[str, ...], count: int, label_noise: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_photos(tmp_path, flat, labels, count, 16, 1, label_noise)
    assert contents(tmp_path) == {}


def test_the_table_has_signal_and_noise() -> None:
    table = cultures.table(4000, 1, 0.03)
    features = table[cultures.FEATURES].astype({"species": "category", "substrate": "category"})
    right = cross_val_score(HistGradientBoostingClassifier(max_iter=60), features, table["contaminated"], cv=3).mean()
    majority = table["contaminated"].value_counts(normalize=True).max()
    assert 0.65 <= majority <= 0.75
    assert majority + 0.08 < right < 0.9
    risk = cultures.risk(table)
    assert 0.85 <= np.maximum(risk, 1 - risk).mean() <= 0.92


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(0, 300),
    more=st.integers(0, 300),
    seed=st.integers(0, 2**32),
    label_noise=st.floats(0, 1),
)
def test_a_longer_table_begins_with_the_shorter_one(rows: int, more: int, seed: int, label_noise: float) -> None:
    short, long = cultures.table(rows, seed, label_noise), cultures.table(rows + more, seed, label_noise)
    pd.testing.assert_frame_equal(short, long.head(rows))
    assert len(long) == rows + more
    assert not long.duplicated(cultures.FEATURES).any()
    assert long["days_since_inoculation"].between(1, 60).all()
    assert long["humidity_percent"].between(45, 99).all()
    assert long["co2_ppm"].between(400, 20000).all()
    assert set(long["contaminated"]) <= set(cultures.LABELS)


def test_label_noise_turns_over_that_share_of_the_table() -> None:
    clean, noisy = (cultures.table(5000, 2, share)["contaminated"] for share in (0.0, 0.1))
    assert 0.08 < (clean != noisy).mean() < 0.12


@pytest.mark.parametrize(("rows", "label_noise"), [(-1, 0.0), (5, -0.1), (5, 1.1)])
def test_a_table_that_makes_no_sense_is_refused(rows: int, label_noise: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        cultures.table(rows, 1, label_noise)


def test_the_written_table_is_the_table(tmp_path: Path) -> None:
    write_table(tmp_path / "new", 50, 3, 0.1)
    path = tmp_path / "new/cultures.csv"
    pd.testing.assert_frame_equal(pd.read_csv(path), cultures.table(50, 3, 0.1), check_dtype=False)
    before = path.read_bytes()
    write_table(tmp_path / "new", 50, 3, 0.1)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["cultures.csv"]


PLANTS = {"kind": "plants", "count": 4, "size": 16, "seed": 1, "label_noise": 0.0, "bucket": "plants-images"}
CULTURES = {"kind": "cultures", "count": 5, "seed": 1, "label_noise": 0.0, "bucket": "data"}


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (CULTURES | {"count": -5}, "demo.x.count is -5; it should be at least 1."),
        (PLANTS | {"count": "4"}, "demo.x.count is '4'; it should be a whole number, without quotes."),
        (PLANTS | {"label_noise": 2}, "demo.x.label_noise is 2; it should be at most 1."),
        (
            PLANTS | {"bucket": "image"},
            "demo.x.bucket is 'image'; it should be 'models', 'plants-images' or 'data'.",
        ),
        (
            CULTURES | {"kind": "culture"},
            "demo.x.kind is 'culture'; the kinds are plants, bags, cultures (did you mean 'cultures'?).",
        ),
        (
            CULTURES | {"kind": ["bags"]},
            "demo.x.kind is [\"bags\"]; the kinds are plants, bags, cultures (did you mean 'bags'?).",
        ),
        (
            CULTURES | {"kind": "plants", "siz": 64},  # and nothing about size missing
            "demo.x.siz is an unknown key; "
            "known are bucket, count, kind, label_noise, seed, size (did you mean 'size'?).",
        ),
        (
            CULTURES | {"size": 64},
            "demo.x.size is an unknown key; known are bucket, count, kind, label_noise, seed.",
        ),
        (
            {"kind": "cultures", "count": 5, "seed": 1, "bucket": "data"},
            "demo.x.label_noise is missing; give it a value.",
        ),
        (5, "demo.x is 5; it should hold keys such as kind, count and seed."),
        (None, "demo.x is null; it should hold keys such as kind, count and seed."),
    ],
)
def test_a_mistake_in_the_description_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: object, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    yaml.write(Path("params.yaml"), {"demo": {"x": described}}, "of a test")
    with pytest.raises(GaiaError) as caught:
        demo("x")
    assert str(caught.value) == f"params.yaml: {said}"
    assert not Path("data").exists()


@pytest.mark.parametrize("section", [5, None, [], {}])
def test_a_demo_section_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: object
) -> None:
    monkeypatch.chdir(tmp_path)
    yaml.write(Path("params.yaml"), {"demo": section}, "of a test")
    with pytest.raises(GaiaError, match=r"^params\.yaml: demo is .*; it should hold an entry for each demo folder\.$"):
        demo("x")


def test_what_is_described_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    yaml.write(Path("params.yaml"), {"demo": {"x": PLANTS, "y": CULTURES}}, "of a test")
    demo("x")
    demo("y")
    assert len(contents(Path("data/raw/x"))) == 4
    assert len(pd.read_csv("data/raw/y/cultures.csv")) == 5
