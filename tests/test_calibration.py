"""Probabilities mean what they say: a temperature from the validation split, and it stands in the file that ships."""

from __future__ import annotations

from pathlib import Path

import catboost
import numpy as np
import onnx
import onnxruntime
import pytest

from gaia.evaluation.calibration import BOUNDS, calibrated, temperature, uncalibrated
from gaia.evaluation.metrics import calibration_error, log_loss
from gaia.frameworks import onnx as exported
from gaia.frameworks.catboost import reader

STORED = Path(__file__).parent / "artifacts"  # written by the code that knew no formats


def answered(n: int, k: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a model answers that is `sharpness` times as sure as it should be, and the truth."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (n, k))
    honest = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    truth = np.array([random.choice(k, p=row) for row in honest])
    return calibrated(honest, 1 / sharpness), truth


@pytest.mark.parametrize(("k", "sharpness"), [(2, 3.0), (2, 0.5), (5, 2.0), (2, 1.0)])
def test_the_temperature_undoes_what_was_too_sure_or_too_careful(k: int, sharpness: float) -> None:
    answers, truth = answered(3000, k, sharpness)
    found = temperature(answers[:1500], truth[:1500])
    assert found == pytest.approx(sharpness, rel=0.15) and found == round(found, 3)
    after, before = (
        calibrated(answers[1500:], found),
        uncalibrated(truth[1500:], calibrated(answers, found)[1500:], found),
    )
    assert before["log_loss"] == pytest.approx(log_loss(truth[1500:], answers[1500:]), abs=1e-4)
    if sharpness != 1:
        assert log_loss(truth[1500:], after) < before["log_loss"]
        assert calibration_error(truth[1500:], after) < before["calibration_error"]


def test_a_few_items_that_were_all_answered_right_make_no_certainties() -> None:
    answers = np.array([[0.9, 0.1], [0.2, 0.8]] * 10)
    assert BOUNDS[0] < temperature(answers, np.array([0, 1] * 10)) < 1
    assert temperature(answers[:2], np.array([0, 1])) > 0.7
    certain = np.array([[1.0, 0.0], [0.0, 1.0]] * 20)
    assert BOUNDS[0] <= temperature(certain, np.array([0, 1] * 20)) <= BOUNDS[1]
    assert temperature(certain, np.array([1, 0] * 20)) == pytest.approx(BOUNDS[1], abs=0.01)


@pytest.mark.parametrize("asked", [0.25, 0.8, 1.7, 4.0])
def test_an_onnx_file_answers_at_its_temperature_whoever_asks(tmp_path: Path, asked: float) -> None:
    photos = np.random.default_rng(1).integers(0, 256, (6, *_shape(STORED / "photo-1/model.onnx"), 3), dtype=np.uint8)
    file = tmp_path / "model.onnx"
    file.write_bytes((STORED / "photo-1/model.onnx").read_bytes())
    before = _answers(file, photos)
    exported.calibrate(file, asked)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    assert np.allclose(_answers(file, photos), calibrated(before, asked), atol=1e-6)
    assert not np.allclose(_answers(file, photos), before, atol=1e-3)
    once = file.read_bytes()
    file.write_bytes((STORED / "photo-1/model.onnx").read_bytes())
    exported.calibrate(file, asked)
    assert file.read_bytes() == once


@pytest.mark.parametrize("k", [2, 3])
def test_trees_answer_at_their_temperature_whoever_asks(tmp_path: Path, k: int) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 3))
    truth = np.digitize(rows[:, 0] + random.normal(size=300), [-0.5, 0.5][: k - 1])
    booster = catboost.CatBoostClassifier(
        iterations=20, verbose=False, allow_writing_files=False, boost_from_average=k < 3
    )
    booster.fit(rows, truth).save_model(str(tmp_path / "model.cbm"))
    before = booster.predict_proba(rows)
    files = []
    for _ in range(2):
        booster.save_model(str(tmp_path / "model.cbm"))
        reader.calibrate(tmp_path / "model.cbm", 1.7)
        files.append((tmp_path / "model.cbm").read_bytes())
    assert files[0] == files[1]
    after = catboost.CatBoostClassifier().load_model(str(tmp_path / "model.cbm")).predict_proba(rows)
    assert np.allclose(after, calibrated(before, 1.7), atol=1e-6)


def _shape(file: Path) -> tuple[int, int]:
    size = onnxruntime.InferenceSession(file).get_inputs()[0].shape[1]
    return size, size


def _answers(file: Path, photos: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file)
    return session.run(["probabilities"], {session.get_inputs()[0].name: photos})[0]
