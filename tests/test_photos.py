"""Photos: whatever lies in the folder, a run ends with an index that accounts for every file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from gaia.config.schema import Photos, Splits
from gaia.console import console
from gaia.data import dataset, index, photos
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from pictures import encoded, picture, png

REAL = Path(__file__).parents[2] / "shared" / "photos"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="real photos are not at ../shared/photos")


def config(**changes: object) -> Photos:
    values = {
        "kind": "photos", "image_size": 32, "classes": None, "min_per_class": 3,
        "splits": Splits(validation=0.3, test=0.3),
        "near_duplicates": True, "framing": "crop", "max_quarantined": 1.0, "max_megapixels": 10.0, "min_side": 8,
    }  # fmt: skip
    return Photos(**(values | changes))


def folder(raw: Path, each: int = 20, labels: tuple[str, ...] = ("a", "b")) -> Path:
    for number, label in enumerate(labels):
        (raw / label).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            (raw / label / f"{i:03d}.png").write_bytes(encoded(picture(1000 * number + i)))
    return raw


def prepared(raw: Path, out: Path, seed: int = 1, positive: str | None = None, **changes: object) -> Dataset:
    photos.prepare("line", raw, config(**changes), seed, positive, out)
    return dataset.load(out)


def by_source(dataset: Dataset) -> dict[str, dict[str, str]]:
    return dataset.table.set_index("source").to_dict("index")


# --- a folder with everything in it


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The index of a folder in which anything lies that ever lay in one, by source."""
    raw = folder(tmp_path_factory.mktemp("zoo") / "raw")
    for name, content in {
        "empty.jpg": b"",
        "text.jpg": b"no image",
        "cut.png": encoded(picture(50, 200))[:900],
        "one.png": encoded(Image.new("RGB", (1, 1))),
        "bomb.png": png(100_000, 100_000, 8, 2, bytes(1000)),
        "wrong.jpg": encoded(picture(51)),
        "comma, quote\" and ümläut 🌼.png": encoded(picture(52)),
        "new\nline\r.png": encoded(picture(53)),
        "[/red][bold]:bug:.png": b"markup",
        "palette.png": encoded(picture(54).quantize(16)),
        "deep/er/down.png": encoded(picture(55)),
        ".hidden.jpg": b"",
        ".checkpoints/copy.png": encoded(picture(56)),
    }.items():  # fmt: skip
        (raw / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / "a" / name).write_bytes(content)
    (raw / "a" / "linked.png").symlink_to("000.png")
    with open(raw / "a" / "film.jpg", "wb") as film:
        film.truncate(10**10)  # sparse: nothing on disk
    (raw / "readme.txt").write_text("stray")
    return by_source(prepared(raw, raw.parent / "out"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a/empty.jpg", "empty file"),
        ("a/text.jpg", "not an image"),
        ("a/cut.png", "truncated: "),
        ("a/one.png", "too small: 1 x 1 px"),
        ("a/bomb.png", "too large: 100000 x 100000 px"),
        ("a/film.jpg", "too large: 10000 MB"),
        ("a/[/red][bold]:bug:.png", "not an image"),
        ("readme.txt", "stray file: stands in no class folder"),
    ],
)
def test_what_is_no_photo_is_quarantined_with_the_reason(
    zoo: dict[str, dict[str, str]], source: str, reason: str
) -> None:
    assert zoo[source]["verdict"] == "quarantined"
    assert zoo[source]["reason"].startswith(reason)
    assert zoo[source]["split"] == ""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a/wrong.jpg", "is PNG, named .jpg"),
        ("a/comma, quote\" and ümläut 🌼.png", ""),
        ("a/new\\nline\\r.png", ""),
        ("a/palette.png", "P converted to RGB"),
        ("a/deep/er/down.png", ""),
        ("a/linked.png", "same as a/000.png"),
    ],
)  # fmt: skip
def test_what_is_odd_but_a_photo_is_used(zoo: dict[str, dict[str, str]], source: str, reason: str) -> None:
    assert zoo[source]["verdict"] == "ok"
    assert zoo[source]["reason"] == reason
    assert zoo[source]["split"] in ("train", "validation", "test")


def test_hidden_files_and_folders_are_left_out(zoo: dict[str, dict[str, str]]) -> None:
    assert not [source for source in zoo if "hidden" in source or "checkpoints" in source]


def test_a_file_that_the_system_refuses_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = folder(tmp_path / "raw")
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "000.png":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert by_source(prepared(raw, tmp_path / "out"))["a/000.png"]["reason"] == "can't be opened: Permission denied"


def test_what_is_quarantined_is_summed_up_on_screen(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "b" / "[").mkdir()
    for i in range(5):
        (raw / "b" / "[" / f"red]{i}.jpg").touch()  # "[/red]" is markup to the console
    with console.capture() as screen:
        prepared(raw, tmp_path / "out")
    assert "line: 40 usable (a 20, b 20; train" in screen.get()
    assert "5 quarantined" in screen.get()
    assert "quarantined 5 x empty file: b/[/red]0.jpg, b/[/red]1.jpg, b/[/red]2.jpg\n" in screen.get()


