"""What was live when, and why, what was withdrawn, and what is left out: read from the tags, so that it can't be cut,
lost or disagree. The one reader of what is live."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError, warn
from gaia.registry import tags
from gaia.registry.git import remote
from gaia.registry.tags import Deployment, Foreign, Stage, Tag, Tags, Undeployment, Version, Withdrawal

DEPLOY, ROLLBACK, UNDEPLOY = "deploy", "rollback", "undeploy"
LEAP = 10_000  # a counter that is further than this above the one before was not counted
AHEAD = timedelta(hours=1)  # clocks differ; a date that is further in the future is wrong


class Event(NamedTuple):
    """A decision: from its tag's date on, `version` is live on a stage of a line; or, if the action is UNDEPLOY, it is
    so no longer. `before` is what was live until then. `hosts` are the patterns of the hosts that it is about (only a
    deployment has any); none: it is about all."""

    tag: Tag[Deployment | Undeployment]
    version: Tag[Version]
    before: Version | None
    action: str
    reason: str
    hosts: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The decision for scripts: tag, line, stage, version (that is live since; None after an undeploy), from,
        action, reason, hosts (empty: all), by, at, commit."""
        line, stage, _ = self.tag.name
        return {
            "tag": str(self.tag.name), "line": line, "stage": stage,
            "version": None if self.action == UNDEPLOY else self.version.name.number,
            "from": self.before.number if self.before else None, "action": self.action, "reason": self.reason,
            "hosts": list(self.hosts), "by": self.tag.tagger, "at": self.tag.date, "commit": self.tag.commit,
        }  # fmt: skip


class History(NamedTuple):
    """All that the tags say of a line, or of every line.

    `events` by line and stage, the oldest first; `withdrawn`, the withdrawal of each version that has one; `foreign`,
    the tags that are left out; `counters`, the highest of each line and stage that is taken.
    """

    versions: list[Tag[Version]]
    events: list[Event]
    withdrawn: dict[Version, Tag[Withdrawal]]
    foreign: list[Foreign]
    counters: dict[tuple[str, str], int]
    stages: list[Stage]


def look(line: str | None = None, root: Path = Path()) -> History:
    """What the tags say of a line, or of all, by one call of Git.

    The version of a decision is the one on its tag's commit, and what was live before is what the tag before says; of
    the message only action and reason are read. A record that can't hold costs itself only: it is among the `foreign`.
    """
    found = tags.read(line, root)
    known = {tag.name for tag in found.versions}
    withdrawn: dict[Version, Tag[Withdrawal]] = {}
    foreign = list(found.foreign)
    for withdrawal in found.withdrawals:
        if withdrawal.name.version in known:
            withdrawn.setdefault(withdrawal.name.version, withdrawal)
        else:
            why = "withdraws a version that doesn't exist"
            foreign.append(Foreign(str(withdrawal.name), withdrawal.name.line, why, wrong=False))
    counters = _counters(found)
    counted = []
    for tag in found.decisions:
        line_of, stage, counter = tag.name
        if counter <= (last := counters.get((line_of, stage), 0)):
            counted.append(tag)
        else:
            foreign.append(Foreign(str(tag.name), line_of, f"counts on from {last}, which is no step"))
    events, of_none = _events(found, counted)
    return History(found.versions, events, withdrawn, [*foreign, *of_none], counters, found.stages)


def of_line(line: str, root: Path = Path()) -> History:
    """What the tags say of one line. Raises GaiaError if it is not exactly one that has versions."""
    known = look(line, root)
    if not known.versions:
        tags.of_line(line, root)  # which says so
    return known


def read(line: str | None = None, root: Path = Path()) -> list[Event]:
    """The decisions about a line, or about all: by line and stage, the oldest first."""
    return look(line, root).events


def live(events: Iterable[Event]) -> dict[tuple[str, str], Event]:
    """The newest decision, for each line and stage that has something live: unless it is an end. What a host follows is
    the newest `of_host`; `held` are all that some host follows."""
    newest = {(event.tag.name.line, event.tag.name.stage): event for event in events}
    return {place: event for place, event in newest.items() if event.action != UNDEPLOY}


def of_host(events: Iterable[Event], name: str) -> list[Event]:
    """The decisions that are about a host."""
    return [event for event in events if not event.hosts or any(fnmatchcase(name, each) for each in event.hosts)]


