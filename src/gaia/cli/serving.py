"""`gaia serve`."""

from __future__ import annotations

import argparse
from typing import Any

from gaia.cli.verb import verb
from gaia.errors import GaiaError


def add(verbs: Any) -> None:
    """Its parser."""
    serve = verb(
        verbs, "serve", _serve, help="answer over HTTP and on a page with what is live on this host",
        description="Answers with what deployments/ says is live, and from its next deployment on with that. A line "
        "that was never deployed here answers with the last build of the workspace, and says so. conf/serving/ has the "
        "settings.",
    )  # fmt: skip
    serve.add_argument("--host", default="127.0.0.1", help="another than loopback needs GAIA_API_KEY (127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    serve.add_argument("--follow", action="store_true", help="`gaia sync` again and again: a host is one command")


def _serve(asked: argparse.Namespace) -> None:
    try:
        from gaia.serving import run
    except ModuleNotFoundError as error:
        raise GaiaError(
            f"{error.name} is not installed", "`pip install 'gaia-vision[serve]'` brings what serves"
        ) from None
    run.serve(asked.host, asked.port, asked.follow)
