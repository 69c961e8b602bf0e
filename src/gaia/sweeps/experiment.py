"""One DVC experiment in a workspace of its own, on whatever host: what an engine is given to do."""

from __future__ import annotations

import csv
import json
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gaia import engines, files, paths
from gaia.config import yaml
from gaia.engines import plan as plans
from gaia.engines import result, workspace
from gaia.engines.job import Done
from gaia.engines.settings import Settings
from gaia.engines.snapshot import Snapshot
from gaia.engines.workspace import Origin
from gaia.errors import GaiaError
from gaia.registry.git import git
from gaia.storage import dvc, objects, transfer
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client

History = list[dict[str, float]]  # a row for each epoch, as frameworks/protocol.py has it
ARGUMENTS = dvc.TMP / "repro.dat"  # where DVC keeps, in the stash of a queued experiment, what it was asked
LOOK = 0.3  # seconds between two looks at a training's history


class Experiment(NamedTuple):
    """What `dvc exp run` is to do: on which commit, under which name, with which arguments; of which line it trains the
    history is read, if of any; and, for another host, which outputs the store has, which stages make some, and whose it
    is, by name and address: DVC commits, and a host that only works need have no settings of Git."""

    base: str
    name: str
    arguments: tuple[str, ...]
    line: str | None = None
    known: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    whose: tuple[str, ...] = ()

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

    Raises GaiaError if there is no workspace to be had, or it can't be filled from the store or emptied into it.
    """
    with workspace.opened(origin, slot) as project:
        log = project / dvc.TMP / "experiment.log"
        log.unlink(missing_ok=True)
        for ref in git("for-each-ref", "--format=%(refname)", "refs/exps", root=project).split():
            git("update-ref", "-d", ref, root=project)  # of earlier ones, which are kept elsewhere
        git("reset", "--quiet", "--soft", experiment.base, root=project)  # what nobody committed is the experiment's
        git("rm", "--quiet", "--cached", "--ignore-unmatch", str(ARGUMENTS), root=project)  # of one that was queued
        (project / ARGUMENTS).unlink(missing_ok=True)
        for key, value in zip(("user.name", "user.email"), experiment.whose, strict=False):
            git("config", key, value, root=project)
        if not origin.config:
            workspace.fill(origin, project, experiment.known, log)
        arguments = ("exp", "run", "--name", experiment.name, *experiment.arguments)
        if _watched(arguments, project, log, experiment.line, say):
            said = log.read_text(encoding="utf-8", errors="replace")
            return Outcome(dvc.complaint(said), [], said)
        workspace.keep(origin, project, experiment.stages, log)
        git("push", "--quiet", "--force", origin.git, f"{experiment.ref}:{experiment.ref}", root=project)
        return Outcome(None, _whole(project, experiment.line), "")


def _watched(
    arguments: Sequence[str], project: Path, log: Path, line: str | None, say: Callable[[History], object]
) -> int:
    """DVC's exit code; meanwhile the epochs of the line's training are told."""
    codes: list[int] = []
    # threads that wait for each other would wait for those of other experiments
    dvc_run = partial(dvc.run, *arguments, root=project, log=log, variables={"OMP_WAIT_POLICY": "PASSIVE"})
    work = threading.Thread(target=lambda: codes.append(dvc_run()), daemon=True)
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


class Grounds(NamedTuple):
    """What experiments are run on, wherever: see `grounds`."""

    origin: Origin
    known: tuple[str, ...]
    stages: tuple[str, ...]
    made: tuple[str, ...]  # the outputs of these stages
    remote: str | None  # from which the refs of what was run elsewhere come


def grounds(chosen: Settings, commit: str, ref: str, lines: Sequence[str], root: Path) -> Grounds:
    """Where the engine has its workspaces, at a commit that `ref` keeps until `leave`; for other hosts it is put into
    the Git remote, and what these lines (all, if one of them is none) read into the store.

    Raises GaiaError if that can't be, or a line reads what nothing keeps.
    """
    every = list(yaml.read(root / paths.PARAMS)["lines"])
    plan = plans.read(dict.fromkeys(lines) if lines and set(lines) <= set(every) else every, every, root)
    plans.check_kept(plan, plan.lines)
    taken = Snapshot(commit, ref)
    git("update-ref", ref, commit, root=root)
    if not engines.elsewhere(chosen):
        return Grounds(workspace.here(taken, root), (), (), (), None)
    origin = workspace.abroad(taken, root)
    known = {path for outputs in result.store(plan, plan.lines, taken.commit).values() for path in outputs}
    stages = [stage for own in plan.lines.values() for stage in own]
    made = tuple(path for line in plan.lines for path in plan.cached(line))
    return Grounds(origin, tuple(sorted(known)), tuple(stages), made, origin.git)


def whose(root: Path) -> tuple[str, ...]:
    """The name and the address of who asks, as Git knows them; nothing, if it doesn't."""
    said = git("var", "GIT_AUTHOR_IDENT", root=root, ok=(0, 128))
    known = re.match(r"(.*) <(.*)> \d+ ", said)
    return known.groups() if known else ()


def ended(found: Grounds, experiment: Experiment, done: Done, root: Path, log: Path) -> Outcome:
    """How it ended, with its ref and what it made here, wherever it was run; or else, with what was said in `log`."""
    outcome = done.result if isinstance(done.result, Outcome) else Outcome(done.error, [], done.error or "")
    if found.remote and outcome.failed is None:
        try:
            wanted = f"+{experiment.ref}:{experiment.ref}"
            git("fetch", "--quiet", "--no-tags", "--force", found.remote, wanted, root=root)
            client = S3Client(settings.read(root))
            transfer.fetch(objects.of_revision(experiment.ref, found.made, client=client, root=root), client, root)
        except GaiaError as error:
            outcome = Outcome(str(error), [], str(error))
    if outcome.failed is not None:
        with files.replaced(root / log) as beside:
            beside.write_text(outcome.log, encoding="utf-8")
    return outcome


def leave(found: Grounds, root: Path, slots: str = "") -> None:
    """Take away what `grounds` has put into place, and the workspaces here that are called so and numbered."""
    if slots and found.origin.folder:
        for folder in Path(found.origin.folder).glob(f"{slots}-*"):
            if re.fullmatch(r"\d+(\.lock)?", folder.name.removeprefix(f"{slots}-")):
                folder.unlink() if folder.is_file() else shutil.rmtree(folder, ignore_errors=True)
    ref = found.origin.snapshot.ref
    git("update-ref", "-d", ref, root=root)
    if found.remote:
        git("push", "--quiet", found.remote, f":{ref}", root=root)
