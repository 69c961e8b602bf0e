"""Many trainings of one line, side by side: `gaia sweep`, `gaia work`."""

from __future__ import annotations

import argparse
from typing import Any

from gaia.cli.verb import count, print_json, verb
from gaia.errors import GaiaError


def add(verbs: Any) -> None:
    """The parsers of its verbs."""
    sweep = verb(
        verbs, "sweep", _sweep, help="search over settings: `gaia sweep plants 'optimizer.lr=log(1e-4, 1e-2)'`",
        description="Trains a line again and again, each time with other settings, and looks for the best on the "
        "validation split; the test split is never looked at. Each finished trial is an experiment of DVC (`dvc exp "
        "show`, `apply`, `branch`). The same command goes on where a search was stopped or killed.",
    )  # fmt: skip
    sweep.add_argument("line")
    sweep.add_argument(
        "space", nargs="+", metavar="setting=values",
        help="log(1e-4, 1e-2), interval(0, 1), range(2, 10, 2), choice(a, b), or a, b: Hydra's words, and log",
    )  # fmt: skip
    sweep.add_argument("--trials", type=count, metavar="N", help="how many trainings; else as conf/sweep/ says")
    sweep.add_argument("--metric", choices=("log_loss", "accuracy"), help="what is searched for, on validation")
    sweep.add_argument("--sampler", choices=("tpe", "random", "grid"), help="what chooses the next trial")
    sweep.add_argument("--pruner", choices=("asha", "hyperband", "none"), help="what stops hopeless trials early")
    sweep.add_argument("--seed", type=int, metavar="N", help="of the sampler")
    sweep.add_argument("--name", help="of the search and its experiments; else made of line and space")
    work = verb(
        verbs, "work", _work, help="run what `dvc exp run --queue` has queued, side by side",
        description="Runs each queued experiment in a folder of its own. It leaves the queue when its result is here "
        "(`dvc exp show`). What fails stays queued, and the others go on.",
    )  # fmt: skip
    for parser in (sweep, work):
        parser.add_argument("--engine", help="where: an option of conf/engine/, local or ray")
        parser.add_argument("--jobs", type=count, metavar="N", help="how many at once")


def _sweep(asked: argparse.Namespace) -> None:
    from gaia.sweeps import settings
    from gaia.sweeps.search import search

    given = {key: getattr(asked, key) for key in settings.Settings.__annotations__}
    found = search(
        asked.line, asked.space, settings.read(given), name=asked.name, engine=asked.engine, jobs=asked.jobs
    )  # fmt: skip
    if asked.json:
        print_json(found)
    else:
        _show(found)
    failed = [trial for trial in found["trials"] if trial["state"] == "failed" and trial["log"]]
    if failed:
        logs = ", ".join(f"trial {trial['number']} ({trial['log']})" for trial in failed)
        raise GaiaError(
            f"{len(failed)} of {len(found['trials'])} trials failed: {logs}", "the same command tries them again"
        )


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    from gaia.console import console
    from gaia.sweeps.page import outcome, value

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("trial", found["metric"], "epochs"):
        table.add_column(column, justify="right")
    keys = list(dict.fromkeys(key for trial in found["trials"] for key in trial["settings"]))
    for column in (*keys, "outcome"):
        table.add_column(column)
    for trial in found["trials"]:
        reached = "-" if trial["value"] is None else f"{trial['value']:.4g}"
        cells = [value(trial["settings"].get(key)) for key in keys]
        best = "bold" if trial["number"] == found["best"] else "dim" if trial["value"] is None else None
        table.add_row(str(trial["number"]), reached, str(trial["epochs"]), *cells, outcome(trial), style=best)
    if not console.is_terminal:
        console.width = 160  # a file has no edge to wrap at
    console.print(table)
    console.print(f"{found['name']}: {found['page']}", markup=False)
    best = next((trial for trial in found["trials"] if trial["number"] == found["best"]), None)
    if best and (name := best["experiment"]):
        console.print(f"`dvc exp apply {name}` brings the best one's settings, model and report", markup=False)


def _work(asked: argparse.Namespace) -> None:
    from gaia.sweeps.queue import work

    worked = work(asked.engine, asked.jobs)
    if asked.json:
        print_json([each._asdict() for each in worked])
    elif not worked:
        print("nothing is queued")
    if failed := [each for each in worked if each.failed]:
        logs = ", ".join(f"{each.experiment} ({each.log or each.failed})" for each in failed)
        raise GaiaError(f"{len(failed)} of {len(worked)} experiments failed, and stay queued: {logs}.")
