"""Tables: every row is used as it is meant, or quarantined with the reason; nothing is guessed."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaia.config.schema import Splits, Table
from gaia.console import console
from gaia.data import dataset, index, table
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.inputs import tables
from gaia.runtime import answers
from gaia.runtime.predictor import Predictor

HEADER = "kind,days,co2,label"


def config(**changes: object) -> Table:
    values = {
        "kind": "table", "label": "label", "classes": None, "categories": {"kind": "kind"},
        "numbers": {"days": "days", "co2": "co2"}, "separator": ",", "decimal": ".", "encoding": "utf-8",
        "splits": Splits(validation=0.3, test=0.3), "min_per_class": 3, "max_quarantined": 1.0,
    }  # fmt: skip
    return Table(**(values | changes))


def rows(count: int = 40, separator: str = ",", decimal: str = ".") -> list[str]:
    """Kinds x, x, y, y, ... and labels yes, no, ...; every row of its own."""
    numbers = [f"{400 + i / 8}".replace(".", decimal) for i in range(count)]
    cells = [("xy"[i // 2 % 2], str(i), numbers[i], ("yes", "no")[i % 2]) for i in range(count)]
    return [separator.join(row) for row in cells]


def prepared(raw: Path, content: str | bytes | list[str] | None = None, **changes: object) -> Dataset:
    """The table `raw` prepared and loaded; `content` is written to it first: rows get the header before them."""
    if isinstance(content, list):
        content = "\n".join([HEADER.replace(",", str(changes.get("separator", ","))), *content]) + "\n"
    if content is not None:
        raw.write_bytes(content.encode() if isinstance(content, str) else content)
    out = raw.parent / "out"
    out.mkdir(exist_ok=True)
    positive = changes.pop("positive", None)
    table.prepare("line", raw, config(**changes), 1, positive, out)
    return dataset.load(out)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def last(data: Dataset) -> dict[str, str]:
    return data.table.iloc[-1].to_dict()


def seen_in_training(data: Dataset, name: str) -> list[float]:
    values = data.inputs[name].iloc[data.rows("train")]
    return [values.min(), values.max()]


# --- what is written can be read


def test_the_index_and_the_values_come_back_as_they_were(raw: Path) -> None:
    lines = rows()
    lines[3] = "y,,403.5,no"  # days were not measured
    lines[4] = "x,four,404,yes"
    data = prepared(raw, lines)
    assert data.labels == ["no", "yes"]
    assert data.table.columns.tolist() == ["source", "label", "split", "sha256", "group", "size", "verdict", "reason"]
    assert data.table["source"].tolist() == [f"table.csv:{i + 2}" for i in range(40)]
    assert data.truth.tolist() == [-1 if i == 4 else 1 - i % 2 for i in range(40)]
    assert data.features == [
        {"name": "kind", "column": "kind", "type": "category", "categories": ["x", "y"]},
        {"name": "days", "column": "days", "type": "number", "range": seen_in_training(data, "days")},
        {"name": "co2", "column": "co2", "type": "number", "range": seen_in_training(data, "co2")},
    ]
    assert data.inputs.columns.tolist() == ["kind", "days", "co2"]
    usable = data.inputs[(data.table["verdict"] == "ok").to_numpy()]
    assert usable["kind"].tolist() == ["xy"[i // 2 % 2] for i in range(40) if i != 4]
    assert np.isnan(usable["days"].iloc[3])
    assert usable["co2"].drop(3).tolist() == [400 + i / 8 for i in range(40) if i not in (3, 4)]
    assert sum(len(data.rows(split)) for split in ("train", "validation", "test")) == 39


def test_features_may_have_other_names_than_their_columns_and_columns_may_be_named_like_ours(raw: Path) -> None:
    content = "\n".join(["source,reason,x,label,split", *(row + ",no" for row in rows())])
    names = {"categories": {"verdict": "source"}, "numbers": {"split": "reason", "label": "x"}}
    data = prepared(raw, content, **names)
    assert data.inputs.columns.tolist() == ["verdict", "split", "label"]
    assert data.inputs.iloc[2].tolist() == ["y", 2.0, 400.25]
    assert data.table["source"][0] == "table.csv:2"


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        prepared(tmp_path / name / "table.csv", rows())
    for file in (tmp_path / "one" / "out").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / "out" / file.name).read_bytes()


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


@given(kinds=st.tuples(cells, cells), labels=st.tuples(cells, cells))
@settings(max_examples=40, deadline=None)
def test_any_text_survives_as_category_and_label(
    tmp_path_factory: pytest.TempPathFactory, kinds: tuple[str, str], labels: tuple[str, str]
) -> None:
    kinds, labels = ((a.strip() + "1", b.strip() + "2") for a, b in (kinds, labels))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    meant = [(kinds[i // 2 % 2], i, labels[i % 2]) for i in range(80)]
    writer.writerows([("kind", "days", "label"), *meant])
    data = prepared(tmp_path_factory.mktemp("table") / "table.csv", stream.getvalue(), numbers={"days": "days"})
    assert (data.table["verdict"] == "ok").all()
    assert data.table["label"].tolist() == [index.printable(label) for _, _, label in meant]
    assert data.inputs["kind"].tolist() == [kind for kind, _, _ in meant]
    assert [data.labels[i] for i in data.truth] == data.table["label"].tolist()


# --- rows that can't be used


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,four,400,yes", "days is not a number: 'four'"),
        ("x,inf,400,yes", "days is not a number: 'inf'"),
        ("x,1e999,400,yes", "days is not a number: '1e999'"),
        ('x,4,"400,5",yes', "co2 is not a number: '400,5', data.decimal?"),
        ('x,4,"1,400",yes', "co2 is not a number: '1,400', data.decimal? or thousands, to be written 1400?"),
        ('x,4,"1,400.5",yes', "co2 is not a number: '1,400.5', thousands, to be written 1400.5?"),
        ("x,4,1 400,yes", "co2 is not a number: '1 400'"),
        ("x,4,1_400,yes", "co2 is not a number: '1_400'"),
        ("x,4,0x10,yes", "co2 is not a number: '0x10'"),
        ("x,4,٤,yes", "co2 is not a number: '٤'"),
        ("x,True,400,yes", "days is not a number: 'True', a category?"),
        ('x,"4\n5",400,yes', "days is not a number: '4\\n5'"),
        (",4,400,yes", "kind is empty in no training row"),
        ("x,4,400,", "label is empty"),
        ("x,4,400", "has 3 cells: the header 4"),
        ("x,4,400,yes,", "has 5 cells: the header 4"),
        ("x,4,400,N/A", "label is unknown, or a class to be named in data.classes: 'N/A'"),
    ],
)
def test_a_row_that_is_no_use_is_quarantined_with_the_reason(raw: Path, row: str, reason: str) -> None:
    data = prepared(raw, [*rows(), row], classes=["no", "yes"])
    assert (last(data)["verdict"], last(data)["split"], last(data)["reason"]) == ("quarantined", "", reason)
    assert last(data)["source"] == "table.csv:42"
    assert data.truth[-1] == -1
    assert (data.table["verdict"][:-1] == "ok").all()


def test_rows_of_other_classes_are_left_out_and_count_as_no_damage(raw: Path) -> None:
    others = [f"x,{i},400,maybe" for i in range(40)]
    data = prepared(raw, [*rows(), *others], classes=["no", "yes"], max_quarantined=0.0)
    assert set(data.table["verdict"][40:]) == {"left out"}
    assert set(data.table["reason"][40:]) == {"label is none of data.classes: 'maybe'"}
    assert set(data.table["split"][40:]) == {""} and (data.truth[40:] == -1).all()


def test_a_label_that_says_nothing_is_no_class_unless_it_is_named(raw: Path) -> None:
    unsaid = [f"x,{i},400,{'NA' if i % 2 else 'none'}" for i in range(40)]
    assert prepared(raw, [*rows(), *unsaid]).labels == ["no", "yes"]
    named = prepared(raw, [*rows(), *unsaid], classes=["no", "yes", "none"])
    assert (named.table["verdict"] == "ok").sum() == 60


def test_the_screen_names_the_most_frequent_reasons_and_counts_the_others(raw: Path) -> None:
    bad = [f"x,4,400,yes{',' * i}" for i in range(1, 15)]
    with console.capture() as said:
        prepared(raw, [*rows(), *bad, "x,four,400,yes", *(f"rare{i},{i},1,yes" for i in range(20))])
    lines = said.get().splitlines()
    assert sum(" occurs in no training row" in line for line in lines) == 1
    assert "  and 6 more reasons: 6 items" in lines


@pytest.mark.parametrize("empty", ["", " ", "NaN", "nan", "NA", "n/a", "#N/A", "null", "None"])
def test_an_empty_number_is_not_measured(raw: Path, empty: str) -> None:
    data = prepared(raw, [*rows(), f"x,4,{empty},yes"])
    assert last(data)["verdict"] == "ok"
    assert np.isnan(data.inputs["co2"].iloc[-1])


def test_a_category_that_no_training_row_has_is_quarantined_since_a_model_refuses_it(raw: Path) -> None:
    data = prepared(raw, [*rows(), *(f"rare{i},{i},1,yes" for i in range(20))])
    rare = data.table.iloc[40:]
    assert set(rare["split"]) == {"train", ""}
    unseen = rare[rare["split"] == ""]
    assert (unseen["verdict"] == "quarantined").all()
    usable = data.table[data.table["verdict"] == "ok"]
    assert usable["group"].is_unique, "rows are like those of the same content alone"
    assert set(unseen["group"]) == {""}
    assert unseen["reason"].str.fullmatch(r"kind occurs in no training row: 'rare\d+'").all()
    train = set(data.inputs["kind"].to_numpy()[data.rows("train")])
    assert set(data.features[0]["categories"]) == train


def served(data: Dataset, **how: str) -> Predictor:
    """A predictor that reads as the line's would, and has no opinion."""
    asked = {"kind": "table", "features": data.features, "separator": ",", "decimal": ".", "encoding": "utf-8"} | how
    contract = {"line": "line", "labels": data.labels, "input": asked, "positive": data.labels[-1], "threshold": 0.5}
    return Predictor(contract, lambda rows: np.full((len(rows), len(data.labels)), 1 / len(data.labels)))


