"""A loaded model: inputs in, probabilities and a decision out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError
from gaia.inputs import photos as images
from gaia.runtime import rows as tables
from gaia.runtime.contract import Contract, PhotoInput, TableInput
from gaia.runtime.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

Probabilities = NDArray[np.float32]


class Said(NamedTuple):
    """What a model says of n inputs."""

    probabilities: Probabilities  # [n, classes], rows summing to 1
    strangeness: NDArray[np.float32] | None = None  # [n]; see the contract's `strange_above`


@dataclass(frozen=True)
class Predictor:
    """What an artifact promises (its contract) and the function that keeps it."""

    contract: Contract
    run: Callable[[Any], Said | Probabilities]

    @property
    def labels(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return list(self.contract["labels"])

    @property
    def photo(self) -> PhotoInput:
        """What the contract asks of a photo. Raises GaiaError if the model takes no photos."""
        asked = self.contract["input"]
        if asked["kind"] != "photo":
            raise GaiaError(f"{self.contract['line']} answers from a {asked['kind']}, not from a photo.")
        return asked

    @property
    def table(self) -> TableInput:
        """What the contract asks of a row. Raises GaiaError if the model takes no rows."""
        asked = self.contract["input"]
        if asked["kind"] != "table":
            raise GaiaError(f"{self.contract['line']} answers from a {asked['kind']}, not from a table.")
        return asked

    def ask(self, inputs: Any) -> Said:
        """What the model says of inputs as `read_photos` or `read_rows` give them."""
        if len(inputs) == 0:
            return Said(np.zeros((0, len(self.labels)), dtype=np.float32))
        said = self.run(inputs)
        return said if isinstance(said, Said) else Said(said)

    def probabilities(self, inputs: Any) -> Probabilities:
        """float32 [n, classes], rows summing to 1, for inputs as `read_photos` or `read_rows` give them."""
        return self.ask(inputs).probabilities

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
        """Photos as (content, name) -> uint8 [n, size, size, 3], n from 0 on. `limits` (max_megapixels, min_side) stand
        in for those of the contract. Raises images.UnusablePhoto with the reason."""
        asked: Any = self.photo | limits
        how = {key: asked[key] for key in ("size", "framing", "max_megapixels", "min_side")}
        read = [images.read(content, name, **how)[0] for content, name in photos]
        return np.stack(read) if read else np.zeros((0, asked["size"], asked["size"], 3), dtype=np.uint8)

    def read_rows(self, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Rows as mappings -> a frame; see rows.of_mappings. Raises GaiaError for the first that can't be answered."""
        return _whole(tables.of_mappings(self.table, rows, [f"row {at + 1}" for at in range(len(rows))])).frame

    def read_table(self, file: Path) -> tuple[pd.DataFrame, list[str]]:
        """A CSV or Parquet file -> a frame, and where each row stands in the file; see rows.of_file. Raises GaiaError
        for a file that can't be read, and for the first row that can't be answered."""
        read = _whole(tables.of_file(self.contract["line"], self.table, file))
        return read.frame, read.names


def _whole(read: Rows) -> Rows:
    if read.problems:
        raise GaiaError(*next(iter(read.problems.values())))
    return read
