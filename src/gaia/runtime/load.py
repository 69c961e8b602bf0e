"""From an artifact's folder to what answers."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from gaia.config.framework import framework
from gaia.runtime import artifact, contract, golden
from gaia.runtime.contract import Contract
from gaia.runtime.predictor import Predictor


def load(folder: Path, mend: str | None = None, threads: int | None = None) -> Predictor:
    """The artifact in `folder`, every file verified and its golden answers replayed; `threads` as in `open_model`.

    Raises GaiaError, with what would `mend` it (if nothing is given: in the workspace), if a file is missing or
    changed, of a later format, or an answer is not the one that was sealed.
    """
    artifact.verify(folder, mend)
    predictor = open_model(folder, contract.read(folder, mend), threads)
    golden.replay(predictor, golden.read(folder, mend))
    return predictor


def open_model(folder: Path, promised: Contract, threads: int | None = None) -> Predictor:
    """A predictor over the model file that the contract names, neither verified nor tested: for those who do that
    themselves, and for sealing a new artifact. One call computes with so many `threads`; None: one for each core."""
    return Predictor(promised, reader(promised).open_model(folder / promised["model"], promised, threads))


def reader(promised: Contract) -> ModuleType:
    """The module that opens the model's file."""
    made_by = promised["framework"]
    return importlib.import_module(framework(made_by).reader if made_by else "gaia.runtime.onnx")
