"""What stages say: bars and colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gaia.errors import GaiaError


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


console = Console(highlight=False, soft_wrap=True)


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar: call the function it gives with the number done (fractions too) and a text to show.

    Off a terminal nothing moves: only calls with a text print it, as a line.
    """
    if not console.is_terminal:

        def say(done: float, text: str = "") -> None:
            if text:
                console.print(f"{description}: {text}")

        yield say
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TimeRemainingColumn(), TextColumn("{task.fields[text]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total, text="")

        def update(done: float, text: str = "") -> None:
            progress.update(task, completed=done)
            if text:
                progress.update(task, text=text)

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
