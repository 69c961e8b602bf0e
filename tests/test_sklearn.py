"""Linear models and trees of scikit-learn: chosen by a word, shipped as ONNX, answered to the last digit without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.typing import NDArray

from edited import ROOT, change, copy_config, only, param
from gaia.config.compose import compose_lines
from gaia.config.schema import TableLine
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks.onnx import describe
from gaia.frameworks.protocol import Fit
from gaia.frameworks.sklearn import export, fit
from gaia.runtime import contract, load
from gaia.runtime.contract import Contract
from gaia.runtime.predictor import Predictor
from gaia.stages import compose, evaluate, prepare, train, weights
from served import serving

MODELS = ("logistic", "hist_boosting")
KINDS = {"kind": ["", "beech", "oak"], "t3": ["=1", "élan"]}  # a gap is a category; t3: as ONNX might call its own


def line(folder: Path, model: str, **trainer: Any) -> TableLine:
    """The configuration of a line `cultures` whose framework is this one."""
    if not (folder / "conf").exists():
        copy_config(folder)
    only("cultures")
    chosen = {"framework": "sklearn", "model": model, "trainer": {"max_epochs": 60, **trainer}}
    for key, value in (chosen | {"data.classes": None, "evaluation": None}).items():
        param(f"cultures.{key}", value)
    composed = compose_lines()["cultures"]
    assert isinstance(composed, TableLine)
    return composed


def data(
    classes: int, kinds: dict[str, list[str]] = KINDS, numbers: tuple[str, ...] = ("days", "co2", "new")
) -> Dataset:
    """300 rows: `days` differ from each other by less than float32 tells, a fifth of `co2` is not known, none of `new`
    is in training."""
    rng = np.random.default_rng(classes)
    split = np.array(["train", "validation", "test"])[rng.choice(3, 300, p=[0.6, 0.2, 0.2])]
    found: dict[str, Any] = {name: rng.choice(np.array(values, dtype=object), 300) for name, values in kinds.items()}
    drawn = {
        "days": 20_000 + rng.integers(0, 40, 300) * 1e-5,
        "co2": rng.normal(900, 300, 300),
        "new": rng.normal(size=300),
    }
    drawn["co2"][rng.random(300) < 0.2] = np.nan
    drawn["new"][split == "train"] = np.nan
    score = 4e3 * (drawn["days"] - 20_000.0002) + np.nan_to_num(drawn["co2"] - 900, nan=500) / 300
    score = score + sum(2 * (found[name] == values[-1]) for name, values in kinds.items()) + rng.normal(size=300)
    truth = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    labels = [f"class {i}" for i in range(classes)]
    table = pd.DataFrame({"split": split, "label": [labels[i] for i in truth], "verdict": "ok"})
    features = [{"name": n, "column": n, "type": "category", "categories": v} for n, v in kinds.items()]
    features += [{"name": n, "column": n, "type": "number"} for n in numbers]
    return Dataset(table, labels, pd.DataFrame(found | {n: drawn[n] for n in numbers}), features, truth)


def fitted(config: TableLine, known: Dataset) -> Fit:
    return fit.fit(config, known, Path(), lambda *_: None)


def promised(known: Dataset) -> Contract:
    return {
        "format": 2, "line": "cultures", "question": None, "framework": "sklearn", "model": "model.onnx",
        "input": {"kind": "table", "features": known.features, "separator": ",", "decimal": ".", "encoding": "utf-8"},
        "labels": known.labels, "positive": known.labels[-1], "threshold": 0.5,
    }  # type: ignore[typeddict-item]  # fmt: skip


def shipped(found: Fit, known: Dataset, folder: Path) -> Predictor:
    assert export.export(found, known, folder) == "model.onnx"
    return load.open_model(folder, promised(known))


def difference(model: Predictor, found: Fit, asked: pd.DataFrame) -> float:
    """From scikit-learn's own probabilities."""
    own: NDArray[np.float64] = found.network.predict_proba(asked)
    return float(np.abs(model.probabilities(asked) - own).max())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "columns", [{}, {"kinds": {}}, {"numbers": ()}, {"numbers": ("days",)}], ids=["all", "numbers", "kinds", "no gaps"]
)
def test_the_file_answers_as_scikit_learn_does_and_has_the_same_bytes_twice(
    here: Path, model: str, classes: int, columns: dict[str, Any]
) -> None:
    known = data(classes, **columns)
    config = line(here, model)
    found = fitted(config, known)
    predictor = shipped(found, known, here)
    asked = known.inputs.copy()
    if "days" in asked:
        asked.loc[:5, "days"] = np.nan  # which training never had
    assert difference(predictor, found, asked) < 2e-6
    assert predictor.probabilities(asked).sum(axis=1) == pytest.approx(1, abs=1e-6)
    before = (here / "model.onnx").read_bytes()
    shipped(fitted(config, known), known, here)
    assert (here / "model.onnx").read_bytes() == before


