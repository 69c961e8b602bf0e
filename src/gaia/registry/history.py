"""What was live when, and why: read from the tags, so that it can't be cut, lost or disagree."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.registry.tags import Deployment, Tag, Version

DEPLOY, ROLLBACK = "deploy", "rollback"


class Event(NamedTuple):
    """A decision: from its tag's date on, `version` is live on a stage of a line. `before` is what was until then."""

    tag: Tag[Deployment]
    version: Tag[Version]
    before: Version | None
    action: str
    reason: str

    def facts(self) -> dict[str, Any]:
        """The decision for scripts: tag, line, stage, version, from, action, reason, by, at, commit."""
        line, stage, _ = self.tag.name
        return {
            "tag": str(self.tag.name), "line": line, "stage": stage, "version": self.version.name.number,
            "from": self.before.number if self.before else None, "action": self.action, "reason": self.reason,
            "by": self.tag.tagger, "at": self.tag.date, "commit": self.tag.commit,
        }  # fmt: skip


def read(line: str | None = None, root: Path = Path()) -> list[Event]:
    """The decisions about a line, or about all: by line and stage, the oldest first.

    The version is the one on the tag's commit, and what was live before is what the tag before says; of the message
    only action and reason are read. Raises GaiaError naming a deployment of a commit that is no version.
    """
    versions = {(tag.name.line, tag.commit): tag for tag in tags.versions(line, root)}
    events: list[Event] = []
    for tag in tags.deployments(line, root):
        version = versions.get((tag.name.line, tag.commit))
        if not version:
            raise GaiaError(
                f"{tag.name} deploys a commit that is no version of {tag.name.line}",
                "`git fetch --tags` may bring the version, else delete the tag here and at the remote",
            )
        last = events[-1] if events and events[-1].tag.name[:2] == tag.name[:2] else None
        action = ROLLBACK if tag.facts.get("action") == ROLLBACK else DEPLOY  # another tool's tag says nothing of it
        reason = str(tag.facts.get("reason") or "")
        events.append(Event(tag, version, last.version.name if last else None, action, reason))
    return events


def live(events: Iterable[Event]) -> dict[tuple[str, str], Event]:
    """The newest decision, which is the one that holds, for each line and stage."""
    return {(event.tag.name.line, event.tag.name.stage): event for event in events}


def of_stage(events: Iterable[Event], stage: str) -> list[Event]:
    """The decisions about one stage."""
    return [event for event in events if event.tag.name.stage == stage]


def standing(events: Iterable[Event]) -> list[Tag[Version]]:
    """The versions that went live on one stage and were not rolled back from, the one that is live last.

    A rollback takes everything above the version that it goes back to off the pile. So a second rollback goes further
    back, and never forth again to the version that the first one fled from.
    """
    pile: list[Tag[Version]] = []
    for event in events:
        names = [version.name for version in pile]
        if event.action == ROLLBACK and event.version.name in names:
            del pile[len(names) - names[::-1].index(event.version.name) :]
        elif not pile or pile[-1].name != event.version.name:
            pile.append(event.version)
    return pile


def previous(events: Iterable[Event]) -> Tag[Version] | None:
    """The version that a rollback goes back to, or None: the one under the live one on the pile."""
    pile = standing(events)
    return pile[-2] if len(pile) > 1 else None


def at(events: Iterable[Event], moment: datetime) -> dict[tuple[str, str], Event]:
    """What was live at a moment, for each line and stage that had something live then.

    Decisions count in the order of their counters; a clock that was wrong may give a later one an earlier date.
    """
    return live(event for event in events if datetime.fromisoformat(event.tag.date) <= moment)


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
