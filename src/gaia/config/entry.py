"""A line's entry in params.yaml: which option of which group it chooses, and which values it sets."""

from __future__ import annotations

from typing import Any, NamedTuple

from gaia import paths
from gaia.config import resources
from gaia.config.schema import PLAIN_KEYS, takes_null, type_of
from gaia.errors import GaiaError, Problem, nearest, shown


class Entry(NamedTuple):
    """One word of `choices` for each group that the line chooses in; `values` as nested as they are to be set."""

    choices: dict[str, str]
    values: dict[str, Any]


def read(line: str, entry: Any, options: dict[str, list[str]]) -> Entry:
    """The line's entry; `options` are those of each group. Raises GaiaError with all that is wrong with it."""
    here = f"params.yaml: lines.{line}"
    if not paths.NAME.fullmatch(line):
        raise GaiaError(
            f"{here}: '{line}' can't name a line",
            "names stand in tags and paths, so they take lower-case letters, "
            "digits and single dashes, and begin with a letter",
        )
    if not isinstance(entry, dict):
        raise GaiaError(f"{here} is {shown(entry)}", "it should hold keys such as raw, framework, data and model")
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    problems = []
    for key, value in entry.items():
        if key == "bucket":  # for dvc.yaml: where the data are stored changes nothing of what is built
            if value not in (None, *paths.BUCKETS):
                problems.append(Problem(f"{here}.bucket is {shown(value)}", _buckets(nearest(value, paths.BUCKETS))))
        elif key == "resources":  # for engines
            problems += resources.problems(here, entry)
        elif key in PLAIN_KEYS:
            values[key] = value
        elif key not in options:
            known = ["bucket", "resources", *PLAIN_KEYS, *options]
            known_are = f"known are {', '.join(known)}{nearest(key, known)}"
            problems.append(Problem(f"{here}.{key} is an unknown key", known_are))
        else:
            with_values = isinstance(value, dict) and key != "framework"  # dvc.yaml reads framework as one word
            option = value.get("use") if with_values else value
            if with_values:
                values[key] = {k: v for k, v in value.items() if k != "use"}
            if isinstance(option, str) and option in options[key]:
                choices[key] = option
            elif option is not None:
                where = f"{here}.{key}.use" if with_values else f"{here}.{key}"
                problems.append(_no_option(where, key, option, options[key]))
    if entry.get("framework") is None:
        problems.append(Problem(f"{here}.framework is missing", f"the options are {', '.join(options['framework'])}"))
    if entry.get("bucket") is None:
        problems.append(Problem(f"{here}.bucket is missing", _buckets()))
    if problems:
        raise GaiaError.several(problems)
    return Entry(choices, values)


def meant(values: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The values without the nulls that mean "as the option's file says": those of keys that can't be null. They stand
    in params.yaml for `dvc exp run -S`, which sets no key that isn't there."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            kept[key] = meant(value, type_of(schema, key))
        elif value is not None or takes_null(schema, key):
            kept[key] = value
    return kept


def _buckets(suggestion: str = "") -> str:
    return f"the buckets are {', '.join(paths.BUCKETS)}{suggestion}"


def _no_option(where: str, group: str, option: Any, known: list[str]) -> Problem:
    one_word = "it takes one word and no values; " if isinstance(option, dict) else ""
    suggestion = nearest(option, known) if isinstance(option, str) else ""
    return Problem(
        f"{where} is {shown(option)}", f"{one_word}the options in conf/{group}/ are {', '.join(known)}{suggestion}"
    )