def test_above_the_share_allowed_the_stage_fails_and_the_index_is_there_to_look_at(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "a" / "empty.jpg").touch()
    (raw / "a" / "text.jpg").write_text("no image")
    prepared(raw, tmp_path / "out", max_quarantined=0.05)  # 2 of 42
    (raw / "b" / "empty.jpg").touch()
    with pytest.raises(GaiaError, match=r"3 of 43 items \(7%\) can't be used.*a/empty.jpg: empty file"):
        prepared(raw, tmp_path / "out", max_quarantined=0.05)
    assert "b/empty.jpg" in (tmp_path / "out" / "index.csv").read_text()


@pytest.mark.parametrize(
    ("labels", "changes", "sentence"),
    [
        (("a",), {}, "at least two classes are needed, found a"),
        (("a", "b"), {"classes": ["a", "c"]}, "the class 'c' has 0 usable items"),
        (("a", "b"), {"min_per_class": 21}, "the class 'a' has 20 usable items, data.min_per_class asks for 21"),
        (("a", "b"), {"positive": "B"}, "evaluation.positive is 'B', which is none of the classes a, b"),
    ],
)
def test_a_folder_that_makes_training_pointless_is_refused_in_a_sentence(
    labels: tuple[str, ...], changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(GaiaError, match=sentence):
        prepared(folder(tmp_path / "raw", labels=labels), tmp_path / "out", **changes)


def test_a_missing_an_empty_and_a_flat_folder_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(GaiaError, match="is not a folder"):
        prepared(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "raw").mkdir()
    with pytest.raises(GaiaError, match="holds no file"):
        prepared(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / "photo.png").write_bytes(encoded(picture(1)))
    with pytest.raises(GaiaError, match="found none"):
        prepared(tmp_path / "raw", tmp_path / "out")


def test_a_class_of_which_nothing_is_usable_is_missed(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "c").mkdir()
    (raw / "c" / "photo.jpg").write_text("no image")
    with pytest.raises(GaiaError, match="the class 'c' has 0 usable items"):
        prepared(raw, tmp_path / "out")


def test_a_folder_in_which_nothing_is_a_photo_is_no_class(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "empty" / "deeper").mkdir(parents=True)
    (raw / "notes").mkdir()
    (raw / "notes" / "readme.txt").write_text("no image")
    with console.capture() as said:
        data = prepared(raw, tmp_path / "out", max_quarantined=0.05)
    assert data.labels == ["a", "b"]
    rows = by_source(data)
    assert rows["notes/readme.txt"]["verdict"] == "quarantined"
    assert rows["notes/readme.txt"]["reason"] == "stray folder: not an image, nor is anything beside it"
    assert "left out 1 that are empty: empty\n" in said.get()  # DVC hashes files: a clone lacks the folder


def test_photos_of_other_classes_are_left_out_and_count_as_no_damage(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", labels=("a", "b", "c"))
    with console.capture() as said:
        data = prepared(raw, tmp_path / "out", classes=["a", "b"], max_quarantined=0.0)
    assert data.labels == ["a", "b"]
    others = data.table[data.table["label"] == "c"]
    assert set(others["verdict"]) == {"left out"} and set(others["split"]) == {""}
    assert "left out 20 that are none of data.classes: c 20" in said.get()


def test_a_mirrored_photo_shares_the_split_of_its_original(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    for i in range(20):
        photo = Image.open(raw / "a" / f"{i:03d}.png")
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(raw / "a" / f"{i:03d}-mirrored.png")
    with console.capture() as said:
        rows = by_source(prepared(raw, tmp_path / "out"))
    for i in range(20):
        assert rows[f"a/{i:03d}.png"]["split"] == rows[f"a/{i:03d}-mirrored.png"]["split"]
    assert "40 nearly the same as others, in 20 groups of up to 2; each stays in one split" in said.get()


def test_where_near_duplicates_leave_a_split_empty_the_setting_is_named(tmp_path: Path) -> None:
    raw, random = tmp_path / "raw", np.random.default_rng(0)
    for number, label in enumerate(("a", "b")):
        (raw / label).mkdir(parents=True)
        for i in range(20):  # a camera that never moves
            shot = np.array(picture(number))
            shot[:2, :2] = random.integers(0, 256, 3)
            (raw / label / f"{i}.png").write_bytes(encoded(Image.fromarray(shot)))
    with pytest.raises(GaiaError, match=r"near-duplicates share a split.*largest of 20 items; set data.near_dup"):
        prepared(raw, tmp_path / "out")


# --- what is written can be read


def test_the_index_and_the_pixels_come_back_as_they_were(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", labels=("no", "yes, \"quoted\""))  # fmt: skip
    (raw / "no" / "zzz.jpg").touch()
    data = prepared(raw, tmp_path / "out", image_size=40)
    assert data.labels == ["no", "yes, \"quoted\""]  # fmt: skip
    assert data.table.columns.tolist() == ["source", "label", "split", "sha256", "group", "size", "verdict", "reason"]
    assert data.inputs.shape == (41, 40, 40, 3)
    assert isinstance(data.inputs, np.memmap)
    assert data.features == []
    for row, (source, label, verdict) in enumerate(data.table[["source", "label", "verdict"]].to_numpy()):
        assert data.truth[row] == (data.labels.index(label) if verdict == "ok" else -1)
        expected = np.asarray(Image.open(raw / source)) if verdict == "ok" else np.zeros(1)
        assert (data.inputs[row] == expected).all()
    assert sum(len(data.rows(split)) for split in ("train", "validation", "test")) == 40
    assert prepared(raw, tmp_path / "out", classes=["yes, \"quoted\"", "no"]).truth[0] == 1  # fmt: skip


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    shutil.copytree(raw, tmp_path / "copy")
    for name in ("one", "two"):
        prepared(raw if name == "one" else tmp_path / "copy", tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


# --- duplicates


def test_a_copy_goes_where_the_photo_goes_and_the_index_says_so(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    for i in range(20):
        shutil.copy(raw / "a" / f"{i:03d}.png", raw / "a" / f"{i:03d}-again.png")
        darker = ImageEnhance.Brightness(picture(1000 + i)).enhance(0.9)
        (raw / "b" / f"{i:03d}-darker.jpg").write_bytes(encoded(darker, "JPEG", quality=95))
    rows = by_source(prepared(raw, tmp_path / "out", near_duplicates=True))
    for i in range(20):
        same, like = rows[f"a/{i:03d}.png"], rows[f"b/{i:03d}-darker.jpg"]
        assert same["reason"] == f"same as a/{i:03d}-again.png"
        assert same["split"] == rows[f"a/{i:03d}-again.png"]["split"]
        assert same["group"] == rows[f"a/{i:03d}-again.png"]["group"] == same["sha256"]
        assert like["group"] == min(like["sha256"], rows[f"b/{i:03d}.png"]["sha256"])
        assert like["group"] == rows[f"b/{i:03d}.png"]["group"]
        assert like["split"] == rows[f"b/{i:03d}.png"]["split"]
        assert like["reason"] == ""  # it comes first
        assert rows[f"b/{i:03d}.png"]["reason"] == f"much like b/{i:03d}-darker.jpg"


# --- many photos

MEASURE = """
import resource, sys
from pathlib import Path
from gaia.config.schema import Photos, Splits
from gaia.data import photos
from gaia.inputs.pillow import return_freed_memory
return_freed_memory()
config = Photos(kind="photos", image_size=192, classes=None, splits=Splits(validation=0.3, test=0.3), min_per_class=3,
                near_duplicates=True, framing="crop", max_quarantined=1.0, max_megapixels=10.0, min_side=8)
photos._IN_FLIGHT = 2**21
raw = Path(sys.argv[1])
photos.prepare("line", raw / "few", config, 1, None, raw / "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
photos.prepare("line", raw / sys.argv[2], config, 1, None, raw / "out")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_four_times_the_photos_take_no_more_memory(tmp_path: Path) -> None:
    """180 photos more are 20 MB more of pixels; those pass through, 2 MB at a time here."""
    folder(tmp_path / "few", each=30)
    (tmp_path / "many").mkdir()
    for copy in range(4):
        shutil.copytree(tmp_path / "few", tmp_path / "many" / f"class{copy}")
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path, "many"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert (tmp_path / "out" / "images.npy").stat().st_size > 26e6
    assert float(out.splitlines()[-1]) < 10


def test_all_cores_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []

    class Pool(photos.ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            pools.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(photos, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    prepared(folder(tmp_path / "raw"), tmp_path / "out")
    assert pools == [7]


def test_progress_is_shown_photo_by_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    shown = []

    @contextmanager
    def bar(description: str, total: int, unit: str) -> Iterator[object]:
        yield lambda done, text: shown.append((description, done, total, unit))

    monkeypatch.setattr(photos, "bar", bar)
    prepared(folder(tmp_path / "raw"), tmp_path / "out")
    assert shown == [("line: photos", done, 40, "photos") for done in range(1, 41)]


@example("\r")
@given(st.text(min_size=1))
@settings(max_examples=100, deadline=None)
def test_any_text_in_the_index_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    import pandas as pd

    text = index.printable(text)
    out = tmp_path_factory.mktemp("index")
    said = {"source": text, "label": text, "size": 1, "verdict": "ok", "reason": text}
    row = dict.fromkeys(index.COLUMNS, "") | said
    index.write(out, [pd.DataFrame([row])])
    dataset.write_description(out, [text], [])
    np.save(out / "images.npy", np.zeros(1))
    data = dataset.load(out)
    assert data.table.iloc[0].to_dict() == row | {"size": "1"}
    assert data.truth.tolist() == [0]
