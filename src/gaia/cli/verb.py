"""One verb of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], object], *, help: str, description: str | None = None
) -> argparse.ArgumentParser:
    """A parser for `gaia <name>`, which calls `run` with what was asked; every verb takes --json."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=description or help)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    parser.set_defaults(run=run)
    return parser
