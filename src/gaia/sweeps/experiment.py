"""One DVC experiment in a workspace of its own, on whatever host: what an engine is given to do."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gaia import paths
from gaia.engines import workspace
from gaia.engines.workspace import Origin
from gaia.errors import GaiaError
from gaia.registry.git import git
from gaia.storage import dvc

History = list[dict[str, float]]  # a row for each epoch, as frameworks/protocol.py has it
ARGUMENTS = dvc.TMP / "repro.dat"  # where DVC keeps, in the stash of a queued experiment, what it was asked
LOOK = 0.3  # seconds between two looks at a training's history
TAIL = 40  # lines of a log that its end is known by


class Experiment(NamedTuple):
    """What `dvc exp run` is to do: on which commit, under which name, with which arguments; and of which line it
    trains the history is read, if of any."""

    base: str
    name: str
    arguments: tuple[str, ...]
    line: str | None = None

    @property
    def ref(self) -> str:
        """Where DVC keeps it."""
        return f"refs/exps/{self.base[:2]}/{self.base[2:]}/{self.name}"


class Outcome(NamedTuple):
    """How it ended: what failed, in a sentence, or nothing; the history of its training; what was said."""

    failed: str | None
    history: History
    log: str


def run(origin: Origin, slot: str, experiment: Experiment, say: Callable[[History], object]) -> Outcome:
    """Run it in the workspace `slot`, and put its ref where the workspace comes from; on another host its data into the
    store, too. `say` is told of epochs as they end. The test split's figures are made, and not looked at.

    Raises GaiaError if there is no workspace to be had.
    """
    with workspace.opened(origin, slot) as project:
        log = project / dvc.TMP / "experiment.log"
        log.unlink(missing_ok=True)
        for ref in git("for-each-ref", "--format=%(refname)", "refs/exps", root=project).split():
            git("update-ref", "-d", ref, root=project)  # of earlier ones, which are kept elsewhere
        git("reset", "--quiet", "--soft", experiment.base, root=project)  # what nobody committed is the experiment's
        git("rm", "--quiet", "--force", "--ignore-unmatch", str(ARGUMENTS), root=project)  # of one that was queued
        arguments = ("exp", "run", "--name", experiment.name, *experiment.arguments)
        code = _watched(arguments, project, log, experiment.line, say)
        if not code and origin.config is None:
            code = dvc.run("push", "--run-cache", root=project, log=log)
        said = log.read_text(encoding="utf-8", errors="replace")
        if code:
            return Outcome(f"{experiment.name}: {dvc.complaint(said)}", [], said)
        try:
            git("push", "--quiet", "--force", origin.git, f"{experiment.ref}:{experiment.ref}", root=project)
        except GaiaError as error:
            return Outcome(str(error), [], said)
        return Outcome(None, _whole(project, experiment.line), said)


def _watched(
    arguments: Sequence[str], project: Path, log: Path, line: str | None, say: Callable[[History], object]
) -> int:
    """DVC's exit code; meanwhile the epochs of the line's training are told."""
    codes: list[int] = []
    work = threading.Thread(target=lambda: codes.append(dvc.run(*arguments, root=project, log=log)), daemon=True)
    work.start()
    told = 0
    while work.is_alive():
        work.join(LOOK)
        if line and len(rows := _noted(project, line)) > told:
            say(rows[told:])
            told = len(rows)
    return codes[0] if codes else 1


def _noted(project: Path, line: str) -> History:
    """The epochs so far of the training that runs, in order, each once."""
    found: dict[float, dict[str, float]] = {}
    for file in (project / paths.checkpoints(line)).glob(f"*/{paths.NOTED}"):
        for text in file.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(text)
            except ValueError:  # a line that is being written
                continue
            found[row["epoch"]] = row
    return [found[epoch] for epoch in sorted(found)]


def _whole(project: Path, line: str | None) -> History:
    """The history of a training that is over."""
    if line is None:
        return []
    with (project / paths.training(line) / "history.csv").open(newline="", encoding="utf-8") as file:
        return [{key: float(cell or "nan") for key, cell in row.items()} for row in csv.DictReader(file)]


def last(log: str) -> str:
    """The end of a log, for who looks for a reason."""
    return "\n".join(log.splitlines()[-TAIL:])


def fetch(experiment: Experiment, root: Path, remote: str | None) -> None:
    """Have an experiment's ref here: from a Git remote, where another host has put it; `None`: it is here already."""
    if remote:
        git("fetch", "--quiet", "--no-tags", "--force", remote, f"+{experiment.ref}:{experiment.ref}", root=root)
