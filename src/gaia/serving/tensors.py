"""The Open Inference Protocol's tensors (https://github.com/kserve/open-inference-protocol, and Triton's extension for
binary data) -> photos or rows, and answers -> tensors."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError, shown
from gaia.runtime.answers import Answer
from gaia.runtime.contract import Contract
from gaia.runtime.predictor import Predictor
from gaia.serving.uploads import parsed

HEADER = "Inference-Header-Content-Length"  # bytes of the JSON before the binary tensors
NUMBERS = {
    "BOOL": np.dtype("?"), "UINT8": np.dtype("u1"), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"), "INT8": np.dtype("i1"), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"), "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
}  # fmt: skip


class Tensor(NamedTuple):
    """`values`: numbers [*shape], or for the type BYTES texts or bytes, flat."""

    name: str
    type: str
    shape: list[int]
    values: Any


class Request(NamedTuple):
    """What was sent: its id, the input tensors by name, the outputs that are wanted (all if none is named), and for
    each whether in binary."""

    id: str
    inputs: dict[str, Tensor]
    outputs: list[str]
    binary: dict[str, bool]


def metadata(contract: Contract, versions: list[str]) -> dict[str, Any]:
    """What the protocol says of a model: its inputs and outputs; -1: any number."""
    asked = contract["input"]
    if asked["kind"] == "photo":
        inputs = [_about("photos", "UINT8", [-1, asked["size"], asked["size"], 3])]
    else:
        text = [each["type"] == "category" or "order" in each or "date" in each for each in asked["features"]]
        inputs = [
            _about(each["name"], "BYTES" if is_text else "FP64", [-1])
            for each, is_text in zip(asked["features"], text, strict=True)
        ]
    outputs = [
        _about("probabilities", "FP32", [-1, len(contract["labels"])]), _about("label", "BYTES", [-1]),
        _about("uncertain", "BOOL", [-1]),
    ]  # fmt: skip
    platform = "onnxruntime_onnx" if contract["model"].endswith(".onnx") else contract["framework"] or ""
    return {
        "name": contract["line"], "versions": versions, "platform": platform, "inputs": inputs, "outputs": outputs
    }  # fmt: skip


def read(body: bytes, header: str | None) -> Request:
    """The request. Raises GaiaError, saying which tensor, for what isn't as the protocol has it."""
    if header is not None and not (header.isdecimal() and int(header) <= len(body)):
        raise GaiaError(f"{HEADER} is {shown(header)}, and the body has {len(body)} bytes.")
    size = len(body) if header is None else int(header)
    said = parsed(body[:size])
    given = said.get("inputs") if isinstance(said, dict) else None
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise GaiaError(f"inputs is {shown(given)}", "it should be a list of tensors")
    inputs: dict[str, Tensor] = {}
    rest = memoryview(body)[size:]
    for each in given:
        tensor, rest = _tensor(each, rest)
        inputs[tensor.name] = tensor
    if len(rest):
        raise GaiaError(f"{len(rest)} bytes follow the last tensor.")
    asked = said.get("outputs") or []
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        raise GaiaError(f"outputs is {shown(asked)}", "it should be a list of outputs, each with a name")
    names = [str(each.get("name")) for each in asked]
    if strange := sorted(set(names) - {"probabilities", "label", "uncertain"}):
        raise GaiaError(f"there is no output {shown(strange[0])}", "there are probabilities, label and uncertain")
    always = _parameter(said, "binary_data_output") is True
    binary = {str(each.get("name")): _parameter(each, "binary_data") is True or always for each in asked}
    return Request(str(said.get("id", "")), inputs, names, binary or dict.fromkeys(OUTPUTS, always))


OUTPUTS = ("probabilities", "label", "uncertain")


def photos(model: Predictor, tensors: dict[str, Tensor]) -> tuple[NDArray[np.uint8] | None, list[bytes]]:
    """The tensor `photos`: pixels, uint8 [n, size, size, 3]; or, as BYTES [n], encoded photos (JPEG, PNG ...), which
    in JSON stand in base64.

    Raises GaiaError for another name, type or shape.
    """
    size = model.photo["size"]
    if list(tensors) != ["photos"]:
        raise GaiaError(f"the inputs are {', '.join(map(shown, tensors))}", "there should be one, photos")
    given = tensors["photos"]
    if given.type == "BYTES":
        return None, [_decoded(each) if isinstance(each, str) else each for each in given.values]
    if given.type != "UINT8" or len(given.shape) != 4 or given.shape[1:] != [size, size, 3]:
        raise GaiaError(
            f"photos is {given.type} {given.shape}", f"it should be UINT8 [n, {size}, {size}, 3], or BYTES [n] of files"
        )
    return given.values, []


