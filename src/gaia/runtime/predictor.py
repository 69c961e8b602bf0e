"""A loaded artifact: inputs in, probabilities and a decision out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError, nearest
from gaia.inputs import photos as images
from gaia.inputs import tables
from gaia.runtime import artifact

if TYPE_CHECKING:
    import pandas as pd

Probabilities = NDArray[np.float32]
_BATCH = 64
_WRITTEN = {"separator": ",", "decimal": ".", "encoding": "utf-8"}  # where a contract doesn't say


@dataclass(frozen=True)
class Predictor:
    """What an artifact promises (its contract) and the function that keeps it."""

    contract: dict[str, Any]
    run: Callable[[Any], Probabilities]

    @property
    def labels(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return list(self.contract["labels"])

    def probabilities(self, inputs: Any) -> Probabilities:
        """float32 [n, classes], rows summing to 1, for inputs as `read_photos` or `read_rows` give them."""
        if len(inputs) == 0:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        return self.run(inputs)

    def decide(self, probabilities: Probabilities) -> NDArray[np.int64]:
        """The answers, as positions in `labels` [n].

        Two classes: the positive one from the contract's threshold on, else the other. More: the most probable.
        """
        if len(self.labels) != 2:
            return probabilities.argmax(axis=1)
        positive = self.labels.index(self.contract["positive"])
        yes = probabilities[:, positive] >= self.contract["threshold"]
        return np.where(yes, positive, 1 - positive)

    def read_photos(self, photos: Iterable[tuple[bytes, str]], **limits: float) -> NDArray[np.uint8]:
        """Photos as (content, name) -> uint8 [n, size, size, 3]. `limits` (max_megapixels, min_side) stand in for those
        of the contract. Raises images.UnusablePhoto with the reason."""
        asked = self._input("photo") | limits
        how = {key: asked[key] for key in ("size", "framing", "max_megapixels", "min_side")}
        return np.stack([images.read(content, name, **how)[0] for content, name in photos])

    def read_rows(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Rows as mappings from a feature's name, or its column in the training table, to a value -> a frame.

        Text is read as in training, with its decimal mark; an empty number counts as not measured; keys that are no
        features are left out. Raises GaiaError for a missing feature, text in a number, or a category that training
        never saw: an answer to those would be a guess.
        """
        asked = self._input("table")
        names, decimal = _names(asked), asked["decimal"]
        columns: dict[str, list[str]] = {feature["name"]: [] for feature in asked["features"]}
        for number, row in enumerate(rows, start=1):
            known = {names[key]: _text(value, decimal) for key, value in row.items() if key in names}
            for feature in asked["features"]:
                if feature["name"] not in known:
                    unknown = [key for key in row if key not in names]
                    raise GaiaError(f"row {number} lacks {_called(feature)}{_misspelt(feature, unknown)}.")
                columns[feature["name"]].append(known[feature["name"]])
        return self._frame(columns, [f"row {number + 1}" for number in range(len(rows))], decimal)

    def read_table(self, file: Path) -> tuple[pd.DataFrame, list[str]]:
        """A CSV or Parquet file, read as the training table was -> a frame, and where each row stands in the file.

        Raises GaiaError as `read_rows` does, and for a file, header or row that can't be read without a guess.
        """
        asked = self._input("table")
        how = {key: asked[key] for key in _WRITTEN}
        rows = tables.read(self.contract["line"], file, _names(asked), **how)
        for place, reason in zip(rows.sources, rows.reasons, strict=True):
            if reason:
                raise GaiaError(f"{place} {reason.replace(': ', ', ')}", "mend or remove it")
        return self._frame(rows.columns, rows.sources, rows.decimal), rows.sources

    def _frame(self, columns: dict[str, list[str]], places: list[str], decimal: str) -> pd.DataFrame:
        import pandas as pd

        frame = {}
        for feature in self._input("table")["features"]:
            name, texts = feature["name"], columns[feature["name"]]
            if feature["type"] == "number":
                frame[name], wrong = tables.numbers(texts, decimal)
                if wrong.any():
                    at = int(np.argmax(wrong))
                    mark = f" (the decimal mark is '{decimal}')" * tables.looks_like_other_decimal(texts[at], decimal)
                    raise GaiaError(f"{places[at]}: {name} is '{texts[at]}', which is no number{mark}.")
            else:
                known = feature["categories"]
                for place, text in zip(places, texts, strict=True):
                    if text not in known:
                        raise GaiaError(
                            f"{place}: {name} is '{text}', which training never saw",
                            f"known are {', '.join(known[:20])}{nearest(text, known)}",
                        )
                frame[name] = np.array(texts, dtype=object)
        return pd.DataFrame(frame)

    def _input(self, kind: str) -> dict[str, Any]:
        asked: dict[str, Any] = _WRITTEN | self.contract["input"]
        if asked["kind"] != kind:
            raise GaiaError(f"{self.contract['line']} answers from a {asked['kind']}, not from a {kind}.")
        return asked


