"""Where and how work is done: what conf/engine/ says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from gaia import paths
from gaia.config import resources, yaml
from gaia.engines.job import Needs
from gaia.errors import GaiaError, nearest, shown
from gaia.runtime.typed import misfit


class Settings(TypedDict):
    """conf/engine/<option>.yaml"""

    kind: Literal["local", "ray"]
    jobs: int | None
    address: NotRequired[str | None]
    retries: NotRequired[int]


def read(option: str | None = None, root: Path = Path(), jobs: int | None = None) -> Settings:
    """The settings of an option of conf/engine/: the one that is asked for, or that params.yaml names, or `local`; with
    so many `jobs` at once, if that is asked for.

    Raises GaiaError if there is no such option, or it says what can't be.
    """
    given = option or yaml.read(root / paths.PARAMS).get("engine", "local")
    known = sorted(file.stem for file in (root / paths.CONF / "engine").glob("*.yaml"))
    if given not in known:
        are = f"the options in conf/engine/ are {', '.join(known) or 'none'}{nearest(given, known)}"
        raise GaiaError(f"engine is {shown(given)}" if option else f"params.yaml: engine is {shown(given)}", are)
    file = paths.CONF / "engine" / f"{given}.yaml"
    said = yaml.read(root / file)
    keys = [*Settings.__annotations__] if said.get("kind") == "ray" else ["kind", "jobs"]
    if unknown := [key for key in said if key not in keys]:
        raise GaiaError(f"{file}: {unknown[0]} is an unknown key", f"known are {', '.join(keys)}")
    if wrong := misfit(said, Settings):
        raise GaiaError(f"{file}: {wrong}", "the files that came with conf/engine/ show what may stand there")
    for key, least in (("jobs", 1), ("retries", 0)):
        if isinstance(value := said.get(key), int) and value < least:
            raise GaiaError(f"{file}: {key} is {value}", f"it should be {least} or more")
    found = cast("Settings", said)
    found["jobs"] = jobs or found["jobs"]
    return found


def needs(entry: dict[str, Any], trainer: Mapping[str, Any]) -> Needs:
    """What a line takes of a host: as its entry in params.yaml says, else as its composed trainer will."""
    said = resources.of(entry)
    gpus = said.gpus if said.gpus is not None else float(trainer.get("device") == "cuda")
    return Needs(said.cpus or trainer.get("threads"), gpus, said.memory)


def address(settings: Settings) -> str | None:
    """That of the Ray cluster, as it is said; None: one is started on this machine."""
    return settings.get("address") or os.environ.get("RAY_ADDRESS") or None
