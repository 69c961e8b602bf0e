"""What photos' names and a file beside them tell: splits, labels and groups are taken as they are, or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gaia.config.schema import Photos, Splits
from gaia.console import console
from gaia.data import dataset, photos
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from pictures import encoded, picture


def config(**changes: object) -> Photos:
    values = {
        "kind": "photos", "image_size": 32, "classes": None, "min_per_class": 3,
        "splits": {"validation": 0.2, "test": 0.2, "column": None, "by": None},
        "near_duplicates": True, "framing": "crop", "max_quarantined": 0.05, "max_megapixels": 10.0, "min_side": 8,
    }  # fmt: skip
    return Photos.model_validate(values | changes)


def prepared(raw: Path, **changes: object) -> Dataset:
    photos.prepare("line", raw, config(**changes), 1, None, raw.parent / "out")
    return dataset.load(raw.parent / "out")


def write(raw: Path, *names: str) -> Path:
    """A photo of its own under each name."""
    for i, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(encoded(picture(i)))
    return raw


def numbered(pattern: str, count: int = 20, **words: str) -> list[str]:
    return [pattern.format(i, label="ab"[i % 2], **words) for i in range(count)]


def column(data: Dataset, name: str) -> dict[str, str]:
    return dict(data.table[["source", name]].to_numpy().tolist())


# --- folders that are splits


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_folders_that_are_splits_are_taken_as_such_and_said(tmp_path: Path, validation: str) -> None:
    """Before: "398 usable (train 245, val 153)"."""
    names = [name for split in ("train", validation, "test") for name in numbered(f"{split}/{{label}}/{{}}.png")]
    with console.capture() as said:
        data = prepared(write(tmp_path / "raw", *names))
    assert data.labels == ["a", "b"]
    meant = {"train": "train", validation: "validation", "test": "test"}
    assert column(data, "split") == {name: meant[name.split("/")[0]] for name in names}
    assert column(data, "label") == {name: name.split("/")[1] for name in names}
    assert "line: train, validation, test as the data say\n" in said.get()


def test_a_split_that_is_not_given_is_drawn_from_training(tmp_path: Path) -> None:
    names = [*numbered("train/{label}/{}.png", 60), *numbered("test/{label}/{}.png")]
    with console.capture() as said:
        found = column(prepared(write(tmp_path / "raw", *names)), "split")
    assert {found[name] for name in names[60:]} == {"test"}
    assert sorted(found[name] for name in names[:60]) == ["train"] * 48 + ["validation"] * 12
    assert "line: train, test as the data say; validation drawn from train\n" in said.get()


def test_what_is_like_a_photo_of_another_split_is_set_aside_and_said(tmp_path: Path) -> None:
    names = [name for split in ("train", "val", "test") for name in numbered(f"{split}/{{label}}/{{}}.png", 40)]
    raw = write(tmp_path / "raw", *names)
    (raw / "train/a/copy.png").write_bytes((raw / "test/a/0.png").read_bytes())
    (raw / "val/b/like.jpg").write_bytes(encoded(picture(81), "JPEG", quality=90))
    with console.capture() as said:
        data = prepared(raw)
    reasons = column(data, "reason")
    assert reasons["train/a/copy.png"] == "like an item of another split: test/a/0.png in test"
    assert reasons["val/b/like.jpg"] == "like an item of another split: test/b/1.png in test"
    assert "quarantined 2 x like an item of another split: train/a/copy.png, val/b/like.jpg" in said.get()
    for i in range(0, 40, 2):
        (raw / f"train/a/copy{i}.png").write_bytes((raw / f"test/a/{i}.png").read_bytes())
    with pytest.raises(GaiaError, match=r"more than data.max_quarantined .* like an item of another split"):
        prepared(raw)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            numbered("extra/{label}/{}.png"),
            r"raw holds test, train, which are splits, beside extra; move them apart, or ",
        ),
        (numbered("val/{label}/{}.png") + numbered("valid/{label}/{}.png"), r"splits, two of them the same; keep one"),
        (["test/c/1.png"], r"raw/test has the class 'c', which .*raw/train lacks; give each split's folder the same"),
        (
            ["train/Dandelion/1.png", "test/dandelion/1.png"],
            r"the class 'Dandelion', which .*test lacks \(did you mean 'dandelion'\?\)",
        ),
    ],
)
def test_folders_that_would_take_a_guess_are_refused(tmp_path: Path, more: list[str], sentence: str) -> None:
    names = [name for split in ("train", "test") for name in numbered(f"{split}/{{label}}/{{}}.png")]
    with pytest.raises(GaiaError, match=sentence):
        prepared(write(tmp_path / "raw", *names, *more))


def test_folders_of_these_names_are_classes_if_they_are_named_so(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", *numbered("train/{}.png"), *numbered("test/{}.png"))
    assert prepared(raw, classes=["train", "test"]).labels == ["train", "test"]
    raw = write(tmp_path / "second/raw", *numbered("train/{}.png"), *numbered("bus/{}.png"))
    assert prepared(raw).labels == ["bus", "train"]


# --- patterns over names


def test_labels_and_groups_may_stand_in_names(tmp_path: Path) -> None:
    names = [f"{'day' if i % 3 else 'night'}/{'ab'[i // 2 % 2]}_plant{i // 4}_{i}.png" for i in range(80)]
    with console.capture() as said:
        data = prepared(write(tmp_path / "raw", *names), label=r"(?P<label>[a-z]+)_plant", group=r"plant(\d+)")
    assert column(data, "label") == {name: name.split("/")[1][0] for name in names}
    assert column(data, "group") == {name: str(i // 4) for i, name in enumerate(names)}
    split = column(data, "split")
    assert all(len({split[name] for name in names[i : i + 4]}) == 1 for i in range(0, 80, 4))
    assert sorted(split.values()) == ["test"] * 16 + ["train"] * 48 + ["validation"] * 16
    assert "20 groups of up to 4 items that data.group joins; each stays in one split" in said.get()


def test_splits_may_be_folders_where_labels_stand_in_names(tmp_path: Path) -> None:
    names = [*numbered("train/{label}_{}.png", 40), *numbered("test/{label}_{}.png")]
    data = prepared(write(tmp_path / "raw", *names), label=r"([a-z])_\d")
    assert {column(data, "split")[name] for name in names[40:]} == {"test"}
    assert data.labels == ["a", "b"]


def test_a_name_that_says_nothing_is_quarantined(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", *numbered("{label}_p{}.png"), "nothing.png", "b_q.png")
    reasons = column(prepared(raw, label=r"^(\w)_", group=r"p(\d+)", max_quarantined=0.2), "reason")
    assert reasons["nothing.png"] == "no label: data.label doesn't match 'nothing.png'"
    assert reasons["b_q.png"] == "no group: data.group doesn't match 'b_q.png'"


def test_a_near_duplicate_joins_two_groups(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", *(f"{'ab'[i // 20]}/p{i % 20 // 2}{'ab'[i // 20]}_{i}.png" for i in range(40)))
    (raw / "a/p9a_like.jpg").write_bytes(encoded(picture(0), "JPEG", quality=90))
    data = prepared(raw, group=r"(p\d+[ab])")
    group, split = column(data, "group"), column(data, "split")
    assert group["a/p0a_0.png"] == group["a/p9a_like.jpg"] == group["a/p9a_18.png"] == "p0a"
    assert split["a/p0a_1.png"] == split["a/p9a_19.png"]


def test_a_group_in_two_given_splits_is_refused_by_name(tmp_path: Path) -> None:
    names = [*numbered("train/{label}/p{}.png"), *numbered("test/{label}/p{}.png")]
    with pytest.raises(GaiaError, match=r"the group '0' lies in two splits, test \(test/a/p0.png\) and train \("):
        prepared(write(tmp_path / "raw", *names), group=r"p(\d+)")


# --- a file beside the photos


def listed(raw: Path, header: str, rows: list[str]) -> Path:
    write(raw, *(row.split(",")[0] for row in rows))
    (raw / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return raw


def test_a_file_may_tell_labels_splits_and_groups(tmp_path: Path) -> None:
    said = ["train"] * 24 + ["val"] * 8 + ["test"] * 8
    rows = [f"{i % 3}/{i}.png,{'ab'[i % 2]},{said[i]},g{i // 4},whatever" for i in range(40)]
    data = prepared(listed(tmp_path / "raw", "file,label,split,group,camera", rows), labels="labels.csv")
    assert "labels.csv" not in data.table["source"].tolist()
    for i in range(40):
        source = f"{i % 3}/{i}.png"
        assert column(data, "label")[source] == "ab"[i % 2]
        assert column(data, "split")[source] == said[i].replace("val", "validation")
        assert column(data, "group")[source] == f"g{i // 4}"


def test_its_columns_may_have_other_names_and_dates(tmp_path: Path) -> None:
    rows = [f"{i}.png,{'ab'[i % 2]},2024-01-{i // 2 + 1:02d},{i // 2}" for i in range(40)]
    raw = listed(tmp_path / "raw", "file,label,taken,site", rows)
    by_date = prepared(raw, labels="labels.csv", splits={"validation": 0.2, "test": 0.2, "by": "taken"})
    split = column(by_date, "split")
    assert [split[f"{i}.png"] for i in range(40)] == ["train"] * 24 + ["validation"] * 8 + ["test"] * 8
    by_site = prepared(raw, labels="labels.csv", group="site")
    assert column(by_site, "group") == {f"{i}.png": str(i // 2) for i in range(40)}


def test_every_photo_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    raw = listed(tmp_path / "raw", "file,label", [f"{i}.png,{'ab'[i % 2]}" for i in range(40)])
    write(raw, "unlisted.png")
    with (raw / "labels.csv").open("a") as file:
        file.write("0.png,a\n1.png,a\nmissing.png,a\n../outside.png,a\n2.png,,\n")
    reasons = column(prepared(raw, labels="labels.csv", max_quarantined=0.5), "reason")
    assert reasons["unlisted.png"] == "in no row of labels.csv"
    assert reasons["missing.png"] == "named in labels.csv, and not there: see labels.csv:44"
    assert reasons["../outside.png"] == "named in labels.csv, and not there: see labels.csv:45"
    assert reasons["1.png"] == "told twice, in two ways: see labels.csv:43"
    assert reasons["0.png"] == "" and len(reasons) == 43


@pytest.mark.parametrize(
    ("spoil", "changes", "sentence"),
    [
        (lambda text: text, {"labels": "label.csv"}, r"raw/label.csv, named in data.labels, is not there; put it into"),
        (
            lambda text: text.replace("label", "lable", 1),
            {},
            r"has no column 'label'; its columns are file, lable, split \(did",
        ),
        (lambda text: text, {"group": "plant"}, r"has no column 'plant'; its columns are file, label, split"),
        (
            lambda text: text.replace("test", "tets"),
            {},
            r"labels.csv: split is 'tets' in a row; a split is one of train",
        ),
    ],
)
def test_a_file_that_tells_something_else_is_refused(
    tmp_path: Path, spoil: Callable[[str], str], changes: dict, sentence: str
) -> None:
    rows = [f"{i}.png,{'ab'[i % 2]},{('train', 'test')[i % 4 // 3]}" for i in range(40)]
    raw = listed(tmp_path / "raw", "file,label,split", rows)
    (raw / "labels.csv").write_text(spoil((raw / "labels.csv").read_text()))
    with pytest.raises(GaiaError, match=sentence):
        prepared(raw, **{"labels": "labels.csv"} | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": "(a"}, r"which is no pattern: missing \), .*; mind brackets and backslashes"),
        ({"label": "[a-z]+"}, r"put the part that is meant, and no other, in parentheses"),
        ({"label": r"(a)(\d)"}, r"put the part that is meant, and no other, in parentheses"),
        ({"group": "plant"}, r"has group, which is 'plant'; it should be a pattern over the photos' paths, such as"),
        ({"label": "(a)", "labels": "labels.csv"}, r"has both labels and label; "),
        (
            {"splits": {"validation": 0.2, "test": 0.2, "column": "split"}},
            r"has splits.column, a column; name the ",
        ),
        ({"labels": "labels.xlsx"}, r"should be a CSV file in the folder of photos, such as labels.csv"),
    ],
)
def test_settings_that_say_nothing_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        config(**changes)


def test_the_shares_are_those_of_the_schema() -> None:
    assert config().splits == Splits(validation=0.2, test=0.2)
