"""What can't be trained, or can't ship, says so before the first epoch; what can is tried with the real parts."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Project, framework
from gaia import paths
from gaia.config.stored import load
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks.protocol import Fit, exporting
from gaia.runtime import contract
from gaia.runtime.golden import TOLERANCE
from gaia.runtime.load import open_model
from gaia.stages.train import rehearse


def torchvision(name: str, weights: str | None = None) -> dict[str, Any]:
    return {"_target_": f"torchvision.models.{name}", "weights": weights}


def prepared(built: Project, line: str, **sections: dict[str, Any]) -> tuple[Any, Any, Dataset]:
    """The framework of a built line, its configuration with other values (or another model or optimizer), its data."""
    with contextlib.chdir(built.root):
        config, data = load(line), dataset.load(paths.prepared(line))
    changed = {
        name: type(old).model_validate(values) if "_target_" in values else old.model_copy(update=values)
        for name, values in sections.items()
        if (old := getattr(config, name))
    }
    return framework(line), config.model_copy(update=changed), data


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"model": torchvision("alexnet")},
         r"^model: torchvision.models.alexnet can't be trained on photos of 32 px: .* choose another model or"),
        ({"model": torchvision("maxvit_t")},
         r"^model: torchvision.models.maxvit_t can't be built for photos of 32 px: .* other arguments"),
        ({"optimizer": {"_target_": "torch.optim.LBFGS", "lr": 0.1}},
         r"^optimizer: torch.optim.LBFGS can't take a step: .*closure.* choose another optimizer"),
        ({"optimizer": {"_target_": "torch.optim.SparseAdam", "lr": 0.1}},
         r"^optimizer: torch.optim.SparseAdam can't take a step: .* choose another optimizer"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_says_so_before_the_first_epoch(
    built: Project, tmp_path: Path, sections: dict[str, dict[str, Any]], sentence: str
) -> None:
    _, config, data = prepared(built, "plants", **sections)
    with pytest.raises(GaiaError, match=sentence) as said:
        rehearse(config, data, tmp_path)
    assert "\n" not in str(said.value)
    assert not list(tmp_path.iterdir()), "a rehearsal leaves something behind"


def test_what_cannot_ship_says_so_before_the_first_epoch(
    built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, config, data = prepared(built, "bags")
    import keras

    photos = keras.Input((32, 32, 3), dtype="uint8")
    features = keras.layers.GlobalAveragePooling2D()(keras.ops.cast(photos, "float32"))
    scores = keras.layers.Dense(2, activation="gelu")(features)  # tf2onnx knows no Erfc
    network = keras.Model(photos, keras.layers.Softmax()(scores))
    monkeypatch.setattr(module, "build", lambda *_: network)
    with pytest.raises(GaiaError, match=r"^model: .* trains, but can't be exported to ONNX: it needs Erfc, which ONNX"):
        rehearse(config, data, tmp_path)


def test_a_model_that_wants_its_channels_in_another_order_trains_and_ships(built: Project, tmp_path: Path) -> None:
    _, config, data = prepared(built, "bags", model={"_target_": "keras.applications.VGG16", "weights": None})
    rehearse(config, data, tmp_path)


@pytest.mark.parametrize("module", ["resnet50", "densenet", "mobilenet_v2", "efficientnet"])  # caffe, torch, tf, none
def test_photos_are_prepared_as_the_application_asks(module: str) -> None:
    framework("bags")
    layers = importlib.import_module("gaia.frameworks.keras.layers")
    preprocess = importlib.import_module(f"keras.applications.{module}").preprocess_input
    photos = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 3)).astype(np.float32)
    got = np.asarray(layers.preprocessed(photos, preprocess))
    np.testing.assert_allclose(got, preprocess(photos.copy()), rtol=1e-5, atol=1e-5)


def test_mixed_precision_ships_as_float32(built: Project, tmp_path: Path) -> None:
    module, config, data = prepared(built, "bags", trainer={"precision": "bfloat16"})
    fitted = module.rehearse(config, data)
    file = exporting(config).export(fitted, data, tmp_path)
    exported = open_model(tmp_path, contract.make("bags", config, data.labels, data.features, file))
    few = data.take(data.rows("validation")[:4])
    assert abs(exported.probabilities(few) - module.answers(fitted, few)).max() < TOLERANCE


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_rare_classes_may_weigh_more_and_the_history_stays_whole(built: Project, tmp_path: Path, line: str) -> None:
    trainer = {"class_weights": "balanced", "max_epochs": 20 if line == "cultures" else 1}
    module, config, data = prepared(built, line, trainer=trainer)
    fitted: Fit = module.fit(config, data, tmp_path / "checkpoint", lambda *_: None)
    numbers = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    assert np.isfinite([[row[key] for key in numbers] for row in fitted.history]).all()
    rows = data.rows("validation")
    answers = module.answers(fitted, data.take(rows))
    of_truth = answers[np.arange(len(rows)), data.truth[rows]]
    kept = fitted.history[fitted.kept_epoch - 1]
    tolerance = 1e-2 if line == "plants" else 1e-4  # which may validate in bfloat16
    assert kept["validation_loss"] == pytest.approx(-np.log(of_truth).mean(), rel=tolerance), (
        "rows weigh the same there"
    )
    assert kept["validation_accuracy"] == pytest.approx((answers.argmax(1) == data.truth[rows]).mean())


def test_a_model_whose_weights_know_their_version_keeps_it(built: Project, tmp_path: Path) -> None:
    model = torchvision("mnasnet0_5")
    module, config, data = prepared(built, "plants", model=model, trainer={"max_epochs": 1})
    fitted = module.fit(config, data, tmp_path / "checkpoint", lambda *_: None)
    assert fitted.kept_epoch == 1


@pytest.mark.parametrize("target", ["googlenet", "vit_b_32"])
def test_heads_beside_the_answer_and_the_size_of_photos_are_seen_to(built: Project, target: str) -> None:
    import torch

    module, config, _ = prepared(built, "plants", model=torchvision(target))
    network = module.build(config.model, 64, 3)
    assert network.train()(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_a_model_that_ends_in_a_convolution_takes_weights(built: Project, tmp_path: Path) -> None:
    import torch
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1().state_dict(), tmp_path / "squeezenet.pth")
    model = torchvision("squeezenet1_1", str(tmp_path / "squeezenet.pth"))
    module, config, _ = prepared(built, "plants", model=model)
    assert module.build(config.model, 64, 3)(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