def test_an_unknown_category_is_refused_at_prediction_with_what_is_known(raw: Path) -> None:
    predictor = served(prepared(raw, rows()))
    with pytest.raises(GaiaError, match="row 2: kind is 'z', which training never saw; known are x, y"):
        predictor.read_rows([{"kind": "x", "days": 1, "co2": 2}, {"kind": "z", "days": 1, "co2": 2}])
    with pytest.raises(GaiaError, match="row 1: days is 'four', which is no number"):
        predictor.read_rows([{"kind": "x", "days": "four", "co2": 2}])


def test_no_rows_are_an_empty_frame_of_the_right_columns(raw: Path) -> None:
    frame = served(prepared(raw, rows())).read_rows([])
    assert (list(frame.columns), len(frame), frame["days"].dtype) == (["kind", "days", "co2"], 0, float)


@pytest.mark.parametrize("row", ["x", None, 4, ["x", 1, 2]])
def test_a_row_that_is_no_mapping_is_a_sentence(raw: Path, row: object) -> None:
    """Before: AttributeError."""
    with pytest.raises(GaiaError, match=r"^row 2 is .*; a row maps each feature \(kind, days, co2\) to a value\.$"):
        served(prepared(raw, rows())).read_rows([{"kind": "x", "days": 1, "co2": 2}, row])


