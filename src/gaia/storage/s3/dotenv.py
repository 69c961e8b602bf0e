"""The lines of .env, as Docker Compose reads them, too: what the two would read otherwise is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gaia.errors import GaiaError

_LINE = re.compile(r"\s*(?:export\s+)?((?:S3|GAIA|SERVE|MLFLOW)_\w+)\s*=\s*(.*)")  # others are nothing of ours
_SINGLE = re.compile(r"'((?:[^'\\]|\\(?!'$|'\s+#).)*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"([^"$\\]*)"\s*(?:#.*)?')
_BARE = re.compile(r"(|[^'\"].*?) *(?: #.*)?")
_HARMLESS = re.compile(r"[\w./:@%+=,-]*")


def read(lines: Iterable[str], file: Path) -> dict[str, str]:
    """The variables that lines set, the last of each name. Raises GaiaError naming one that Compose would read
    otherwise, because of a `$`, a backslash or a quote; in single quotes all but quotes are as they stand."""
    found = {}
    for line in lines:
        if named := _LINE.fullmatch(line.rstrip()):
            name, value = named.groups()
            how = next((way.fullmatch(value) for way in (_SINGLE, _DOUBLE, _BARE) if way.fullmatch(value)), None)
            if how is None or (value[:1] != "'" and "$" in how[1]):
                raise GaiaError(
                    f"{name} in {file} has a `$`, a backslash or a quote that Docker Compose reads otherwise",
                    f"put the value in single quotes: {name}='...'",
                )
            found[name] = how[1].replace(r"\'", "'") if value[:1] == "'" else how[1]
    return found


def line(name: str, value: str) -> str:
    """The line that sets a variable. Raises ValueError for a quote or a backslash, which no name or key of ours has."""
    if _HARMLESS.fullmatch(value):
        return f"{name}={value}"
    if set(value) & set("'\\\n"):
        raise ValueError(f"{name} can't be written into a file")
    return f"{name}='{value}'"
