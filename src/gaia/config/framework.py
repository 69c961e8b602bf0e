"""What a framework promises. (A stand-in: just what the runtime asks.)"""

from __future__ import annotations

from typing import NamedTuple

from gaia.errors import GaiaError, nearest


class Framework(NamedTuple):
    reader: str  # the module whose `open_model(file, contract)` gives what answers


_ALL = {
    "pytorch": Framework("gaia.runtime.onnx"),
    "keras": Framework("gaia.runtime.onnx"),
    "catboost": Framework("gaia.frameworks.catboost.reader"),
}


def framework(name: str) -> Framework:
    """The framework of this name. Raises GaiaError if there is none."""
    if name not in _ALL:
        raise GaiaError(f"there is no framework '{name}'{nearest(name, _ALL)}", f"known are {', '.join(_ALL)}")
    return _ALL[name]