def load(folder: Path) -> Predictor:
    """The artifact in `folder`, every file verified and its golden answers replayed.

    Raises GaiaError if a file is missing or changed, or an answer is not the one that was sealed.
    """
    artifact.verify(folder)
    predictor = open_model(folder, artifact.read_json(folder / artifact.CONTRACT))
    from gaia.runtime import golden

    golden.replay(predictor, artifact.read_json(folder / artifact.GOLDEN))
    return predictor


def open_model(folder: Path, contract: dict[str, Any]) -> Predictor:
    """A predictor over the model file that the contract names, unverified: for sealing a new artifact."""
    model = folder / contract["model"]
    return Predictor(contract, _onnx(model) if model.suffix == ".onnx" else _catboost(model, contract))


def _names(asked: dict[str, Any]) -> dict[str, str]:
    """By which words a feature may be called: its name, or its column in the training table -> its name."""
    return {word: feature["name"] for feature in asked["features"] for word in (feature["column"], feature["name"])}


def _called(feature: dict[str, Any]) -> str:
    name, column = feature["name"], feature["column"]
    return f"'{name}'" if name == column else f"'{name}' (in training the column '{column}')"


def _misspelt(feature: dict[str, Any], unknown: list[str]) -> str:
    """The row's unknown key that may have been meant for the feature."""
    meant = next((key for key in unknown if nearest(key, [feature["name"], feature["column"]])), None)
    return f"; '{meant}' may be meant for it" if meant else ""


def _text(value: Any, decimal: str) -> str:
    """A value as it would stand in a cell of the training table."""
    if isinstance(value, float):
        return repr(float(value)).replace(".", decimal)
    return "" if value is None else str(value).strip()


def _onnx(model: Path) -> Callable[[Any], Probabilities]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # hardware that isn't there is no news
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(photos: NDArray[np.uint8]) -> Probabilities:
        pieces = [photos[i : i + _BATCH] for i in range(0, len(photos), _BATCH)]
        return np.concatenate([session.run(None, {name: np.ascontiguousarray(p)})[0] for p in pieces])

    return run


def _catboost(model: Path, contract: dict[str, Any]) -> Callable[[Any], Probabilities]:
    import catboost  # the only reader of .cbm with text categories

    booster = catboost.CatBoost().load_model(str(model))
    categories = [f["name"] for f in contract["input"]["features"] if f["type"] == "category"]
    several = len(contract["labels"]) > 2

    def run(rows: pd.DataFrame) -> Probabilities:
        pool = catboost.Pool(rows, cat_features=categories)
        kind = "Probability"
        answers = np.asarray(booster.predict(pool, prediction_type=kind, thread_count=-1), dtype=np.float32)
        return answers if several or answers.ndim == 2 else np.stack([1 - answers, answers], axis=1)

    return run