def test_numbers_beside_a_threshold_fall_on_the_side_of_training(here: Path) -> None:
    known = data(2)
    found = fitted(line(here, "hist_boosting"), known)
    predictor = shipped(found, known, here)
    nodes = np.concatenate([tree.nodes for each in found.network[-1]._predictors for tree in each])
    place = found.network[0].get_feature_names_out().tolist().index("numbers__days")
    thresholds = nodes["num_threshold"][(nodes["feature_idx"] == place) & (nodes["is_leaf"] == 0)]
    assert len(set(thresholds)) > 3 and len(set(thresholds.astype(np.float32))) < len(set(thresholds))
    sides = [np.nextafter(thresholds, -np.inf), thresholds, np.nextafter(thresholds, np.inf)]
    asked = pd.DataFrame({"kind": "oak", "t3": "élan", "days": np.concatenate(sides), "co2": np.nan, "new": np.nan})
    assert difference(predictor, found, asked) < 2e-6


def test_the_file_says_its_columns_and_what_the_contract_says(here: Path) -> None:
    known = data(2)
    shipped(fitted(line(here, "logistic"), known), known, here)
    describe(here / "model.onnx", promised(known))
    model = onnx.load(here / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    types = {each.name: each.type.tensor_type.elem_type for each in model.graph.input}
    text, double = onnx.TensorProto.STRING, onnx.TensorProto.DOUBLE
    assert types == {"kind": text, "t3": text, "days": double, "co2": double, "new": double}
    assert [each.name for each in model.graph.output] == ["probabilities"]
    assert json.loads({each.key: each.value for each in model.metadata_props}["labels"]) == known.labels
    assert not any(node.doc_string for node in model.graph.node)


def test_rounds_end_with_patience_and_none_after_the_best_is_kept(here: Path) -> None:
    known = data(2)
    found = fitted(line(here, "hist_boosting", max_epochs=500, patience=7), known)
    losses = [row["validation_loss"] for row in found.history]
    assert len(losses) < 500
    assert found.kept_epoch == 1 + int(np.argmin(losses)) < len(losses)
    rows = known.rows("validation")
    right = fit.answers(found, known.take(rows))[np.arange(len(rows)), known.truth[rows]]
    assert -np.log(right).mean() == pytest.approx(min(losses), abs=1e-6)
    assert len(fitted(line(here, "hist_boosting", max_epochs=40, patience=None), known).history) == 40
    assert len(fitted(line(here, "logistic", max_epochs=500), known).history) == 1


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_fitted_again_on_all_rows_for_as_many_rounds(here: Path, model: str) -> None:
    known, config = data(2), line(here, model, max_epochs=500, patience=7)
    first = fitted(config, known)
    joined = known._replace(table=known.table.assign(split=known.table["split"].replace("validation", "train")))
    again = fit.refit(config, joined, first, Path(), lambda *_: None)
    assert again.kept_epoch == len(again.history) == first.kept_epoch
    assert "validation_loss" not in again.history[0]
    assert difference(shipped(again, known, here), again, known.inputs) < 2e-6
    assert not np.array_equal(fit.answers(again, known.inputs), fit.answers(first, known.inputs))


@pytest.mark.parametrize("model", MODELS)
def test_classes_weigh_as_told(here: Path, model: str) -> None:
    known = data(2)
    plain, more = (fitted(line(here, model, class_weights=w), known) for w in (None, {"class 1": 20}))
    shares = [fit.answers(found, known.inputs)[:, 1].mean() for found in (plain, more)]
    assert shares[1] > shares[0] + 0.1


@pytest.mark.parametrize(
    ("model", "trainer", "rename", "sentence"),
    [
        ("logistic", {"device": "cuda"}, "co2", "trainer.device is cuda, which scikit-learn can't use; set it to auto"),
        (
            "logistic",
            {"class_weights": {"ill": 2}},
            "co2",
            "class_weights names 'ill', which is no class; the classes are",
        ),
        (
            "logistic",
            {},
            "probabilities",
            "a feature is called 'probabilities', as the answer in the model's file; call",
        ),
        ({"use": "logistic", "solver": "magic"}, {}, "co2", "LogisticRegression can't be fitted: .*'solver'.*magic"),
    ],
)
def test_what_cannot_be_fitted_is_a_sentence(
    here: Path, model: Any, trainer: dict[str, Any], rename: str, sentence: str
) -> None:
    known = data(2)
    for feature in known.features:
        feature["name"] = rename if feature["name"] == "co2" else feature["name"]
    with pytest.raises(GaiaError, match=sentence):
        fitted(line(here, model, **trainer), known._replace(inputs=known.inputs.rename(columns={"co2": rename})))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model", {"use": "logistic", "max_iter": 5}, "model.max_iter follows from trainer.max_epochs; set"),
        ("model", {"use": "logistic", "n_jobs": 5}, "model.n_jobs is fixed for sklearn.linear_model.*; remove it"),
        ("model", {"use": "logistic", "c": 5}, "model.c is no argument of sklearn.linear_model."),
        ("model", {"use": "logistic", "C": 0}, "model.C is 0; it should be a number of at least 1e-09"),
        ("model", {"use": "hist_boosting", "max_bins": 256}, "model.max_bins is 256; it should be a whole number "),
        (
            "model",
            {"_target_": "sklearn.ensemble.RandomForestClassifier"},
            "is outside the allow-list; framework sklearn takes sklearn.ensemble.HistGradientBoostingClassifier, "
            "sklearn.linear_model.LogisticRegression",
        ),
        ("model", "catboost", "is outside the allow-list; framework sklearn takes sklearn.ensemble.HistGradient"),
    ],
)  # fmt: skip
def test_a_mistake_in_yaml_is_a_sentence_before_anything_runs(here: Path, key: str, value: Any, said: str) -> None:
    copy_config(here)
    only("cultures")
    for name, given in (("framework", "sklearn"), ("model", None), ("trainer", None), (key, value)):
        param(f"cultures.{name}", given)
    with pytest.raises(GaiaError) as caught:
        compose_lines()
    assert said in str(caught.value)