def test_one_bad_row_of_five_is_four_answers_and_one_problem(raw: Path) -> None:
    predictor, asked = served(prepared(raw, rows())), raw.with_name("asked.csv")
    good = {"kind": "x", "days": 1, "co2": 2}
    given = {"a": good, "b": good, "c": {"kind": "x", "days": "four", "co2": "five"}, "d": good, "e": good}
    found = answers.of_rows(predictor, given)
    assert [answer["input"] for answer in found.answers] == ["a", "b", "d", "e"]
    assert [str(problem) for problem in found.problems.values()] == ["c: days is 'four', which is no number."]
    asked.write_text("kind,days,co2\nx,1,2\nz,1,2\nx,1\nx,2,3\n")
    found = answers.of_table_file(predictor, asked)
    assert [answer["input"] for answer in found.answers] == ["asked.csv:2", "asked.csv:5"]
    assert [str(problem) for problem in found.problems.values()] == [
        "asked.csv:3: kind is 'z', which training never saw; known are x, y.",
        "asked.csv:4 has 2 cells, the header 3; mend or remove it.",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_prediction_reads_a_table_as_training_did(tmp_path: Path, suffix: str) -> None:
    how = {"separator": ";", "decimal": ",", "encoding": "cp1252"}
    lines = [row.replace("x", "pêche") for row in rows(separator=";", decimal=",")]
    raw = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        content = "\n".join([HEADER.replace(",", " ; "), *lines]).encode("cp1252")
        data = prepared(raw, content, **how)
    else:
        cells = [row.split(";") for row in lines]
        frame = pd.DataFrame(cells, columns=HEADER.split(",")).astype({"days": int})
        frame["co2"] = frame["co2"].str.replace(",", ".").astype(float)
        frame.to_parquet(raw)
        data = prepared(raw, **how)
    predictor = served(data, **how)
    frame, places = predictor.read_table(raw)
    pd.testing.assert_frame_equal(frame, data.inputs.astype({"days": float}))
    assert places == data.table["source"].tolist()
    first = {"kind": "pêche", "days": "0", "co2": "400,0"}
    pd.testing.assert_frame_equal(predictor.read_rows([first]), frame.head(1))
    pd.testing.assert_frame_equal(predictor.read_rows([first | {"days": 0, "co2": 400.0}]), frame.head(1))
    pd.testing.assert_frame_equal(predictor.read_rows([first | {"co2": "400.0"}]), frame.head(1))
    with pytest.raises(GaiaError, match=r"row 1: co2 is '1.400', which is no number \(the decimal mark is ','\)"):
        predictor.read_rows([first | {"co2": "1.400"}])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("kind,days,co2\nx,1,2\nx,4,5,900\n", "asked.csv:3 has 4 cells, the header 3; mend or remove it"),
        ("kind,days,co2\nx,4\n", "asked.csv:2 has 2 cells, the header 3"),
        ("kind,days,co2,days\nx,4,5,6\n", "asked.csv has the column 'days' twice"),
        ("kind,days\nx,4\n", "asked.csv has no column 'co2'; its columns are kind, days"),
        ('kind,days,co2\nx,1,2\n"x,4,5\nx,1,2\n', "asked.csv can't be read as CSV from line 3 on"),
        ("kind,days,co2\nx,1,2\nx,four,2\n", "asked.csv:3: days is 'four', which is no number"),
        ("kind,days,co2\n", "asked.csv holds no row"),
        ("", "asked.csv is empty"),
    ],
)
def test_a_table_that_would_need_a_guess_is_refused_at_prediction(raw: Path, content: str, sentence: str) -> None:
    predictor = served(prepared(raw, rows()))
    asked = raw.with_name("asked.csv")
    asked.write_text(content)
    with pytest.raises(GaiaError, match=sentence):
        predictor.read_table(asked)


