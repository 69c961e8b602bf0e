"""YAML files, read strictly: a syntax error or a duplicate key is named with its line and column."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gaia.errors import GaiaError


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file ({} for an empty one).

    Raises GaiaError if the file is missing, isn't YAML, repeats a key, or holds no mapping.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GaiaError(f"{path} is missing.") from None
    except DuplicateKeyError as error:
        at = error.problem_mark
        key = (error.problem or "").split('"')[1:2]
        raise GaiaError(
            f"{path}, line {at.line + 1}, column {at.column + 1}: the key '{''.join(key)}' stands here twice; keep one."
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise GaiaError(f"{path}{where}: not valid YAML, {error.problem or error.context}.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise GaiaError(f"{path}: not valid YAML, {error}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise GaiaError(f"{path}: a mapping of keys to values is expected, found {type(content).__name__}.")
    return content


def dump(content: dict[str, Any]) -> str:
    """The content as YAML in the order given."""
    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def write(path: Path, content: dict[str, Any], header: str) -> None:
    """Write `content` under a comment, beside the old file first, then in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text(f"# {header}\n{dump(content)}", encoding="utf-8")
    os.replace(beside, path)
