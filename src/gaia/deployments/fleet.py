"""What is live on every host: each tells the Git remote (registry/reports.py), and whoever asks compares that with the
tags. Nothing is decided by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from gaia.deployments import host, servers
from gaia.errors import GaiaError, printable, warn
from gaia.registry import git, history, reports, sharing
from gaia.registry.history import Event
from gaia.runtime.typed import misfit
from gaia.storage.s3 import settings

OFF = "GAIA_REPORT"  # `no` in the environment or in .env: this host tells nothing
FORMAT = 1
AGAIN = timedelta(minutes=10)  # after which a host says once more what it said, so that others see that it is there
SILENT = 3 * AGAIN
OK, BEHIND, REFUSES, NOT_THERE, UNREADABLE = "ok", "behind", "refuses", "silent", "unreadable"


class Place(TypedDict):
    """A stage of a line on a host: the version that is live there (null: none), since when, whether a server of the
    host answers with it, and why the host doesn't follow the tags, if it doesn't."""

    line: str
    stage: str
    version: str | None
    since: str | None
    served: bool
    problem: str


class Report(TypedDict):
    """What a host says of itself; `problems` are those of its servers."""

    format: int
    seen: str
    live: list[Place]
    problems: NotRequired[list[str]]


class Seen(NamedTuple):
    """A stage of a line on a host, beside what the tags say of that host: `wanted` is live there by the decision `tag`,
    `lag` the seconds since that, where the host has another. `health`: ok, behind, refuses, silent (nothing was heard
    for half an hour) or unreadable; `why` in words."""

    host: str
    line: str | None
    stage: str | None
    version: str | None
    wanted: str | None
    tag: str | None
    lag: int | None
    since: str | None
    served: bool
    health: str
    why: str
    seen: str | None


def tell(problems: Mapping[tuple[str, str], str], root: Path = Path()) -> None:
    """Tell the Git remote what is live on this host, if that has changed since it was told last, or ten minutes ago.
    `problems`: why a stage of a line doesn't follow the tags.

    Nothing is told without a remote, if GAIA_REPORT is `no`, or by a host that has nothing and never had. That it can't
    be told is a warning.
    """
    try:
        if settings.of_host(OFF, root).lower() in ("no", "off", "false", "0") or git.remote(root) is None:
            return
        name, now = host.name(root), datetime.now(UTC)
        said, report = _parsed(reports.said(name, root)), _report(problems, now, root)
        if said is None and not report["live"]:
            return
        if said is None or _but_when(said) != _but_when(report) or now - _moment(said["seen"]) >= AGAIN:
            reports.say(name, json.dumps(report), root)
    except GaiaError as error:
        mend = f"{str(error).rstrip('.')}; {OFF}=no in .env tells nothing"
        warn(f"what is live here was not told to other hosts: {mend}.", about=root.resolve())


def hosts(root: Path = Path()) -> list[Seen]:
    """Every host that told of itself, by name, a row for each line and stage that it has or wants to have.

    Tags and reports are fetched. Raises GaiaError if this clone has no remote, or it can't be asked.
    """
    heard = reports.hear(root)
    sharing.fetch(root)
    events, now = history.read(root=root), datetime.now(UTC)
    return [seen for name, text in sorted(heard.items()) for seen in _seen(name, _parsed(text), events, now)]


def _report(problems: Mapping[tuple[str, str], str], now: datetime, root: Path) -> Report:
    running = servers.running(root)
    answers = {answer for server in running for answer in server.answers}
    here = {(line, stage): at for line in host.lines(root) for stage, at in host.live_here(line, root).items()}
    live = []
    for line, stage in sorted(here.keys() | {place for place, problem in problems.items() if problem}):
        folder, since = here.get((line, stage)), None
        version = folder.name.partition("_")[0] if folder else None
        if folder:
            switched = host.link(line, stage, root).lstat().st_mtime
            since = datetime.fromtimestamp(switched, UTC).isoformat(timespec="seconds")
        served = f"{line}@{version} in {stage}" in answers
        live.append(Place(line=line, stage=stage, version=version, since=since, served=served,
                          problem=problems.get((line, stage), "")))  # fmt: skip
    wrong = [str(problem.found) for server in running for problem in server.problems]
    return Report(format=FORMAT, seen=now.isoformat(timespec="seconds"), live=live, problems=wrong)


def _but_when(report: Report) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "seen"}


def _parsed(text: str | None) -> Report | None:
    """A report, if it is one: anybody who may push may have written it."""
    try:
        said = json.loads(text or "")
        for moment in (said["seen"], *(place["since"] or said["seen"] for place in said["live"])):
            _moment(moment)
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return None if misfit(said, Report) or said["format"] != FORMAT else said


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def _seen(name: str, report: Report | None, events: list[Event], now: datetime) -> list[Seen]:
    nothing = Seen(name, None, None, None, None, None, None, None, False, UNREADABLE, "", None)
    if report is None:
        return [nothing._replace(why="what it says is of another form than Gaia's, or of a later one")]
    wanted = history.live(history.of_host(events, name))
    silent = now - _moment(report["seen"]) > SILENT
    wrong = "; ".join(map(printable, report.get("problems", [])))
    nothing = nothing._replace(seen=_moment(report["seen"]).isoformat(timespec="seconds"))
    found = [_compared(nothing, each, wanted.get((each["line"], each["stage"])), now) for each in report["live"]]
    found = found or [nothing._replace(health=OK, why="nothing is live on it")]
    quiet = "nothing was heard of it for half an hour" if silent else ""
    return [
        each._replace(
            health=NOT_THERE if silent else each.health, why="; ".join(filter(None, (quiet, each.why, wrong)))
        )
        for each in found
    ]


def _compared(nothing: Seen, place: Place, wanted: Event | None, now: datetime) -> Seen:
    says = wanted.version.name.number if wanted else None
    same = place["version"] == says
    lag = None if same or not wanted else max(0, int((now - wanted.tag.moment).total_seconds()))
    health = REFUSES if place["problem"] else OK if same else BEHIND
    why = printable(place["problem"]) or ("" if same else f"the tags say {says or 'that nothing is live'}")
    version, since = place["version"], place["since"]
    return nothing._replace(
        line=printable(place["line"]), stage=printable(place["stage"]), version=version and printable(version),
        wanted=says, tag=str(wanted.tag.name) if wanted else None, lag=lag, since=since and _moment(since).isoformat(),
        served=place["served"], health=health, why=why,
    )  # fmt: skip