def held(events: Iterable[Event]) -> list[Event]:
    """The decisions that some host may follow now: of each line and stage the last one that was for all, and those for
    some hosts since, unless a later one is for the same."""
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        before = found.get(event.tag.name[:2], []) if event.hosts else []
        found[event.tag.name[:2]] = [*(each for each in before if each.hosts != event.hosts), event]
    return [event for decided in found.values() for event in decided if event.action != UNDEPLOY]


def places(events: Iterable[Event]) -> dict[Version, list[str]]:
    """Where each version is live: `prod`, or `prod on shed-*` where only some hosts follow."""
    found: dict[Version, list[str]] = {}
    for event in held(events):
        on = f" on {', '.join(event.hosts)}" if event.hosts else ""
        found.setdefault(event.version.name, []).append(f"{event.tag.name.stage}{on}")
    return found


def of_stage(events: Iterable[Event], stage: str) -> list[Event]:
    """The decisions about one stage."""
    return [event for event in events if event.tag.name.stage == stage]


def standing(events: Iterable[Event]) -> list[Tag[Version]]:
    """The versions that went live on one stage and were not rolled back from, the one that is live last.

    A rollback takes everything above the version that it goes back to off the pile. So a second rollback goes further
    back, and never forth again to the version that the first one fled from. What was undeployed was not fled from. What
    went to some hosts alone is on it only while it is the newest: a rollback, which is for all, is not to spread it.
    """
    pile: list[Tag[Version]] = []
    some = False  # whether the last one went to some hosts alone
    for event in events:
        if some and (event.action == UNDEPLOY or pile[-1].name != event.version.name):
            del pile[-1]
            some = False
        some = bool(event.hosts) and (some or not pile or pile[-1].name != event.version.name)
        names = [version.name for version in pile]
        if event.action == ROLLBACK and event.version.name in names:
            del pile[len(names) - names[::-1].index(event.version.name) :]
        elif event.action != UNDEPLOY and (not pile or pile[-1].name != event.version.name):
            pile.append(event.version)
    return pile


def previous(events: Iterable[Event], withdrawn: Iterable[Version] = ()) -> Tag[Version] | None:
    """The version that a rollback goes back to, or None: the first under the live one on the pile that was not
    withdrawn; where nothing is live, the one that was last."""
    decided, out = list(events), set(withdrawn)
    pile = standing(decided)
    under = pile if decided and decided[-1].action == UNDEPLOY else pile[:-1]
    return next((version for version in reversed(under) if version.name not in out), None)


def rolled_back(events: Iterable[Event]) -> dict[Version, Event]:
    """The rollback from each version that was rolled back from, on any stage, and not made live there again."""
    fled: dict[tuple[str, Version], Event] = {}
    for event in events:
        stage = event.tag.name.stage
        if event.action == ROLLBACK and event.before:
            fled[stage, event.before] = event
        if event.action != UNDEPLOY:
            fled.pop((stage, event.version.name), None)
    return {version: event for (_, version), event in fled.items()}


def at(events: Iterable[Event], moment: datetime) -> dict[tuple[str, str], Event]:
    """What was live at a moment, for each line and stage that had something live then.

    Decisions count in the order of their counters; a clock that was wrong may give a later one an earlier date.
    """
    return live(event for event in events if event.tag.moment <= moment)


