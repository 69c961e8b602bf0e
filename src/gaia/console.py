"""What stages say: bars and colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gaia.errors import GaiaError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    console: Console


def __getattr__(name: str) -> Any:
    """`console`, made when it is asked for: to load it takes longer than some verbs."""
    if name != "console":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from rich.console import Console

    return globals().setdefault(name, Console(highlight=False, soft_wrap=True))


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """Nothing that a library written in C++ says on stderr meanwhile: TensorFlow reports absent GPUs as it loads,
    before any of its settings for silence count. Python's own errors are not affected."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def confirmed(question: str, yes: bool) -> bool:
    """Whether somebody agrees: said by `yes`, or asked on a terminal. Raises GaiaError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise GaiaError("not a terminal, and no --yes was given", "nobody can be asked, so nothing was changed")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


PROGRESS = "GAIA_PROGRESS"  # names a file for who watches from another process


def tell(**facts: Any) -> None:
    """Say how far this process is, as a line of JSON, to who watches it, if anybody does."""
    if place := os.environ.get(PROGRESS):
        with open(place, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(facts)}\n")


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar: call the function it gives with the number done (fractions too) and a text to show.

    Off a terminal nothing moves: only calls with a text print it, as a line.
    """
    if not _is_terminal():

        def say(done: float, text: str = "") -> None:
            tell(what=description, done=done, total=total, text=text)
            if text:
                _console().print(f"{description}: {text}")

        yield say
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TimeRemainingColumn(), TextColumn("{task.fields[text]}"),
    )  # fmt: skip
    with Progress(*columns, console=_console()) as progress:
        task = progress.add_task(description, total=total, text="")

        def update(done: float, text: str = "") -> None:
            progress.update(task, completed=done)
            if text:
                progress.update(task, text=text)

        yield update


@contextmanager
def bars() -> Iterator[Callable[[str, float, str], None]]:
    """A bar for each name: call the function it gives with a name, the share that is done (0..1), and a text to show.

    Off a terminal nothing moves: each text is printed once, as a line.
    """
    if not _is_terminal():
        said: dict[str, str] = {}

        def say(name: str, share: float, text: str) -> None:
            if text and said.get(name) != text:
                _console().print(f"{name}: {text}", markup=False)
            said[name] = text

        yield say
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}", markup=False))
    with Progress(*columns, console=_console()) as progress:
        tasks: dict[str, TaskID] = {}

        def update(name: str, share: float, text: str) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=1, text="")
            progress.update(tasks[name], completed=share, text=text)

        yield update


@contextmanager
def megabytes(description: str, size: int) -> Iterator[Callable[[int], object]]:
    """A bar for `size` bytes, on a terminal: call what it gives with the number that have just passed."""
    done = 0
    with bar(description, max(1, round(size / 1e6)), "MB") as update:

        def passed(count: int) -> None:
            nonlocal done
            done += count
            update(done / 1e6, "")

        yield passed


def _console() -> Console:
    made: Console = sys.modules[__name__].console
    return made


def _is_terminal() -> bool:
    """Whether somebody looks; asked of `rich` where a variable may say otherwise than the stream."""
    asked = {"FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()
    return bool(asked or sys.stdout.isatty()) and _console().is_terminal
