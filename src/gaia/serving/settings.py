"""How answers are given: what conf/serving/ says, read without a library that a prediction would have to wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict, cast, get_args, get_type_hints, is_typeddict

from gaia import paths
from gaia.config import yaml
from gaia.errors import GaiaError, Problem, nearest, shown
from gaia.runtime.typed import misfit


class Uncertain(TypedDict):
    """How close to the threshold an answer is doubted; by line where it isn't the same for all."""

    band: float
    lines: dict[str, float]


class Limits(TypedDict):
    """What a request may take."""

    megabytes: float
    inputs: int
    at_once: int | None
    waiting: int
    seconds: float


class Inspect(TypedDict):
    """The two lines that `POST /inspect` asks, and the risks between which it doubts."""

    conditions: str
    photo: str
    low: float
    high: float


class Log(TypedDict):
    """Where answers are kept, with or without what was asked, and how many days."""

    folder: str | None
    inputs: bool
    days: int


class Settings(TypedDict):
    """conf/serving/<option>.yaml"""

    uncertain: Uncertain
    limits: Limits
    shadow: str | None
    follow: float
    inspect: Inspect | None
    log: Log


RANGES: dict[yaml.Keys, tuple[float, float]] = {
    ("uncertain", "band"): (0, 1),
    ("limits", "megabytes"): (0.001, 10_000),
    ("limits", "inputs"): (1, 100_000),
    ("limits", "at_once"): (1, 1024),
    ("limits", "waiting"): (0, 100_000),
    ("limits", "seconds"): (0.1, 3600),
    ("follow",): (1, 86_400),
    ("inspect", "low"): (0, 1),
    ("inspect", "high"): (0, 1),
    ("log", "days"): (1, 36_500),
}


def read(root: Path = Path()) -> Settings:
    """What the project's conf/serving/ says, in the option that params.yaml chooses (`default` if it chooses none).

    Raises GaiaError with all that is missing, unknown, of another type or out of its range.
    """
    option = yaml.read(root / paths.PARAMS).get("serving", "default")
    known = sorted(file.stem for file in (root / paths.CONF / "serving").glob("*.yaml"))
    if option not in known:
        are = f"the options in conf/serving/ are {', '.join(known) or 'none'}{nearest(option, known)}"
        raise GaiaError(f"params.yaml: serving is {shown(option)}", are)
    file = paths.CONF / "serving" / f"{option}.yaml"
    said = yaml.read(root / file)
    if problems := [Problem(f"{file}: {found}", mend) for found, mend in _problems(said)]:
        raise GaiaError.several(problems)
    return cast("Settings", said)


def band(settings: Settings, line: str) -> float:
    """How close to its threshold an answer of this line is doubted, 0..1."""
    return settings["uncertain"]["lines"].get(line, settings["uncertain"]["band"])


def doubted(line: str, root: Path = Path()) -> float:
    """The same as the project says it; 0 in one that has no conf/serving/: nothing is doubted where nobody asked."""
    return band(read(root), line) if (root / paths.CONF / "serving").is_dir() else 0


def _problems(said: dict[str, Any]) -> list[Problem]:
    known = {".".join(keys) for keys in _keys(Settings)}
    found = [
        Problem(f"{name} is an unknown key", f"known are {', '.join(sorted(known))}{nearest(name, known)}")
        for name in ({yaml.dotted(keys) for keys, _ in yaml.values(said) if keys[:2] != ("uncertain", "lines")} - known)
    ]
    if wrong := misfit(said, Settings):
        return [*found, Problem(wrong, "conf/serving/default.yaml shows what may stand there")]
    ranges = RANGES | {("uncertain", "lines", line): (0, 1) for line in said["uncertain"]["lines"]}
    for keys, value in yaml.leaves(said):
        low, high = ranges.get(keys, (value, value))
        if value is not None and not isinstance(value, bool | str) and not low <= value <= high:
            found.append(Problem(f"{yaml.dotted(keys)} is {value}", f"it should be from {low:g} to {high:g}"))
    if (asked := said["inspect"]) and asked["low"] > asked["high"]:
        found.append(Problem(f"inspect.low is {asked['low']}, above inspect.high", "swap them"))
    return found


def _keys(kind: Any, keys: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The keys that lead to the values of a TypedDict, with those that may be null as a whole."""
    found: list[tuple[str, ...]] = []
    for name, hint in get_type_hints(kind).items():
        inner = [each for each in (hint, *get_args(hint)) if is_typeddict(each)]
        found += [key for each in inner for key in _keys(each, (*keys, name))]
        if not inner or type(None) in get_args(hint):
            found.append((*keys, name))
    return found
