"""What a search knows: its trials in Optuna's journal, and what to try next.

Optuna stores trials, neither sampler nor pruner: both are made anew of the settings, the sampler for each trial by the
seed and the trial's number alone, so that a search that was killed goes on as if nothing had been.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from gaia.errors import GaiaError
from gaia.sweeps import space as spaces
from gaia.sweeps.settings import METRICS, Settings
from gaia.sweeps.space import Space

OF_WHAT = "searched"  # names what a study's trials have in common: line, space, settings, code, data
SAME = "same_as"  # the number of the trial whose settings, and so whose result, a trial has
AGAIN = "again"  # a trial whose settings failed before
EXPERIMENT, LOG, SLOT = "experiment", "log", "slot"
TELLING = 8  # finished trials, from which on a setting's importance is more than chance
POINTS = 200  # of a history, at most, that are kept


def open_study(file: Path, name: str, searched: str, settings: Settings, epochs: int) -> Study:
    """The study in a journal, or a new one. The caller sees to it that nobody else has it open.

    `searched` names all that makes trials comparable, `epochs` are those that a whole training may take. Raises
    GaiaError if the trials in the journal were made of something else.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{file}.lock").unlink(missing_ok=True)  # of a search that was killed as it wrote
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))), study_name=name, load_if_exists=True,
        pruner=_pruner(settings, epochs), direction=METRICS[settings["metric"]][1],  # type: ignore[arg-type]
    )  # fmt: skip
    if study.user_attrs.setdefault(OF_WHAT, searched) != searched:
        found = f"the search '{name}' holds trials of other settings, code or data"
        raise GaiaError(found, "give this one another --name, or none: each has a name of its own then")
    study.set_user_attr(OF_WHAT, searched)
    return study


def begin(study: Study, space: Space, settings: Settings) -> None:
    """Have tried what is left of a grid, and again what failed before."""
    known = study.get_trials(deepcopy=False)
    failed = [trial.params for trial in known if trial.state is TrialState.FAIL]
    there = [_given(trial) for trial in known if trial.state is not TrialState.FAIL]
    for point in _points(space, settings):
        if point not in there and point not in failed:
            study.enqueue_trial(point)
    for point in failed:
        if point not in there:
            study.enqueue_trial(point, user_attrs={AGAIN: True})
            there.append(point)


def next_trial(study: Study, space: Space, settings: Settings) -> Trial | None:
    """The next to be run: one that was under way when the search was killed, or else a new one; None if it is over."""
    known = study.get_trials(deepcopy=False)
    waiting = any(t.state is TrialState.WAITING for t in known)
    most = len(_points(space, settings)) if settings["sampler"] == "grid" else settings["trials"]
    if not waiting and len(counted(known)) >= min(most, settings["trials"]):
        return None
    study.sampler = _sampler(settings, len(known))
    return study.ask(space)


def unfinished(study: Study, space: Space, settings: Settings) -> list[Trial]:
    """The trials that were under way when the search was killed, with all of their settings."""
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.sampler = _sampler(settings, trial.number)
        found.append(Trial(study, trial._trial_id))
        for name, distribution in space.items():  # which the kill may have left unwritten
            found[-1]._suggest(name, distribution)
    return found


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count: not those that failed and were tried again, nor those that only wait."""
    tried = [trial for trial in trials if trial.state is not TrialState.WAITING]
    again = [(trial.params, trial.number) for trial in tried if AGAIN in trial.user_attrs]
    return [
        trial for trial in tried
        if trial.state is not TrialState.FAIL
        or not any(params == trial.params and number > trial.number for params, number in again)
    ]  # fmt: skip


def earlier(study: Study, trial: Trial) -> FrozenTrial | None:
    """The trial before this one that has the same settings, if there is one: rather one that has not failed. What
    failed is no reason not to try again what is to be tried again."""
    same = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number and t.params == trial.params]
    fine = [other for other in same if other.state is not TrialState.FAIL]
    return next(iter(fine if AGAIN in trial.user_attrs else [*fine, *reversed(same)]), None)


def report(trial: Trial, rows: Sequence[dict[str, float]], metric: str) -> bool:
    """Take note of epochs; True if the trial stays so far behind others that it is not worth its time.

    Each epoch is judged by what stood there when it was reached, whoever looks how late.
    """
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    for row in rows:
        epoch, value = int(row["epoch"]), row[METRICS[metric][0]]
        if epoch not in known and math.isfinite(value):
            trial.report(value, epoch)
            if trial.should_prune():
                return True
    return False


def finish(study: Study, trial: Trial, history: Sequence[dict[str, float]], metric: str, epochs: int) -> None:
    """The training is over; its value is the best that it had on the validation split.

    To the pruner it has come as far as any may, `epochs`: one that stopped by itself is what others are held to, too.
    """
    column, direction = METRICS[metric]
    stride = max(1, len(history) // POINTS)
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    for row in history[::stride]:
        if (epoch := int(row["epoch"])) not in known:
            trial.report(row[column], epoch)
    best = (min if direction == "minimize" else max)(row[column] for row in history)
    whole = deepcopy(trial.storage.get_trial(trial._trial_id))
    whole.intermediate_values = {epochs: best}
    study.pruner.prune(study, whole)
    study.tell(trial, best)


def repeat(study: Study, trial: Trial, other: FrozenTrial) -> None:
    """A trial comes out as the other did, whose settings it has."""
    trial.set_user_attr(SAME, other.number)
    for epoch, value in other.intermediate_values.items():
        trial.report(value, epoch)
    if other.state is TrialState.COMPLETE:
        study.tell(trial, other.value)
    else:
        study.tell(trial, state=other.state)


def importance(study: Study) -> dict[str, float]:
    """How much of the differences each setting explains, the most important first; empty if too few trials tell."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < TELLING:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (RuntimeError, ValueError, Warning):  # too few trials, or all alike
        return {}
    shares = {name: float(value) for name, value in found.items() if math.isfinite(value)}
    return shares if any(shares.values()) else {}


def _given(trial: FrozenTrial) -> Any:
    """The settings that a trial has, or is to have, if it waits."""
    return trial.system_attrs.get("fixed_params") if trial.state is TrialState.WAITING else trial.params


def _points(space: Space, settings: Settings) -> list[dict[str, Any]]:
    if settings["sampler"] != "grid":
        return []
    values = spaces.grid(space)
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())][: settings["trials"]]


def _sampler(settings: Settings, number: int) -> BaseSampler:
    seed = int(np.random.SeedSequence([settings["seed"], number]).generate_state(1)[0])
    return TPESampler(seed=seed) if settings["sampler"] == "tpe" else RandomSampler(seed=seed)


def _pruner(settings: Settings, epochs: int) -> BasePruner:
    """Its rungs end well before a whole training does: who has come so far may finish."""
    if settings["pruner"] == "asha":  # at about 1/7, 2/7 and 4/7
        return SuccessiveHalvingPruner(min_resource=math.ceil(epochs / 7), reduction_factor=2)
    if settings["pruner"] == "hyperband":
        return HyperbandPruner(min_resource=math.ceil(epochs / 8), max_resource=epochs, reduction_factor=3)
    return NopPruner()
