"""Gaia Vision: from YAML to a trained, evaluated, versioned classifier."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:  # `from gaia import ModelStorage`, when it is asked for
    if name == "ModelStorage":
        from gaia.storage.models import ModelStorage

        return ModelStorage
    if name == "ModelVersionManager":
        from gaia.api import ModelVersionManager

        return ModelVersionManager
    raise AttributeError(f"module 'gaia' has no attribute '{name}'")
