"""A resolved configuration against the schema and the targets' signatures: each mistake, once."""

from __future__ import annotations

from typing import Any

import hydra
from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from gaia.config import schema, sentences, targets
from gaia.config.framework import Framework
from gaia.config.schema import NeuralModel, PhotoLine, TableLine, schema_of, weighed
from gaia.config.sources import Sources
from gaia.config.yaml import Keys, leaves
from gaia.errors import GaiaError, Problem, nearest, shown


def check(sources: Sources, spec: Framework, content: dict[str, Any]) -> PhotoLine | TableLine:
    """The line that `content` describes. Raises GaiaError with each mistake."""
    problems, settled = [], set()  # settled: keys and sections of which no more needs saying
    for keys in _unset(content) | _unset(sources.entry):
        problems.append(Problem(f"{sources.place(*keys)} is not set (it stands as ???)", "give it a value"))
        settled.add(keys)
    for group in spec.allowed:
        if wrong := _target_problem(sources, spec, group, content.get(group)):
            problems.append(wrong)
            settled.add((group,))
    errors: list[Any] = []
    try:
        line = schema_of(spec.name).model_validate(content)
    except ValidationError as error:
        errors = schema.errors(error)
    problems += _schema_problems(sources, spec, errors, settled)
    for group in spec.allowed:
        if (group,) not in settled:
            problems += _argument_problems(
                sources, spec, group, content.get(group), settled | {e["loc"] for e in errors}
            )
    if problems:
        raise GaiaError.several(problems)
    if problems := [*_no_classes(sources, line), *_future(sources, line), *_processes(sources, spec, line)]:
        raise GaiaError.several(problems)
    return line


def _no_classes(sources: Sources, line: PhotoLine | TableLine) -> list[Problem]:
    """What is named like a class where the classes are known, and is none."""
    classes, found = line.data.classes, []
    if not classes:
        return []
    if (positive := line.evaluation.positive) not in (None, *classes):
        found.append((f"{sources.place('evaluation', 'positive')} is '{positive}'", positive))
    for name in weighed(line.trainer) if line.trainer else ():
        if name not in classes:
            found.append((f"{sources.place('trainer', 'class_weights')} names '{name}'", name))
    known = f"it should be one of the classes {', '.join(classes)}"
    return [Problem(said, f"{known}{nearest(name, classes)}") for said, name in found]


def _future(sources: Sources, line: PhotoLine | TableLine) -> list[Problem]:
    """Folds know no time: each would be answered by models that have seen later items."""
    if not line.data.splits.by or line.evaluation.folds is None:
        return []
    found = f"{sources.place('evaluation', 'folds')} is set, and data.splits.by is '{line.data.splits.by}'"
    return [Problem(found, "folds would train on what comes later; set one of the two to null")]


def _processes(sources: Sources, spec: Framework, line: PhotoLine | TableLine) -> list[Problem]:
    if spec.processes or (asked := getattr(line.trainer, "processes", 1)) == 1:
        return []
    found = f"{sources.place('trainer', 'processes')} is {asked}, and framework {spec.name} trains in one"
    return [Problem(found, "set it to 1; trainer.threads says how many cores that takes")]


def _unset(content: Any) -> dict[Keys, None]:
    return {keys: None for keys, value in leaves(content) if value == "???"}


def _target_problem(sources: Sources, spec: Framework, group: str, section: Any) -> Problem | None:
    target = section.get("_target_") if isinstance(section, dict) else None
    if not isinstance(target, str) or target == "???":
        return None
    wrong = targets.problem(spec, group, target)
    if wrong is None:
        return None
    return Problem(f"{sources.place(group, '_target_')} is {shown(target)}, which {wrong.found}", wrong.mend)


def _argument_problems(
    sources: Sources, spec: Framework, group: str, section: Any, settled: set[Keys]
) -> list[Problem]:
    if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
        return []
    ours = NeuralModel.model_fields if group == "model" and spec.kind == "photos" else ("_target_",)
    given = {key: value for key, value in section.items() if key != "_target_" and key not in ours}
    problems = targets.argument_problems(spec, group, section["_target_"], given)
    return [
        Problem(f"{sources.place(group, key)} {wrong.found}", wrong.mend)
        for key, wrong in problems.items()
        if (group, key) not in settled
    ]


def _schema_problems(sources: Sources, spec: Framework, errors: list[Any], settled: set[Keys]) -> list[Problem]:
    """Data of the wrong kind are one mistake, of which no more needs saying either; so is an option that was made for
    other frameworks."""
    problems, told = [], set(settled)
    for e in errors:
        if e["loc"] == ("data", "kind") and e["type"] == "literal_error":
            found = f"{sources.place('data')} is of kind {shown(e['input'])} (see {sources.place('data', 'kind')})"
            takes = f"framework {spec.name} takes data of kind {e['ctx']['expected']}"
            problems.append(Problem(found, takes))
            told.add(("data",))
    for group, option in sources.choices.items():
        strange = [e for e in errors if e["loc"][:-1] == (group,) and e["type"] in ("missing", "extra_forbidden")]
        if len(strange) > 1 and (group,) not in told and (other := _fitting(sources, spec, group)):
            found = f"{sources.place(group)} is '{option}', which is not made for framework {spec.name}"
            problems.append(Problem(found, f"use {other}"))
            told.add((group,))
    errors = [e for e in errors if not any(e["loc"][:n] in told for n in range(1, len(e["loc"]) + 1))]
    return problems + sentences.problems(errors, schema_of(spec.name), sources.find, f" with framework {spec.name}")


def _fitting(sources: Sources, spec: Framework, group: str) -> str | None:
    """The option that the line would have if it chose none in the group, provided that it fits."""
    config = hydra.compose("config", overrides=sources.overrides(group), return_hydra_config=True)
    option: str | None = config.hydra.runtime.choices.get(group)
    section: Any = schema_of(spec.name).model_fields[group].annotation
    try:
        TypeAdapter(section).validate_python(OmegaConf.to_container(config[group]))
    except ValidationError:
        return None
    return option
