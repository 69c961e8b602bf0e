"""Decide what is live: a plan to look at, then the tag that makes it so, then this host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gaia.deployments import activation, host, trust
from gaia.errors import GaiaError
from gaia.registry import history, names, sharing, tags
from gaia.registry.history import DEPLOY, ROLLBACK, UNDEPLOY, Event, History
from gaia.registry.names import PROD
from gaia.registry.sharing import New, TagTaken
from gaia.registry.tags import Deployment, Tag, Undeployment, Version
from gaia.versions.record import Record

ATTEMPTS = 20  # at a counter that nobody else takes meanwhile


class Plan(NamedTuple):
    """A decision that nothing was done about yet; `live` is what the tags say as it is made. `version` goes live or, if
    the action is UNDEPLOY, is so no longer. `named`: somebody chose just this version."""

    action: str
    stage: str
    version: Tag[Version]
    live: Tag[Version] | None
    reason: str
    named: bool = True
    live_on: tuple[str, ...] = ()  # the patterns of the hosts where `live` is; none: all
    hosts: tuple[str, ...] = ()  # the patterns of those that it is about; none: all
    notes: tuple[str, ...] = ()  # what to say before it is done

    @property
    def line(self) -> str:
        """The version's."""
        return self.version.name.line

    @property
    def changes_something(self) -> bool:
        """Whether another version would be live on some host, or none."""
        return self.action == UNDEPLOY or self.live is None or self.live.name != self.version.name or self.spreads

    @property
    def spreads(self) -> bool:
        """Whether the version is live on other hosts alone."""
        return bool(self.live_on) and self.live_on != self.hosts


class Done(NamedTuple):
    """A decision that holds, and this host's part in it: `tested` is None where nothing is live any more. `recorded`:
    it was recorded just now; `moved`: the host had something else live before; not `mine`: it is about other hosts, and
    this one keeps what it has."""

    event: Event
    tested: activation.Tested | None
    recorded: bool
    moved: bool
    mine: bool = True

    def facts(self) -> dict[str, Any]:
        """What came of it, for scripts: the decision, then the folder and its test on this host."""
        folder, golden = None, None
        if self.tested:
            folder = str(self.tested.folder)
            golden = {"inputs": self.tested.inputs, "difference": self.tested.difference}
        return self.event.facts() | {"folder": folder, "golden": golden, "new": self.recorded, "moved": self.moved}


def deploy(
    name: str, stage: str = PROD, reason: str = "", hosts: Iterable[str] = (), root: Path = Path()
) -> Plan:  # fmt: skip
    """Plan to make a version live, as the tags are after a fetch: `plants@v1.2.0`, or with `plants` its newest; only on
    `hosts`, patterns such as `shed-*`, if there are any.

    Raises GaiaError if the tags have no such line, version or stage, or the version may not go live: it was withdrawn,
    no gate judged it, or it was rolled back from and is not named.
    """
    sharing.fetch(root)
    version, stage = names.version(name, root), names.stage(stage, root)
    known = history.look(version.name.line, root)
    live = history.live(known.events).get((version.name.line, stage))
    plan = Plan(
        DEPLOY, stage, version, live.version if live else None, reason, "@" in name, live.hosts if live else (),
        tuple(dict.fromkeys(hosts)),
    )  # fmt: skip
    _check_hosts(plan.hosts)
    notes = [trust.doubt(version)]
    if plan.named and (fled := history.rolled_back(known.events).get(version.name)):
        notes.append(f"{version.name} was rolled back from in {_when(fled)}")
    if not plan.named and known.versions[-1].name != version.name:
        notes.append(f"{known.versions[-1].name} is newer, and withdrawn")
    _check(plan, known, root)
    return plan._replace(notes=tuple(filter(None, notes)))


def rollback(name: str, reason: str, stage: str = PROD, root: Path = Path()) -> Plan:
    """Plan to go back to a version that was live: `plants@v1.1.0`, or with `plants` the one before (history.previous).

    Raises GaiaError if the tags have no such line, version or stage, if it was never live there or may not go live, or
    without a reason.
    """
    sharing.fetch(root)
    version = tags.find(name, root) if "@" in name else tags.of_line(name, root)[-1]
    line, stage = version.name.line, names.stage(stage, root)
    known = history.look(line, root)
    events = history.of_stage(known.events, stage)
    _check_reason("a rollback", reason)
    if not events:
        raise GaiaError(f"{line} was never live in {stage}: there is nothing to roll back.")
    live = _live(known, line, stage)
    if "@" not in name:
        refused = [each.name for each in history.standing(events) if trust.refusal(each, known, root)]
        previous = history.previous(events, refused)
        if not previous:
            before = (
                f"nothing was live in {stage} before {live.name}" if live else f"nothing of {line} is live in {stage}"
            )
            rest = "that was not rolled back from" if live else "and nothing that was is left to go back to"
            raise GaiaError(
                f"{before}{' ' if live else ', '}{rest}", f"`gaia deploy {line}@v...` makes any version live"
            )
        version = previous
    elif version.name not in {event.version.name for event in events}:
        raise GaiaError(f"{version.name} was never live in {stage}", f"`gaia deploy {version.name}` makes it live")
    plan = Plan(ROLLBACK, stage, version, live, reason, "@" in name, events[-1].hosts)
    _check(plan, known, root)
    return plan._replace(notes=tuple(filter(None, [trust.doubt(version)])))


