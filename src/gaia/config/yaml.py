"""YAML files, read strictly: a syntax error or a duplicate key is named with its line and column."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, MappingNode, Node
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gaia import files
from gaia.errors import GaiaError, Problem

Keys = tuple[str | int, ...]

# What the parser says -> the same in plain words, and what its reader can do about it
IN_PLAIN_WORDS = {
    "found character '\\t'": Problem("a tab stands here", "indent with spaces"),
    "expected <block end>": Problem("this fits neither the indentation nor the list or mapping above it"),
    "mapping values are not allowed here": Problem("a colon is not allowed here", "put the text in quotes"),
    "could not determine a constructor": Problem("tags (!...) are not allowed"),
    "but found another document": Problem("a second document begins here", "keep one"),
}
MOST_VALUES = 10_000  # in a file; ours hold a hundred
KINDS = {"bytes": "binary data", "set": "a set", "tuple": "a list"}


class _TooManyError(YAMLError):
    pass


class _Bounded(SafeConstructor):
    """Makes nothing of a document whose aliases stand for more than anybody would write: each of ten lines may name
    the line before it ten times."""

    def construct_document(self, node: Node) -> Any:
        if _written_out(node, {}) > MOST_VALUES:
            raise _TooManyError
        return super().construct_document(node)


def _written_out(node: Node, counted: dict[int, int | None]) -> int:
    """How many values a node holds, each alias counted as what it stands for. RecursionError if it contains itself."""
    if id(node) not in counted:
        counted[id(node)] = None
        parts = chain.from_iterable(node.value) if isinstance(node, MappingNode) else node.value
        counted[id(node)] = 1 + sum(_written_out(part, counted) for part in parts if isinstance(part, Node))
    count = counted[id(node)]
    if count is None:
        raise RecursionError
    return count


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file ({} for an empty one): keys are text, values are text, finite numbers, true,
    false, null, lists and mappings.

    Raises GaiaError if the file is missing, isn't YAML, repeats a key, or holds anything else.
    """
    try:
        parser = YAML(typ="safe", pure=True)
        parser.Constructor = _Bounded
        content = parser.load(path.read_text(encoding="utf-8"))
        problems = [] if content is None else [Problem(f"{path}: {found}", mend) for found, mend in _not_plain(content)]
    except FileNotFoundError:
        raise GaiaError(f"{path} is missing.") from None
    except OSError as error:
        raise GaiaError(f"{path} can't be read: {error.strerror}.") from None
    except DuplicateKeyError as error:
        at = error.problem_mark
        key = (error.problem or "").split('"')[1:2]
        raise GaiaError(
            f"{path}, line {at.line + 1}, column {at.column + 1}: the key '{''.join(key)}' stands here twice",
            "keep one",
        ) from None
    except MarkedYAMLError as error:
        raise _no_yaml(path, error) from None
    except UnicodeDecodeError:
        raise GaiaError(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    except _TooManyError:
        too_many = f"{path} stands for more than {MOST_VALUES:,} values, each alias (*name) written out"
        raise GaiaError(too_many, "use fewer") from None
    except (YAMLError, ValueError) as error:
        raise GaiaError(f"{path}: not valid YAML, {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise GaiaError(f"{path}: a value is nested too deeply, or contains itself.") from None
    if problems:
        raise GaiaError.several(problems)
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise GaiaError(f"{path} holds {kind}", "it should hold keys with values")
    return content


def leaves(content: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """The keys that lead to each value that is neither a list nor a mapping, and the value."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, (*keys, key))
    else:
        yield keys, content


def values(content: dict[str, Any], keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """The keys that lead to each value that holds no further keys, and the value: a list is one."""
    for key, value in content.items():
        if value and isinstance(value, dict):
            yield from values(value, (*keys, key))
        else:
            yield (*keys, key), value


def dotted(keys: Keys) -> str:
    """('data', 'classes', 0) -> data.classes[0]"""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


_dumped: dict[str, str] = {}  # sections, by what they hold: lines have most of them in common, and each takes long


def dump(content: dict[str, Any]) -> str:
    """The content as YAML in the order given."""
    if len(content) <= 1:
        return _dump(content)
    sections = {repr(section): section for section in ({key: value} for key, value in content.items())}
    _dumped.update({said: _dump(section) for said, section in sections.items() if said not in _dumped})
    return "".join(_dumped[said] for said in sections)


def _dump(content: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def dump_in_a_row(key: str, value: Any) -> str:
    """`key: value` as YAML, whatever the value, in one row."""
    yaml = YAML()
    yaml.default_flow_style = True
    yaml.width = 2**31
    text = io.StringIO()
    yaml.dump({key: value}, text)
    return text.getvalue().strip()[1:-1]  # in braces


def sha256(content: dict[str, Any]) -> str:
    """The hash of the content as `dump` writes it."""
    return hashlib.sha256(dump(content).encode()).hexdigest()


def write(path: Path, content: dict[str, Any], header: str) -> None:
    """Write `content` under a comment, whole or not at all."""
    with files.replaced(path) as beside:
        beside.write_text(f"# {header}\n{dump(content)}", encoding="utf-8")


def _no_yaml(path: Path, error: MarkedYAMLError) -> GaiaError:
    mark = error.problem_mark or error.context_mark
    said = " ".join((error.problem or error.context or "unreadable").split())
    cause, mend = next((plain for start, plain in IN_PLAIN_WORDS.items() if said.startswith(start)), Problem(said))
    if cause == said and error.context_mark and mark and error.context_mark.line < mark.line:
        cause += f", {error.context} that begins in line {error.context_mark.line + 1}"
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return GaiaError(f"{path}{where}: not valid YAML, {cause}{'' if mend else '.'}", mend)


def _not_plain(content: Any, keys: Keys = ()) -> Iterator[Problem]:
    """Each key and value that neither DVC nor Hydra nor JSON could carry."""
    inside = f" inside {dotted(keys)}" if keys else ""
    if isinstance(content, dict):
        before: Any = None
        for key, value in content.items():
            if type(key) is int and value is None and type(before) is int:  # {threshold: 0,5}
                yield Problem(f"a comma stands in the number {before},{key}{inside}", "write it with a point")
            elif not isinstance(key, str):
                found = f"the key {'null' if key is None else key}{inside} is not text"
                yield Problem(found, "put it in quotes, or use a word")
            elif not key or not key.isprintable():
                yield Problem(f"the key {key!r}{inside} is empty or not printable", "use a word")
            else:
                yield from _not_plain(value, (*keys, key))
            before = value
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield from _not_plain(value, (*keys, i))
    elif isinstance(content, float) and not math.isfinite(content):
        yield Problem(f"{dotted(keys)} is {content}", "it should be a finite number")
    elif not isinstance(content, str | int | float | None):
        kind = KINDS.get(type(content).__name__, "a date")
        should = "it should be text (in quotes), a number, true, false, null or a list"
        yield Problem(f"{dotted(keys)} is {kind}", should)
