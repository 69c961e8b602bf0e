"""`gaia build`."""

from __future__ import annotations

import argparse
from typing import Any

from gaia.cli.verb import count, print_json, verb
from gaia.errors import GaiaError


def add(verbs: Any) -> None:
    """Its parser."""
    build = verb(
        verbs, "build", _build, help="what `dvc repro` would do, the lines side by side: `gaia build`",
        description="Builds each line that is not up to date in a folder of its own, here or on a Ray cluster, and "
        "takes over what comes of it: dvc.lock is the same as `dvc repro` makes, one line after the other.",
    )  # fmt: skip
    build.add_argument("lines", nargs="*", metavar="line", help="all, if none is named")
    build.add_argument("--engine", help="an option of conf/engine/, such as local or ray")
    build.add_argument("--jobs", type=count, metavar="N", help="lines at once, whatever cores they take")


def _build(asked: argparse.Namespace) -> None:
    from gaia import build
    from gaia.console import bars
    from gaia.engines import settings

    chosen = settings.read(asked.engine, jobs=asked.jobs)
    with bars() as show:
        ends = build.build(asked.lines, chosen, show)
    if asked.json:
        print_json([end._asdict() for end in ends])
    kept = [end.line for end in ends if end.state == build.KEPT]
    if kept and not asked.json:
        print(f"up to date: {', '.join(kept)}")
    bad = [end for end in ends if end.state in (build.FAILED, build.LEFT)]
    if bad:
        raise GaiaError.several(build.problem(end) for end in bad)