def rows(model: Predictor, tensors: dict[str, Tensor]) -> list[dict[str, Any]]:
    """A tensor [n] or [n, 1] for each feature -> rows as mappings. Raises GaiaError if their lengths differ."""
    lengths = {name: math.prod(tensor.shape) for name, tensor in tensors.items()}
    if len(set(lengths.values())) != 1:
        raise GaiaError(f"the inputs have other lengths: {shown(lengths)}", "each feature needs a value for each row")
    columns = {name: [_cell(value) for value in np.ravel(tensor.values)] for name, tensor in tensors.items()}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def written(contract: Contract, version: str, asked: Request, answers: list[Answer]) -> tuple[bytes, int | None]:
    """The response, and if it carries binary tensors, the length of its JSON."""
    labels = contract["labels"]
    probabilities = np.array([[a["probabilities"][label] for label in labels] for a in answers], dtype="<f4")
    columns = {
        "probabilities": ("FP32", probabilities.reshape(-1, len(labels))),
        "label": ("BYTES", np.array([a["answer"].encode() for a in answers], dtype=object)),
        "uncertain": ("BOOL", np.array([bool(a["uncertain"]) for a in answers], dtype="?")),
    }
    outputs, parts = [], []
    for name in asked.outputs or OUTPUTS:
        kind, values = columns[name]
        about: dict[str, Any] = _about(name, kind, list(values.shape))
        if asked.binary.get(name):
            parts.append(_bytes(values) if kind == "BYTES" else values.tobytes())
            about["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            about["data"] = [v.decode() for v in values] if kind == "BYTES" else values.ravel().tolist()
        outputs.append(about)
    said = {"model_name": contract["line"], "model_version": version, "id": asked.id, "outputs": outputs}
    head = json.dumps(said).encode()
    return b"".join([head, *parts]), len(head) if parts else None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise GaiaError("photos holds a text that is no base64", "in JSON a photo's bytes stand in base64") from None


def _about(name: str, kind: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape}


def _parameter(said: dict[str, Any], name: str) -> Any:
    parameters = said.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _tensor(said: dict[str, Any], rest: memoryview) -> tuple[Tensor, memoryview]:
    name, kind, shape = said.get("name"), said.get("datatype"), said.get("shape")
    if not isinstance(name, str) or not name:
        raise GaiaError(f"an input's name is {shown(name)}", "it should be text")
    if kind not in NUMBERS and kind != "BYTES":
        raise GaiaError(f"{shown(name)} has the datatype {shown(kind)}", f"known are BYTES, {', '.join(NUMBERS)}")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape) or len(shape) > 8:
        raise GaiaError(f"{shown(name)} has the shape {shown(shape)}", "it should be a list of whole numbers")
    count = math.prod(shape)
    size = _parameter(said, "binary_data_size")
    if size is None:
        return Tensor(name, kind, shape, _listed(name, kind, shape, count, said.get("data"))), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise GaiaError(f"{shown(name)} has binary_data_size {shown(size)}, and {len(rest)} bytes are left.")
    part, rest = rest[:size], rest[size:]
    if kind == "BYTES":
        values: Any = _split(name, part, count)
    else:
        if size != count * NUMBERS[kind].itemsize:
            raise GaiaError(
                f"{shown(name)} has {size} bytes, and {kind} {shape} takes {count * NUMBERS[kind].itemsize}."
            )
        values = np.frombuffer(part, NUMBERS[kind]).reshape(shape)
    return Tensor(name, kind, shape, values), rest


def _listed(name: str, kind: str, shape: list[int], count: int, data: Any) -> Any:
    """The values of JSON's `data`, flat or nested."""
    flat: list[Any] = []
    todo = [data]
    while todo:
        each = todo.pop()
        if isinstance(each, list):
            todo += reversed(each)
        else:
            flat.append(each)
    if not isinstance(data, list) or len(flat) != count:
        raise GaiaError(f"{shown(name)} has {len(flat)} values, and {shape} takes {count}.")
    if kind == "BYTES":
        if strange := [each for each in flat if not isinstance(each, str)]:
            raise GaiaError(f"{shown(name)} holds {shown(strange[0])}", "BYTES in JSON are texts")
        return flat
    try:
        return np.array(flat, NUMBERS[kind]).reshape(shape)
    except (ValueError, TypeError, OverflowError):
        raise GaiaError(f"{shown(name)} holds what is no {kind}.") from None


def _split(name: str, part: memoryview, count: int) -> list[bytes]:
    """Texts, each after its length in 4 bytes (little-endian)."""
    found, at = [], 0
    while at + 4 <= len(part):
        size = int.from_bytes(part[at : at + 4], "little")
        found.append(bytes(part[at + 4 : at + 4 + size]))
        at += 4 + size
    if at != len(part) or len(found) != count:
        raise GaiaError(f"{shown(name)} has {len(found)} texts in {len(part)} bytes, and its shape takes {count}.")
    return found


def _bytes(values: Iterable[bytes]) -> bytes:
    return b"".join(len(each).to_bytes(4, "little") + each for each in values)


def _cell(value: Any) -> Any:
    """A tensor's element as a row has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
