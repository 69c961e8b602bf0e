"""Versions and experiments as MLflow shows them: runs, a registered model for each line, an alias for each stage.

What is there already is found by its tags, `gaia.version` or `gaia.experiment` and `gaia.commit`; no note of it is kept
here, and nothing that MLflow says decides anything.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from gaia import paths
from gaia.config import yaml
from gaia.errors import GaiaError, first_line, warn
from gaia.registry import history, sharing
from gaia.registry.history import History
from gaia.storage import errors, releases
from gaia.storage.cache import key as object_key
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.tracking import trainings
from gaia.tracking.trainings import Training
from gaia.versions import card, table, verdict
from gaia.versions.record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunInfo
    from mlflow.entities.model_registry import ModelVersion

ADDRESS = "MLFLOW_TRACKING_URI"
NEW, CHANGED, KEPT, FAILED = "new", "changed", "as it was", "failed"
VERSION, EXPERIMENT, COMMIT = "gaia.version", "gaia.experiment", "gaia.commit"
WHOLE = "FINISHED"  # a run that has this state has all that there is to tell
METRICS, PARAMS = 900, 100  # at most, in one request
NAME, TEXT = 250, 5000  # characters of a key and of a description, at most
FATE = {"live": "gaia.live", "withdrawn": "gaia.withdrawn", "rolled_back": "gaia.rolled_back"}  # what time may change
_NO_ALIAS = re.compile(r"latest|v\d+")  # by which MLflow means its own


class Unreachable(GaiaError):
    """No MLflow answers."""


FATAL = (Unreachable, errors.Unreachable)  # who doesn't answer now won't if asked about the next


class Told(NamedTuple):
    """What became of a version or an experiment, by its name: NEW in MLflow, CHANGED, KEPT, or FAILED, and why."""

    line: str
    name: str
    state: str
    why: str | None = None


class _Place(NamedTuple):
    """Where a line is told of, and what is there by name and commit; what the tags say; and what opens the storage."""

    client: MlflowClient
    experiment: str
    runs: dict[tuple[str, str], RunInfo]
    models: dict[tuple[str, str], ModelVersion]
    known: History
    store: Callable[[], S3Client]


def export(uri: str | None = None, root: Path = Path()) -> list[Told]:
    """Tell MLflow at `uri`, or else at MLFLOW_TRACKING_URI, of every version, what is live, and every experiment.

    The next call tells what has changed since, and finishes what a killed one left. Nothing is uploaded: a model's
    source is its place in the bucket. What can't be told costs itself only. Raises GaiaError if nothing says where
    MLflow is, it doesn't answer, or the Git remote can't be asked for its tags.
    """
    if not (uri := uri or settings.of_host(ADDRESS, root)):
        raise GaiaError("nothing says where MLflow is", f"`--uri http://127.0.0.1:5000` does, or {ADDRESS}")
    with _sentences(uri):
        client = _client(uri)
        client.search_registered_models(max_results=1)  # does it answer?
    sharing.fetch(root)  # so that no alias goes back to what was live before others decided
    known = history.look(root=root)
    history.warn_of(known.foreign)
    lines = dict.fromkeys([*yaml.read(root / paths.PARAMS)["lines"], *(tag.name.line for tag in known.versions)])
    everything = trainings.versions(known, root) + trainings.experiments(lines, root)
    store = cache(lambda: S3Client(settings.read(root)))
    told = []
    for line in lines:
        own = [each for each in everything if each.record.line == line]
        try:
            with _sentences(uri):
                told += list(_line(client, uri, line, own, known, store)) if own else []
        except FATAL:
            raise
        except GaiaError as error:
            told += [Told(line, each.name, FAILED, str(error)) for each in own]
    return told


def source(record: Record, client: S3Client) -> str:
    """Where a version's artifact lies: the folder of its own in the bucket, if that is whole, or else the list of its
    files, by hash. Nothing is copied."""
    assert record.tag, "only a version has a place of its own"
    bucket, folder = releases.place(record.tag.name, client)
    with suppress(errors.Refused):  # what isn't there, to keys that may not list
        if client.object_exists(bucket, f"{folder}{releases.MANIFEST}"):
            return f"s3://{releases.shown(record.tag.name, client)}"
    return f"s3://{bucket}/{object_key(record.artifact.md5)}"


def _line(
    client: MlflowClient, uri: str, line: str, own: list[Training], known: History, store: Callable[[], S3Client]
) -> Iterator[Told]:
    """A line is an experiment of MLflow's, which has its runs, and a registered model, which has its versions."""
    experiment = _experiment(client, line)
    runs = {_identity(run.data.tags): run.info for run in _all(client.search_runs, experiment_ids=[experiment])}
    models = {_identity(each.tags): each for each in _all(client.search_model_versions, filter_string=f"name='{line}'")}
    at = _Place(client, experiment, runs, models, known, store)
    fates = {row["version"]: _fate(row) for row in table.rows(known, own[0].record.root) if row["line"] == line}
    for each in own:
        tag = each.record.tag
        try:
            with _sentences(uri):
                state = _version(at, each, fates[tag.name.number]) if tag else _run(at, each)[1]
        except FATAL:
            raise
        except GaiaError as error:
            yield Told(line, each.name, FAILED, str(error))
        else:
            yield Told(line, each.name, state)
    if models:
        _aliases(at, line)


