"""An exported ONNX model as the same bytes each time, naming nothing of the machine that exported it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx

from gaia.runtime.contract import Contract

INPUT, OUTPUT, STRANGENESS = "photos", "probabilities", "strangeness"
OPSET = 18  # of every model: the newest that both exporters write


def stable_bytes(model: onnx.ModelProto, inputs: Sequence[str] = (INPUT,)) -> bytes:
    """The model serialised after `model` was changed in place: no notes of the exporter (they name source files), and
    nodes and tensors ordered and named by their place in the graph (tf2onnx names them by their place in memory).

    The graph's inputs are called as `inputs` has them, its output `probabilities`, and the first dimension of each `n`.
    """
    graph = model.graph
    _rename(
        graph, dict(zip([value.name for value in graph.input], inputs, strict=True)) | {graph.output[0].name: OUTPUT}
    )
    for value in (*graph.input, graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    model.doc_string = graph.doc_string = ""
    for part in (model, graph, *model.functions, *graph.node, *(n for f in model.functions for n in f.node)):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    del graph.value_info[:]  # shapes in between: derived
    nodes = _from_outputs_back(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for name in (name for node in nodes for name in (*node.input, *node.output)):
        if name not in names:  # whose place tells it from all others; the dash, from inputs
            names[name] = f"t{len(names)}" if f"t{len(names)}" not in inputs else f"t{len(names)}-"
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    used = [initializers[name] for name in names if name in initializers]
    for tensor in used:
        tensor.name = names[tensor.name]
    for number, node in enumerate(nodes):
        node.name = f"n{number}"
        _replace(node.input, [names[name] for name in node.input])
        _replace(node.output, [names[name] for name in node.output])
    _replace(graph.node, nodes)
    _replace(graph.initializer, used)
    return model.SerializeToString(deterministic=True)


def describe(file: Path, contract: Contract) -> None:
    """Write into a model's file what its contract says, for servers that know nothing of contracts: its metadata are
    line, question, labels (a JSON list, in the order of the probabilities), positive, threshold and format. What was
    there of these is replaced; the same contract gives the same bytes."""
    model = onnx.load(file)
    said: dict[str, str] = {"line": contract["line"], "question": contract["question"] or ""}
    said |= {"labels": json.dumps(contract["labels"], ensure_ascii=False), "positive": contract["positive"]}
    said |= {"threshold": repr(contract["threshold"]), "format": str(contract["format"])}
    if "strange_above" in contract:
        said["strange_above"] = repr(contract["strange_above"])
    onnx.helper.set_model_props(model, dict(sorted(said.items())))
    file.write_bytes(model.SerializeToString(deterministic=True))


def calibrate(file: Path, temperature: float) -> None:
    """Let a file answer p^(1/temperature) over its sum where it answered p. The same bytes each time."""
    model = onnx.load(file)
    graph = model.graph
    # a table's column may be called anything, but for the output's name
    raw, sharpness, classes, powers, sums = (
        f"{OUTPUT}/{name}" for name in ("raw", "sharpness", "axis", "powers", "sums")
    )
    for node in graph.node:
        for names in (node.input, node.output):
            _replace(names, [raw if name == OUTPUT else name for name in names])
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(1 / temperature, np.float32), sharpness))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), classes))
    make = onnx.helper.make_node
    graph.node.append(make("Pow", [raw, sharpness], [powers], name="calibrated-powers"))
    graph.node.append(make("ReduceSum", [powers, classes], [sums], name="calibrated-sums"))
    graph.node.append(make("Div", [powers, sums], [OUTPUT], name="calibrated"))
    file.write_bytes(model.SerializeToString(deterministic=True))


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        _replace(node.input, [names.get(name, name) for name in node.input])
        _replace(node.output, [names.get(name, name) for name in node.output])


def _from_outputs_back(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each after those that it needs: depth first, in the order of the inputs."""
    made_by = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    seen: set[int] = set()
    pending = [(made_by[value.name], False) for value in reversed(graph.output)]
    while pending:
        node, ready = pending.pop()
        if ready:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            pending.append((node, True))
            pending += [(made_by[name], False) for name in reversed(node.input) if name in made_by]
    return ordered


def _replace(field: object, values: Iterable[object]) -> None:
    """Set a repeated field of a protocol buffer (copying first: the values may live in it)."""
    kept = [value if isinstance(value, str) else type(value).FromString(value.SerializeToString()) for value in values]  # type: ignore[attr-defined]
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]
