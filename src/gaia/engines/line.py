"""One line, built in a workspace: what a process does for `gaia build`, on whatever host."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from gaia import console
from gaia.engines import following, workspace
from gaia.engines.workspace import Origin
from gaia.errors import GaiaError
from gaia.storage import dvc


class Order(NamedTuple):
    """What is to be made, of what, and where it is put."""

    origin: Origin
    line: str
    stages: tuple[str, ...]  # the line's own
    known: tuple[str, ...]  # outputs that are up to date, or were once
    tracked: tuple[str, ...]  # files that come back by Git
    ref: str  # under which they come


def make(order: Order, say: Callable[[tuple[str, Any]], object]) -> str:
    """Do what `dvc repro` would for a line, in its workspace; the commit that holds dvc.lock and what Git keeps of it.

    What DVC keeps is then in the cache that is shared, or in the store. Says ("host", its name), and ("log" and
    "progress", what came to those files). Raises GaiaError if DVC or the store fails.
    """
    say(("host", platform.node()))
    with workspace.opened(order.origin, order.line) as project:
        log, progress = project / dvc.TMP / "build.log", project / dvc.TMP / "build.progress"
        with following.follow({"log": log, "progress": progress}, say):
            workspace.fill(order.origin, project, order.known, log)
            # threads that wait for each other would wait for those of other lines
            variables = {console.PROGRESS: str(progress), "OMP_WAIT_POLICY": "PASSIVE"}
            if code := dvc.run("repro", *order.stages, root=project, log=log, variables=variables):
                raise GaiaError(f"`dvc repro` ended with exit code {code}.")
            workspace.keep(order.origin, project, order.stages, log)
        paths = [str(dvc.LOCK), *order.tracked]
        return workspace.publish(order.origin, project, paths, order.ref, f"{order.line}: built")
