"""How strange a photo is to a network, as a second output of its ONNX file: what its convolutions make of the photo,
beside what they make of those that it was trained on.

No framework has to do anything for it: convolutions are found in the exported graph, whoever exported it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.helper import make_node, make_tensor_value_info
from scipy.linalg import eigh

from gaia.frameworks.onnx import INPUT, STRANGENESS

DEPTHS = 0.0, 0.25, 0.5, 1.0  # of the convolutions, first to last: colours, textures, parts, what the answer is made of
BATCH = 64
LEAST = 1e-3  # of a variance, where that of a feature is 1: below, it would be rounding that is measured
AXES = 32  # along which a distance is measured by what is usual there; the rest counts as one


class Ruler(NamedTuple):
    """What a distance is measured by: |y|^2 + (y @ axes)^2 @ weights for y = (features - mean) * scale, of which the
    logarithm counts: by how many `spread` it is above what is `usual`."""

    mean: NDArray[np.float32]  # [d]
    scale: NDArray[np.float32]  # [d]
    axes: NDArray[np.float32]  # [d, k]
    weights: NDArray[np.float32]  # [k]
    usual: float
    spread: float


def features(file: Path, photos: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """What a file's convolutions make of photos, in stacks uint8 [n, size, size, 3]: for each depth [photos, d], mean
    and root mean square of each channel. Nothing if the network has no convolution."""
    import onnxruntime

    model = onnx.load(file)
    if not (names := _pool(model.graph)):
        return []
    for name in names:
        model.graph.output.append(make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", None]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    pieces = [stack[at : at + BATCH] for stack in photos for at in range(0, len(stack), BATCH)]
    found = [session.run(names, {INPUT: np.ascontiguousarray(piece)}) for piece in pieces]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def ruler(train: NDArray[np.float32], validation: NDArray[np.float32]) -> Ruler:
    """What tells features [n, d] like those of training from others: the distance of Mahalanobis along the AXES of most
    variance, and the energy off them (Lee et al. 2018, arXiv:1807.03888, of one class; Wang et al. 2022,
    arXiv:2203.10807, for the rest). The median of `validation` [m, d] is 0, its 95th percentile is 1.
    """
    mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(spread, 1e-6 * max(1.0, float(spread.max())))
    scaled = (train - mean) * scale
    covariance = scaled.T @ scaled / len(scaled)
    d = len(covariance)
    k = max(1, min(AXES, d // 2, len(train) // 2))
    variances, axes = eigh(covariance, subset_by_index=[d - k, d - 1])
    axes *= np.sign(axes[abs(axes).argmax(axis=0), range(k)])  # a direction has no sign of its own
    rest = max(float(np.trace(covariance) - variances.sum()), LEAST * d)
    weights = rest / (k * np.maximum(variances, LEAST)) - 1
    found = Ruler(
        mean.astype(np.float32), (scale / math.sqrt(rest)).astype(np.float32), axes.astype(np.float32),
        weights.astype(np.float32), 0.0, 1.0,
    )  # fmt: skip
    of_validation = distance(found, validation)
    usual, high = np.quantile(of_validation, (0.5, 0.95))
    return found._replace(usual=round(float(usual), 4), spread=round(max(float(high - usual), 1e-3), 4))


def distance(by: Ruler, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n] of features [n, d]: what the sealed file computes, but for its last digits."""
    y = (features - by.mean) * by.scale
    squares = (y**2).sum(axis=1) + ((y @ by.axes) ** 2) @ by.weights
    return np.asarray((np.log(np.maximum(squares, 1e-6)) - by.usual) / by.spread, dtype=np.float64)


def add(file: Path, rulers: Sequence[Ruler]) -> None:
    """Give a file a second output, `strangeness`, float32 [n]: the largest of the distances, by a ruler for each depth.
    The same bytes each time."""
    model = onnx.load(file)
    graph = model.graph
    far = []
    for name, ruler in zip(_pool(graph), rulers, strict=True):
        y = _node(graph, "Mul", _node(graph, "Sub", name, _held(graph, ruler.mean)), _held(graph, ruler.scale))
        along = _node(graph, "MatMul", y, _held(graph, ruler.axes))
        known = _node(graph, "MatMul", _node(graph, "Mul", along, along), _held(graph, ruler.weights[:, None]))
        whole = _node(graph, "ReduceSumSquare", y, _held(graph, np.array([1])))
        distance = _node(graph, "Max", _node(graph, "Add", whole, known), _held(graph, 1e-6))  # as rounding has it
        above = _node(graph, "Sub", _node(graph, "Log", distance), _held(graph, ruler.usual))
        far.append(_node(graph, "Div", above, _held(graph, ruler.spread)))
    farthest = _node(graph, "Max", *far)
    graph.node.append(make_node("Squeeze", [farthest, _held(graph, np.array([1]))], [STRANGENESS], name=STRANGENESS))
    graph.output.append(make_tensor_value_info(STRANGENESS, onnx.TensorProto.FLOAT, ["n"]))
    file.write_bytes(model.SerializeToString(deterministic=True))


def _pool(graph: onnx.GraphProto) -> list[str]:
    """Add what pools the convolutions at DEPTHS, [n, d] each; their names."""
    made = [node.output[0] for node in graph.node if node.op_type == "Conv"]
    places = dict.fromkeys(made[round(depth * (len(made) - 1))] for depth in DEPTHS) if made else {}
    found = []
    for place in places:
        sides = _held(graph, np.array([2, 3]))
        mean = _node(graph, "ReduceMean", place, sides, keepdims=0)
        square = _node(graph, "ReduceMean", _node(graph, "Mul", place, place), sides, keepdims=0)
        found.append(_node(graph, "Concat", mean, _node(graph, "Sqrt", square), axis=1))
    return found


def _node(graph: onnx.GraphProto, operation: str, *given: str, **attributes: Any) -> str:
    """Add a node; the name of its output."""
    name = f"{STRANGENESS}-{len(graph.node)}"
    graph.node.append(make_node(operation, given, [name], name=name, **attributes))
    return name


def _held(graph: onnx.GraphProto, value: Any) -> str:
    """Add a constant, whole numbers as axes and all else as float32; its name."""
    array = np.asarray(value)
    array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
    name = f"{STRANGENESS}-{len(graph.initializer)}-held"
    graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return name