def test_a_class_that_only_ragged_rows_name_is_none(raw: Path) -> None:
    assert prepared(raw, [*rows(), "x,5,400,5,yes"]).labels == ["no", "yes"]


def test_above_the_share_allowed_the_stage_fails_and_says_which_rows(raw: Path) -> None:
    prepared(raw, [*rows(), "x,1,two,yes", "x,1,2"], max_quarantined=0.05)
    with pytest.raises(
        GaiaError, match=r"3 of 43 items \(7%\) can't be used.*table.csv:42: co2 is not a number: 'two'"
    ):
        prepared(raw, [*rows(), "x,1,two,yes", "x,1,2", "x"], max_quarantined=0.05)


def test_the_wrong_decimal_mark_fails_with_the_hint(raw: Path) -> None:
    lines = [f'x,{i},"{i},25",yes' for i in range(20_000)]
    with pytest.raises(GaiaError, match=r"co2 is not a number: '0,25', data.decimal\?"):
        prepared(raw, lines, max_quarantined=0.05)


def test_what_is_quarantined_is_summed_up_on_screen(raw: Path) -> None:
    with console.capture() as screen:
        prepared(raw, [*rows(), "x,[/red],1,yes", "x,:bug:,1,yes"])
    assert "line: 40 usable (no 20, yes 20; train" in screen.get()
    assert "quarantined 2 x days is not a number: table.csv:42, table.csv:43\n" in screen.get()


# --- duplicates


def test_equal_rows_share_a_split_however_their_numbers_are_written(raw: Path) -> None:
    lines = rows()
    data = prepared(raw, [*lines, *lines[:20], "x,1e0, +400.1250 ,no", "x,1.0,400.125,yes"])
    split = data.table["split"].tolist()
    assert split[:20] == split[40:60]
    assert data.table["reason"][40] == "same as table.csv:2"
    assert data.table["sha256"].nunique() == 40
    assert split[60] == split[1]
    assert data.table["reason"][60] == "same as table.csv:3"


