"""conf/ + a line's entry in params.yaml -> that line's configuration, resolved and validated."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from pydantic import ValidationError

from gaia import paths
from gaia.config import targets, yaml
from gaia.config.schema import Open, PhotoLine, TableLine, kind_of
from gaia.errors import GaiaError, nearest

LINE_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PLAIN_KEYS = ("raw", "question", "seed")


def compose_lines(root: Path = Path()) -> dict[str, PhotoLine | TableLine]:
    """Every line of params.yaml, composed. All are checked together, so that a mistake in one line stops
    the run before another line has trained.

    Raises GaiaError with a sentence a problem.
    """
    params = yaml.read(root / paths.PARAMS)
    entries = params.get("lines")
    if not isinstance(entries, dict) or not entries:
        raise GaiaError("params.yaml: the key 'lines' is missing or empty; give it one entry a line.")
    groups = _options(root / paths.CONF)
    for file in sorted((root / paths.CONF).rglob("*.yaml")):
        yaml.read(file)  # Hydra's own message names neither line nor duplicate key
    composed, problems = {}, []
    for name, entry in entries.items():
        try:
            composed[name] = _compose_line(root, name, entry, groups)
        except GaiaError as error:
            problems.append(str(error))
    if problems:
        raise GaiaError("\n".join(problems))
    return composed


def load(line: str) -> PhotoLine | TableLine:
    """The composed configuration of a line, as `compose` wrote it."""
    content = yaml.read(paths.config(line))
    return kind_of(content["framework"]).model_validate(content)


def dump(config: PhotoLine | TableLine) -> dict[str, Any]:
    """The configuration as plain data, `_target_` first in its section."""
    return config.model_dump(by_alias=True)


def _options(conf: Path) -> dict[str, list[str]]:
    return {d.name: sorted(f.stem for f in d.glob("*.yaml")) for d in sorted(conf.iterdir()) if d.is_dir()}


def _compose_line(root: Path, name: Any, entry: Any, groups: dict[str, list[str]]) -> PhotoLine | TableLine:
    here = f"params.yaml: lines.{name}"
    if not isinstance(name, str) or not LINE_NAME.fullmatch(name):
        raise GaiaError(
            f"{here}: a line's name is used in tags and paths, so it takes lower-case letters, digits and single "
            f"dashes, and begins with a letter; found '{name}'."
        )
    if not isinstance(entry, dict):
        raise GaiaError(f"{here} is {entry!r}; give it keys such as raw, framework, data and model.")
    choices, values = _read_entry(here, entry, groups)
    try:
        with initialize_config_dir(str((root / paths.CONF).resolve()), version_base="1.3"):
            overrides = [f"{group}={option}" for group, option in choices.items()]
            config = compose("config", overrides=overrides, return_hydra_config=True)
        choices = {k: v for k, v in config.hydra.runtime.choices.items() if k in groups and v}
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        content: Any = OmegaConf.to_container(OmegaConf.merge(config, values), resolve=True)
    except InterpolationResolutionError as error:
        # its first line is the cause; the key follows
        place = _place(root, name, entry, choices)(error.full_key or "")
        raise GaiaError(f"{place}: {str(error).splitlines()[0]}; name a key that exists.") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise GaiaError(f"{here}: {str(error).splitlines()[0]}") from None
    content["framework"] = content["framework"]["name"]
    for group in ("optimizer", "augmentation"):
        content[group] = content.get(group) or None
    return _validate(_place(root, name, entry, choices), content)


def _read_entry(here: str, entry: dict[str, Any], groups: dict[str, list[str]]) -> tuple[dict[str, str], dict]:
    """Which option of which group the entry chooses, and which values it sets."""
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    for key, value in entry.items():
        if key in PLAIN_KEYS:
            values[key] = value
        elif key not in groups:
            known = [*PLAIN_KEYS, *groups]
            raise GaiaError(f"{here}.{key}: unknown key; known are {', '.join(known)}{nearest(key, known)}.")
        else:
            option = value.get("use") if isinstance(value, dict) else value
            if isinstance(value, dict):
                values[key] = _without_nulls({k: v for k, v in value.items() if k != "use"})
            if option is not None:
                if option not in groups[key]:
                    raise GaiaError(
                        f"{here}.{key}: there is no conf/{key}/{option}.yaml; the options are "
                        f"{', '.join(groups[key])}{nearest(option, groups[key])}."
                    )
                choices[key] = option
    if "framework" not in choices:
        raise GaiaError(f"{here}.framework is missing; the options are {', '.join(groups['framework'])}.")
    return choices, values


def _without_nulls(values: Any) -> Any:
    """null in params.yaml means "as the option's file says", so that `dvc exp run -S` finds the key to set."""
    if isinstance(values, dict):
        return {k: _without_nulls(v) for k, v in values.items() if v is not None}
    return values


def _place(root: Path, name: str, entry: dict[str, Any], choices: dict[str, str]) -> Callable[[str], str]:
    """A function that names the file, and the key in it, where a resolved key's value was written."""

    def place(key: str) -> str:
        group, *rest = key.split(".")
        if group not in choices or _holds(entry, [group, *rest]):
            return f"params.yaml: lines.{name}.{key}"
        option = _origin(root / paths.CONF / group, choices[group], rest)
        return f"conf/{group}/{option}.yaml: {'.'.join(rest) or group}"

    return place