@pytest.mark.parametrize("model", MODELS)
def test_one_word_switches_a_line_which_is_sealed_and_served(here: Path, model: str) -> None:
    line(here, model)
    for name in ("dvc.yaml", "requirements.lock"):
        (here / name).write_bytes((ROOT / name).read_bytes())
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"species": rng.choice(["oyster", "shiitake", None], 200), "days": rng.integers(1, 40, 200)})
    rows["co2"] = rng.normal(900, 100, 200).round(1)
    rows.loc[rng.random(200) < 0.1, "co2"] = np.nan
    rows["label"] = np.where(rows["days"] + rng.normal(0, 5, 200) > 20, "contaminated", "healthy")
    (here / "data/raw/table").mkdir(parents=True)
    rows.to_csv("data/raw/table/table.csv", index=False)
    param("cultures.raw", "table")
    own = {"use": "table", "label": "label", "categories": "rest", "numbers": "rest"}
    param("cultures.data", own)
    change("params.yaml", "demo")
    compose.compose()
    for stage in (prepare.prepare, weights.weights, train.train, evaluate.evaluate):
        stage("cultures")
    folder = Path("data/models/cultures")
    model_ = load.load(folder)
    assert model_.contract["framework"] == "sklearn"
    importance = pd.read_csv("data/reports/cultures/importance.csv")
    assert importance["feature"][0] == "days"
    assert json.loads(Path("data/reports/cultures/metrics.json").read_text())["accuracy"] > 0.7
    Path("params.yaml").write_text("lines:\n  cultures: {}\n")
    with serving(here) as client:
        row = {"species": None, "days": 39, "co2": 900}
        said = client.post("/lines/cultures/predict", json={"rows": [row, row | {"species": "enoki"}]}).json()
        assert [each["answer"] for each in said["answers"]] == ["contaminated"]
        assert "known are (not given), oyster, shiitake" in said["problems"][0]["mend"]
        inputs = client.get("/v2/models/cultures").json()["inputs"]
        assert {each["name"]: each["datatype"] for each in inputs} == {
            "species": "BYTES",
            "days": "FP64",
            "co2": "FP64",
        }


def test_a_host_answers_without_scikit_learn(here: Path) -> None:
    known = data(3)
    found = fitted(line(here, "hist_boosting"), known)
    shipped(found, known, here)
    contract.write(here, promised(known))
    known.inputs.head(20).to_json("asked.json", orient="records")
    code = """import json, sys
from pathlib import Path
for name in ("sklearn", "scipy", "onnx", "torch"):
    sys.modules[name] = None
from gaia.runtime import contract, load
model = load.open_model(Path(), contract.read(Path()))
print(model.probabilities(model.read_rows(json.loads(Path("asked.json").read_text()))).tolist())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = fit.answers(found, known.inputs.head(20))
    assert np.abs(np.array(json.loads(done.stdout)) - own).max() < 2e-6
