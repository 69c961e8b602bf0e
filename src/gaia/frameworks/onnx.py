"""An exported ONNX model as the same bytes each time, naming nothing of the machine that exported it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx


def stable_bytes(model: onnx.ModelProto) -> bytes:
    """The model serialised after `model` was changed in place: no notes of the exporter (they name source files), and
    nodes and tensors ordered and named by their place in the graph (tf2onnx names them by their place in memory).

    Inputs and outputs of the graph keep their names.
    """
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    for part in (model, graph, *model.functions, *graph.node, *(n for f in model.functions for n in f.node)):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    del graph.value_info[:]  # shapes in between: derived
    nodes = _from_outputs_back(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for node in nodes:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"t{len(names)}")
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
