"""`gaia config`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gaia.cli.verb import print_json, verb

if TYPE_CHECKING:
    from gaia.config.compose import Value

WIDTH = 60  # of YAML, up to which the places behind it stand one below the other


def add(verbs: Any) -> None:
    """Its parser."""
    config = verb(
        verbs, "config", _config, help="the values of a line, and the file that each comes from: `gaia config plants`",
        description="What params.yaml and conf/ make of a line as they stand now, whatever was built. Writes nothing.",
    )  # fmt: skip
    config.add_argument("line")


def _config(asked: argparse.Namespace) -> None:
    from gaia.config.compose import trace_line

    found = trace_line(asked.line)
    if asked.json:
        from gaia.config.yaml import dotted

        values = [{"key": dotted(v.keys), "value": v.value, "file": v.file, "name": v.name} for v in found]
        print_json({"line": asked.line, "values": values})
    else:
        print("\n".join(_commented(found)))


def _commented(found: list[Value]) -> list[str]:
    """The values as YAML, a row each, below the keys that hold them; behind each value, as a comment, its place."""
    from gaia.config.yaml import dump_in_a_row

    rows: list[tuple[str, str]] = []
    above: tuple[Any, ...] = ()
    for keys, value, file, name in found:
        *sections, key = keys
        for depth, section in enumerate(sections):
            if above[: depth + 1] != keys[: depth + 1]:
                rows.append(("  " * depth + f"{section}:", ""))
        above = keys[:-1]
        rows.append(("  " * len(sections) + dump_in_a_row(str(key), value), f"# {file}: {name}"))
    width = max((len(row) for row, _ in rows if len(row) <= WIDTH), default=0)
    return [f"{row:<{width}}  {place}".rstrip() for row, place in rows]