def _holds(node: Any, keys: list[str]) -> bool:
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node is not None


def _origin(folder: Path, option: str, keys: list[str]) -> str:
    """Which of an option's file and the files that it starts from sets the key."""
    content = yaml.read(folder / f"{option}.yaml")
    if not _holds(content, keys) and not _holds(content, [folder.name, *keys]):
        for default in content.get("defaults", []):
            if isinstance(default, str) and (folder / f"{(base := default.split('@')[0])}.yaml").is_file():
                return _origin(folder, base, keys)
    return option


def _validate(place: Callable[[str], str], content: dict[str, Any]) -> PhotoLine | TableLine:
    schema = kind_of(content["framework"])
    problems = [f"{place(key)} is not set (it stands as ???); give it a value." for key in _missing(content)]
    try:
        line = schema.model_validate(content) if not problems else None
    except ValidationError as error:
        problems = [_sentence(place, schema, e) for e in error.errors()]
    if problems or line is None:
        raise GaiaError("\n".join(problems))
    for group in targets.PACKAGES[line.framework]:
        problems += _target_problems(place, line.framework, group, getattr(line, group))
    if line.data.classes and line.evaluation.positive not in (None, *line.data.classes):
        problems.append(
            f"{place('evaluation.positive')} is '{line.evaluation.positive}', which is none of the classes "
            f"{', '.join(line.data.classes)}{nearest(line.evaluation.positive, line.data.classes)}."
        )
    if problems:
        raise GaiaError("\n".join(problems))
    return line


def _missing(content: Any, prefix: str = "") -> list[str]:
    if isinstance(content, dict):
        return [key for k, v in content.items() for key in _missing(v, f"{prefix}.{k}" if prefix else str(k))]
    return [prefix] if content == "???" else []


def _sentence(place: Callable[[str], str], schema: type, error: Any) -> str:
    """A pydantic error as one sentence of ours."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "missing":
        return f"{place(key)} is missing; give it a value."
    if error["type"] == "extra_forbidden":
        known = _known_keys(schema, location[:-1])
        return f"{place(key)}: unknown key; known are {', '.join(known)}{nearest(location[-1], known)}."
    if error["type"] == "value_error":
        return f"{place(key)} {error['ctx']['error']}."
    should = error["msg"].replace("Input should", "it should").replace("should have at", "needs at")
    suggestion = nearest(error["input"], re.findall(r"'([^']+)'", error["msg"]))
    return f"{place(key)} is {error['input']!r}; {should[0].lower()}{should[1:]}{suggestion}."


def _known_keys(schema: Any, location: list[str]) -> list[str]:
    for part in location:
        schema = schema.model_fields[part].annotation
    return sorted(schema.model_fields)


def _target_problems(place: Callable[[str], str], framework: str, group: str, section: Open) -> list[str]:
    wrong = targets.problem(framework, group, section.target)
    if wrong:
        return [f"{place(group + '._target_')} is '{section.target}', which {wrong}."]
    known = targets.arguments(section.target)
    if known is None:
        return []
    known = {"lr" if k == "learning_rate" and group == "optimizer" else k for k in known} - {"params"}
    return [
        f"{place(f'{group}.{key}')}: {section.target} takes no '{key}'; it takes "
        f"{', '.join(sorted(known)[:20])}{nearest(key, known)}."
        for key in section.arguments()
        if key not in known
    ]