def undeploy(line: str, reason: str, stage: str = PROD, root: Path = Path()) -> Plan:
    """Plan to have nothing live on a stage of a line.

    Raises GaiaError if the tags have no such line or stage, if nothing is live there, or without a reason.
    """
    sharing.fetch(root)
    known, stage = history.of_line(line, root), names.stage(stage, root)
    _check_reason("to undeploy", reason)
    live, left = _live(known, line, stage), _assigned(known, line, stage)
    if not left or not history.of_stage(known.events, stage):
        raise GaiaError(f"nothing of {line} is live in {stage}", "`gaia current` shows what is live, and where")
    return Plan(UNDEPLOY, stage, live or left[-1], live, reason)


def changes(plan: Plan, root: Path = Path()) -> list[str]:
    """What distinguishes the plan's version from the one that is live, in lines for people."""
    from gaia.versions import diff

    asked = Record(plan.line, plan.version.commit, plan.version, root)
    if plan.action == UNDEPLOY:
        return [f"{asked} is live in {plan.stage}; nothing would be, on any host that follows the tags"]
    if not plan.live:
        ended = history.of_stage(history.read(plan.line, root), plan.stage)
        first = f"{asked} is the first of {asked.line} in {plan.stage}"
        return [f"{asked} would be live in {plan.stage}, where nothing is now" if ended else first]
    old = Record(plan.line, plan.live.commit, plan.live, root)
    try:
        lines = diff.text(diff.diff(old, asked))
        was, now = (", ".join(record.contract["labels"]) for record in (old, asked))
        return [*lines, f"labels: {was if was == now else f'{was} -> {now}'}"]
    except GaiaError as error:
        return [f"{old} -> {asked}; what distinguishes them can't be shown: {error}"]


def carry_out(plan: Plan, root: Path = Path()) -> Done:
    """Make it so: bring the version here and test it, record the decision (the tag, shared), switch.

    What fails before the record changes nothing. If the process ends between record and switch, the record holds, this
    host still has what it had, and the next deploy, rollback, undeploy or sync completes it. What is so already gets no
    second record. Raises GaiaError with the reason.
    """
    with host.changing(plan.line, root) as beside:
        me = host.name(root)
        tested = None if plan.action == UNDEPLOY else activation.prepare(plan.version, beside, root)
        recorded = _record(plan, root)
        events = history.read(plan.line, root)
        event = history.of_stage(events, plan.stage)[-1]
        mine = bool(history.of_host([event], me))
        folder = tested.folder if tested and mine else None if mine else host.current(plan.line, plan.stage, root)
        moved = follow(events, plan.line, plan.stage, folder, beside, root)
    return Done(event, tested, recorded, moved, mine)


def follow(
    events: list[Event], line: str, stage: str, folder: Path | None, beside: Path, root: Path = Path()
) -> bool:  # fmt: skip
    """Make a tested folder the live one on this host, or none, and write the history; whether it was otherwise until
    now. `beside` is the folder that `host.changing` gave."""
    moved = host.current(line, stage, root) != folder
    if folder is None:
        host.link(line, stage, root).unlink(missing_ok=True)
    elif moved:
        host.switch(line, stage, folder, beside, root)
    host.render(line, events, beside, root)
    return moved


def _record(plan: Plan, root: Path) -> bool:
    """Write the tag that makes the plan's version live, or takes it away; False if it is so already.

    The counter is the first that nobody has: if another clone was faster, its decision is fetched, and ours follows it.
    Raises GaiaError if a rollback or an end would now be one of another version than it was decided about, or the
    version may not go live any more.
    """
    taken: GaiaError | None = None
    for _ in range(ATTEMPTS):
        sharing.fetch(root)  # somebody may have looked at the plan for long
        known = history.look(plan.line, root)
        live = _live(known, plan.line, plan.stage)
        _check(plan, known, root)
        if _holds(plan, known, live, root):
            return False
        if plan.action != DEPLOY and live != plan.live:
            became = f"{live.name} became live" if live else "nothing is live any more"
            raise GaiaError(f"meanwhile {became} in {plan.stage}", "look again, and repeat if it is still right")
        try:
            sharing.create_all(_tags(plan, known, live), root)
            return True
        except TagTaken as error:
            taken = error
    raise taken or GaiaError("no attempt was made.")


