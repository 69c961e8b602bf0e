"""Take a version out of circulation: it exists, and is not to go live any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError
from gaia.registry import history, sharing, tags
from gaia.registry.history import History
from gaia.registry.tags import Tag, Version, Withdrawal
from gaia.storage import releases
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client

ATTEMPTS = 5  # each failure means that somebody else has just withdrawn it


class Plan(NamedTuple):
    """A withdrawal that nothing was done about yet; `done`, the one that there is already, if there is."""

    version: Tag[Version]
    reason: str
    done: Tag[Withdrawal] | None


def withdraw(name: str, reason: str, root: Path = Path()) -> Plan:
    """Plan to withdraw a version, `plants@v1.2.0`, as the tags are after a fetch.

    Raises GaiaError if there is no such version, if it is live somewhere, or without a reason.
    """
    sharing.fetch(root)
    version = tags.find(name, root)
    known = history.look(version.name.line, root)
    if not reason.strip():
        raise GaiaError("to withdraw needs a reason, for those who look at it later: --reason '...'.")
    _refuse_live(version, known)
    return Plan(version, reason, known.withdrawn.get(version.name))


def carry_out(plan: Plan, root: Path = Path(), *, remove: bool = False) -> dict[str, Any]:
    """Record it: the tag `plants@v1.2.0!`, which GTO reads as deregistered; then `remove` also its folder from the
    storage, from which hosts without Git fetch. What came of it, for scripts: version, tag, by, at, reason, `new`,
    whether it was recorded just now, and `removed`, whether there was such a folder to remove.

    Raises GaiaError if it went live meanwhile, or, though it is withdrawn by then, if its folder can't be removed.
    """
    said, version = _recorded(plan, root), plan.version.name
    try:
        return said | {"removed": remove and bool(releases.remove(version, S3Client(settings.read(root))))}
    except GaiaError as error:
        first = error.problems[0]
        raise type(error)(
            f"{version} is withdrawn, and its folder in the storage stays: {first.found}",
            "the same command removes it, where the storage answers and the keys may delete",
        ) from None


def _recorded(plan: Plan, root: Path) -> dict[str, Any]:
    line, new = plan.version.name.line, False
    for _ in range(ATTEMPTS):
        sharing.fetch(root)  # somebody may have looked at the plan for long
        known = history.look(line, root)
        if done := known.withdrawn.get(plan.version.name):
            said = {"version": str(plan.version.name), "tag": str(done.name), "by": done.tagger, "at": done.date}
            return {**said, "reason": done.reason, "new": new}
        _refuse_live(plan.version, known)
        try:
            sharing.create(str(Withdrawal(plan.version.name)), plan.version.commit, _message(plan), root)
            new = True
        except sharing.TagTaken:
            continue
    raise GaiaError(f"{plan.version.name} could not be withdrawn", "`gaia status` may say why")


def _refuse_live(version: Tag[Version], known: History) -> None:
    stages = [e.tag.name.stage for e in history.held(known.events) if e.version.name == version.name]
    if stages:
        line = version.name.line
        raise GaiaError(
            f"{version.name} is live in {', '.join(stages)}",
            f"`gaia rollback {line} --stage {stages[0]} --reason ...` goes back, or `gaia undeploy {line} --stage "
            f"{stages[0]} --reason ...` has nothing live there; then it can be withdrawn",
        )


def _message(plan: Plan) -> str:
    version, reason = plan.version.name, " ".join(plan.reason.split())
    facts = {"line": version.line, "version": version.number, "action": "withdraw", "reason": reason}
    return tags.message(f"{version.line}: {version.number} is withdrawn: {reason}", facts)