def _experiment(client: MlflowClient, line: str) -> str:
    found = client.get_experiment_by_name(line)
    if found is None:
        return client.create_experiment(line)
    if found.lifecycle_stage != "active":
        back = f"mlflow experiments restore --experiment-id {found.experiment_id}"
        raise GaiaError(f"the experiment '{line}' was deleted in MLflow", f"`{back}` brings it back")
    return str(found.experiment_id)


def _run(at: _Place, training: Training) -> tuple[str, str]:
    """The run of a training, and whether it is NEW or KEPT. One that isn't WHOLE was left by a killed call."""
    from mlflow.entities import Metric, Param

    record, run = training.record, at.runs.get((training.name, training.record.commit))
    if run and run.status == WHOLE:
        return run.run_id, KEPT
    moment = int(training.moment.timestamp() * 1000)
    params = [Param(_key(key), value) for key, value in trainings.settings(record).items()]
    metrics = [Metric(_key(key), value, moment, 0) for key, value in trainings.figures(record).items()]
    metrics += [Metric(_key(key), value, moment, epoch) for key, epoch, value in trainings.curves(record)]
    if run is None:
        tags = {**_tags(training), "mlflow.user": training.by, "mlflow.source.git.commit": record.commit}
        run = at.client.create_run(at.experiment, moment, tags, training.name).info
    for part in range(max(-(-len(params) // PARAMS), -(-len(metrics) // METRICS))):
        some = metrics[part * METRICS :][:METRICS], params[part * PARAMS :][:PARAMS]
        at.client.log_batch(run.run_id, *some)
    at.client.set_terminated(run.run_id, WHOLE, moment)
    return run.run_id, NEW


def _version(at: _Place, training: Training, fate: dict[str, str]) -> str:
    """A version of the registered model: NEW, CHANGED or KEPT. `fate` are the tags that time may change."""
    record, model = training.record, at.models.get((training.name, training.record.commit))
    if model is None:
        place, about = source(record, at.store()), _about(record)
        run, _ = _run(at, training)
        if not at.client.search_registered_models(f"name='{record.line}'"):
            at.client.create_registered_model(record.line)
        tags = {**_tags(training), **_judged(record), **fate}
        made = at.client.create_model_version(record.line, place, run, tags, description=about)
        at.models[training.name, record.commit] = made
        return NEW
    before = {key: value for key, value in model.tags.items() if key in FATE.values()}
    if before == fate:
        return KEPT
    at.client.update_model_version(record.line, model.version, _about(record))
    for key in before.keys() - fate.keys():
        at.client.delete_model_version_tag(record.line, model.version, key)
    for key, value in fate.items():
        at.client.set_model_version_tag(record.line, model.version, key, value)
    return CHANGED


def _aliases(at: _Place, line: str) -> None:
    """The name of each stage stands for what is live there for all hosts. Aliases that aren't stages are others'."""
    events = [event for event in at.known.events if event.tag.name.line == line]
    held = {event.tag.name.stage: event.version for event in history.held(events) if not event.hosts}
    models = {stage: at.models.get((str(version.name), version.commit)) for stage, version in held.items()}
    live = {stage: str(model.version) for stage, model in models.items() if model}
    there = at.client.get_registered_model(line).aliases
    for stage in sorted({event.tag.name.stage for event in events}):
        wanted, found = live.get(stage), there.get(stage)
        if _NO_ALIAS.fullmatch(stage):
            warn(f"MLflow can't call an alias '{stage}', so {FATE['live']} alone says what is live there.")
        elif wanted and wanted != str(found):
            at.client.set_registered_model_alias(line, stage, wanted)
        elif found and not wanted:
            at.client.delete_registered_model_alias(line, stage)


def _fate(row: dict[str, Any]) -> dict[str, str]:
    """Where a version is live, and whether it was withdrawn or rolled back from, as tags."""
    said = {"live": ", ".join(row["live"])}
    for key in ("withdrawn", "rolled_back"):
        if at := row[key]:
            said[key] = f"{at['at'][:10]} by {_name(at['by'])}" + (f": {at['reason']}" if at["reason"] else "")
    return {FATE[key]: text for key, text in said.items() if text}


def _judged(record: Record) -> dict[str, str]:
    """Why a version has its number, and how each gate judged it, as tags."""
    said = verdict.read(record.tag) if record.tag else None
    if said is None:
        return {"gaia.gates": "no gate judged it"}
    gates = [gate._asdict() for gate in said.gates]
    return {"gaia.number": f"{said.bump}: {'; '.join(said.why)}", "gaia.gates": "; ".join(card.gate_lines(gates))}


def _about(record: Record) -> str:
    """The model card, as far as it fits."""
    text = card.body(card.show(record))
    more = f"\n\n`gaia show {record} --card` shows the rest."
    return text if len(text) <= TEXT else text[: TEXT - len(more)].rpartition("\n\n")[0] + more


def _tags(training: Training) -> dict[str, str]:
    return {VERSION if training.record.tag else EXPERIMENT: training.name, COMMIT: training.record.commit}


def _identity(tags: dict[str, str]) -> tuple[str, str]:
    return tags.get(VERSION) or tags.get(EXPERIMENT, ""), tags.get(COMMIT, "")


def _name(tagger: str) -> str:
    return tagger.partition(" <")[0] or "somebody"


def _key(text: str) -> str:
    """A name as MLflow takes it, which knows neither brackets nor paths."""
    return re.sub(r"[^\w. :-]", "_", text)[:NAME]


def _all(ask: Callable[..., Any], **asked: Any) -> Iterator[Any]:
    """What MLflow gives page by page."""
    token = None
    while True:
        page = ask(**asked, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _client(uri: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers of each call
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # else it asks a dead server for minutes
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # not of each long value, which it shortens
    from mlflow import MlflowClient

    return MlflowClient(uri)


@contextmanager
def _sentences(uri: str) -> Iterator[None]:
    """MLflow's exceptions as ours. Raises Unreachable if nobody answers."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException, SSLError

    where = _without_password(uri)
    try:
        yield
    except MlflowException as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, SSLError):
            raise Unreachable(f"MLflow at {where} has no certificate that is trusted here, or speaks no TLS") from None
        if isinstance(cause, RequestException):
            start = "`mlflow server` starts one, `--uri` names another"
            raise Unreachable(f"no MLflow server answers at {where}", start) from None
        raise GaiaError(f"MLflow at {where} says: {first_line(error)}.") from None


def _without_password(uri: str) -> str:
    url = urlsplit(uri)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
