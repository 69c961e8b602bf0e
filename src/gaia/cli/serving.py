"""`gaia serve` and `gaia replay`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaia.cli import given
from gaia.cli.verb import FILES, print_json, verb
from gaia.errors import GaiaError, printable

if TYPE_CHECKING:
    from gaia.deployments.servers import Server
    from gaia.runtime.answers import Answers
    from gaia.runtime.predictor import Predictor


def add(verbs: Any) -> None:
    """Their parsers."""
    serve = verb(
        verbs, "serve", _serve, help="answer over HTTP and on a page with what is live on this host",
        description="Answers with what deployments/ says is live, and from its next deployment on with that. A line "
        "that was never deployed here answers with the last build of the workspace, and says so. conf/serving/ has the "
        "settings.",
    )  # fmt: skip
    serve.add_argument("--host", default="127.0.0.1", help="another than loopback needs GAIA_API_KEY (127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    serve.add_argument("--follow", action="store_true", help="`gaia sync` again and again: a host is one command")

    replay = verb(
        verbs, "replay", _replay, help="one set of inputs through two versions: which answers flip",
        description="Inputs: photos and folders of photos, a table, or with --log what the answer log kept.",
    )  # fmt: skip
    replay.add_argument("old", metavar="line@version")
    replay.add_argument("new", metavar="line@version")
    inputs = replay.add_argument("inputs", nargs="*", metavar="input")
    inputs.complete = FILES  # type: ignore[attr-defined]
    replay.add_argument("--log", action="store_true", help="the inputs that conf/serving/ had the answer log keep")


def _serve(asked: argparse.Namespace) -> None:
    from gaia.serving import run

    def ready(server: Server) -> None:
        if asked.json:
            print_json(server._asdict() | {"problems": [each._asdict() for each in server.problems]}, line=True)

    run.serve(asked.host, asked.port, asked.follow, ready)


def _replay(asked: argparse.Namespace) -> None:
    from gaia.serving.replay import replay
    from gaia.versions import model

    if bool(asked.inputs) == asked.log:
        raise GaiaError(
            "inputs and --log are both given" if asked.log else "no input is given", "give inputs, or --log"
        )
    if given.STDIN in asked.inputs:
        raise GaiaError("standard input can be read once, and two versions would read it", "name a file")
    with model.opened(asked.old) as old, model.opened(asked.new) as new:
        found = replay(_answers(asked, old), _answers(asked, new))
    if asked.json:
        print_json(found)
        return
    for flip in found["flips"]:
        old_share, new_share = flip["old_probabilities"][flip["old"]], flip["new_probabilities"][flip["new"]]
        said = f"{flip['input']}  {flip['old']} ({old_share:.1%}) -> {flip['new']} ({new_share:.1%})"
        print(printable(said))
    print(f"{len(found['flips'])} of {found['compared']} answers flip")


def _answers(asked: argparse.Namespace, model: Predictor) -> Iterator[Answers]:
    if not asked.log:
        return given.answers(model, asked.inputs, asked.here)
    from gaia.serving import answerlog, settings

    folder = settings.read()["log"]["folder"]
    if folder is None:
        raise GaiaError("there is no answer log", "set log: {folder: answers, inputs: true} in conf/serving/")
    return answerlog.answers(Path(folder), model)
