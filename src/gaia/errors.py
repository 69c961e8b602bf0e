"""The one exception that users see: a sentence, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NoReturn


class GaiaError(Exception):
    """What was found, where, and what would do: one sentence a problem, a line each."""


def nearest(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'adamw'?)` for the known word that is spelled most like `word`, or nothing."""
    close = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def exit_with_a_sentence(main: Callable[..., object], *args: object) -> None:
    """Run an entry point; a GaiaError ends the process with its sentence and exit code 1."""
    try:
        main(*args)
    except GaiaError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("stopped by the keyboard", 130)


def _fail(sentence: str, code: int) -> NoReturn:
    colour = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    for line in sentence.splitlines():
        print(f"{colour[0]}error:{colour[1]} {line}", file=sys.stderr)
    sys.exit(code)
