"""A resolved configuration against the schema and the targets' signatures: a sentence for each mistake."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from gaia.config import targets
from gaia.config.schema import PhotoLine, TableLine, kind_of
from gaia.config.sentences import sentences
from gaia.config.sources import Sources
from gaia.config.yaml import Keys, leaves
from gaia.errors import GaiaError, nearest, shown


def check(sources: Sources, framework: str, content: dict[str, Any]) -> PhotoLine | TableLine:
    """The line that `content` describes. Raises GaiaError with a sentence a mistake."""
    schema = kind_of(framework)
    problems, settled = [], set()  # settled: keys and sections of which no more needs saying
    for keys in _unset(content) | _unset(sources.entry):
        problems.append(f"{sources.place(*keys)} is not set (it stands as ???); give it a value.")
        settled.add(keys)
    for group in targets.ALLOWED[framework]:
        if wrong := _target_problem(sources, framework, group, content.get(group)):
            problems.append(wrong)
            settled.add((group,))
    errors: list[Any] = []
    try:
        line = schema.model_validate(content)
    except ValidationError as error:
        errors = error.errors()
    problems += _sentences(sources, framework, errors, settled)
    for group in targets.ALLOWED[framework]:
        if (group,) not in settled:
            problems += _argument_problems(sources, group, content.get(group), settled | {e["loc"] for e in errors})
    if problems:
        raise GaiaError("\n".join(problems))
    if line.data.classes and line.evaluation.positive not in (None, *line.data.classes):
        raise GaiaError(
            f"{sources.place('evaluation', 'positive')} is '{line.evaluation.positive}'",
            "it should be one of the "
            f"classes {', '.join(line.data.classes)}{nearest(line.evaluation.positive, line.data.classes)}",
        )
    return line


def _unset(content: Any) -> dict[Keys, None]:
    return {keys: None for keys, value in leaves(content) if value == "???"}


def _target_problem(sources: Sources, framework: str, group: str, section: Any) -> str | None:
    target = section.get("_target_") if isinstance(section, dict) else None
    if not isinstance(target, str) or target == "???":
        return None
    wrong = targets.problem(framework, group, target)
    return f"{sources.place(group, '_target_')} is {shown(target)}, which {wrong}." if wrong else None


def _argument_problems(sources: Sources, group: str, section: Any, settled: set[Keys]) -> list[str]:
    if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
        return []
    given = {key: value for key, value in section.items() if key != "_target_"}
    problems = targets.argument_problems(section["_target_"], given)
    return [f"{sources.place(group, key)} {p}." for key, p in problems.items() if (group, key) not in settled]


def _sentences(sources: Sources, framework: str, errors: list[Any], settled: set[Keys]) -> list[str]:
    """Data of the wrong kind are one mistake, of which no more needs saying either."""
    kinds = [e for e in errors if e["loc"] == ("data", "kind") and e["type"] == "literal_error"]
    wrong_kind = [
        f"{sources.place('data')} is of kind {shown(e['input'])} (see {sources.place('data', 'kind')}); "
        f"framework {framework} takes data of kind {e['ctx']['expected']}."
        for e in kinds
    ]
    told = settled | {("data",)} if kinds else settled
    errors = [e for e in errors if not any(e["loc"][:n] in told for n in range(1, len(e["loc"]) + 1))]
    return wrong_kind + sentences(errors, kind_of(framework), sources.find, f" with framework {framework}")