def _holds(plan: Plan, known: History, live: Tag[Version] | None, root: Path) -> bool:
    """Whether the tags say so already, to us and to the standard tools, as far as one more record can make them."""
    about = history.of_place(known.stages, plan.line, plan.stage)
    if plan.action == UNDEPLOY:
        return not _assigned(known, plan.line, plan.stage)
    if not live or live.name != plan.version.name:
        return False
    on = history.live(known.events)[plan.line, plan.stage].hosts
    if on and on != plan.hosts:
        return False
    newest = max(stage.date.timestamp() for stage in about)
    return history.handed_out(about) == {live.commit} or newest >= sharing.next_date(plan.line, root)


def _tags(plan: Plan, known: History, live: Tag[Version] | None) -> list[New]:
    """The tags that say it. To end a deployment takes one for each version that was ever put there and not taken away:
    GTO would go back to the one before otherwise."""
    place = (plan.line, plan.stage)
    counter = known.counters.get(place, 0) + 1
    if plan.action != UNDEPLOY:
        said = _message(plan, plan.version.name, live.name if live else None)
        return [New(str(Deployment(*place, counter)), plan.version.commit, said)]
    return [
        New(str(Undeployment(*place, counter + i)), version.commit, _message(plan, None, version.name, version == live))
        for i, version in enumerate(_assigned(known, *place))
    ]


def _assigned(known: History, line: str, stage: str) -> list[Tag[Version]]:
    """The versions that GTO has on a stage, and last the one that is live."""
    by_commit = {version.commit: version for version in known.versions}
    live = _live(known, line, stage)
    there = [by_commit.get(each.commit) for each in history.assigned(history.of_place(known.stages, line, stage))]
    return [version for version in there if version and version != live] + ([live] if live else [])


def _check(plan: Plan, known: History, root: Path) -> None:
    """Raise GaiaError if the version may not go live."""
    if plan.action == UNDEPLOY:
        return
    if refused := trust.refusal(plan.version, known, root):
        raise GaiaError(*refused)
    fled = history.rolled_back(known.events).get(plan.version.name)
    if fled and not plan.named and plan.action == DEPLOY:
        name = plan.version.name
        raise GaiaError(
            f"{name} was rolled back from in {_when(fled)}", f"`gaia deploy {name}` deploys it nevertheless"
        )


def _check_reason(what: str, reason: str) -> None:
    if not reason.strip():
        raise GaiaError(f"{what} needs a reason, for those who look at it later: --reason '...'.")


def _check_hosts(patterns: tuple[str, ...]) -> None:
    for each in patterns:
        if not host.PATTERN.fullmatch(each):
            raise GaiaError(f"--hosts names '{each}'", "a pattern is a host's name, in which * stands for anything")


def _live(known: History, line: str, stage: str) -> Tag[Version] | None:
    event = history.live(known.events).get((line, stage))
    return event.version if event else None


def _when(event: Event) -> str:
    return f"{event.tag.name.stage} on {event.tag.day}: {event.reason or 'no reason given'}"


def _message(plan: Plan, version: Version | None, before: Version | None, was_live: bool = True) -> str:
    """The tag's message: a line for people, then JSON. Not `was_live`: it only takes the version off GTO's list."""
    reason = " ".join(plan.reason.split())
    came = f"rolled back from {before.number}" if plan.action == ROLLBACK and before else ""
    again = "once more, where nothing was" if plan.action == ROLLBACK else "where nothing was"
    came = came or (f"after {before.number}" if before else again)
    on = f" on {', '.join(plan.hosts)}" if plan.hosts else ""
    people = f"{plan.line}: {version.number} is live in {plan.stage}{on}, {came}" if version else ""
    number = before.number if before else "nothing"
    off = f"is live in {plan.stage} no longer" if was_live else f"is not what GTO goes back to in {plan.stage}"
    people = people or f"{plan.line}: {number} {off}"
    facts = {
        "line": plan.line, "stage": plan.stage, "version": version.number if version else None,
        "from": before.number if before else None, "action": plan.action, "reason": reason,
    } | ({"hosts": list(plan.hosts)} if plan.hosts else {})  # fmt: skip
    return tags.message(people + (f": {reason}" if reason else ""), facts)
