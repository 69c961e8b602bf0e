"""Gaia Vision: from YAML to a trained, evaluated, versioned classifier."""

from __future__ import annotations

from typing import Any

__all__ = ["ModelStorage", "ModelVersionManager"]


def __getattr__(name: str) -> Any:  # `from gaia import ModelStorage`, when it is asked for
    if name in __all__:
        from gaia import api

        return getattr(api, name)
    raise AttributeError(f"module 'gaia' has no attribute '{name}'")
