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
from gaia.storage import object_checks, server_checks, settings
from gaia.storage.client import S3Client
from gaia.storage.object_checks import Wanted
from gaia.storage.server_checks import Scratch


class Check(NamedTuple):
    """What was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    said: str


def verify(root: Path = Path(), *, deep: bool = False, mend: bool = False) -> Iterator[Check]:
    """Each check as it is done. Where the server can't be reached with the keys, the others are not tried.

    `deep` hashes every object instead of a sample; with `mend`, what is missing or damaged is stored anew before, as
    far as this clone's cache has it. What the checks write is deleted. Raises GaiaError if there are no settings.
    """
    client = S3Client(settings.read(root))
    first = _checked("reachable", lambda: f"{client.endpoint} takes the keys and shows {len(client.buckets())} buckets")
    yield first
    if not first.ok:
        return
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"gaia-verify/{secrets.token_hex(8)}/"
        scratch = Scratch(client, client.settings.buckets["models"], prefix, Path(folder))
        try:
            yield from checked(server_checks, scratch)
        finally:
            with suppress(GaiaError):
                scratch.delete()
    wanted = Wanted(client, root, deep)
    if mend:
        yield _checked("mended", wanted.mend)
    yield from checked(object_checks, wanted)


def checks(module: ModuleType) -> dict[str, Callable[[Any], str]]:
    """The checks of a module by name: its own public functions, in their order."""
    own = [made for made in vars(module).values() if inspect.isfunction(made) and made.__module__ == module.__name__]
    return {check.__name__.replace("_", " "): check for check in own if not check.__name__.startswith("_")}


def checked(module: ModuleType, at: object) -> Iterator[Check]:
    """What each check of a module finds, as it is done."""
    for name, check in checks(module).items():
        yield _checked(name, check, at)


def _checked(name: str, check: Callable[..., str], *at: object) -> Check:
    try:
        return Check(name, True, check(*at))
    except GaiaError as error:
        return Check(name, False, str(error))
