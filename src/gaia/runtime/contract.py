"""The contract: what an artifact takes, and how its answers are meant. What stands in contract.json is decided here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, cast

from gaia.errors import GaiaError, nearest
from gaia.runtime import artifact
from gaia.runtime.typed import misfit

if TYPE_CHECKING:
    from gaia.config.schema import PhotoLine, TableLine


class PhotoInput(TypedDict):
    """A photo: how it is read, and what the model takes."""

    kind: Literal["photo"]
    size: int  # px
    colour: str
    framing: str
    resampling: str
    type: str
    scaling: str
    max_megapixels: float
    min_side: int  # px


class Feature(TypedDict):
    """A column of the training table, under the name that the model knows it by."""

    name: str
    column: str
    type: Literal["category", "number"]
    categories: NotRequired[list[str]]  # those that training has seen; '': an empty cell is one of them
    range: NotRequired[list[float]]  # the least and the greatest number that training has seen
    order: NotRequired[list[str]]  # a number that is written as one of these words: its place, from 0
    date: NotRequired[bool]  # a number that is written as a date: days since 1970-01-01
    gaps: NotRequired[float]  # share of training's rows that lack this number


class TableInput(TypedDict):
    """A row of a table, and how the table is written."""

    kind: Literal["table"]
    features: list[Feature]
    separator: str
    decimal: str
    encoding: str


class Contract(TypedDict):
    """contract.json in the newest format."""

    format: int
    line: str
    question: str | None
    framework: str | None  # which made the model file, and so knows what reads it; None: it is ONNX (format 1)
    model: str  # the name of its file
    input: PhotoInput | TableInput
    labels: list[str]  # in the order of the probabilities
    positive: str
    threshold: float  # of the positive one, where there are two
    strange_above: NotRequired[float]  # from above which strangeness on training saw nothing like it


def make(
    line: str, config: PhotoLine | TableLine, labels: list[str], features: list[dict[str, Any]], model: str
) -> Contract:
    """What a line's configuration and data promise of its model. Raises GaiaError if the positive class isn't one."""
    positive = config.evaluation.positive or labels[-1]
    if positive not in labels:
        raise GaiaError(
            f"{line}: evaluation.positive is '{positive}', which is none of the classes "
            f"{', '.join(labels)}{nearest(positive, labels)}."
        )
    data, threshold = config.data, config.evaluation.threshold
    asked: PhotoInput | TableInput
    if data.kind == "photos":
        asked = {
            "kind": "photo",
            "size": data.image_size,
            "colour": "RGB",
            "framing": data.framing,
            "resampling": "bilinear",
            "type": "uint8 [n, size, size, 3]",
            "scaling": "inside the model",
            "max_megapixels": data.max_megapixels,
            "min_side": data.min_side,
        }
    else:
        how = {"separator": data.separator, "decimal": data.decimal, "encoding": data.encoding}
        asked = cast("TableInput", {"kind": "table", "features": features, **how})
    return {
        "format": artifact.FORMAT,
        "line": line,
        "question": config.question,
        "framework": config.framework,
        "model": model,
        "input": asked,
        "labels": labels,
        "positive": positive,
        "threshold": threshold if isinstance(threshold, float) else 0.5,  # what a rule chooses comes with the seal
    }


def category(name: str) -> str:
    """A category as it is shown: one may be an empty cell."""
    return name or "(not given)"


def write(folder: Path, contract: Contract) -> None:
    """Write contract.json."""
    artifact.write_json(folder / artifact.CONTRACT, contract)


def read(folder: Path, mend: str | None = None) -> Contract:
    """contract.json, brought up to the newest format.

    Raises GaiaError, with what would `mend` it, if it is missing, damaged, or of a later format.
    """
    path = folder / artifact.CONTRACT
    content = newest(artifact.read_format(path, mend))
    wrong = misfit(content, Contract)
    if not wrong and Path(content["model"]).name != content["model"]:
        wrong = f"model is '{content['model']}'"  # which the manifest doesn't vouch for
    if wrong:
        raise GaiaError(f"{path} is damaged: {wrong}", mend or artifact.restored(folder))
    return cast("Contract", content)


def newest(old: dict[str, Any]) -> dict[str, Any]:
    """What a contract.json of any known format says, in the words of the newest.

    Format 2 names the framework, and how a table is written. Until then every table had commas and points in UTF-8,
    unless it said otherwise, and the file's suffix said what reads it.
    """
    if old.get("format", 1) == artifact.FORMAT:
        return old
    asked = old.get("input")
    if isinstance(asked, dict) and asked.get("kind") == "table":
        asked = {"separator": ",", "decimal": ".", "encoding": "utf-8"} | asked
    framework = "catboost" if str(old.get("model")).endswith(".cbm") else None
    return {**old, "format": artifact.FORMAT, "framework": framework, "input": asked}
