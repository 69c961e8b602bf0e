"""A stock client of the Open Inference Protocol v2 (Triton's) gets the answers that everybody gets."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from gaia.runtime.load import load
from gaia.serving import app, settings, tensors
from served import GREEN, RED, serving, set_serving, workspace

triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = workspace(tmp_path_factory.mktemp("protocol"))
    set_serving(root, lambda said: said["limits"].update(inputs=8))
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[Any]:
    """Triton's client, which takes no application but an address."""
    server = uvicorn.Server(uvicorn.Config(app.make(settings.read(root), root), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    yield client
    client.close()
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def http(root: Path) -> Iterator[TestClient]:
    with serving(root) as client:
        yield client


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("plants") and client.is_model_ready("plants", "workspace")
    assert not client.is_model_ready("plants", "9") and not client.is_model_ready("none")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    said = client.get_model_metadata("plants")
    assert said["inputs"] == [{"name": "photos", "datatype": "UINT8", "shape": [-1, 16, 16, 3]}]
    assert said["versions"] == ["workspace"] and said["platform"] == "onnxruntime_onnx"
    assert [each["datatype"] for each in client.get_model_metadata("cultures")["inputs"]] == ["BYTES", "FP64"]


@pytest.mark.parametrize("binary", [True, False])
def test_pixels(client: Any, root: Path, binary: bool) -> None:
    model = load(root / "data/models/plants")
    pixels = model.read_photos([(RED, "a.png"), (GREEN, "b.png")])
    tensor = triton.InferInput("photos", list(pixels.shape), "UINT8").set_data_from_numpy(pixels, binary_data=binary)
    outputs = [
        triton.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label", "uncertain")
    ]
    said = client.infer("plants", [tensor], outputs=outputs, request_id="7")
    assert np.allclose(said.as_numpy("probabilities"), model.probabilities(pixels), atol=1e-6)
    assert [_text(each) for each in said.as_numpy("label")] == ["dandelion", "grass"]
    assert said.as_numpy("uncertain").tolist() == [False, False]
    response = said.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("7", "plants", "workspace")


def test_encoded_photos(client: Any) -> None:
    given = np.array([RED, GREEN], dtype=object)
    tensor = triton.InferInput("photos", [2], "BYTES").set_data_from_numpy(given)
    said = client.infer("plants", [tensor], model_version="workspace")
    assert [_text(each) for each in said.as_numpy("label")] == ["dandelion", "grass"]


def test_columns(client: Any, root: Path) -> None:
    model = load(root / "data/models/cultures")
    rows = [{"species": "oyster", "days": 3.0}, {"species": "shiitake", "days": 30.0}]
    species = triton.InferInput("species", [2, 1], "BYTES").set_data_from_numpy(
        np.array([[b"oyster"], [b"shiitake"]], dtype=object)
    )
    days = triton.InferInput("days", [2], "FP64").set_data_from_numpy(np.array([3.0, 30.0]))
    said = client.infer("cultures", [species, days])
    expected = model.probabilities(model.read_rows(rows))
    assert np.allclose(said.as_numpy("probabilities"), expected, atol=1e-6)


def test_what_can_t_be_answered_is_the_protocol_s_error(client: Any) -> None:
    tensor = triton.InferInput("photos", [1, 8, 8, 3], "UINT8")
    tensor.set_data_from_numpy(np.zeros((1, 8, 8, 3), dtype=np.uint8))
    for line, given, sentence in (
        ("plants", [tensor], r"it should be UINT8 \[n, 16, 16, 3\]"),
        ("none", [tensor], "there is no line 'none'"),
        ("cultures", [triton.InferInput("days", [1], "FP64").set_data_from_numpy(np.ones(1))], "lacks 'species'"),
        ("plants", [_bytes("photos", b"no photo")], "not an image"),
        ("plants", [_bytes("photos", *[RED] * 9)], "9 inputs are over 8"),
    ):
        with pytest.raises(triton.InferenceServerException, match=sentence) as error:
            client.infer(line, given)
        assert error.value.status() in ("400", "404", "413")


def _bytes(name: str, *contents: bytes) -> Any:
    given = np.array(contents, dtype=object)
    return triton.InferInput(name, [len(contents)], "BYTES").set_data_from_numpy(given)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def tensor(**change: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "days", "shape": [1], "datatype": "FP64", "data": [3.0]} | change]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "inputs is null"),
        ({"inputs": []}, "inputs is []"),
        ({"inputs": [3]}, "it should be a list of tensors"),
        (tensor(name=3), "an input's name is 3"),
        (tensor(datatype="FP8"), "the datatype 'FP8'"),
        (tensor(datatype=None), "the datatype null"),
        (tensor(shape=3), "the shape 3"),
        (tensor(shape=[-1]), "the shape [-1]"),
        (tensor(shape=[1.5]), "the shape [1.5]"),
        (tensor(shape=[True]), "the shape [true]"),
        (tensor(shape=[2**31 - 1] * 8), "takes"),
        (tensor(data=None), "has 1 values, and [1] takes 1"),
        (tensor(data=[1, 2]), "has 2 values"),
        (tensor(data=["x"]), "holds what is no FP64"),
        (tensor(data=[{}]), "holds what is no FP64"),
        (tensor(datatype="UINT8", data=[-1]), "holds what is no UINT8"),
        (tensor(datatype="BYTES", data=[1]), "BYTES in JSON are texts"),
        (tensor(parameters={"binary_data_size": 8}), "0 bytes are left"),
        (tensor(parameters={"binary_data_size": -8}), "binary_data_size -8"),
        (tensor(parameters={"binary_data_size": "8"}), "binary_data_size '8'"),
        (tensor() | {"outputs": [{"name": "logits"}]}, "no output 'logits'"),
        (tensor() | {"outputs": 3}, "outputs is 3"),
        (tensor(), "lacks 'species'"),
    ],
)  # fmt: skip
def test_a_request_that_the_protocol_has_not_is_refused(http: TestClient, body: Any, sentence: str) -> None:
    said = http.post("/v2/models/cultures/infer", json=body)
    assert said.status_code == 400, said.text
    assert sentence in said.json()["error"]


@pytest.mark.parametrize("header", ["x", "-1", "99999", "1"])
def test_a_wrong_length_of_the_header_is_refused(http: TestClient, header: str) -> None:
    said = http.post("/v2/models/cultures/infer", content=b"{}", headers={tensors.HEADER: header})
    assert said.status_code == 400 and said.json()["error"]


def test_texts_that_are_cut_are_refused(http: TestClient) -> None:
    head = json.dumps({"inputs": [{"name": "photos", "shape": [1], "datatype": "BYTES",
                                   "parameters": {"binary_data_size": 6}}]}).encode()  # fmt: skip
    body = head + (100).to_bytes(4, "little") + b"xx"
    said = http.post("/v2/models/plants/infer", content=body, headers={tensors.HEADER: str(len(head))})
    assert said.status_code == 400 and "texts" in said.json()["error"]


def test_json_alone_will_do(http: TestClient) -> None:
    data = [base64.b64encode(RED).decode()]
    body = {"inputs": [{"name": "photos", "shape": [1], "datatype": "BYTES", "data": data}]}
    said = http.post("/v2/models/plants/infer", json=body).json()
    assert {each["name"]: each["data"] for each in said["outputs"]}["label"] == ["dandelion"]
    body["inputs"][0]["data"] = ["no base64!"]
    assert "no base64" in http.post("/v2/models/plants/infer", json=body).json()["error"]
