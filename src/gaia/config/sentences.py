"""pydantic's errors as ours: what was found, where, what would do."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from gaia.config.schema import section, takes_null, type_of
from gaia.config.yaml import Keys
from gaia.errors import Problem, nearest, shown

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


def problems(errors: list[Any], schema: Any, find: Callable[..., tuple[str, str]], where: str = "") -> list[Problem]:
    """pydantic's errors as problems of ours; `find` gives the file and the name there of what the keys lead to. A
    section that has, or lacks, several keys is one mistake: an option made for another framework, say."""
    told: list[Problem] = []
    together: dict[tuple[str, Keys, str], list[Any]] = {}
    for e in errors:
        if e["type"] in ("missing", "extra_forbidden"):
            file, _ = find(*e["loc"])
            together.setdefault((e["type"], e["loc"][:-1], file), []).append(e["loc"])
        else:
            told.append(_problem(": ".join(find(*e["loc"])), e, _or_null(schema, e["loc"])))
    for (kind, above, file), locations in together.items():
        if kind == "missing":  # a key that was only misspelled isn't missing as well
            unknown = [loc[-1] for (k, a, _), locs in together.items() if k != kind and a == above for loc in locs]
            locations = [loc for loc in locations if not any(nearest(word, [loc[-1]]) for word in unknown)]
            if not locations:
                continue
        keys = [find(*location)[1] for location in locations]
        many = len(keys) > 1
        if kind == "missing":
            verb, them = ("are", "them values") if many else ("is", "it a value")
            told.append(Problem(f"{file}: {', '.join(keys)} {verb} missing", f"give {them}"))
        else:
            known = sorted(section(_at(schema, above)).model_fields)
            does = f"are unknown keys{where}" if many else "is an unknown key"
            suggestion = "" if many else nearest(locations[0][-1], known)
            told.append(Problem(f"{file}: {', '.join(keys)} {does}", f"known are {', '.join(known)}{suggestion}"))
    return told


def _at(schema: Any, keys: Keys) -> Any:
    """What the schema says of the section that the keys lead to."""
    return reduce(type_of, map(str, keys), schema)


def _or_null(schema: Any, keys: Keys) -> str:
    return " or null" if takes_null(_at(schema, keys[:-1]), str(keys[-1])) else ""


def _problem(place: str, error: Any, or_null: str) -> Problem:
    found = error["input"]
    context = {k: f"{v:.10g}" if isinstance(v, float) else v for k, v in error.get("ctx", {}).items()}
    if error["type"] == "value_error":
        unfit = error["ctx"]["error"]
        return Problem(f"{place} {unfit.found}", unfit.mend)
    would = WOULD_DO[error["type"]].format(**context) if error["type"] in WOULD_DO else error["msg"].lower()
    if error["type"] == "string_type" and isinstance(found, int | float):
        would += ", in quotes"
    if error["type"] in ("int_type", "float_type") and isinstance(found, str) and found.strip(" +-").isdigit():
        would += ", without quotes"
    if error["type"] == "float_type" and isinstance(found, str) and re.fullmatch(r"[+-]?\d+,\d+", found.strip()):
        would += ", with a point"
    suggestion = nearest(found, context["expected"].split("'")[1::2]) if error["type"] == "literal_error" else ""
    return Problem(f"{place} is {shown(found)}", f"it should be {would}{or_null}{suggestion}")
