"""What Hydra merged, and a line's own values over it -> plain data, without a reference left."""

from __future__ import annotations

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from gaia.config import framework, yaml
from gaia.config.framework import Framework
from gaia.config.sources import Sources
from gaia.errors import GaiaError, Problem, first_line, nearest, shown


def chosen(composed: dict[str, Any], sources: Sources) -> Framework:
    """The framework that the composed options name. Raises GaiaError if there is none of that name."""
    section = composed.get("framework")
    name = section.get("name") if isinstance(section, dict) else section
    known = framework.names()
    if not isinstance(name, str) or name not in known:
        raise GaiaError(
            f"{sources.place('framework', 'name')} is {shown(name)}",
            f"it should be one of {', '.join(known)}{nearest(name, known)}",
        )
    return framework.framework(name)


def resolve(composed: dict[str, Any], sources: Sources, spec: Framework) -> tuple[dict[str, Any], list[Problem]]:
    """The line's values over what was composed, as plain data, its framework as one word; and what was set though a
    line of this framework has no use for it.

    Raises GaiaError if a reference leads nowhere.
    """
    merged = _merged(composed, sources.values)
    problems = []
    for group in spec.unused:
        if merged.get(group):
            found = f"{sources.place(group)} is set, but framework {spec.name} takes no {group}"
            taken_away = (
                f"add 'override /{group}: null' to the defaults of conf/framework/{sources.choices['framework']}.yaml"
            )
            problems.append(Problem(found, "remove it" if group in sources.entry else taken_away))
        merged[group] = None
    config = OmegaConf.create(merged)
    try:
        content: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        raise GaiaError.several([*problems, _reference_problem(sources, config, error)]) from None
    return {**content, "framework": spec.name}, problems


def _merged(content: Any, values: Any) -> Any:
    """`values` over `content`, key by key where both hold keys; else the values alone, of whatever kind."""
    if isinstance(content, dict) and isinstance(values, dict):
        return {**content, **{key: _merged(content.get(key), value) for key, value in values.items()}}
    return values


def _reference_problem(sources: Sources, config: DictConfig, error: InterpolationResolutionError) -> Problem:
    keys = [int(k) if k.isdigit() else k for k in re.split(r"[.\[\]]+", error.full_key or "") if k]
    content: Any = OmegaConf.to_container(config)
    value = {yaml.dotted(k): v for k, v in yaml.leaves(content)}.get(error.full_key or "")
    found = f"{sources.place(*keys)} is {shown(value)}"
    said = re.sub(r"^\w+ raised while resolving interpolation: ", "", first_line(error)).strip('"')
    if missing := re.fullmatch(r"Interpolation key '(.+)' not found", said):
        known = {yaml.dotted(k[:n]) for k, _ in yaml.leaves(content) for n in range(1, len(k) + 1)}
        suggestion = nearest(missing[1], sorted(known))
        return Problem(found, f"there is no key {missing[1]}, name one that exists{suggestion}")
    if said.startswith("Recursive"):
        return Problem(found, "it refers to itself")
    return Problem(found, f"{said[0].lower()}{said[1:]}")
