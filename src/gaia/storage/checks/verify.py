"""The whole check of the storage: the server as DVC needs it, then every object that dvc.lock and the versions need.

To add a check, write a public function into `server_checks` or `object_checks`: each is called, in the order in which
they stand there, is shown under its own name, and gives what it found, or raises GaiaError.
"""

from __future__ import annotations

import inspect
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from gaia.errors import GaiaError
from gaia.storage.checks import object_checks, server_checks
from gaia.storage.checks.object_checks import Wanted
from gaia.storage.checks.server_checks import Scratch
from gaia.storage.errors import NotAllowed
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


class Check(NamedTuple):
    """What was checked, whether it holds, and what was found; one is skipped where these keys may not do it, or where
    another one has named the cause."""

    name: str
    state: str  # ok, failed, skipped
    said: str

    @property
    def ok(self) -> bool:
        """Whether it doesn't say that something is wrong."""
        return self.state != FAILED

    def facts(self) -> dict[str, Any]:
        """The same for scripts: name, ok, state, said."""
        return {"name": self.name, "ok": self.ok, "state": self.state, "said": self.said}


def verify(root: Path = Path(), *, deep: bool = False, mend: bool = False) -> Iterator[Check]:
    """Each check as it is done. Where the server can't be reached with the keys, the others are not tried.

    `deep` hashes every object instead of a sample; with `mend`, what is missing or damaged is stored anew before, as
    far as this clone's cache has it. What the checks write is deleted. Raises GaiaError if there are no settings.
    """
    client = S3Client(settings.read(root))
    known: dict[str, str] = {}
    first = _checked("reachable", _reached, known, client)
    yield first
    if first.state == FAILED:
        return
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"gaia-verify/{secrets.token_hex(8)}/"
        scratch = Scratch(client, client.settings.buckets["models"], prefix, Path(folder))
        try:
            yield from checked(server_checks, scratch, known)
        finally:
            with suppress(GaiaError):
                scratch.delete()
    wanted = Wanted(client, root, deep)
    if mend:
        yield _checked("mended", Wanted.mend, known, wanted)
    yield from checked(object_checks, wanted, known)


def checks(module: ModuleType) -> dict[str, Callable[[Any], str]]:
    """The checks of a module by name: its own public functions, in their order."""
    own = [made for made in vars(module).values() if inspect.isfunction(made) and made.__module__ == module.__name__]
    return {check.__name__.replace("_", " "): check for check in own if not check.__name__.startswith("_")}


def checked(module: ModuleType, at: object, known: dict[str, str] | None = None) -> Iterator[Check]:
    """What each check of a module finds, as it is done. `known` are the causes that were named, by which check."""
    known = {} if known is None else known
    for name, check in checks(module).items():
        yield _checked(name, check, known, at)


def _checked(name: str, check: Callable[..., str], known: dict[str, str], at: object) -> Check:
    try:
        return Check(name, OK, check(at))
    except GaiaError as error:
        if isinstance(error, NotAllowed) and isinstance(at, Scratch):  # to try the server is more than its use takes
            why = f"these keys may not {error.verb}" if error.verb else error.problems[0].found.rstrip(".")
            return Check(name, SKIPPED, why)
        new = [problem for problem in error.problems if problem.found not in known]
        if not new:
            return Check(name, SKIPPED, f"for what {known[error.problems[0].found]} found")
        known |= {problem.found: name for problem in new}
        return Check(name, FAILED, str(GaiaError.several(new)))


def _reached(client: S3Client) -> str:
    """Judged by the project's own buckets: who may see nothing else may use it."""
    return f"{client.endpoint} takes the keys{'' if client.may_list() else ', which may not list the buckets'}"
