"""Decide what is live: a plan to look at, then the tag that makes it so, then this host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gaia.deployments import activation, host
from gaia.errors import GaiaError
from gaia.registry import history, names, tags
from gaia.registry.history import DEPLOY, ROLLBACK, Event
from gaia.registry.names import PROD
from gaia.registry.tags import Deployment, Tag, TagTaken, Version
from gaia.versions.record import Record

ATTEMPTS = 20  # at a counter that nobody else takes meanwhile


class Plan(NamedTuple):
    """A decision that nothing was done about yet; `live` is what the tags say as it is made."""

    action: str
    stage: str
    version: Tag[Version]
    live: Tag[Version] | None
    reason: str

    @property
    def changes_something(self) -> bool:
        """Whether another version would be live."""
        return self.live is None or self.live.name != self.version.name


class Done(NamedTuple):
    """A decision that holds, and this host's part in it. `new` is whether the decision is; `moved`, whether the host
    had something else live before."""

    event: Event
    tested: activation.Tested
    new: bool
    moved: bool

    def facts(self) -> dict[str, Any]:
        """What came of it, for scripts: the decision, then the folder and its test on this host."""
        golden = {"inputs": self.tested.inputs, "difference": self.tested.difference}
        here = {"folder": str(self.tested.folder), "golden": golden, "new": self.new, "moved": self.moved}
        return self.event.facts() | here


def deploy(name: str, stage: str = PROD, reason: str = "", root: Path = Path()) -> Plan:
    """Plan to make a version live: `plants@v1.2.0`, or with `plants` its newest.

    Raises GaiaError if the tags have no such line, version or stage.
    """
    version, stage = names.version(name, root), names.stage(stage, root)
    live = history.live(history.read(version.name.line, root)).get((version.name.line, stage))
    return Plan(DEPLOY, stage, version, live.version if live else None, reason)


def rollback(name: str, reason: str, stage: str = PROD, root: Path = Path()) -> Plan:
    """Plan to go back to a version that was live: `plants@v1.1.0`, or with `plants` the one before (history.previous).

    Raises GaiaError if the tags have no such line, version or stage, if it was never live there, or without a reason.
    """
    version, stage = names.version(name, root), names.stage(stage, root)
    line = version.name.line
    events = history.of_stage(history.read(line, root), stage)
    if not reason.strip():
        raise GaiaError("a rollback needs a reason, for those who look at it later: --reason '...'.")
    if not events:
        raise GaiaError(f"{line} was never live in {stage}: there is nothing to roll back.")
    live = events[-1].version
    if "@" not in name:
        previous = history.previous(events)
        if not previous:
            raise GaiaError(
                f"nothing was live in {stage} before {live.name} that was not rolled back from",
                f"`gaia deploy {line}@v...` makes any version live",
            )
        version = previous
    elif version.name not in {event.version.name for event in events}:
        raise GaiaError(f"{version.name} was never live in {stage}", f"`gaia deploy {version.name}` makes it live")
    return Plan(ROLLBACK, stage, version, live, reason)


def changes(plan: Plan, root: Path = Path()) -> list[str]:
    """What distinguishes the plan's version from the one that is live, in lines for people."""
    from gaia.versions import diff

    new = Record(plan.version.name.line, plan.version.commit, plan.version, root)
    if not plan.live:
        return [f"{new} is the first of {new.line} in {plan.stage}"]
    old = Record(new.line, plan.live.commit, plan.live, root)
    try:
        lines = diff.text(diff.diff(old, new))
        was, now = (", ".join(record.contract["labels"]) for record in (old, new))
        return [*lines, f"labels: {was if was == now else f'{was} -> {now}'}"]
    except GaiaError as error:
        return [f"{old} -> {new}; what distinguishes them can't be shown: {error}"]


def carry_out(plan: Plan, root: Path = Path()) -> Done:
    """Make the plan's version live: bring it here and test it, record the decision (the tag, pushed), switch.

    What fails before the record changes nothing. If the process ends between record and switch, the record holds, this
    host still has the version before, and the next deploy, rollback or sync completes it. A version that is live
    already gets no second record. Raises GaiaError with the reason.
    """
    line = plan.version.name.line
    with host.changing(line, root) as new:
        tested = activation.prepare(plan.version, new, root)
        made = _record(plan, root)
        events = history.read(line, root)
        moved = follow(events, line, plan.stage, tested.folder, new, root)
    ours = (event for event in reversed(events) if event.version.name == plan.version.name)
    return Done(next(event for event in ours if event.tag.name.stage == plan.stage), tested, made, moved)


def follow(events: list[Event], line: str, stage: str, folder: Path, new: Path, root: Path = Path()) -> bool:
    """Make a tested folder the live one on this host, and write the history; whether another one was live until now."""
    moved = host.current(line, stage, root) != folder
    if moved:
        host.switch(line, stage, folder, new, root)
    host.render(line, events, new, root)
    return moved


def _record(plan: Plan, root: Path) -> bool:
    """Write the tag that makes the plan's version live; False if it is live already.

    The counter is the first that nobody has: if another clone was faster, its decision is fetched, and ours follows it.
    Raises GaiaError if a rollback would now be one from another version than it was decided about.
    """
    version, stage = plan.version, plan.stage
    taken: GaiaError | None = None
    for _ in range(ATTEMPTS):
        live = history.live(history.read(version.name.line, root)).get((version.name.line, stage))
        if live and live.version.name == version.name:
            return False
        before = live.version.name if live else None
        if plan.action == ROLLBACK and before != (plan.live and plan.live.name):
            raise GaiaError(f"meanwhile {before} became live in {stage}", "look again, and repeat if it is still right")
        name = Deployment(version.name.line, stage, live.tag.name.counter + 1 if live else 1)
        try:
            tags.create(str(name), version.commit, _message(plan, before), root)
            return True
        except TagTaken as error:
            taken = error
            tags.fetch(root)
    raise taken or GaiaError("no attempt was made.")


def _message(plan: Plan, before: Version | None) -> str:
    """The tag's message: a line for people, then JSON."""
    name, reason = plan.version.name, " ".join(plan.reason.split())
    came = f"rolled back from {before.number}" if plan.action == ROLLBACK and before else ""
    came = came or (f"after {before.number}" if before else "the first")
    people = f"{name.line}: {name.number} is live in {plan.stage}, {came}" + (f": {reason}" if reason else "")
    facts = {
        "line": name.line, "stage": plan.stage, "version": name.number, "from": before.number if before else None,
        "action": plan.action, "reason": reason,
    }  # fmt: skip
    return tags.message(people, facts)
