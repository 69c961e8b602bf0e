"""conf/ + params.yaml -> the configuration of each line, resolved and validated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gaia import paths
from gaia.config import entry, raw, weights, written, yaml
from gaia.config.check import check
from gaia.config.resolve import chosen, resolve
from gaia.config.schema import GROUPS, PhotoLine, TableLine, schema_of
from gaia.config.sources import Sources
from gaia.config.stored import dump
from gaia.config.written import Written
from gaia.config.yaml import Keys
from gaia.errors import GaiaError, Problem, nearest


class Value(NamedTuple):
    """A value of a composed line: the keys that lead to it, and the file, and the name there, that it comes from."""

    keys: Keys
    value: Any
    file: str
    name: str


def compose_lines(root: Path = Path()) -> dict[str, PhotoLine | TableLine]:
    """Every line of params.yaml, composed. All are checked together, so that a mistake in one line stops
    the run before another line has trained.

    Raises GaiaError with each problem, once: a mistake in an option that two lines choose is one mistake.
    """
    files = written.read(root)
    lines = files.params["lines"]
    return dict(zip(lines, _compose_all(((files, line) for line in lines), root), strict=True))


def compose_as(line: str, entries: Iterable[dict[str, Any]], root: Path = Path()) -> list[PhotoLine | TableLine]:
    """One line as it would be composed if its entry in params.yaml were each of these.

    Raises GaiaError with all that is wrong with any of them.
    """
    files = written.read(root)
    as_if = (files._replace(params={**files.params, "lines": {line: content}}) for content in entries)
    return _compose_all(((each, line) for each in as_if), root)


def _compose_all(asked: Iterable[tuple[Written, str]], root: Path) -> list[PhotoLine | TableLine]:
    merge = cache(_merge)  # Hydra takes 0.1 s, and many lines choose the same
    composed: list[PhotoLine | TableLine] = []
    problems: list[Problem] = []
    with hydra.initialize_config_dir(str((root / paths.CONF).resolve()), version_base="1.3"):
        for files, line in asked:
            try:
                composed.append(_compose_line(files, line, merge)[0])
            except GaiaError as error:
                problems += error.problems
    if problems:
        raise GaiaError.several(problems)
    return composed


def trace_line(line: str, root: Path = Path()) -> list[Value]:
    """One line, composed: each value, as data/config/<line>.yaml orders them, and where it was written.

    Raises GaiaError if there is no such line, or for what is wrong with it; mistakes in other lines don't matter.
    """
    files = written.read(root)
    lines = files.params["lines"]
    if line not in lines:
        raise GaiaError(f"params.yaml has no line '{line}'", f"its lines are {', '.join(lines)}{nearest(line, lines)}")
    with hydra.initialize_config_dir(str((root / paths.CONF).resolve()), version_base="1.3"):
        config, sources = _compose_line(files, line, _merge)
        values = []
        for keys, value in yaml.values(dump(config)):
            lacking = value is None and keys[0] in GROUPS and len(keys) == 1  # as the framework has no use for it
            values.append(Value(keys, value, *sources.find(*(("framework",) if lacking else keys))))
    return values


def _merge(*overrides: str) -> dict[str, Any]:
    """What Hydra makes of conf/ if it is asked for these options; to be used while it is initialized."""
    merged: Any = OmegaConf.to_container(hydra.compose("config", overrides=list(overrides)))
    return dict(merged)


def _compose_line(
    files: Written, line: str, merge: Callable[..., dict[str, Any]]
) -> tuple[PhotoLine | TableLine, Sources]:
    choices, values = entry.read(line, files.params["lines"][line], files.options)
    sources = Sources(files.conf, line, choices, values)
    try:
        composed = merge(*sources.overrides())
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        raise GaiaError(*_defaults_problem(f"params.yaml: lines.{line}", error, files.options)) from None
    spec = chosen(composed, sources)
    sources = replace(sources, values=entry.meant(values, schema_of(spec.name)))
    content, problems = resolve(composed, sources, spec)
    try:
        config = check(sources, spec, content)
        problems += raw.problems(files.root, line, config, files.params.get("demo"))
        problems += weights.problems(files.root, line, config, sources)
    except GaiaError as error:
        problems += error.problems
    if problems:
        raise GaiaError.several(problems)
    return config, sources


def _defaults_problem(here: str, error: Exception, options: dict[str, list[str]]) -> Problem:
    """Hydra's complaint about a defaults list."""
    lines = [line for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line and not line.endswith(":")]
    said = lines[0].rstrip(".") if lines else type(error).__name__
    if isinstance(error, RecursionError):
        return Problem(f"{here}: an option that it chooses stands in its own defaults", "remove it there")
    if where := re.match(r"In '([^']+)': ConfigTypeError raised", str(error)):
        return Problem(
            f"conf/{where[1]}.yaml holds a list where its defaults hold keys, or keys for a list", "use the same"
        )
    if where := re.fullmatch(r"In '([^']+)': (.+)", said):
        here, said = f"conf/{where[1]}.yaml: defaults", where[2]
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group in options:
            known = f"the options in conf/{group}/ are {', '.join(options[group])}{nearest(option, options[group])}"
            return Problem(f"{here} names '{option}'", known)
        known = f"the folders of conf/ are {', '.join(options)}{nearest(group, options)}"
        return Problem(f"{here} names '{group}'", known)
    if unknown := re.match(r"Could not override '([^'@]+)'", said):
        group = unknown[1]
        if group in options:
            return Problem(f"conf/config.yaml: defaults doesn't choose {group}", f"add an entry '{group}: <option>'")
        return Problem(f"{here} overrides '{group}', which conf/config.yaml doesn't choose{nearest(group, options)}.")
    return Problem(f"{here}: {said}.")
