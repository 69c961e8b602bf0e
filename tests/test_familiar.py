"""What training never saw is doubted: photos by a distance that ships with the network, rows by ranges and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from gaia.evaluation import familiar
from gaia.frameworks import strangeness
from gaia.runtime import doubt
from gaia.runtime.answers import of_inputs
from gaia.runtime.load import load, open_model
from gaia.runtime.predictor import Predictor, Said

STORED = Path(__file__).parent / "artifacts"  # written by the code that knew no formats
SIZE = 16


def network(file: Path, convolutions: int = 3) -> Path:
    """Photos -> convolutions of chance -> probabilities of two classes."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["photos"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["at0"], perm=[0, 3, 1, 2]),
    ]
    held = {"all": np.array([2, 3])}
    for i in range(convolutions):
        held[f"w{i}"] = random.normal(0, 0.1, (6, 6 if i else 3, 3, 3)).astype(np.float32)
        nodes.append(helper.make_node("Conv", [f"at{i}", f"w{i}"], [f"conv{i}"], name=f"conv{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"at{i + 1}"], name=f"relu{i}"))
    held["head"] = random.normal(0, 0.1, (6 if convolutions else 3, 2)).astype(np.float32)
    nodes += [
        helper.make_node("ReduceMean", [f"at{convolutions}", "all"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "head"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    file.write_bytes(model.SerializeToString(deterministic=True))
    return file


def meadows(n: int, seed: int) -> np.ndarray:
    """Greenish photos, uint8 [n, SIZE, SIZE, 3], each of another light."""
    random = np.random.default_rng(seed)
    light = random.uniform(0.6, 1.2, (n, 1, 1, 1))
    return np.clip(light * random.normal((60, 140, 50), (10, 25, 10), (n, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def gauged(tmp_path: Path) -> tuple[Path, float]:
    """A network that knows meadows, and from above which strangeness on a photo is none."""
    file = network(tmp_path / "model.onnx")
    found = strangeness.features(file, [meadows(300, 0), meadows(100, 1)])
    rulers = [strangeness.ruler(each[:300], each[300:]) for each in found]
    far = np.max([strangeness.distance(by, each[300:]) for by, each in zip(rulers, found, strict=True)], axis=0)
    strangeness.add(file, rulers)
    return file, familiar.limit(far, 0.05)


def asked(file: Path, photos: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(file).run(["probabilities", "strangeness"], {"photos": photos})


STRANGERS = {
    "black": np.zeros((1, SIZE, SIZE, 3)),
    "white": np.full((1, SIZE, SIZE, 3), 255),
    "one colour": np.full((1, SIZE, SIZE, 3), (60, 140, 50)),
    "noise": np.random.default_rng(3).integers(0, 256, (8, SIZE, SIZE, 3)),
    "a red meadow": meadows(8, 4)[..., [1, 0, 2]],
    "stripes": np.tile(np.array([[[60, 140, 50]], [[0, 0, 0]]] * (SIZE // 2)), (1, 1, SIZE, 1)),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_is_no_meadow_is_strange_to_a_network_that_knows_meadows(gauged: tuple[Path, float], what: str) -> None:
    file, limit = gauged
    assert (asked(file, STRANGERS[what].astype(np.uint8))[1] > limit).all()


def test_few_meadows_are_strange_and_the_answers_stay_what_they_were(
    gauged: tuple[Path, float], tmp_path: Path
) -> None:
    file, limit = gauged
    new = meadows(400, 9)
    answers, strange = asked(file, new)
    assert (strange > limit).mean() < 0.1 and strange.dtype == np.float32 and strange.shape == (400,)
    plain = onnxruntime.InferenceSession(network(tmp_path / "plain.onnx")).run(["probabilities"], {"photos": new})[0]
    assert np.allclose(answers, plain, atol=1e-6)
    onnx.checker.check_model(onnx.load(file), full_check=True)


def test_the_file_computes_what_python_does_and_has_the_same_bytes_each_time(
    gauged: tuple[Path, float], tmp_path: Path
) -> None:
    again = network(tmp_path / "again.onnx")
    found = strangeness.features(again, [meadows(300, 0), meadows(100, 1)])
    rulers = [strangeness.ruler(each[:300], each[300:]) for each in found]
    strangeness.add(again, rulers)
    assert again.read_bytes() == gauged[0].read_bytes()
    far = np.max([strangeness.distance(by, each[:300]) for by, each in zip(rulers, found, strict=True)], axis=0)
    assert np.allclose(asked(again, meadows(300, 0))[1], far, atol=1e-2)


def test_a_network_without_convolutions_knows_no_strangers(tmp_path: Path) -> None:
    assert strangeness.features(network(tmp_path / "model.onnx", 0), [meadows(3, 0)]) == []


def test_an_artifact_of_before_doubts_no_stranger_and_answers_as_it_did() -> None:
    model = load(STORED / "photo-1")
    size = model.photo["size"]
    black = np.zeros((2, size, size, 3), dtype=np.uint8)
    assert model.ask(black).strangeness is None
    assert [each["uncertain"] for each in of_inputs(model, black, ["a", "b"])] == [[], []]


def test_a_stranger_is_answered_and_doubted(gauged: tuple[Path, float]) -> None:
    file, limit = gauged
    promised = load(STORED / "photo-1").contract | {"model": file.name, "strange_above": limit}
    model = open_model(file.parent, promised)
    found = of_inputs(model, np.concatenate([meadows(1, 0), np.zeros((1, SIZE, SIZE, 3), np.uint8)]), ["own", "black"])
    assert [each["uncertain"] for each in found] == [[], [doubt.STRANGE]]
    assert found[1]["answer"] in model.labels
    sick = Said(np.array([[0.5, 0.5]], np.float32), np.array([np.nan], np.float32))
    assert doubt.reasons(model, [0], sick, 0) == [[doubt.STRANGE]]


def test_the_page_knows_the_sentence_by_which_a_stranger_is_doubted() -> None:
    page = Path(doubt.__file__).parents[1] / "serving/page"
    for name, said in (("answers.js", f"/^{doubt.STRANGE}$/"), ("texts.js", f'"{doubt.STRANGE}"')):
        assert said in (page / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("gaps", "value", "why"),
    [
        (0.0, 7.0, []),
        (0.0, float("nan"), ["days is empty; in training it never was"]),
        (0.2, float("nan"), []),
        (None, float("nan"), []),
        (0.2, 45_000.0, ["days is 45,000; training saw 0 to 30"]),
    ],
)
def test_a_row_is_doubted_where_it_is_outside_of_what_training_saw(
    gaps: float | None, value: float, why: list[str]
) -> None:
    feature = {"name": "days", "column": "days", "type": "number", "range": [0, 30]}
    feature |= {} if gaps is None else {"gaps": gaps}
    promised = load(STORED / "table-1").contract | {"input": {"kind": "table", "features": [feature]}}
    model = Predictor(promised, lambda rows: np.full((len(rows), 2), 0.5, np.float32))
    rows = pd.DataFrame({"days": [value]})
    assert doubt.reasons(model, rows, model.ask(rows), 0) == [why]


def test_gaps_are_counted_among_the_training_rows() -> None:
    features = [{"name": "days", "type": "number"}, {"name": "species", "type": "category"}]
    rows = pd.DataFrame({"days": [1.0, float("nan"), 3.0, 4.0], "species": list("abab")})
    assert [each.get("gaps") for each in familiar.with_gaps(features, rows)] == [0.25, None]
    assert "gaps" not in features[0]


@pytest.mark.parametrize(("n", "refuse", "above"), [(20, 0.05, 1), (100, 0.05, 5), (33, 0.05, 2), (100, 0.2, 20)])
def test_as_many_of_the_validation_split_are_above_the_limit_as_was_declared(n: int, refuse: float, above: int) -> None:
    given = np.arange(n, dtype=float)
    assert (given > familiar.limit(given, refuse)).sum() == above


def test_coverage_says_how_many_are_answered_without_a_doubt_and_how_well() -> None:
    right, sure = np.array([True, True, False, False]), np.array([0.9, 0.8, 0.7, 0.6])
    found = familiar.coverage(right, sure, [[], [], [], ["why"]])
    assert found["coverage"] == 0.75 and found["covered_accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["risk"][0] == [1.0, 0.5] and found["risk"][-1] == [0.5, 0.0]
    assert familiar.coverage(right, sure, [["why"]] * 4)["covered_accuracy"] is None
