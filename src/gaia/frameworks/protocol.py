"""What a framework's folder offers beside its spec.py: the functions of fit.py and export.py, with the same meaning for
all.

To add one, say `forest` for tables: gaia/frameworks/forest/ with an `__init__.py` (a docstring), spec.py (see
gaia/config/framework.py), fit.py and export.py as below, and the module that the spec calls `reader`; and
conf/framework/forest.yaml and conf/model/forest.yaml.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, overload

import numpy as np
from numpy.typing import NDArray

from gaia.config.schema import PhotoLine, TableLine
from gaia.data.dataset import Dataset

# Of each epoch (tree, round; the one step of a fit without any) a row: `epoch` (from 1), `learning_rate` (NaN where
# there is none), and train_loss, train_accuracy, validation_loss and validation_accuracy: log loss, and shares in 0..1.
History = list[dict[str, float]]
Show = Callable[[float, dict[str, float] | None], None]  # epochs done (with fractions), the finished epoch's row


class Fit(NamedTuple):
    """A finished training: the network or trees as of the kept epoch (from 1), and how it came about.

    A rehearsal has no history, and keeps epoch 0.
    """

    network: Any
    history: History
    kept_epoch: int


class Fitting(Protocol):
    """fit.py. Whatever it imports is imported in the train stage of its own lines alone."""

    def fit(self, config: Any, data: Dataset, checkpoint: Path, show: Show) -> Fit:
        """Train on data.rows("train"), choose on data.rows("validation"), touch no test row.

        The same inputs give the same answers on the same machine, interrupted or not: `checkpoint` is a folder of this
        very training, which may be missing, and may hold what an interrupted run of it left (loop.save_checkpoint). A
        fit of seconds needs none. `show` may be called after any step. Where a network starts from other weights than
        random ones, config.model.weights is the path of their file.

        Raises GaiaError if the configuration can't be trained, with the key to change.
        """

    def answers(self, fitted: Fit, inputs: Any) -> NDArray[np.float32]:
        """Its own probabilities [n, classes] for data.take(rows): what the exported file has to reproduce."""


class Counting(Fitting, Protocol):
    """fit.py of a framework whose spec has a `unit`: what it counts, it can do again."""

    def refit(self, config: Any, data: Dataset, first: Fit, checkpoint: Path, show: Show) -> Fit:
        """Train anew for exactly `first.kept_epoch` epochs, by the very schedule and rates of the training that chose
        them, and keep the last. data.rows("train") holds train and validation, data.rows("validation") nothing, so
        that the history has no validation_loss and validation_accuracy.

        `checkpoint` is another folder than that of `fit`, of which all else holds.
        """


class Rehearsing(Counting, Protocol):
    """fit.py of a framework for photos, whose trainings take hours."""

    def rehearse(self, config: PhotoLine, data: Dataset) -> Fit:
        """One step on loop.first_batch, with a network of its own: training then begins as if nothing had been.

        Raises GaiaError if the optimizer can't take the step, and whatever the network raises.
        """


class Exporting(Protocol):
    """export.py."""

    def export(self, fitted: Fit, data: Dataset, folder: Path) -> str:
        """Write what ships, the same bytes each time (no dates, names or paths of this run) and nothing that is
        unpickled; returns the name of the file that the spec's `reader` opens.

        Raises any exception if the network can't be exported.
        """


class Published(NamedTuple):
    """A file of weights that somebody publishes: what it is called, where it lies, its licence (None: not said), and
    what it is to be held to: its md5 (32 hexadecimal digits), its sha256 or the beginning of that; None: not said."""

    name: str
    source: str
    licence: str | None
    digest: str | None


class Publishing(Protocol):
    """published.py of a framework whose spec names words under `published`."""

    def published(self, config: PhotoLine) -> Published:
        """The file that a word of `spec.published` in model.weights stands for. Nothing is downloaded."""


@overload
def fitting(config: PhotoLine) -> Rehearsing: ...
@overload
def fitting(config: PhotoLine | TableLine) -> Counting: ...
def fitting(config: PhotoLine | TableLine) -> Counting:
    """fit.py of the line's framework; `refit` is there if the line has a trainer."""
    return cast("Counting", import_module(f"gaia.frameworks.{config.framework}.fit"))


def exporting(config: PhotoLine | TableLine) -> Exporting:
    """export.py of the line's framework."""
    return cast("Exporting", import_module(f"gaia.frameworks.{config.framework}.export"))


def publishing(config: PhotoLine) -> Publishing:
    """published.py of the line's framework."""
    return cast("Publishing", import_module(f"gaia.frameworks.{config.framework}.published"))
