"""The one exception that users see: a sentence, not a traceback."""

from __future__ import annotations

import errno
import gc
import inspect
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self, TextIO


class Problem(NamedTuple):
    """What was found, and where; and what would do: the halves of a sentence, which str() makes of them.

    Without `mend`, where nothing is to be done or known, `found` is the whole of it.
    """

    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.found}; {self.mend}." if self.mend else self.found


class GaiaError(Exception):
    """One problem, or several that were found together. str() gives a sentence for each, a line each."""

    exit_code = 1

    def __init__(self, found: str, mend: str = "") -> None:
        super().__init__(found, mend)
        self.problems: tuple[Problem, ...] = (Problem(found, mend),)

    @classmethod
    def several(cls, problems: Iterable[Problem]) -> Self:
        """All of them as one error, each once. Raises ValueError if there is none."""
        first, *rest = dict.fromkeys(problems)
        error = cls(*first)
        error.problems = (first, *rest)
        return error

    @property
    def code(self) -> str:
        """What kind of error it is, for scripts: the class's name, `gates_failed` for GatesFailed."""
        name = type(self).__name__.removeprefix("Gaia")
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    def facts(self) -> dict[str, Any]:
        """The error for scripts: `error` (its sentences), `code`, and `problems`, each with `found` and `mend`."""
        return {"error": str(self), "code": self.code, "problems": [problem._asdict() for problem in self.problems]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def nearest(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'adamw'?)` for the known word that is spelled most like `word`, or nothing."""
    spelled = {k.lower(): k for k in known}
    close = get_close_matches(str(word).lower(), spelled, n=1, cutoff=0.6)
    return f" (did you mean '{spelled[close[0]]}'?)" if close else ""


def shown(value: object) -> str:
    """A value as a sentence quotes it: on one line, at most 80 characters, null rather than None."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= 80 else f"{text[:77]}..."


# What moves a cursor, colours, breaks a line, turns the direction of writing, or is no character at all.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text that others wrote, safe on a terminal and on one line: what is no character of a text is written as `\\n`,
    `\\x1b` or `\\udcff`. A text that is safe already stays as it is."""
    if text.isprintable():  # most are, and this is fast
        return text
    return _UNPRINTABLE.sub(lambda c: c[0].encode("unicode_escape").decode(), text)


_warned: set[tuple[object, str]] = set()


def warn(sentence: str, about: object = None) -> None:
    """Say on stderr what the user should know, although the command goes on; with `about`, once for each such thing."""
    if (about, sentence) not in _warned:
        print(f"warning: {printable(sentence)}", file=sys.stderr, flush=True)
    if about is not None:
        _warned.add((about, sentence))


def no_space(error: BaseException | None) -> GaiaError | None:
    """The sentence about a full disk, if that is what an error comes of: it, or one that it was made of, says so; or a
    library of another language says something else, and nothing is left on the disk here."""
    chain = []
    while error and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    said = [each for each in chain if getattr(each, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            or "No space left on device" in str(each)]  # fmt: skip
    strange = [each for each in chain if not isinstance(each, GaiaError)]
    strange = [each for each in strange if isinstance(each, RuntimeError) or type(each).__module__ != "builtins"]
    if said or (strange and Path().exists() and shutil.disk_usage(".").free < 2**16):
        files = [each.filename2 or each.filename for each in said if isinstance(each, OSError)]
        file = next(filter(None, files), None)
        place = f"where {file} is written" if file else "where this writes"
        return GaiaError(f"no space is left {place}", "free some, and repeat: what was there before is whole")
    return None


@contextmanager
def full_disk() -> Iterator[None]:
    """Raise whatever comes of a full disk as a GaiaError that says so."""
    try:
        yield
    except Exception as error:
        if full := no_space(error):
            raise full from error
        raise


SERVING = ("fastapi", "fastapi_offline", "httptools", "prometheus_client", "python_multipart", "starlette", "uvicorn")


@contextmanager
def missing_extra() -> Iterator[None]:
    """Raise a package that isn't installed as a GaiaError, which names the extra of pyproject.toml that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "gaia").partition(".")[0]
        if package == "gaia":
            raise
        others = {"mlflow": "mlflow", "optuna": "sweep", "ray": "ray"} | dict.fromkeys(SERVING, "serve")
        extra = others.get(package, "train")
        raise GaiaError(f"{package} is not installed", f"`pip install 'gaia-vision[{extra}]'` brings it") from None


@contextmanager
def errors_as(found: str, mend: str = "") -> Iterator[None]:
    """Raise any exception of the block as GaiaError: what was found, with the exception's first line in place of {}."""
    try:
        yield
    except GaiaError:
        raise
    except Exception as error:
        raise GaiaError(found.format(first_line(error)), mend) from None


def first_line(error: Exception) -> str:
    """What an exception says, as far as it fits into a sentence: its first line, without colours and full stop."""
    lines = re.sub(r"\x1b\[[\d;]*m", "", str(error)).split("\n")
    return next((line.strip().rstrip(".:!") for line in lines if line.strip()), type(error).__name__)


def exit_with_a_sentence(main: Callable[..., object], *args: object) -> None:
    """Run an entry point; a GaiaError ends the process with its sentence, its notes and its exit code (1), wrong
    arguments with 2."""
    parameters = inspect.signature(main).parameters
    if len(args) != len(parameters):
        _fail(f"{main.__name__} takes {', '.join(parameters) or 'nothing'}, and {len(args)} arguments were given.", 2)
    try:
        with full_disk(), missing_extra():
            main(*args)
            sys.stdout.flush()
    except GaiaError as error:
        if no_space(error):  # what is still buffered has nowhere to go
            _silence()
        _fail(str(error), error.exit_code, getattr(error, "__notes__", ()))
    except BrokenPipeError:  # `| head` has read enough; what is still buffered has nowhere to go
        _silence()
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        _fail("stopped by the keyboard", 130)
    finally:
        gc.freeze()  # or else the end of the process looks through all that there is, three times


def _silence() -> None:
    """Let nothing more reach stdout, nor complain that it can't."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def coloured(stream: TextIO) -> bool:
    """Whether colours may be sent there: to a terminal that has them, unless NO_COLOR says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _fail(sentence: str, code: int, notes: Iterable[str] = ()) -> NoReturn:
    colour = ("\033[31m", "\033[0m") if coloured(sys.stderr) else ("", "")
    for line in sentence.split("\n"):
        print(f"{colour[0]}error:{colour[1]} {printable(line)}", file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    sys.exit(code)
