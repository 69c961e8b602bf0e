"""What an engine is given to do, what it is told meanwhile, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Needs(NamedTuple):
    """What a job takes of a host. Nothing here changes what it makes."""

    cpus: float | None = None  # None: all that a host has
    gpus: float = 0
    memory: int | None = None  # MB; None: nobody said


class Job(NamedTuple):
    """A call `work(*arguments, say)` in a process of its own. `work` is a function of a module, its arguments and what
    it returns can be pickled; `say(what)` tells the engine's `heard` something on the way."""

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs: Needs = Needs()
    host: str | None = None  # where it was begun before, by name: what it had done lies there


class Done(NamedTuple):
    """The end of a job: what it returned; or, in a sentence, why it didn't."""

    job: Job
    result: Any = None
    error: str | None = None
    stopped: bool = False  # since `heard` had enough of it


Heard = Callable[[Job, Any], bool | None]  # called with what a job says; true: stop it
