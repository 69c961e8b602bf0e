"""One verb of the command line: how it is asked, and what it answers to scripts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn, TextIO

from gaia.errors import GaiaError, nearest

FILES = {"bash": "_shtab_compgen_files", "zsh": "_files"}  # shtab.FILE, for which no verb should import it


class WrongArguments(GaiaError):
    """A command line that can't be understood."""

    exit_code = 2


class Parser(argparse.ArgumentParser):
    """argparse's, whose complaint is a sentence that names the nearest word (in Python 3.14 argparse does)."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = action.metavar or "/".join(action.option_strings)
            known = ", ".join(map(str, action.choices))
            close = nearest(value, map(str, action.choices))
            raise argparse.ArgumentError(None, f"'{value}' is no {what}{close or f', those are {known}'}")

    def error(self, message: str) -> NoReturn:
        """Raises WrongArguments, which exit_with_a_sentence ends with exit code 2."""
        raise WrongArguments(message, f"`{self.prog} --help` shows how it is asked")


def verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], object], *, help: str, description: str | None = None
) -> argparse.ArgumentParser:
    """A parser for `gaia <name>`, which calls `run` with what was asked; every verb takes --json."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=description or help)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    parser.set_defaults(run=run)
    return parser


def count(text: str) -> int:
    """How many: a number of at least one, as an argument's type."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number, 1 or more")
    return int(text)


_answers: TextIO | None = None  # where the document of --json goes; None outside of one_document()
_printed = False


@contextmanager
def one_document() -> Iterator[None]:
    """The rule of --json: exactly one JSON document on stdout, whatever happens. It is what the verb prints with
    `print_json`; or else the GaiaError that ends it. A verb that prints a result and fails then says so in the result.

    All else that is printed meanwhile goes to stderr.
    """
    global _answers, _printed
    _answers, _printed = sys.stdout, False
    try:
        with redirect_stdout(sys.stderr):
            yield
    except GaiaError as error:
        if not _printed:
            print_error(error)
        raise
    finally:
        _answers = None


def print_json(content: Any, *, line: bool = False) -> None:
    """Print what a verb answers to --json; as one line, where a verb goes on and answers again (`sync --watch`).

    Only ASCII, so that no locale and no file's name can break it.
    """
    global _printed
    _printed = True
    print(json.dumps(content, indent=None if line else 2), file=_answers or sys.stdout, flush=True)


def print_error(error: GaiaError) -> None:
    """Print an error as JSON: `error` (all of its sentences), `code`, `mend` (of the first problem) and `problems`."""
    print_json({**error.facts(), "mend": error.problems[0].mend}, line=True)


def ask_reason(yes: bool) -> str:
    """The reason for a decision that was given without one: typed, where somebody sits at a terminal and is asked."""
    if yes or not sys.stdin.isatty():
        return ""
    print("reason: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()
