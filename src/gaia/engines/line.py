"""One line, built in a workspace: what a process does for `gaia build`, on whatever host."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from gaia import console
from gaia.engines import following, workspace
from gaia.engines.workspace import Origin
from gaia.storage import dvc


class Order(NamedTuple):
    """What is to be made, of what, and where it is put."""

    origin: Origin
    line: str
    stages: tuple[str, ...]  # the line's own
    known: tuple[str, ...]  # outputs that are up to date, or were once
    tracked: tuple[str, ...]  # files that come back by Git
    ref: str  # under which they come,
    failed: str  # or, if a stage fails, what came before it


class Made(NamedTuple):
    """What came of a line: a commit with dvc.lock and what Git keeps of it; what DVC keeps is in the cache that is
    shared, or in the store. `code` is that of `dvc repro`: if it isn't 0, the stages before the one that failed."""

    commit: str
    code: int


def make(order: Order, say: Callable[[tuple[str, Any]], object]) -> Made:
    """Do what `dvc repro` would for a line, in its workspace.

    Says ("host", its name), and ("log" and "progress", what came to those files). Raises GaiaError if Git or the store
    fails.
    """
    say(("host", platform.node()))
    with workspace.opened(order.origin, order.line) as project:
        log, progress = project / dvc.TMP / "build.log", project / dvc.TMP / "build.progress"
        with following.follow({"log": log, "progress": progress}, say):
            workspace.fill(order.origin, project, order.known, log)
            # threads that wait for each other would wait for those of other lines
            variables = {console.PROGRESS: str(progress), "OMP_WAIT_POLICY": "PASSIVE"}
            code = dvc.run("repro", *order.stages, root=project, log=log, variables=variables)
            workspace.keep(order.origin, project, order.stages, log)
        paths, ref = [str(dvc.LOCK), *order.tracked], order.failed if code else order.ref
        return Made(workspace.publish(order.origin, project, paths, ref, f"{order.line}: built"), code)
