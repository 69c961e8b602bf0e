"""Tables as they come: columns that nobody names by hand, gaps, truths, dates and words with an order; the same in
training and at serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from gaia.config.schema import Splits, Table, TableLine
from gaia.console import console
from gaia.data import dataset, table
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks import loop
from gaia.inputs import words
from gaia.runtime import answers, golden
from gaia.runtime.contract import TableInput
from gaia.runtime.predictor import Predictor
from gaia.runtime.rows import as_given

HEADER = "id,kind,days,co2,alive,sown,size,label"
PLAIN = {"separator": ",", "decimal": ".", "encoding": "utf-8"}


def config(**changes: object) -> Table:
    values: dict[str, object] = {
        "kind": "table", "label": "label", "classes": None, "categories": {}, "numbers": {}, **PLAIN,
        "splits": Splits(validation=0.3, test=0.3), "min_per_class": 3, "max_quarantined": 1.0,
    }  # fmt: skip
    return Table(**(values | changes))


def rows(count: int = 60) -> list[str]:
    return [
        f"n{i},{'xy'[i // 2 % 2]},{i},{400 + i / 8},{('yes', 'No')[i // 4 % 2]},2026-0{1 + i % 9}-10,"
        f"{('small', 'medium', 'large')[i % 3]},{('ill', 'well')[i % 2]}"
        for i in range(count)
    ]


def prepared(folder: Path, lines: list[str], **changes: object) -> Dataset:
    (folder / "table.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    table.prepare("line", folder / "table.csv", config(**changes), 1, None, out)
    return dataset.load(out)


def served(data: Dataset) -> Predictor:
    asked: TableInput = {"kind": "table", "features": data.features, **PLAIN}  # type: ignore[typeddict-item]
    return Predictor(
        {"format": 2, "line": "line", "question": None, "framework": None, "model": "", "input": asked,
         "labels": data.labels, "positive": data.labels[0], "threshold": 0.5},
        lambda frame: np.full((len(frame), 2), 0.5, dtype=np.float32),
    )  # fmt: skip


def types(data: Dataset) -> dict[str, str]:
    return {feature["name"]: feature["type"] for feature in data.features}


REST = {"categories": "rest", "numbers": "rest"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            REST | {"without": ["id"]},
            {"kind": "category", "alive": "category", "sown": "category", "size": "category"}
            | {"days": "number", "co2": "number"},
        ),
        ({"numbers": "rest"}, {"days": "number", "co2": "number"}),
        ({"numbers": "rest", "without": ["days"]}, {"co2": "number"}),
        (
            {"categories": {"art": "kind"}, "numbers": "rest", "dates": {"sown": "sown"}},
            {"art": "category", "days": "number", "co2": "number", "sown": "number"},
        ),
        (
            REST | {"without": ["id"], "numbers": {"age": "days", "alive": "alive"}, "dates": {"sown": "sown"}},
            dict.fromkeys(("kind", "co2", "size"), "category") | dict.fromkeys(("age", "alive", "sown"), "number"),
        ),
    ],
)  # fmt: skip
def test_rest_takes_the_columns_that_nobody_names(
    tmp_path: Path, changes: dict[str, object], expected: dict[str, str]
) -> None:
    lines = [row.replace(row.split(",")[3], str(400 + i % 5)) for i, row in enumerate(rows())]
    assert types(prepared(tmp_path, lines, **changes)) == expected


def test_rest_leaves_alone_what_rows_are_split_by(tmp_path: Path) -> None:
    by_date = Splits(validation=0.3, test=0.3, by="days")
    assert types(prepared(tmp_path, rows(), numbers="rest", splits=by_date)) == {"co2": "number"}
    taken = prepared(tmp_path, rows(), categories="rest", group="id", dates={"sown": "sown"}, without=["co2", "days"])
    assert list(types(taken)) == ["kind", "alive", "size", "sown"]


def test_what_rest_took_is_said_and_what_nearly_were_numbers(tmp_path: Path) -> None:
    lines = rows()
    lines[7] = lines[7].replace(",7,", ",seven,")
    with console.capture() as screen:
        prepared(tmp_path, lines, numbers="rest")
    said = screen.get()
    assert "  numbers: co2\n" in said
    assert "  unused: id, kind, days, alive, sown, size\n" in said
    assert "  days is not taken for numbers, since 1 of 60 cells are none: 'seven'\n" in said


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (REST, "data.categories, rest, takes the column 'id', which has 60 values in 60 rows; name it in data.without"),
        (
            {"numbers": "rest", "without": ["Id"]},
            "data.without names 'Id', which .* lacks; its columns are id, kind, .*did you mean 'id'",
        ),
        ({"numbers": "rest", "without": ["days", "co2"]}, "no column is left to be a feature; name some in"),
        ({"numbers": "rest", "categories": {"days": "kind"}}, "the column 'days' is named like a feature; name it in"),
    ],
)
def test_a_rest_that_is_no_use_is_a_sentence(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(GaiaError, match=sentence):
        prepared(tmp_path, rows(), **changes)


def test_a_word_has_one_place_in_its_order() -> None:
    with pytest.raises(ValidationError, match="names 'small' twice; each word has one place in the order"):
        config(ordered={"size": {"column": "size", "order": ["small", "Small"]}})


def test_words_count_as_told_in_training_and_at_serving(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, rows(), numbers={"alive": "alive"}, dates={"sown": "sown"},
        ordered={"size": {"column": "size", "order": ["small", "medium", "large"]}},
    )  # fmt: skip
    assert data.inputs["size"].tolist()[:4] == [0, 1, 2, 0]
    assert data.inputs["alive"].tolist()[:8] == [1] * 4 + [0] * 4
    assert data.inputs["sown"].diff().tolist()[1:4] == [31, 28, 31]
    predictor = served(data)
    frame, _ = predictor.read_table(tmp_path / "table.csv")
    assert frame.equals(data.inputs)
    given = as_given(predictor.table, data.inputs)
    assert given[1] == {"alive": "yes", "sown": "2026-02-10", "size": "medium"}
    assert predictor.read_rows(given).equals(data.inputs)
    other = {"alive": True, "sown": "2026-02-10T12:00:00+02:00", "size": "LARGE"}
    assert predictor.read_rows([other]).to_numpy().tolist() == [[1, data.inputs["sown"][1] + 10 / 24, 2]]
    kept = golden.record(predictor, data.take(data.rows("test"))[:3])
    assert golden.replay(predictor, kept) == 0


def test_a_missing_category_is_a_category_where_training_saw_one(tmp_path: Path) -> None:
    lines = [row.replace(",x,", ",,") if i % 3 == 0 else row for i, row in enumerate(rows())]
    data = prepared(tmp_path, lines, categories={"kind": "kind"}, numbers={"days": "days"})
    assert data.features[0]["categories"] == ["", "x", "y"]
    assert (data.table["verdict"] == "ok").all()
    predictor = served(data)
    assert predictor.read_rows([{"kind": None, "days": 1}, {"kind": "", "days": 1}])["kind"].tolist() == ["", ""]
    found = answers.of_rows(predictor, {"row": {"kind": "z", "days": 1}})
    assert str(found.problems["row"]) == (
        "row: kind is 'z', which training never saw; known are (not given), x, y."
    )  # fmt: skip


def test_one_bad_row_costs_itself_alone_and_its_problem_names_the_column(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, rows(), categories={"kind": "kind"}, numbers={"days": "days"}, dates={"sown": "sown"},
        ordered={"size": {"column": "size", "order": ["small", "medium", "large"]}},
    )  # fmt: skip
    asked = tmp_path / "asked.csv"
    bad = {
        ",1,2026-01-01,small": "asked.csv:3: kind is not given, which training never saw; known are x, y.",
        "z,1,2026-01-01,small": "asked.csv:4: kind is 'z', which training never saw; known are x, y.",
        "x,four,2026-01-01,small": "asked.csv:5: days is 'four', which is no number.",
        "x,1,01.02.2026,small": "asked.csv:6: sown is '01.02.2026', which is not a date such as 2026-11-24.",
        "x,1,2026-01-01,huge": "asked.csv:7: size is 'huge', which is not one of small, medium, large.",
        "x,1,2026-01-01": "asked.csv:8 has 3 cells, the header 4; mend or remove it.",
    }
    asked.write_text("\n".join(["kind,days,sown,size", "x,1,2026-01-01,small", *bad, "y,,,", ""]))
    found = answers.of_table_file(served(data), asked)
    assert [answer["input"] for answer in found.answers] == ["asked.csv:2", "asked.csv:9"]
    assert [str(problem) for problem in found.problems.values()] == list(bad.values())


@pytest.mark.parametrize("spelt", [("true", "false"), ("TRUE", "FALSE"), ("Yes", "No")])
def test_truths_of_json_are_the_categories_of_the_table(tmp_path: Path, spelt: tuple[str, str]) -> None:
    lines = [row.replace("yes", spelt[0]).replace("No", spelt[1]) for row in rows()]
    data = prepared(tmp_path, lines, categories={"alive": "alive"}, numbers={"days": "days"})
    frame = served(data).read_rows([{"alive": said, "days": 1} for said in (True, False, spelt[0])])
    assert frame["alive"].tolist() == [*spelt, spelt[0]]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-01", 0), ("1970-01-02", 1), ("1969-12-31", -1), ("19700103", 2), ("1970-01-01T06:00", 0.25),
        ("1970-01-01 06:00:00+03:00", 0.125), ("1970-01-01T00:00Z", 0), ("", None), ("NA", None),
    ],
)  # fmt: skip
def test_dates_count_as_days(text: str, days: float | None) -> None:
    values, wrong = words.dates([text])
    assert not wrong[0]
    assert np.isnan(values[0]) if days is None else values[0] == days


@pytest.mark.parametrize(
    "text", ["1.2.1970", "02/01/1970", "1970", "1970-02-30", "yesterday", "0001-01-01T00:00+10:00"]
)
def test_what_is_no_date_of_iso_8601_is_not_guessed(text: str) -> None:
    assert words.dates([text])[1].tolist() == [True]


@pytest.mark.parametrize("moment", ["2026-11-24", "2026-11-24T13:45:07", "1901-01-01T00:00:00.250000"])
def test_a_date_is_written_as_it_was_given(moment: str) -> None:
    assert words.as_date(words.dates([moment])[0][0]) == moment


def test_classes_weigh_as_told_by_name(tmp_path: Path) -> None:
    data = prepared(tmp_path, rows(), numbers={"days": "days"})
    trainer = {"max_epochs": 1, "patience": None, "device": "cpu"}
    kind = TableLine.model_fields["trainer"].annotation.__args__[0]  # type: ignore[union-attr]
    assert loop.class_weights(data, kind(**trainer, class_weights={"ill": 5})).tolist() == [5, 1]
    assert loop.class_weights(data, kind(**trainer, class_weights=None)).tolist() == [1, 1]
    counts = np.bincount(data.truth[data.rows("train")])
    balanced = loop.class_weights(data, kind(**trainer, class_weights="balanced"))
    assert balanced == pytest.approx(counts.sum() / (2 * counts))
    with pytest.raises(
        GaiaError, match=r"class_weights names 'il', which is no class; the classes are ill, well .*'ill'"
    ):
        loop.class_weights(data, kind(**trainer, class_weights={"il": 5}))
