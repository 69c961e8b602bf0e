"""A Pipeline as ONNX: an input for each column, as the table has it, so that who asks needs no scikit-learn.

Numbers stay float64 from the input to the last comparison: a number beside a tree's threshold falls on the same side
as in training. (The usual converters round both to float32.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from gaia.data.dataset import Dataset
from gaia.frameworks.onnx import OPSET, OUTPUT, stable_bytes
from gaia.frameworks.protocol import Fit

ML = "ai.onnx.ml"
ML_OPSET = 3  # the first with trees of float64


def export(fitted: Fit, data: Dataset, folder: Path) -> str:
    """Write model.onnx: for each feature an input [n, 1], of text or float64; `probabilities`, float32 [n, classes].

    Returns the name of the file that the runtime loads.
    """
    encoder, model = fitted.network
    graph = _Graph(data.features)
    encoded = graph.onehot()
    scaling, used = next((how, names) for kind, how, names in encoder.transformers_ if kind == "numbers")
    numbers = [graph.joined(used)] if used else []
    if isinstance(model, LogisticRegression):
        scores = _linear(graph, model, encoded, numbers, scaling)
    else:
        scores = _trees(graph, model, [*encoded, *numbers], len(data.labels))
    graph.add("Cast", [graph.add("Softmax", [scores], axis=1)], OUTPUT, to=TensorProto.FLOAT)
    (folder / "model.onnx").write_bytes(stable_bytes(graph.model(len(data.labels)), graph.names))
    return "model.onnx"


class _Graph:
    """A graph as it grows."""

    def __init__(self, features: list[dict[str, Any]]) -> None:
        self.features = features
        self.names = [feature["name"] for feature in features]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """A node; gives the name of what it makes."""
        name = output or self._free()
        self.nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """A constant; gives its name."""
        self.constants.append(numpy_helper.from_array(values, self._free()))
        return self.constants[-1].name

    def onehot(self) -> list[str]:
        """For each category's column [n, categories], float64."""
        found = []
        for feature in self.features:
            if feature["type"] == "category":
                known = feature["categories"]
                marked = self.add("OneHotEncoder", [feature["name"]], domain=ML, cats_strings=known, zeros=1)
                flat = self.add("Reshape", [marked, self.constant(np.array([-1, len(known)]))])
                found.append(self.add("Cast", [flat], to=TensorProto.DOUBLE))
        return found

    def joined(self, parts: list[str]) -> str:
        """Columns beside each other."""
        return self.add("Concat", parts, axis=1)

    def model(self, classes: int) -> onnx.ModelProto:
        """The whole."""
        types = {"category": TensorProto.STRING, "number": TensorProto.DOUBLE}
        inputs = [helper.make_tensor_value_info(f["name"], types[f["type"]], ["n", 1]) for f in self.features]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", classes])
        graph = helper.make_graph(self.nodes, "table", inputs, [output], self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="gaia")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _free(self) -> str:
        name = f"_{len(self.nodes)}_{len(self.constants)}"
        while name in self.names:
            name += "_"
        return name


def _linear(graph: _Graph, model: LogisticRegression, parts: list[str], numbers: list[str], scaling: Any) -> str:
    """[n, classes], up to a term that all classes share. Scaling is a part of the weights."""
    weights, bias = model.coef_.T, model.intercept_
    for number in numbers:
        imputer, scaler = (step for _, step in scaling.steps)
        gap = graph.add("IsNaN", [number])
        parts = [*parts, graph.add("Where", [gap, graph.constant(imputer.statistics_[None]), number])]
        if len(imputer.indicator_.features_):
            told = graph.add("Gather", [gap, graph.constant(imputer.indicator_.features_.astype(np.int64))], axis=1)
            parts.append(graph.add("Cast", [told], to=TensorProto.DOUBLE))
        scaled = slice(len(weights) - len(scaler.scale_), None)
        weights = weights.copy()
        weights[scaled] /= scaler.scale_[:, None]
        bias = bias - scaler.mean_ @ weights[scaled]
    if weights.shape[1] == 1:  # of two classes the second's
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    product = graph.add("MatMul", [graph.joined(parts), graph.constant(weights)])
    return graph.add("Add", [product, graph.constant(bias)])


def _trees(graph: _Graph, model: Any, parts: list[str], classes: int) -> str:
    """[n, classes], float32, up to a term that all classes share."""
    first = classes - model.n_trees_per_iteration_  # of two classes the second's
    base = np.zeros(classes)
    base[first:] = model._baseline_prediction.ravel()
    trees = [(first + k, predictor.nodes) for each in model._predictors for k, predictor in enumerate(each)]
    ids = np.repeat(np.arange(len(trees)), [len(nodes) for _, nodes in trees])
    places = np.concatenate([np.arange(len(nodes)) for _, nodes in trees])
    targets = np.repeat([target for target, _ in trees], [len(nodes) for _, nodes in trees])
    nodes = np.concatenate([nodes for _, nodes in trees])
    leaf = nodes["is_leaf"].astype(bool)

    def inner(field: str) -> list[int]:
        return np.where(leaf, 0, nodes[field]).astype(np.int64).tolist()

    return graph.add(
        "TreeEnsembleRegressor",
        [graph.joined(parts)],
        domain=ML,
        n_targets=classes,
        base_values_as_tensor=numpy_helper.from_array(base),
        nodes_treeids=ids.tolist(),
        nodes_nodeids=places.tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=inner("feature_idx"),
        nodes_values_as_tensor=numpy_helper.from_array(np.where(leaf, 0.0, nodes["num_threshold"])),
        nodes_truenodeids=inner("left"),
        nodes_falsenodeids=inner("right"),
        nodes_missing_value_tracks_true=inner("missing_go_to_left"),
        target_treeids=ids[leaf].tolist(),
        target_nodeids=places[leaf].tolist(),
        target_ids=targets[leaf].tolist(),
        target_weights_as_tensor=numpy_helper.from_array(nodes["value"][leaf]),
    )
