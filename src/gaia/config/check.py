"""A resolved configuration against the schema and the targets' signatures: a sentence for each mistake."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from gaia.config import targets
from gaia.config.schema import PhotoLine, TableLine, kind_of
from gaia.config.sources import Sources
from gaia.config.yaml import Keys, leaves
from gaia.errors import GaiaError, nearest, shown

# pydantic's error type -> what would do instead; names in braces are of its context
WOULD_DO = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a list of at least {min_length}",
    "string_too_short": "text that isn't empty",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "a folder or file below data/raw, named with letters, digits, spaces and _ . -",
}


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
            f"{sources.place('evaluation', 'positive')} is '{line.evaluation.positive}'; it should be one of the "
            f"classes {', '.join(line.data.classes)}{nearest(line.evaluation.positive, line.data.classes)}."
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
    """pydantic's errors as sentences of ours. Data of the wrong kind are one mistake, and so is a section that
    has, or lacks, several keys: an option made for another framework."""
    sentences: list[str] = []
    kinds = [e for e in errors if e["loc"] == ("data", "kind") and e["type"] == "literal_error"]
    for e in kinds:
        sentences.append(
            f"{sources.place('data')} is of kind {shown(e['input'])} (see {sources.place('data', 'kind')}); "
            f"framework {framework} takes data of kind {e['ctx']['expected']}."
        )
    together: dict[tuple[str, Keys, str], list[Any]] = {}
    for e in errors:
        if any(e["loc"][:n] in settled for n in range(1, len(e["loc"]) + 1)) or (kinds and e["loc"][0] == "data"):
            continue
        if e["type"] in ("missing", "extra_forbidden"):
            file, _ = sources.find(*e["loc"])
            together.setdefault((e["type"], e["loc"][:-1], file), []).append(e["loc"])
        else:
            sentences.append(_sentence(sources, e))
    for (kind, above, file), locations in together.items():
        if kind == "missing":  # a key that was only misspelled isn't missing as well
            unknown = [loc[-1] for (k, a, _), locs in together.items() if k != kind and a == above for loc in locs]
            locations = [loc for loc in locations if not any(nearest(word, [loc[-1]]) for word in unknown)]
            if not locations:
                continue
        keys = [sources.find(*location)[1] for location in locations]
        many = len(keys) > 1
        if kind == "missing":
            verb, them = ("are", "them values") if many else ("is", "it a value")
            sentences.append(f"{file}: {', '.join(keys)} {verb} missing; give {them}.")
        else:
            known = _known_keys(kind_of(framework), above)
            does = f"are unknown keys with framework {framework}" if many else "is an unknown key"
            suggestion = "" if many else nearest(locations[0][-1], known)
            sentences.append(f"{file}: {', '.join(keys)} {does}; known are {', '.join(known)}{suggestion}.")
    return sentences


def _sentence(sources: Sources, error: Any) -> str:
    place, found = sources.place(*error["loc"]), error["input"]
    context = {k: f"{v:.10g}" if isinstance(v, float) else v for k, v in error.get("ctx", {}).items()}
    if error["type"] == "value_error":
        return f"{place} {context['error']}."
    would = WOULD_DO[error["type"]].format(**context) if error["type"] in WOULD_DO else error["msg"].lower()
    if error["type"] == "string_type" and isinstance(found, int | float):
        would += ", in quotes"
    if error["type"] in ("int_type", "float_type") and isinstance(found, str) and found.strip(" +-").isdigit():
        would += ", without quotes"
    suggestion = nearest(found, context["expected"].split("'")[1::2]) if error["type"] == "literal_error" else ""
    return f"{place} is {shown(found)}; it should be {would}{suggestion}."


def _known_keys(schema: Any, above: Keys) -> list[str]:
    for key in above:
        schema = schema.model_fields[key].annotation
    return sorted(schema.model_fields)
