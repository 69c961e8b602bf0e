"""How a search goes: what conf/sweep/default.yaml says, and the command line over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from gaia import paths
from gaia.config import yaml
from gaia.errors import GaiaError, Problem, nearest
from gaia.runtime.typed import misfit

FILE = paths.CONF / "sweep" / "default.yaml"
METRICS = {"log_loss": ("validation_loss", "minimize"), "accuracy": ("validation_accuracy", "maximize")}


class Settings(TypedDict):
    """conf/sweep/default.yaml"""

    trials: int
    metric: Literal["log_loss", "accuracy"]
    sampler: Literal["tpe", "random", "grid"]
    pruner: Literal["asha", "hyperband", "none"]
    seed: int


def read(given: dict[str, Any], root: Path = Path()) -> Settings:
    """The settings; `given` goes before, but for its nulls.

    Raises GaiaError with all that is missing, unknown, of another type or out of its range.
    """
    said = yaml.read(root / FILE) | {key: value for key, value in given.items() if value is not None}
    known = Settings.__annotations__
    problems = [
        Problem(f"{FILE}: {key} is an unknown key", f"known are {', '.join(known)}{nearest(key, known)}")
        for key in said
        if key not in known
    ]
    if wrong := misfit(said, Settings):
        problems.append(Problem(f"{FILE}: {wrong}", "its comments in a fresh checkout say what may stand there"))
    elif said["trials"] < 1 or said["seed"] < 0:
        problems.append(Problem(f"trials is {said['trials']}, seed {said['seed']}", "at least 1, and at least 0"))
    if problems:
        raise GaiaError.several(problems)
    return cast("Settings", said)