def moment(text: str) -> datetime:
    """A time as `2026-07-11T10:00`, in this host's zone unless it names one; a day stands for its end.

    Raises GaiaError for another spelling, and for the future, which nobody knows.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise GaiaError(f"'{text}' is no time", "write 2026-07-11 or 2026-07-11T10:00") from None
    now = datetime.now(UTC)
    if "T" not in text and " " not in text:
        found = datetime.combine(found, time.max)
        if found.date() == datetime.now().date():
            return now
    found = found.astimezone()
    if found > now:
        raise GaiaError(f"{text} is yet to come", "what is live then nobody knows")
    return found


def assigned(stages: Iterable[Stage]) -> list[Stage]:
    """What GTO takes for live, of the tags about one stage: each commit that was put there and not taken away since,
    the last one last. `gto show` names that one, and when it is taken away, the one before it."""
    last = {stage.commit: stage for stage in sorted(stages, key=lambda stage: stage.date)}
    return sorted((stage for stage in last.values() if stage.put), key=lambda stage: stage.date)


def handed_out(stages: Iterable[Stage]) -> set[str]:
    """The commits that `gto show` and `dvc artifacts get` may give for a stage, of the tags about it.

    They go by dates, and read every annotated tag. There are two or more where the tools differ or tags share a second;
    DVC doesn't know of taking away, so where nothing is left for GTO, nothing is said of DVC.
    """
    said = list(stages)
    there = assigned(said)
    return _newest(there) | _newest(said) if there else set()


def of_place(stages: Iterable[Stage], line: str, name: str) -> list[Stage]:
    """What the tags say to GTO and DVC about one stage of a line."""
    return [stage for stage in stages if (stage.line, stage.stage) == (line, name)]


def yet_to_come(events: Iterable[Event]) -> list[Event]:
    """The decisions whose date is in the future: a clock was wrong, or this one is."""
    soon = datetime.now(UTC) + AHEAD
    return [event for event in events if event.tag.moment > soon]


def warn_of(foreign: Iterable[Foreign], root: Path = Path()) -> None:
    """Say on stderr what is left out because it can't hold, and what removes it."""
    wrong = [record for record in foreign if record.wrong]
    shared = remote(root) if wrong else None
    for record in wrong[:3]:
        warn(f"{record.tag} {record.why}, and is left out; {record.mend(shared)}.", root.resolve())
    if wrong[3:]:
        warn(f"{len(wrong) - 3} more such tags are left out; `gaia status` names them.", root.resolve())


def _newest(stages: list[Stage]) -> set[str]:
    last = max((stage.date for stage in stages), default=None)
    return {stage.commit for stage in stages if stage.date == last}


def _counters(found: Tags) -> dict[tuple[str, str], int]:
    """The highest counter that is taken, of each line and stage; those of tags that are left out count as well.

    GTO counts over all stages of a line, and tags may have been removed, so there are gaps; a leap is none.
    """
    names = [tag.name for tag in found.decisions]
    left_out = (tags.parse(record.tag) for record in found.foreign)
    names += [name for name in left_out if isinstance(name, Deployment | Undeployment)]
    highest: dict[tuple[str, str], int] = {}
    for line, stage, counter in sorted(names):
        if counter - highest.get((line, stage), 0) <= LEAP:
            highest[line, stage] = counter
    return highest


def _events(found: Tags, counted: list[Tag[Deployment | Undeployment]]) -> tuple[list[Event], list[Foreign]]:
    """What the counted decisions come to, and those that are about no version."""
    versions: dict[tuple[str, str], list[Tag[Version]]] = {}
    for version in sorted(found.versions, key=lambda version: version.moment):
        versions.setdefault((version.name.line, version.commit), []).append(version)
    events: list[Event] = []
    of_none = []
    now: dict[tuple[str, str], Tag[Version]] = {}
    for tag in counted:
        place = tag.name[:2]
        on_commit, before = versions.get((tag.name.line, tag.commit)), now.get(place)
        if not on_commit:
            of_none.append(Foreign(str(tag.name), tag.name.line, f"is on a commit that is no version of {place[0]}"))
            continue
        # one, as GTO makes them; of several that somebody made by hand, the one that is named, or was there first
        facts, ends = tag.facts, isinstance(tag.name, Undeployment)
        named = facts.get("from" if ends else "version")
        version = next((each for each in on_commit if each.name.number == named), on_commit[0])
        if ends and before != version:
            continue  # it takes away what is not live
        if ends:
            del now[place]
        else:
            now[place] = version
        action = UNDEPLOY if ends else ROLLBACK if facts.get("action") == ROLLBACK else DEPLOY
        hosts = _hosts(facts.get("hosts")) if action == DEPLOY else ()
        events.append(Event(tag, version, before.name if before else None, action, tags.reason(facts), hosts))
    return events, of_none


def _hosts(said: Any) -> tuple[str, ...]:
    """The patterns that a deployment names; one that names them otherwise than we do is for no host."""
    if said is None:
        return ()
    fine = isinstance(said, list) and said and all(isinstance(each, str) for each in said)
    return tuple(said) if fine else ("",)
