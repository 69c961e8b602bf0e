"""What ships speaks for itself: to servers that read ONNX alone, to CatBoost, and to the frameworks' own models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import catboost
import numpy as np
import onnx
import onnxruntime
import pytest

from conftest import Project
from gaia.evaluation.calibration import calibrated
from gaia.frameworks.onnx import OPSET, describe
from gaia.runtime import artifact, contract, golden
from gaia.runtime.load import load


@pytest.mark.parametrize("line", ["plants", "bags"])
def test_a_server_that_knows_onnx_alone_can_ask_and_understand(built: Project, line: str) -> None:
    folder = built.path("data/models", line)
    promised = contract.read(folder)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (asked,), (given, strange) = session.get_inputs(), session.get_outputs()
    assert (asked.name, asked.type, asked.shape) == ("photos", "tensor(uint8)", ["n", 32, 32, 3])
    assert (given.name, given.type, given.shape) == ("probabilities", "tensor(float)", ["n", 2])
    assert (strange.name, strange.type, strange.shape) == ("strangeness", "tensor(float)", ["n"])
    model = onnx.load(folder / "model.onnx")
    assert {each.version for each in model.opset_import if each.domain == ""} == {OPSET}
    about = session.get_modelmeta().custom_metadata_map
    keys = [each.key for each in model.metadata_props]
    assert keys == sorted(about) == ["format", "labels", "line", "positive", "question", "strange_above", "threshold"]
    assert json.loads(about["labels"]) == promised["labels"]
    assert (about["line"], about["positive"]) == (line, promised["positive"])
    assert (float(about["threshold"]), about["question"]) == (promised["threshold"], promised["question"])
    assert float(about["strange_above"]) == promised["strange_above"]
    photos = golden.inputs(load(folder), golden.read(folder)["inputs"])
    answers = session.run(["probabilities"], {"photos": photos})[0]
    assert np.allclose(answers, golden.read(folder)["probabilities"], atol=1e-3)


def test_the_same_contract_gives_the_same_bytes(built: Project, tmp_path: Path) -> None:
    folder = built.path("data/models/plants")
    file = tmp_path / "model.onnx"
    file.write_bytes((folder / "model.onnx").read_bytes())
    promised = contract.read(folder)
    describe(file, promised | {"threshold": 0.25})
    assert file.read_bytes() != (folder / "model.onnx").read_bytes()
    describe(file, promised)
    assert file.read_bytes() == (folder / "model.onnx").read_bytes()


def test_catboost_answers_with_the_classes_names(built: Project) -> None:
    folder = built.path("data/models/cultures")
    model = load(folder)
    trees = catboost.CatBoostClassifier().load_model(str(folder / "model.cbm"))
    assert list(trees.classes_) == model.labels
    rows = model.read_rows(golden.read(folder)["inputs"])
    assert np.allclose(trees.predict_proba(rows), model.probabilities(rows), atol=1e-6)
    assert set(trees.predict(rows).ravel()) <= set(model.labels)


PLAIN_KERAS = """
import sys
import numpy as np
import keras
folder, photos = sys.argv[1:]
base = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
given = keras.Input((32, 32, 3), dtype="uint8")
features = base(keras.applications.mobilenet_v3.preprocess_input(keras.ops.cast(given, "float32")))
scores = keras.layers.Dense(2)(keras.layers.Dropout(0.2)(features))
model = keras.Model(given, keras.layers.Softmax()(scores))
model.load_weights(f"{folder}/model.weights.h5")
np.save(photos, model.predict(np.load(photos), verbose=0))
"""
PLAIN_TORCH = """
import sys
import numpy as np
import torch, torchvision
from safetensors.torch import load_file
folder, photos = sys.argv[1:]
model = torchvision.models.mobilenet_v3_small(num_classes=2)
model.load_state_dict(load_file(f"{folder}/model.safetensors"))
given = torch.from_numpy(np.load(photos)).permute(0, 3, 1, 2) / 255
mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
np.save(photos, model.eval()((given - mean) / std).softmax(1).detach().numpy())
"""


@pytest.mark.parametrize(("line", "plain"), [("plants", PLAIN_TORCH), ("bags", PLAIN_KERAS)])
def test_the_weights_load_into_the_plain_model(built: Project, tmp_path: Path, line: str, plain: str) -> None:
    folder = built.path("data/models", line)
    model = load(folder)
    photos = golden.inputs(model, golden.read(folder)["inputs"])
    file = tmp_path / "photos.npy"
    np.save(file, photos)
    subprocess.run([sys.executable, "-c", plain, str(folder), str(file)], check=True)
    answers = calibrated(np.load(file), artifact.manifest(folder)["temperature"])  # the weights are as trained
    assert np.allclose(answers, model.probabilities(photos), atol=2e-3)
