"""The runtime answers from a verified artifact, without a training framework, as evaluation said it would."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Project, merge
from gaia.errors import GaiaError
from gaia.runtime import artifact, predictor
from gaia.runtime.predictor import Predictor

ROW = ["species=oyster", "substrate=straw", "days=12", "humidity=85.5", "co2=900"]


@pytest.fixture
def copy(built: Project, tmp_path: Path) -> Callable[[str], Path]:
    def make(line: str) -> Path:
        return Path(shutil.copytree(built.path("data/models", line), tmp_path / line))

    return make


@pytest.mark.parametrize("line", ["plants", "bags"])
def test_image_lines_are_served_without_any_training_framework(built: Project, line: str) -> None:
    photo = next(built.path("data/raw", f"demo_{line}").rglob("*.jpg"))
    code = (
        "import sys, gaia.cli;"
        f"gaia.cli.run(['predict', {line!r}, {str(photo)!r}]);"
        "print('LOADED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    loaded = built.run("python", "-c", code).stdout.rpartition("LOADED")[2].split()
    assert not {"torch", "torchvision", "tensorflow", "keras", "catboost", "sklearn", "pandas", "dvc"} & set(loaded)
    assert "onnxruntime" in loaded


@pytest.mark.parametrize("line", ["plants", "bags"])
def test_a_photo_gets_the_answer_that_evaluation_gave_it(built: Project, line: str) -> None:
    expected = pd.read_csv(built.path("data/reports", line, "predictions.csv")).head(5)
    files = [f"data/raw/demo_{line}/{source}" for source in expected["source"]]
    answers = json.loads(built.run("gaia", "predict", line, *files, "--json").stdout)
    assert [a["answer"] for a in answers] == list(expected["predicted"])
    for answer, (_, row) in zip(answers, expected.iterrows(), strict=True):
        for label, share in answer["probabilities"].items():
            assert share == pytest.approx(row[f"probability_{label}"], abs=1e-5)


def test_a_row_gets_the_answer_that_evaluation_gave_it(built: Project) -> None:
    expected = pd.read_csv(built.path("data/reports/cultures/predictions.csv"))
    answers = json.loads(
        built.run("gaia", "predict", "cultures", "data/raw/demo_cultures/cultures.csv", "--json").stdout
    )
    by_place = {Path(a["input"]).name: a for a in answers}
    for row in expected.itertuples():
        assert by_place[row.source]["answer"] == row.predicted
        assert by_place[row.source]["probabilities"]["contaminated"] == pytest.approx(
            row.probability_contaminated, abs=1e-5
        )


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_one_flipped_byte_in_any_file_is_refused_by_name(copy: Callable[[str], Path], line: str) -> None:
    folder = copy(line)
    for file in sorted(folder.iterdir()):
        if file.name == artifact.MANIFEST:
            continue
        original = file.read_bytes()
        file.write_bytes(original[:-10] + bytes([original[-10] ^ 1]) + original[-9:])
        with pytest.raises(GaiaError, match=file.name):
            predictor.load(folder)
        file.write_bytes(original)
    predictor.load(folder)


def test_missing_and_unknown_files_are_refused_by_name(copy: Callable[[str], Path]) -> None:
    folder = copy("cultures")
    (folder / "stranger.bin").touch()
    with pytest.raises(GaiaError, match="stranger[.]bin is not named"):
        predictor.load(folder)
    (folder / "stranger.bin").unlink()
    (folder / "model.cbm").unlink()
    with pytest.raises(GaiaError, match="model[.]cbm is missing"):
        predictor.load(folder)


def test_a_manifest_may_not_point_out_of_its_folder(copy: Callable[[str], Path]) -> None:
    folder = copy("cultures")
    (folder.parent / "model.cbm").write_bytes((folder / "model.cbm").read_bytes())
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    for entry in manifest["files"]:
        if entry["name"] == "model.cbm":
            entry["name"] = "../model.cbm"
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(GaiaError, match="model[.]cbm"):
        predictor.load(folder)


def test_a_model_that_answers_otherwise_is_refused_even_if_its_hashes_fit(copy: Callable[[str], Path]) -> None:
    folder = copy("plants")
    golden = json.loads((folder / artifact.GOLDEN).read_text())
    golden["probabilities"][0] = golden["probabilities"][0][::-1]
    artifact.write_json(folder / artifact.GOLDEN, golden)
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    del manifest["files"]
    artifact.seal(folder, manifest)
    artifact.verify(folder)
    with pytest.raises(GaiaError, match="golden answers differ"):
        predictor.load(folder)


def test_no_pickle_ships(built: Project) -> None:
    kinds = {file.suffix for file in built.path("data/models").rglob("*.*") if file.is_file()}
    assert kinds <= {".json", ".csv", ".onnx", ".cbm", ".safetensors", ".h5"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"species": "oister"}, "row 1: species is 'oister', which training never saw.*did you mean 'oyster'"),
        ({"humidity": "wet"}, "row 1: humidity is 'wet', which is no number"),
        ({"humidity": "85,5"}, "row 1: humidity is '85,5', which is no number"),
        ({"co2": None}, r"row 1 lacks 'co2' \(in training the column 'co2_ppm'\)\.$"),
        ({"species": None, "specis": "oyster"}, r"row 1 lacks 'species'; 'specis' may be meant for it\.$"),
    ],
)
def test_a_row_that_would_need_a_guess_is_refused(built: Project, change: dict, sentence: str) -> None:
    row = dict(pair.split("=") for pair in ROW) | change
    pairs = [f"{key}={value}" for key, value in row.items() if value is not None]
    done = built.run("gaia", "predict", "cultures", *pairs, ok=False)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert re.search(sentence, done.stdout)


def test_an_empty_number_counts_as_not_measured(built: Project) -> None:
    pairs = [pair if not pair.startswith("co2") else "co2=" for pair in ROW]
    assert json.loads(built.run("gaia", "predict", "cultures", *pairs, "--json").stdout)[0]["answer"]


def test_a_folder_is_no_photo(built: Project) -> None:
    done = built.run("gaia", "predict", "plants", "data/raw/demo_plants/grass", ok=False)
    assert done.returncode == 1
    assert done.stdout.startswith("error: data/raw/demo_plants/grass is a folder; give photos")


def test_a_model_that_is_older_than_the_settings_answers_with_a_warning(project: Project) -> None:
    asked = ("gaia", "predict", "cultures", *ROW)
    assert "warning" not in project.run(*asked).stdout
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"cultures": {"model": {"depth": 3}}}}))
    project.repro("compose@cultures")
    warning = "warning: cultures: this model was made with other settings than data/config/cultures.yaml has now"
    for command in (asked, ("gaia", "results")):
        assert warning in project.run(*command).stdout
    project.repro("evaluate@cultures")
    assert "warning" not in project.run(*asked).stdout


def test_answers_may_be_cut_by_head(built: Project) -> None:
    table = "data/raw/demo_cultures/cultures.csv"
    done = built.run("bash", "-c", f"for i in 1 2 3; do gaia predict cultures {table} 2>&1 | head -n 1; done")
    assert done.stdout.count("\n") == 3
    assert "Traceback" not in done.stdout and "Broken" not in done.stdout


def test_what_is_neither_a_table_nor_one_row_is_refused(built: Project) -> None:
    for asked, sentence in (
        (["nowhere.csv"], "nowhere.csv is no file; a table line takes one CSV or Parquet file"),
        ([*ROW, "co2=1"], "co2 is given twice"),
        (["data/models/plants/model.onnx"], "is not utf-8"),
    ):
        done = built.run("gaia", "predict", "cultures", *asked, ok=False)
        assert done.returncode == 1
        assert done.stdout.count("\n") == 1
        assert sentence in done.stdout


def test_a_bad_photo_is_named_and_the_others_are_answered(built: Project, tmp_path: Path) -> None:
    good = next(built.path("data/raw/demo_plants").rglob("*.jpg"))
    (tmp_path / "empty.jpg").touch()
    done = built.run("gaia", "predict", "plants", str(good), str(tmp_path / "empty.jpg"), "nowhere.jpg", ok=False)
    assert done.returncode == 1
    assert f"{tmp_path / 'empty.jpg'}: empty file." in done.stdout
    assert "nowhere.jpg: No such file or directory." in done.stdout
    assert str(good) in done.stdout
    assert "Traceback" not in done.stdout


def test_a_line_that_was_never_built_is_a_sentence(built: Project) -> None:
    done = built.run("gaia", "predict", "../models/plants", "x.jpg", ok=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    done = built.run("gaia", "predict", "plant", "x.jpg", ok=False)
    assert "did you mean 'plants'" in done.stdout


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_two_classes_are_decided_by_the_threshold_on_the_positive_one(share: float, threshold: float) -> None:
    contract = {"labels": ["healthy", "contaminated"], "positive": "contaminated", "threshold": threshold}
    answers = np.array([[1 - share, share]], dtype=np.float64)
    assert Predictor(contract, lambda x: x).decide(answers)[0] == int(share >= threshold)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8))
def test_more_classes_are_decided_by_the_largest_share(shares: list[float]) -> None:
    contract = {"labels": [str(i) for i in range(len(shares))], "positive": "0", "threshold": 0.99}
    assert Predictor(contract, lambda x: x).decide(np.array([shares]))[0] == int(np.argmax(shares))


def test_results_are_a_table_for_people_and_json_for_scripts(built: Project) -> None:
    shown = built.run("gaia", "results").stdout
    for word in ("plants", "bags", "cultures", "test accuracy", "95 % interval", "data/reports/<line>/report.html"):
        assert word in shown
    rows = json.loads(built.run("gaia", "results", "--json").stdout)
    assert [row["line"] for row in rows] == ["plants", "bags", "cultures"]
    for row in rows:
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert set(row["seconds"]) == {"prepare", "train", "evaluate"}
