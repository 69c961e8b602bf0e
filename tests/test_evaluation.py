"""What the evaluation promises: right numbers, honest intervals, the same bytes, a page that stands alone."""

import csv
import functools
import io
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gaia.data import cells
from gaia.data.dataset import Dataset
from gaia.evaluation import curves, metrics, mistakes, reports
from gaia.evaluation.importance import importance, sample
from gaia.evaluation.report import decimal, percent, render, size
from gaia.runtime.predictor import Predictor

TWO = ["dandelion", "grass"]
OF_ARTIFACT = {
    "artifact_bytes": 9_400_000, "temperature": 1.25, "uncalibrated": {"log_loss": 0.5, "calibration_error": 0.1},
    "coverage": 0.95, "covered_accuracy": 0.9, "risk": [[1.0, 0.1], [0.5, 0.0]], "threshold": 0.5, "folds": None,
    "baselines": {name: {"accuracy": 0.5, "log_loss": 0.69} for name in ("linear", "majority")},
}  # fmt: skip


def answers(truth: list[int], first: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, probabilities and answers at a threshold of 0.5, from the probabilities of class 0."""
    p = np.array(first)
    return np.array(truth), np.column_stack([p, 1 - p]), np.where(p >= 0.5, 0, 1)


# --- metrics ---


def test_numbers_agree_with_a_case_computed_by_hand() -> None:
    truth, p, predicted = answers([0, 0, 0, 1], [0.9, 0.8, 0.4, 0.3])
    got = metrics.score(truth, p, predicted, TWO, positive=0)
    assert (got["n"], got["accuracy"]) == (4, 0.75)
    assert got["balanced_accuracy"] == round((2 / 3 + 1) / 2, 6)
    assert got["f1"] == round((0.8 + 2 / 3) / 2, 6)
    assert got["roc_auc"] == 1.0
    assert got["log_loss"] == round(-(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.7)) / 4, 6)
    # each answer in a bin of its own: sure by 0.9, 0.8 and 0.7 and right, by 0.6 and wrong
    assert got["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.6) / 4)
    assert got["per_class"]["dandelion"] == {"precision": 1.0, "recall": 0.666667, "f1": 0.8, "n": 3}
    assert got["per_class"]["grass"] == {"precision": 0.5, "recall": 1.0, "f1": 0.666667, "n": 1}


def test_57_of_60_right_is_between_86_and_98_percent() -> None:
    truth = np.zeros(60, dtype=int)
    predicted = np.repeat([0, 1], [57, 3])
    got = metrics.score(truth, np.full((60, 2), 0.5), predicted, TWO, positive=0)
    assert (round(got["accuracy_low"], 3), round(got["accuracy_high"], 3)) == (0.863, 0.983)


def test_a_perfect_predictor_gets_the_best_numbers() -> None:
    truth = np.array([0, 1] * 10)
    got = metrics.score(truth, np.eye(2)[truth], truth, TWO, positive=1)
    assert [got[key] for key in ("accuracy", "accuracy_high", "balanced_accuracy", "f1", "roc_auc")] == [1.0] * 5
    assert (got["log_loss"], got["calibration_error"]) == (0.0, 0.0)
    assert 0.8 < got["accuracy_low"] < 1


def test_a_hopeless_predictor_gets_the_worst_numbers() -> None:
    truth = np.array([0, 1] * 10)
    got = metrics.score(truth, np.eye(2)[1 - truth], 1 - truth, TWO, positive=1)
    assert [got[key] for key in ("accuracy", "accuracy_low", "balanced_accuracy", "f1", "roc_auc")] == [0.0] * 5
    assert got["log_loss"] > 30 and got["calibration_error"] == 1.0


def test_the_answers_are_taken_as_given_and_not_decided_again() -> None:
    truth, p, _ = answers([0, 1], [0.4, 0.2])
    assert metrics.score(truth, p, np.array([0, 1]), TWO, 0)["accuracy"] == 1.0  # a threshold of 0.3
    assert metrics.score(truth, p, np.array([1, 1]), TWO, 0)["accuracy"] == 0.5


def test_the_keys_are_the_same_for_two_and_for_five_classes() -> None:
    truth = np.arange(20) % 5
    five = metrics.score(truth, np.full((20, 5), 0.2), truth, list("abcde"), 0)
    two = metrics.score(*answers([0, 1], [0.9, 0.2]), TWO, 0)
    assert list(two) == list(five)
    assert list(five["per_class"]) == list("abcde")
    assert five["roc_auc"] == 0.5 and five["log_loss"] == round(math.log(5), 6)


def test_what_cannot_be_computed_is_null() -> None:
    got = metrics.score(*answers([0, 0], [0.9, 0.8]), TWO, 0)
    assert got["roc_auc"] is None
    assert got["per_class"]["grass"] == {"precision": None, "recall": None, "f1": None, "n": 0}


@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_every_number_is_finite_and_the_interval_holds_the_accuracy(data: st.DataObject) -> None:
    k, n = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 12))
    classes = st.lists(st.integers(0, k - 1), min_size=n, max_size=n).map(np.array)
    truth, predicted = data.draw(classes), data.draw(classes)
    weights = st.lists(st.integers(0, 100), min_size=k, max_size=k).filter(any)
    p = np.array(data.draw(st.lists(weights, min_size=n, max_size=n)), dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    labels = [f"class {i}" for i in range(k)]
    got = metrics.score(truth, p, predicted, labels, positive=0)
    json.dumps(got, allow_nan=False)
    assert got["accuracy_low"] <= got["accuracy"] <= got["accuracy_high"]
    for curve in (curves.roc, curves.precision_recall):
        table = curve(truth, p, labels, 0)
        assert table.empty or (np.isfinite(table).all(axis=None) and table.stack().between(0, 1).all())
    diagram = curves.calibration(truth, p, labels)
    gaps = (diagram["predicted"] - diagram["observed"]).abs() * diagram["n"]
    assert diagram["n"].sum() == n and gaps.sum() / n == pytest.approx(got["calibration_error"], abs=1e-5)


@pytest.mark.parametrize(
    ("truth", "p", "predicted", "message"),
    [
        ([], np.zeros((0, 2)), [], "test set is empty"),
        ([0, 1], np.full((2, 2), 0.5), [0], "same length"),
        ([0, 1], np.full((2, 3), 1 / 3), [0, 1], "shape"),
        ([0, 2], np.full((2, 2), 0.5), [0, 1], "class numbers from 0 to 1"),
        ([0, 1], np.full((2, 2), np.nan), [0, 1], "add up to 1"),
        ([0, 1], np.full((2, 2), 0.9), [0, 1], "add up to 1"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(truth: list, p: np.ndarray, predicted: list, message: str):
    with pytest.raises(ValueError, match=message) as refused:
        metrics.score(np.array(truth, dtype=int), p, np.array(predicted, dtype=int), TWO, 0)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_numbers_alone_do_not_load_matplotlib() -> None:
    code = "import gaia.evaluation.metrics, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- curves ---


def test_the_confusion_table_names_both_classes_of_every_item() -> None:
    table = curves.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), TWO)
    assert table.to_dict("list") == {
        "actual": ["dandelion", "grass", "grass"],
        "predicted": ["dandelion", "dandelion", "grass"],
    }


@pytest.mark.parametrize("k", [2, 4])
def test_curves_run_from_end_to_end_in_at_most_500_points(k: int) -> None:
    random = np.random.default_rng(0)
    truth, p = random.integers(0, k, 4000), random.dirichlet(np.ones(k), 4000)
    labels = [str(i) for i in range(k)]
    roc, pr = curves.roc(truth, p, labels, 0), curves.precision_recall(truth, p, labels, 0)
    assert len(roc) <= 500 and len(pr) <= 500
    assert roc.iloc[0].tolist() == [0, 0] and roc.iloc[-1].tolist() == [1, 1]
    assert roc["fpr"].is_monotonic_increasing and roc["tpr"].is_monotonic_increasing
    assert pr["recall"].is_monotonic_increasing and pr["recall"].iloc[[0, -1]].tolist() == [0, 1]
    area = float(np.trapezoid(roc["tpr"], roc["fpr"]))
    assert area == pytest.approx(metrics.score(truth, p, truth, labels, 0)["roc_auc"], abs=0.01)


def test_curves_of_a_single_class_are_empty_and_not_invented() -> None:
    truth, p, _ = answers([0, 0], [0.9, 0.8])
    assert curves.roc(truth, p, TWO, 0).columns.tolist() == ["fpr", "tpr"]
    assert curves.roc(truth, p, TWO, 0).empty and curves.precision_recall(truth, p, TWO, 0).empty


# --- importance ---


def table_case() -> tuple[pd.DataFrame, np.ndarray, Any]:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"noise": random.normal(size=300), "signal": random.normal(size=300)})
    rows["kind"] = pd.Categorical(random.choice(["a", "b"], 300))

    def predict(some: pd.DataFrame) -> np.ndarray:
        assert isinstance(some["kind"].dtype, pd.CategoricalDtype)
        p = 1 / (1 + np.exp(-3 * some["signal"].to_numpy()))
        return np.column_stack([p, 1 - p])

    return rows, np.where(rows["signal"] > 0, 0, 1), predict


def test_importance_finds_the_column_that_decides() -> None:
    rows, truth, predict = table_case()
    got = importance(predict, rows, truth, seed=0)
    assert got["feature"].tolist()[0] == "signal" and got["importance"][0] > 0.5
    assert (got["importance"][1:] == 0).all()


def test_importance_finds_the_part_of_the_photo_that_decides() -> None:
    photos = np.zeros((40, 10, 14, 3), dtype=np.uint8)
    truth = np.arange(40) % 2
    photos[truth == 0, 3:5, 11:] = 200  # row 2, column 4

    def predict(some: np.ndarray) -> np.ndarray:
        p = np.clip(some[:, 3:5, 11:].mean(axis=(1, 2, 3)) / 200, 0.05, 0.95)
        return np.column_stack([p, 1 - p])

    got = importance(predict, photos, truth, seed=0)
    assert len(got) == 16 and got["feature"][0] == "row 2, column 4"


def test_importance_is_repeatable_and_predicts_once_for_each_feature() -> None:
    rows, truth, predict = table_case()
    asked = []

    def counting(some: pd.DataFrame) -> np.ndarray:
        asked.append(len(some))
        return predict(some)

    first = importance(counting, rows, truth, seed=3)
    pd.testing.assert_frame_equal(first, importance(predict, rows, truth, seed=3))
    assert asked == [300] * 4  # once as they are, then once for each column
    assert importance(predict, rows, truth, seed=4)["importance"][0] != first["importance"][0]


def test_a_sample_holds_different_items_in_order_and_no_more_than_there_are() -> None:
    few, all_ = sample(300, 50, seed=3), sample(20, 50, seed=3)
    assert len(few) == 50 and (np.diff(few) > 0).all() and few.max() < 300
    assert all_.tolist() == list(range(20))
    assert few.tolist() != sample(300, 50, seed=4).tolist()


# --- mistakes ---


def test_the_worst_mistakes_are_wrong_and_the_most_confident_come_first() -> None:
    truth, p, predicted = answers([0, 1, 1, 0, 0], [0.9, 0.6, 0.97, 0.2, 0.45])
    assert mistakes.worst(truth, p, predicted).tolist() == [2, 3, 1, 4]
    assert mistakes.worst(truth, p, predicted, most=1).tolist() == [2]
    assert mistakes.captions(np.array([2]), truth, p, predicted, TWO) == ["grass → dandelion 97 %"]


def test_sheets_are_pictures_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    photos = [np.full((h, w, 3), 90, dtype=np.uint8) for h, w in ((8, 8), (300, 100), (64, 96))]
    captions = ["a → b 97 %", "<script> → " + "long " * 40 + "50 %", "одуванчик → трава 70 %"]
    rows = pd.DataFrame({f"column {i}": [1.0, np.nan, 3.25] for i in range(30)})
    for name in ("first", "second"):
        mistakes.photo_sheet(photos, captions, tmp_path / f"{name}-photos.png")
        mistakes.table_sheet(rows, captions, tmp_path / f"{name}-table.png")
    for kind in ("photos", "table"):
        first, second = ((tmp_path / f"{name}-{kind}.png").read_bytes() for name in ("first", "second"))
        assert first == second
        assert 400 < Image.open(io.BytesIO(first)).width <= mistakes.WIDTH


def test_no_mistakes_make_a_friendly_sheet(tmp_path: Path) -> None:
    mistakes.photo_sheet([], [], tmp_path / "photos.png")
    mistakes.table_sheet(pd.DataFrame({"a": []}), [], tmp_path / "table.png")
    assert (tmp_path / "photos.png").read_bytes() == (tmp_path / "table.png").read_bytes()
    assert len(Image.open(tmp_path / "photos.png").getcolors(10_000)) > 10  # something is written on it


def test_a_sheet_without_a_caption_for_each_item_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs 2 captions, not 1"):
        mistakes.table_sheet(pd.DataFrame({"a": [1, 2]}), ["one"], tmp_path / "x.png")


# --- report ---


def drawn(truth: np.ndarray, p: np.ndarray, labels: list[str]) -> dict[str, pd.DataFrame]:
    return {
        "roc": curves.roc(truth, p, labels, 0),
        "precision_recall": curves.precision_recall(truth, p, labels, 0),
        "calibration": curves.calibration(truth, p, labels),
    }


def report(labels: list[str], photo: bool = True, wrong: bool = True, **changes: Any) -> dict[str, Any]:
    k, n = len(labels), 30
    random = np.random.default_rng(0)
    truth = np.arange(n) % k
    p = 0.7 * np.eye(k)[truth] + 0.3 * random.dirichlet(np.ones(k), n)
    if wrong:
        p[:4] = np.roll(p[:4], 1, axis=1)
    predicted = p.argmax(axis=1)
    cells = [f"row {r}, column {c}" for r in range(1, 5) for c in range(1, 5)]
    epochs = np.arange(1, 6)
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, format="PNG")
    return {
        "line": "plants",
        "question": None,
        "made": "ResNet18, AdamW, epoch 3 of 5; data 1a2b3c4d",
        "labels": labels,
        "positive": labels[0],
        "threshold": 0.5,
        "threshold_how": "as it was set",
        "refitted_on": None,
        "metrics": metrics.score(truth, p, predicted, labels, 0) | OF_ARTIFACT,
        "history": pd.DataFrame(
            {
                "epoch": epochs,
                "train_loss": 1 / epochs,
                "validation_loss": 1 / epochs,
                "validation_accuracy": 0.9,
            }
        ),
        "kept_epoch": 3,
        "truth": truth,
        "predicted": predicted,
        "curves": drawn(truth, p, labels),
        "mistakes": mistakes.captions(mistakes.worst(truth, p, predicted), truth, p, predicted, labels),
        "importance": pd.DataFrame({"feature": cells, "importance": np.linspace(1, -0.1, 16)}),
        "mean_photo": np.full((12, 16, 3), 120, dtype=np.uint8) if photo else None,
        "mistakes_png": picture.getvalue(),
        "counts": pd.DataFrame([{"label": name, "split": "test", "n": n // k} for name in labels]),
        "quarantined": pd.DataFrame([{"reason": "unreadable", "n": 2}]),
        "config": "train:\n  epochs: 5\n",
        "files": [{"name": "model.onnx", "size": 9_400_000, "sha256": "3f" * 32}],
    } | changes


@functools.cache
def rendered(photo: bool = True) -> str:
    return render(report(TWO, photo))


@pytest.mark.parametrize("photo", [True, False])
def test_the_report_needs_no_network_no_script_and_no_other_file(photo: bool) -> None:
    page = rendered(photo)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://|//\w+\.\w|@import|<script|url\((?!#)", without_namespaces)
    references = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert references and all(reference.startswith(("data:", "#")) for reference in references)


@pytest.mark.parametrize("photo", [True, False])
def test_the_same_results_give_the_same_bytes(photo: bool) -> None:
    assert render(report(TWO, photo)) == rendered(photo)


def test_the_report_says_the_answer_and_how_sure_it_is() -> None:
    page = rendered().replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "<title>plants — dandelion or grass</title>" in page
    assert "26 of 30 test photos answered right" in page
    for said in (
        "86.7 %",
        "70.3 %",
        "94.7 %",
        "9.4 MB",
        "3f3f3f3f3f3f…",
        "unreadable (2)",
        "epochs: 5",
        "ResNet18, AdamW, epoch 3 of 5; data 1a2b3c4d",
        "in the artifact, epoch 3",
    ):
        assert said in page


def test_every_picture_has_a_text_for_those_who_do_not_see_it_and_every_id_is_unique() -> None:
    page = rendered()
    pictures = re.findall(r"<(?:img|svg)\b[^>]*>", page)
    assert len(pictures) == 8 and all(re.search(r'(alt|aria-label)="[^"]+"', picture) for picture in pictures)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', page)) <= set(ids)


@pytest.mark.parametrize("wrong", [True, False])
def test_hostile_names_are_shown_and_not_run(wrong: bool) -> None:
    hostile = ["<script>alert(1)</script>", "quo\"te's", "одуванчик", "$x^{$ & {{ 1 + 1 }}", "</style></svg>"]
    page = render(report(hostile, wrong=wrong, question='<img src="x">', config="</pre><script>"))
    assert "<script" not in page and page.count("</style>") == 1 + page.count("<style type")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "{{ 1 + 1 }}" in page and "одуванчик" in page
    assert '<img src="x">' not in page


def test_a_report_of_one_class_and_an_empty_history_still_renders() -> None:
    given = report(TWO)
    truth, p = np.zeros(30, dtype=int), np.tile([0.8, 0.2], (30, 1))
    given |= {
        "truth": truth,
        "curves": drawn(truth, p, TWO),
        "history": pd.DataFrame({"epoch": [1], "train_accuracy": [np.nan]}),
    }
    given["metrics"] = metrics.score(truth, p, given["predicted"], TWO, 0) | OF_ARTIFACT
    page = render(given)
    assert "need test photos of more than one class" in page and "How it learned" not in page
    assert not re.search(r">\s*nan\b", page)


def test_the_page_says_what_a_model_has_to_beat_and_how_its_threshold_came_about() -> None:
    given = report(TWO, threshold=0.31, threshold_how="it gave the highest F1 on validation, 0.912")
    page = render(given)
    assert "a logistic regression of the photos at 16 pixels" in page and "the shares of the classes</th>" in page
    assert "31&#8239;% probable: it gave the highest F1 on validation, 0.912." in page
    assert "Cross-validated" not in page and "begun anew" not in page
    ends = {f"{key}{end}": 0.9 for key in ("accuracy", "log_loss", "roc_auc") for end in ("", "_low", "_high")}
    given["metrics"] |= {"folds": {"folds": 5, "n": 200, **ends}}
    page = render(given | {"refitted_on": 170})
    assert "5 trainings, each tested on what it had not seen, together answered all 200 photos" in page
    assert "begun anew on all 170 photos of train and validation" in page


def test_numbers_are_written_for_people() -> None:
    counts = (0, 999, 1_000, 999_600, 25_000_000_000)
    said = [size(n).replace("\N{NARROW NO-BREAK SPACE}", " ") for n in counts]
    assert said == ["0 B", "999 B", "1.0 kB", "1.0 MB", "25.0 GB"]
    assert [percent(None), decimal(None), decimal(0.12345)] == ["\N{EN DASH}", "\N{EN DASH}", "0.123"]


# --- all that a report's folder holds ---

HOSTILE = [
    "=1+1",
    "@SUM(A1)",
    "-2+3|cmd",
    "plain",
    "-1",
    "\tx",
    "+1.5e3",
    "=x",
]  # control characters are written out in the index


def written(out: Path, labels: list[str]) -> reports.Measured:
    """The reports of a table of 80 rows, every file and class of which is called as somebody likes."""
    truth = np.arange(80) % len(labels)
    table = pd.DataFrame({"source": [f"{HOSTILE[i % 8]}{i}" for i in range(80)], "label": np.array(labels)[truth]})
    table["sha256"] = [f"{i:064x}" for i in range(80)]
    table = table.assign(verdict="ok", reason="", split="test")
    features = [{"name": "=a", "column": "=a", "type": "number"}, {"name": "b", "column": "b", "type": "number"}]
    inputs = pd.DataFrame({"=a": np.linspace(0, 1, 80), "b": np.linspace(1, 0, 80)})
    data = Dataset(table, labels, inputs, features, truth)

    def run(rows: pd.DataFrame) -> np.ndarray:
        p = 0.2 + 0.6 * rows["=a"].to_numpy()
        return np.column_stack([1 - p, p])

    asked = {"kind": "table", "features": features, "separator": ",", "decimal": ".", "encoding": "utf-8"}
    contract: Any = {
        "format": 2, "line": "spores", "question": None, "framework": "catboost", "model": "model.cbm", "input": asked,
        "labels": labels, "positive": labels[1], "threshold": 0.5,
    }  # fmt: skip
    manifest: Any = {
        "architecture": "catboost.CatBoostClassifier", "optimizer": None, "best_epoch": 1, "total_epochs": 2,
        "data_sha256": "1a" * 32, "config_sha256": "2b" * 32,
        "files": [{"name": "model.cbm", "size": 7000, "sha256": "3f" * 32}],
    }  # fmt: skip
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    history = pd.DataFrame({"epoch": [1, 2], **{name: [0.5, 0.4] for name in names}})
    found = reports.measure(Predictor(contract, run), data, manifest, seed=1)
    reports.write(out, found, data, contract, manifest, history, "seed: 1\n")
    return found


def test_no_cell_of_a_report_is_run_by_a_spreadsheet(tmp_path: Path) -> None:
    """Names of files, classes and columns come from whoever made the data. Before: cells began with = and @."""
    written(tmp_path, ["=cmd|' /C calc'!A0", "-1"])
    tables = {}
    for file in tmp_path.glob("*.csv"):
        with file.open(encoding="utf-8", newline="") as opened:
            tables[file.stem] = [cell for row in csv.reader(opened) for cell in row]
    assert {"predictions", "confusion", "importance"} <= set(tables)
    for name, found in tables.items():
        run = [
            cell for cell in found if cell[:1] in tuple("=+-@\t\r") and not re.fullmatch(r"[+-]?[\d.]+(e\d+)?", cell)
        ]
        assert not run, f"{name}: {run[:3]}"


def test_answers_are_compared_by_their_hashes_and_words_as_before(tmp_path: Path) -> None:
    found = written(tmp_path, ["=no", "-1"])
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["sha256"] for row in rows] == [f"{i:064x}" for i in range(80)]
    assert {row["label"] for row in rows} == {row["predicted"] for row in rows} == {"'=no", "-1"}
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right == round(found.metrics["accuracy"] * found.metrics["n"])
    shares = [float(row["probability_-1"]) for row in rows]
    assert shares == pytest.approx(found.probabilities[:, 1], abs=1e-6)


@given(st.text(st.sampled_from("=+-@\t\r'a1."), max_size=6))
def test_different_names_stay_different_when_they_are_made_inert(text: str) -> None:
    made = cells.inert(text)
    assert made in (text, f"'{text}")
    assert made[:1] not in tuple("=@\t\r")
    assert cells.plain(made) == text


def test_curves_and_mistakes_are_computed_once_for_each_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: once for the tables, and once more for the page."""
    counted: Counter[str] = Counter()

    def counting(name: str, real: Any) -> Any:
        return lambda *given: counted.update([name]) or real(*given)

    parts = [(curves, "roc"), (curves, "precision_recall"), (curves, "calibration")]
    for module, name in [*parts, (mistakes, "worst"), (mistakes, "captions")]:
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    written(tmp_path, TWO)
    assert counted == dict.fromkeys(("roc", "precision_recall", "calibration", "worst", "captions"), 1)
