"""What `dvc exp run --queue` has queued, run by an engine, each in a workspace of its own: `gaia work`."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from gaia import engines, paths
from gaia.engines import settings
from gaia.engines.job import Job
from gaia.errors import GaiaError
from gaia.registry.git import read
from gaia.storage import dvc
from gaia.sweeps import experiment
from gaia.sweeps.experiment import ARGUMENTS, Experiment, Grounds

QUEUE = "refs/exps/celery/stash"  # DVC's: a stash, each of whose entries is an experiment
LOGS = paths.sweep("queue")
# What `dvc exp run --queue` may have been asked for beside targets, and passes on to `dvc repro`.
FLAGS = ("force", "single_item", "pipeline", "all_pipelines", "downstream", "recursive", "force_downstream", "pull",
         "allow_missing")  # fmt: skip


class Worked(NamedTuple):
    """What became of a queued experiment; of one that failed, why, and the log below the project."""

    experiment: str
    failed: str | None = None
    log: str | None = None


class _Entry(NamedTuple):
    stash: str
    wanted: Experiment

    @property
    def lines(self) -> list[str]:
        """Those whose stages are asked for."""
        targets = [argument for argument in self.wanted.arguments if not argument.startswith("--")]
        return [target.partition("@")[2] for target in targets]


def work(
    engine: str | None = None, jobs: int | None = None, root: Path = Path(), say: Callable[[str], object] = print
) -> list[Worked]:
    """Run all that is queued, and what is queued meanwhile; each is taken off the queue when its experiment is here.

    What fails stays queued, and the others go on; if this is killed, the next call takes up what is left. Raises
    GaiaError if DVC can't say what is queued.
    """
    entries: dict[str, tuple[_Entry, Grounds]] = {}
    worked: list[Worked] = []
    chosen = settings.read(engine, root, jobs)
    slots: dict[str, int] = {}  # of those that run
    seen: set[str] = set()
    here = hashlib.sha256(f"{platform.node()} {root.resolve()}".encode()).hexdigest()[:8]  # others may work, too

    def waiting() -> Iterator[Job]:
        while entry := next((each for each in _queued(root) if each.stash not in seen), None):
            seen.add(entry.stash)
            try:
                found = experiment.grounds(chosen, entry.stash, f"refs/gaia/queued/{entry.stash}", entry.lines, root)
            except GaiaError as error:
                worked.append(Worked(entry.wanted.name, str(error)))
                continue
            wanted = entry.wanted._replace(known=found.known, stages=found.stages, whose=experiment.whose(root))
            slots[wanted.name] = slot = next(number for number in count() if number not in slots.values())
            entries[wanted.name] = entry, found
            yield Job(wanted.name, experiment.run, (found.origin, f"work-{here}-{slot}", wanted))

    for done in engines.run(chosen, waiting(), lambda job, rows: False):
        del slots[done.job.name]
        entry, found = entries[done.job.name]
        log = LOGS / f"{entry.wanted.name}.log"
        failed = experiment.ended(found, entry.wanted, done, root, log).failed
        if failed is None:
            _remove(entry, root)
        worked.append(Worked(entry.wanted.name, failed, str(log) if failed else None))
        experiment.leave(found, root)
        say(f"{entry.wanted.name}: {failed or 'done'}")
    return worked


def _queued(root: Path) -> list[_Entry]:
    """What is queued, the first first. (DVC's stash is asked, and not its broker, which may hold a half-written
    message.)"""
    with dvc.repo(root, "what is queued can't be read") as repo:
        known = repo.experiments.celery_queue.stash.stash_revs
        found = sorted(known.items(), key=lambda item: -(item[1].stash_index or 0))
    return [
        _Entry(stash, Experiment(entry.baseline_rev, entry.name or f"queued-{stash[:7]}", _arguments(stash, root)))
        for stash, entry in found
    ]


def _arguments(stash: str, root: Path) -> tuple[str, ...]:
    """What was asked of `dvc exp run`, which DVC keeps in the stash itself."""
    from dvc.repo.experiments.executor.base import BaseExecutor

    kept = read(stash, str(ARGUMENTS), root)
    if kept is None:
        return ()
    with tempfile.NamedTemporaryFile() as file:
        file.write(kept)
        file.flush()
        args, kwargs = BaseExecutor.unpack_repro_args(file.name)
    targets = args[0] if args else kwargs.get("targets")
    targets = [targets] if isinstance(targets, str) else targets or []
    return (*(f"--{flag.replace('_', '-')}" for flag in FLAGS if kwargs.get(flag)), *targets)


def _remove(entry: _Entry, root: Path) -> None:
    """Take it off DVC's queue: its message, and its stash."""
    with dvc.repo(root, f"{entry.wanted.name} can't be taken off the queue") as repo:
        queue: Any = repo.experiments.celery_queue
        with suppress(Exception):  # whatever a broken message makes of the broker; the stash is what counts
            queue.remove([entry.wanted.name])
        if known := queue.stash.stash_revs.get(entry.stash):
            queue.stash.remove_revs([known])