def test_rows_that_differ_in_the_label_or_in_a_column_that_is_no_feature_are_no_duplicates(raw: Path) -> None:
    """Before: of titanic's 1,309 rows 1,194 shared a split with others, for their features are equal."""
    content = "\n".join([f"{HEADER},id", *(f"x,1,400,{'no' if i % 2 else 'yes'},{i // 2}" for i in range(400))])
    data = prepared(raw, content).table
    assert data["group"].is_unique and set(data["reason"]) == {""}
    assert data["sha256"].nunique() == 200
    assert data[data["split"] == "test"]["label"].value_counts().tolist() == [60, 60]


def test_equal_rows_may_be_different_things(raw: Path) -> None:
    lines = ["x,1,400,yes"] * 40 + ["x,2,400,no"] * 40
    data = prepared(raw, lines, duplicates=False).table
    assert data["group"].is_unique and data["sha256"].is_unique
    assert data["split"].value_counts().to_dict() == {"train": 32, "test": 24, "validation": 24}
    with pytest.raises(GaiaError, match=r"none of the 40 items of class 'no' fell into the \w+ split: only 1 of them"):
        prepared(raw, lines)


def test_renamed_features_and_reordered_rows_and_columns_move_no_row(raw: Path) -> None:
    before = prepared(raw, rows()).table
    frame = pd.read_csv(raw)[["label", "co2", "kind", "days"]]
    features = {"numbers": {"carbon": "co2"}}
    after = prepared(raw, frame[::-1].to_csv(index=False), **features).table
    assert after["split"].tolist() == before["split"].tolist()[::-1]
    assert after["sha256"].tolist() == before["sha256"].tolist()[::-1]


# --- splits that the table says


def with_column(name: str, cells: list[object]) -> str:
    return "\n".join(
        [f"{HEADER},{name}", *(f"{row},{cell}" for row, cell in zip(rows(len(cells)), cells, strict=True))]
    )


def asked(**keys: str) -> Splits:
    return Splits(validation=0.2, test=0.2, **keys)


def test_a_column_may_say_the_splits(raw: Path) -> None:
    said = ["Train"] * 20 + ["val"] * 10 + ["test"] * 10
    with console.capture() as screen:
        data = prepared(raw, with_column("part", said), splits=asked(column="part")).table
    assert data["split"].tolist() == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert "line: train, validation, test as the data say\n" in screen.get()


def test_what_a_column_does_not_say_is_drawn_from_training(raw: Path) -> None:
    with console.capture() as screen:
        data = prepared(raw, with_column("part", ["train"] * 30 + ["test"] * 10), splits=asked(column="part")).table
    assert set(data["split"][30:]) == {"test"}
    assert data["split"][:30].value_counts().to_dict() == {"train": 24, "validation": 6}
    assert "line: train, test as the data say; validation drawn from train\n" in screen.get()


@pytest.mark.parametrize(
    ("cells", "keys", "sentence"),
    [
        (
            ["train"] * 39 + ["tset"],
            {"column": "part"},
            r"part is 'tset' in a row; a split is one of train, training, ",
        ),
        (["train"] * 39 + [""], {"column": "part"}, r"part is empty in a row; a split is one of train"),
        (["train"] * 40, {"column": "prat"}, r"has no column 'prat'; its columns are .*did you mean 'part'"),
        (["train"] * 40, {"by": "date"}, r"has no column 'date'"),
    ],
)
def test_splits_that_cannot_be_read_are_refused(raw: Path, cells: list, keys: dict, sentence: str) -> None:
    with pytest.raises(GaiaError, match=sentence):
        prepared(raw, with_column("part", cells), splits=asked(**keys))


def test_a_row_that_is_like_one_of_another_split_is_set_aside(raw: Path) -> None:
    content = with_column("part", ["train"] * 20 + ["val"] * 10 + ["test"] * 10).splitlines()
    twin = content[-1].replace("test", "train")
    data = prepared(raw, "\n".join([*content, twin]), splits=asked(column="part"))
    assert last(data)["reason"] == "like an item of another split: table.csv:41 in test"
    assert (last(data)["verdict"], last(data)["split"], last(data)["group"]) == ("quarantined", "", "")


