"""The composed configuration as `compose` wrote it: what the later stages read, without Hydra."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import PhotoLine, TableLine, errors, schema_of
from gaia.errors import GaiaError


def load(line: str) -> PhotoLine | TableLine:
    """The composed configuration of a line, as `compose` wrote it.

    Raises GaiaError if it is missing, or was edited since.
    """
    file = paths.config(line)
    content = yaml.read(file)
    try:
        return schema_of(str(content.get("framework"))).model_validate(content)
    except (GaiaError, ValidationError) as error:
        key = yaml.dotted(errors(error)[0]["loc"]) if isinstance(error, ValidationError) else "framework"
        raise GaiaError(f"{file}: {key} is not as composed", "edit params.yaml or conf/, and run `dvc repro`") from None


def dump(config: PhotoLine | TableLine, *without: str) -> dict[str, Any]:
    """The configuration as plain data, `_target_` first in its section; some sections may be left out."""
    return config.model_dump(by_alias=True, exclude=set(without))
