"""A search from end to end: ask the study, let an engine run the trials, tell the study, write the page."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from gaia import engines, files, paths
from gaia.config import yaml
from gaia.config.compose import compose_as
from gaia.config.schema import PhotoLine, TableLine
from gaia.config.stored import dump
from gaia.config.written import read as written
from gaia.engines import settings as engine_settings
from gaia.engines import snapshot
from gaia.engines.job import Done, Job, Needs
from gaia.errors import GaiaError, nearest, warn
from gaia.registry.git import git
from gaia.sweeps import experiment, page, study
from gaia.sweeps import space as spaces
from gaia.sweeps.experiment import Experiment, Grounds
from gaia.sweeps.settings import METRICS, Settings
from gaia.sweeps.space import Space

# What a trial's result depends on beside the settings of its line; a commit of anything else is no new search.
INPUTS = (str(paths.PIPELINE), str(paths.CONF), "src/gaia", "data/raw", "requirements.lock")
STATES = {
    TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip
REWRITE = 10.0  # seconds between two versions of the page, at least


class Search(NamedTuple):
    """What is searched over, and how."""

    name: str
    line: str
    entry: dict[str, Any]  # the line's, in params.yaml
    space: Space
    settings: Settings
    chosen: engine_settings.Settings
    grounds: Grounds
    needs: Needs
    base: str  # the commit whose experiments the trials are
    study: Study
    epochs: int  # that a whole training may take, at most

    @property
    def folder(self) -> Path:
        return paths.sweep(self.name)


def search(
    line: str, words: list[str], settings: Settings, *, name: str | None = None, engine: str | None = None,
    jobs: int | None = None, root: Path = Path(), say: Callable[[str], object] = print,
) -> dict[str, Any]:  # fmt: skip
    """Search over a line's settings until as many trials as `settings` say are over; see `document` for what it gives.

    The same call goes on where a search was killed. Every finished trial is an experiment of DVC on HEAD. Raises
    GaiaError for words that say nothing of the line, or if the same search is under way elsewhere.
    """
    chosen = engine_settings.read(engine, root, jobs)
    params = written(root)
    if line not in params.params["lines"]:
        known = params.params["lines"]
        raise GaiaError(f"params.yaml has no line '{line}'", f"its lines are {', '.join(known)}{nearest(line, known)}")
    entry = params.params["lines"][line]
    space = spaces.read(words, params.options)
    if settings["sampler"] == "grid":
        size = math.prod(map(len, spaces.grid(space).values()))
        if size > settings["trials"]:
            warn(
                f"the grid has {size} points, and the first {settings['trials']} are tried; `--trials {size}` tries all"
            )
    tried = compose_as(line, [entry, *(spaces.entry(entry, point) for point in spaces.corners(space))], root)
    taken = snapshot.take(root)
    searched = _searched(line, tried[0], words, settings, taken.commit, params.params.get("demo"), root)
    name = name or f"{line}-{searched[:6]}"
    if not paths.NAME.fullmatch(name):
        raise GaiaError(f"'{name}' can't name a search", "small letters, digits and single dashes do")
    folder = root / paths.sweep(name)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            epochs = max(each.trainer.max_epochs if each.trainer else 1 for each in tried)
            known = study.open_study(folder / "journal", name, searched, settings, epochs)
            base = git("rev-parse", "HEAD", root=root).strip()
            ground = experiment.grounds(chosen, taken.commit, f"refs/gaia/sweeps/{name}", [line], root)
            git("update-ref", "-d", taken.ref, root=root)
            trainer = tried[0].trainer
            needs = engine_settings.needs(entry, trainer.model_dump() if trainer else {})
            asked = Search(name, line, entry, space, settings, chosen, ground, needs, base, known, epochs)
            found = _run(asked, root, say)
            experiment.leave(ground, root, f"sweep-{name}")
            return found
    except Timeout:
        raise GaiaError(f"the search '{name}' is under way already", "let it end, or give another --name") from None


def _searched(
    line: str, config: PhotoLine | TableLine, words: list[str], settings: Settings, commit: str, demo: Any, root: Path
) -> str:
    """A hash of all that makes trials comparable: with another, the same settings would be another trial."""
    code = git("ls-tree", commit, "--", *INPUTS, root=root)
    parts = [line, yaml.dump(dump(config)), *sorted(words), settings["metric"], code, repr(demo)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _run(asked: Search, root: Path, say: Callable[[str], object]) -> dict[str, Any]:
    """Every trial that is to be; the page is written as they go."""
    under_way: dict[str, Trial] = {}
    following: list[tuple[Trial, int]] = []  # trials with the settings of one that is under way
    written_at = 0.0
    whose = experiment.whose(root)

    def write(over: bool = False) -> None:
        nonlocal written_at
        if over or time.monotonic() - written_at > REWRITE:
            with files.replaced(root / asked.folder / "page.html") as beside:
                beside.write_text(page.render(document(asked, over), asked.space), encoding="utf-8")
            written_at = time.monotonic()

    def jobs() -> Iterator[Job]:
        left = study.unfinished(asked.study, asked.space, asked.settings)
        study.begin(asked.study, asked.space, asked.settings)
        while trial := left.pop(0) if left else study.next_trial(asked.study, asked.space, asked.settings):
            if other := study.earlier(asked.study, trial):
                if other.state is TrialState.RUNNING:
                    following.append((trial, other.number))
                else:
                    study.repeat(asked.study, trial, other)
                continue
            taken = {other.user_attrs[study.SLOT] for other in under_way.values()}
            slot = trial.user_attrs.get(study.SLOT)  # there lies the checkpoint of a training that was interrupted
            if slot is None or slot in taken:
                slot = next(number for number in count() if number not in taken)
            trial.set_user_attr(study.SLOT, slot)
            arguments = (*spaces.overrides(asked.line, asked.entry, trial.params), f"evaluate@{asked.line}")
            named = f"{asked.name}-{trial.number}"
            known, stages = asked.grounds.known, asked.grounds.stages
            wanted = Experiment(asked.base, named, arguments, asked.line, known, stages, whose)
            under_way[wanted.name] = trial
            write()
            yield Job(
                wanted.name, experiment.run, (asked.grounds.origin, f"sweep-{asked.name}-{slot}", wanted), asked.needs
            )

    def heard(job: Job, rows: Any) -> bool:
        hopeless = study.report(under_way[job.name], rows, asked.settings["metric"])
        write()
        return hopeless

    for done in engines.run(asked.chosen, jobs(), heard):
        trial = under_way.pop(done.job.name)
        _tell(asked, trial, done, root)
        for other, number in [each for each in following if each[1] == trial.number]:
            following.remove((other, number))
            study.repeat(asked.study, other, asked.study.trials[number])
        say(_sentence(asked, asked.study.trials[trial.number]))
        write()
    write(over=True)
    return document(asked, True)


def _tell(asked: Search, trial: Trial, done: Done, root: Path) -> None:
    if done.stopped:
        asked.study.tell(trial, state=TrialState.PRUNED)
        return
    log = asked.folder / f"trial-{trial.number}.log"
    outcome = experiment.ended(asked.grounds, done.job.arguments[2], done, root, log)
    if outcome.failed is None:
        trial.set_user_attr(study.EXPERIMENT, done.job.name)
        study.finish(asked.study, trial, outcome.history, asked.settings["metric"], asked.epochs)
    else:
        trial.set_user_attr(study.LOG, str(log))
        asked.study.tell(trial, state=TrialState.FAIL)


def document(asked: Search, over: bool) -> dict[str, Any]:
    """The search for scripts and its page; trials the best first, those without a value last."""
    least = METRICS[asked.settings["metric"]][1] == "minimize"
    trials = [_facts(trial) for trial in study.counted(asked.study.get_trials(deepcopy=False))]
    worst = float("inf")
    trials.sort(key=lambda t: (worst if t["value"] is None else t["value"] if least else -t["value"], t["number"]))
    return {
        "name": asked.name, "line": asked.line, "metric": asked.settings["metric"], "least": least,
        **{key: asked.settings[key] for key in ("sampler", "pruner", "seed")},
        "over": over, "page": str(asked.folder / "page.html"),
        "best": next((trial["number"] for trial in trials if trial["value"] is not None), None),
        "importance": study.importance(asked.study), "trials": trials,
    }  # fmt: skip


def _facts(trial: FrozenTrial) -> dict[str, Any]:
    history = {str(epoch): value for epoch, value in sorted(trial.intermediate_values.items())}
    return {
        "number": trial.number, "state": STATES[trial.state],
        "value": trial.value if trial.state is TrialState.COMPLETE else None,
        "epochs": max(trial.intermediate_values, default=0), "settings": dict(trial.params),
        "experiment": trial.user_attrs.get(study.EXPERIMENT), "same_as": trial.user_attrs.get(study.SAME),
        "log": trial.user_attrs.get(study.LOG), "history": history,
    }  # fmt: skip


def _sentence(asked: Search, trial: FrozenTrial) -> str:
    facts = _facts(trial)
    settings = ", ".join(f"{key}={page.value(value)}" for key, value in facts["settings"].items())
    value = "" if facts["value"] is None else f"{asked.settings['metric']} {facts['value']:.4g}"
    return f"trial {trial.number}: {value or page.outcome(facts)}  ({settings})"