def test_rows_of_one_group_share_a_split(raw: Path) -> None:
    with console.capture() as screen:
        data = prepared(raw, with_column("person", [i // 4 for i in range(80)]), group="person").table
    assert all(len(set(data["split"][i : i + 4])) == 1 for i in range(0, 80, 4))
    assert data["group"].tolist() == [str(i // 4) for i in range(80)]
    assert data["split"].value_counts().to_dict() == {"train": 32, "test": 24, "validation": 24}
    assert "20 groups of up to 4 items that data.group joins; each stays in one split" in screen.get()


def test_a_row_without_its_group_or_date_is_quarantined(raw: Path) -> None:
    data = prepared(raw, with_column("person", [*range(39), ""]), group="person")
    assert last(data)["reason"] == "person is empty"
    data = prepared(raw, with_column("day", [*range(2000, 2039), "soon"]), splits=asked(by="day"))
    assert last(data)["reason"] == "day is no date: 'soon', to be written as 2026-11-26"


def test_a_group_that_the_column_parts_is_refused_by_name(raw: Path) -> None:
    content = with_column("part", ["train"] * 30 + ["test"] * 10).splitlines()
    content = [content[0] + ",person", *(f"{row},p{i % 39}" for i, row in enumerate(content[1:]))]
    with pytest.raises(
        GaiaError, match=r"the group 'p0' lies in two splits, train \(table.csv:2\) and test \(table.csv"
    ):
        prepared(raw, "\n".join(content), splits=asked(column="part"), group="person")


@pytest.mark.parametrize("date", ["2024-01-{:02d}", "20{:02d}", "2024-01-{:02d}T10:00:00+02:00"])
def test_by_date_the_latest_rows_are_the_test(raw: Path, date: str) -> None:
    days = [date.format(i // 4 + 1) for i in range(80)]
    data = prepared(raw, with_column("day", days), splits=asked(by="day")).table
    assert data["split"].tolist() == ["train"] * 48 + ["validation"] * 16 + ["test"] * 16


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"splits": {"validation": 0.2, "test": 0.2, "column": "part", "by": "day"}}, "has both column and by; "),
        ({"group": "label"}, "uses the column 'label' twice; "),
        ({"splits": {"validation": 0.2, "test": 0.2, "column": "kind"}}, "uses the column 'kind' twice; "),
    ],
)
def test_what_says_the_split_is_no_feature(changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Table.model_validate(config().model_dump() | changes)


# --- files


@pytest.mark.parametrize(
    "write",
    {
        "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
        "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
        "old Mac": lambda text: text.replace("\n", "\r").encode(),
        "no last newline": lambda text: text.rstrip("\n").encode(),
        "blank lines": lambda text: ("\n\n" + text.replace("\n", "\n  \n\n") + "\n\n").encode(),
        "spaces": lambda text: text.replace(",", " , ").replace("\n", "  \n").encode(),
        "quotes": lambda text: text.replace("yes", '"yes"').replace("x,", '"x", ').encode(),
        "more columns, some without a name": lambda text: text.replace("\n", ",,\n").encode(),
    }.items(),
    ids=lambda item: item[0],
)
def test_ways_to_write_the_same_table_give_the_same(raw: Path, write: tuple[str, object]) -> None:
    text = "\n".join([HEADER, *rows()]) + "\n"
    plain, other = prepared(raw, text), prepared(raw, write[1](text))
    pd.testing.assert_frame_equal(plain.inputs, other.inputs)
    assert plain.table.drop(columns="source").equals(other.table.drop(columns="source"))


def test_semicolons_with_decimal_commas_are_read_as_told(raw: Path) -> None:
    plain = prepared(raw, rows())
    other = prepared(raw, rows(separator=";", decimal=","), separator=";", decimal=",")
    pd.testing.assert_frame_equal(plain.inputs, other.inputs)
    data = prepared(raw, [*rows(separator=";", decimal=","), "x;4;400.5;yes"], separator=";", decimal=",")
    assert last(data)["reason"] == "co2 is not a number: '400.5', data.decimal?"


def test_a_newline_inside_quotes_is_part_of_the_cell_and_lines_are_counted_right(raw: Path) -> None:
    lines = [row.replace("x,", '"x\nand, more",') for row in rows()]
    data = prepared(raw, [*lines, "x,4,?,no"])
    assert set(data.features[0]["categories"]) == {"x\nand, more", "y"}
    assert last(data)["source"] == "table.csv:62"  # 20 of 40 rows take two lines


def test_an_encoding_is_read_as_told(raw: Path) -> None:
    text = "\n".join([HEADER, *rows()]).replace("x", "käse")
    for encoding in ("cp1252", "utf-16", "latin-1"):
        data = prepared(raw, text.encode(encoding), encoding=encoding)
        assert data.features[0]["categories"] == ["käse", "y"]


@pytest.mark.parametrize(
    ("content", "changes", "sentence"),
    [
        (b"", {}, "table.csv is empty; give it a header and rows"),
        (b"\xef\xbb\xbf\n\n", {}, "table.csv is empty"),
        (HEADER, {}, "holds no row"),
        ("kind,Days,co2,label\nx,1,2,yes", {}, "no column 'days'; its columns are kind, Days, co2, label.*'Days'"),
        ("kind;days;co2;label\nx;1;2;yes", {}, "is separated by .;., not by .,.; set data.separator to .;."),
        ("kind,days,co2,label,days\nx,1,2,yes,3", {}, "has the column 'days' twice"),
        ("\n".join([HEADER, *rows()]).replace("x", "käse").encode("cp1252"), {}, "not utf-8 .line 2.*to cp1252"),
        ("\n".join([HEADER, *rows()]).encode("utf-16"), {}, "is not utf-8 .line 1.*to utf-16"),
        ([*rows(), '"x,4,400,yes', *rows()], {}, "can't be read as CSV from line 42 on: unexpected end of data"),
        ([*rows(), '"x,4,400,yes', 'x,4,"400",yes'], {}, "can't be read as CSV from line 42 on"),
        ([row.replace("no", "yes") for row in rows()], {}, "at least two classes are needed, found yes"),
        ([row.replace("no", "yes") for row in rows()], {"classes": ["no", "yes"]}, "the class 'no' has 0 usable items"),
        (rows(), {"classes": ["No", "yes"]}, "the class 'No' has 0 usable items.*did you mean 'no'"),
        (rows(), {"positive": "Yes"}, "evaluation.positive is 'Yes', which is none of the classes no, yes"),
        (rows(), {"min_per_class": 21}, "the class 'no' has 20 usable items, data.min_per_class asks for 21"),
    ],
)  # fmt: skip
def test_a_table_that_is_no_use_is_refused_in_a_sentence(
    raw: Path, content: str | bytes, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(GaiaError, match=sentence) as error:
        prepared(raw, content, **changes)
    assert str(error.value).startswith("line: ")
    assert "\n" not in str(error.value)


def test_the_one_table_in_the_folder_is_taken_and_none_or_two_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    for found in ("none", r"2 \(a.csv, b.parquet\)"):
        with pytest.raises(GaiaError, match=f"should hold one .csv or .parquet file, found {found}"):
            prepared(folder)
        folder.mkdir(exist_ok=True)
        (folder / "a.csv").write_text("\n".join([HEADER, *rows()]))
        (folder / "b.parquet").touch()
    (folder / "b.parquet").unlink()
    (folder / "._a.csv").touch()
    (folder / "notes.txt").touch()
    assert len(prepared(folder).table) == 40


def test_a_file_that_cannot_be_opened_is_refused_in_a_sentence(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw.touch()

    def refuse(path: Path, *how: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(GaiaError, match="can't be opened: Permission denied"):
        prepared(raw)


# --- labels and categories


@pytest.mark.parametrize("labels", [("0", "1"), ("True", "False"), ("no ", " yes"), ("1.0", "2.0")])
def test_labels_are_text_without_spaces_around(raw: Path, labels: tuple[str, str]) -> None:
    lines = [row.replace("yes", labels[1]).replace("no", labels[0]) for row in rows()]
    classes = [label.strip() for label in labels]
    for given_classes in (classes, classes[::-1]):
        data = prepared(raw, lines, classes=given_classes)
        assert data.labels == given_classes
        assert data.truth[:2].tolist() == [given_classes.index(classes[1]), given_classes.index(classes[0])]
    assert prepared(raw, lines).labels == sorted(classes)


def test_categories_that_look_like_numbers_stay_text(raw: Path) -> None:
    data = prepared(raw, [row.replace("x", "007").replace("y", "7") for row in rows()])
    assert data.features[0]["categories"] == ["007", "7"]
    assert data.inputs["kind"].tolist()[:3] == ["007", "007", "7"]


# --- Parquet


def frame(**columns: object) -> pd.DataFrame:
    found = pd.read_csv(io.StringIO("\n".join([HEADER, *rows()])))
    return found.assign(**{name: make(found) if callable(make) else make for name, make in columns.items()})


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    return tmp_path / "table.parquet"


def test_parquet_gives_the_same_as_csv(parquet: Path, raw: Path) -> None:
    frame().to_parquet(parquet)
    one, other = prepared(parquet), prepared(raw, rows())
    pd.testing.assert_frame_equal(one.inputs, other.inputs)
    columns = ["label", "split", "sha256", "verdict"]
    assert one.table[columns].equals(other.table[columns])
    assert one.table["source"][0] == "table.parquet:1"


def test_parquet_knows_its_decimal_mark_whatever_the_one_of_csv_is(parquet: Path) -> None:
    frame().to_parquet(parquet)
    assert prepared(parquet, decimal=",").inputs["co2"].tolist() == [400 + i / 8 for i in range(40)]


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ({"label": lambda f: (f["label"] == "yes").astype("int8")}, ["0", "1"]),
        ({"label": lambda f: f["label"] == "yes"}, ["False", "True"]),
        ({"label": lambda f: f["label"].astype("category")}, ["no", "yes"]),
        ({"label": lambda f: f["label"] + "  "}, ["no", "yes"]),
        ({"label": lambda f: (f["label"] == "yes").astype("Int64").where(f.index > 4)}, ["0", "1"]),
    ],
    ids=["integer", "boolean", "category", "spaces", "integer with gaps"],
)
def test_typed_labels_become_plain_text(parquet: Path, columns: dict[str, object], labels: list[str]) -> None:
    frame(**columns).to_parquet(parquet)
    for classes in (None, labels):
        data = prepared(parquet, classes=classes)
        assert data.labels == labels
        assert (data.table["reason"][data.table["verdict"] != "ok"] == "label is empty").all()


def test_typed_columns_with_gaps_are_read_as_they_are(parquet: Path) -> None:
    gaps = frame(
        kind=lambda f: f["days"].where(f.index % 7 > 0).floordiv(20).astype("Int64"),
        days=lambda f: f["days"].astype("Int32").where(f.index % 5 > 0),
        co2=lambda f: f["co2"].astype("float32").where(f.index % 3 > 0),
    )
    gaps.to_parquet(parquet)
    data = prepared(parquet)
    assert data.features[0]["categories"] == ["", "0", "1"]  # a gap is a category
    assert (data.inputs["kind"] == "").tolist() == [i % 7 == 0 for i in range(40)]
    assert np.isnan(data.inputs["days"]).tolist() == [i % 5 == 0 for i in range(40)]
    assert data.inputs["co2"][1] == 400.125


def test_columns_that_pandas_made_the_parquet_index_are_found(parquet: Path) -> None:
    frame().set_index(["kind", "days"]).to_parquet(parquet)
    assert prepared(parquet).inputs["days"].tolist() == list(range(40))


def test_a_parquet_file_that_is_no_use_is_refused_in_a_sentence(parquet: Path) -> None:
    with pytest.raises(GaiaError, match="can't be read as Parquet"):
        prepared(parquet, "no parquet")
    with pytest.raises(GaiaError, match="can't be read as Parquet"):
        prepared(parquet, b"")
    frame().iloc[:0].to_parquet(parquet)
    with pytest.raises(GaiaError, match="holds no row"):
        prepared(parquet)
    frame().drop(columns="days").to_parquet(parquet)
    with pytest.raises(GaiaError, match="no column 'days'; its columns are kind, co2, label"):
        prepared(parquet)


# --- numbers


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([".", ","]))
def test_any_number_is_read_to_the_last_digit(value: float, decimal: str) -> None:
    values, wrong = tables.numbers([f" {value!r} ".replace(".", decimal)], decimal)
    assert values[0] == value
    assert not wrong[0]


@given(st.text(), st.sampled_from([".", ","]))
def test_any_text_is_a_finite_number_or_empty_or_wrong(text: str, decimal: str) -> None:
    values, wrong = tables.numbers([text], decimal)
    assert math.isfinite(values[0]) + wrong[0] + (text.strip().lower() in tables.EMPTY) == 1
