"""What is live: `gaia deploy`, `rollback`, `undeploy`, `current`, `history`, `hosts`, `sync`, `cleanup`, `status`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gaia.cli.verb import ask_reason, print_json, verb
from gaia.errors import GaiaError, printable, warn

if TYPE_CHECKING:
    from gaia.deployments.plan import Plan


def add(verbs: Any) -> None:
    """The parsers of its verbs."""
    deploy = verb(
        verbs, "deploy", _deploy, help="make a version live: `gaia deploy plants@v1.2.0`, or plants: its newest"
    )
    rollback = verb(
        verbs, "rollback", _rollback, help="go back to the version before: `gaia rollback plants --reason '...'`",
        description="Goes back to the version that was live before, or to line@version, which was live once. Repeated, "
        "it goes further back, and never forth again to a version that was rolled back from.",
    )  # fmt: skip
    undeploy = verb(
        verbs, "undeploy", _undeploy,
        help="nothing is live any more: `gaia undeploy plants --stage staging --reason '...'`",
        description="Records that nothing of a line is live on a stage, and takes it away on this host; `gaia sync` "
        "does so on others.",
    )  # fmt: skip
    current = verb(verbs, "current", _current, help="what is live, by the tags and on this host")
    history = verb(verbs, "history", _history, help="what was live: who, when, from, to, why")
    verb(verbs, "hosts", _hosts, help="what is live on every host that follows: who lags, who refuses, and why")
    sync = verb(verbs, "sync", _sync, help="fetch the tags, and make this host what they say")
    cleanup = verb(
        verbs, "cleanup", _cleanup, help="remove old versions from this host; without --yes it only shows them",
        description="Shows what would be removed; --yes removes it. What is live stays in any case, and so does what a "
        "rollback would go back to. No tag goes: what was removed comes back when it is deployed.",
    )  # fmt: skip
    verb(verbs, "status", _status, help="do git, lock, cache, storage, disk and tags say the same?")
    for parser in (deploy, rollback, undeploy):
        parser.add_argument("name", metavar="line" if parser is undeploy else "line[@version]")
        parser.add_argument("--reason", default="", help="kept in the history")
        parser.add_argument("--yes", action="store_true", help="don't ask")
    for parser in (current, history, sync):
        parser.add_argument("line", nargs="?" if parser is not history else None)
    for parser in (deploy, rollback, undeploy, sync):
        parser.add_argument("--stage", default="prod", help="prod (default), staging, or another that was deployed to")
    deploy.add_argument(
        "--hosts", nargs="+", default=[], metavar="PATTERN", help="only on the hosts of these names: 'shed-*'"
    )
    history.add_argument("--stage", help="of this stage alone")
    history.add_argument(
        "--at", metavar="TIME", help="what was live then: 2026-07-11 (at its end), or 2026-07-11T10:00"
    )
    sync.add_argument("--watch", type=float, metavar="SECONDS", help="repeat that often, until stopped")
    cleanup.add_argument("line")
    cleanup.add_argument("--keep", type=int, default=5, metavar="N", help="the newest N versions stay (5)")
    cleanup.add_argument(
        "--remote", action="store_true", help="the buckets and the cache, too: what no branch and no tag needs"
    )
    cleanup.add_argument("--yes", action="store_true", help="remove what was shown")


def _deploy(asked: argparse.Namespace) -> None:
    from gaia.deployments import plan as deploy

    _carry_out(deploy.deploy(asked.name, asked.stage, asked.reason, asked.hosts), asked)


def _rollback(asked: argparse.Namespace) -> None:
    from gaia.deployments import plan as deploy

    _carry_out(deploy.rollback(asked.name, asked.reason or ask_reason(asked.yes), asked.stage), asked)


def _undeploy(asked: argparse.Namespace) -> None:
    from gaia.deployments import plan as deploy

    _carry_out(deploy.undeploy(asked.name, asked.reason or ask_reason(asked.yes), asked.stage), asked)


def _carry_out(plan: Plan, asked: argparse.Namespace) -> None:
    """Show what changes, ask, do it, and say what came of it."""
    from gaia.deployments import plan as deploy
    from gaia.registry import history

    version, start = plan.version.name, time.perf_counter()
    history.warn_of(history.look(plan.line).foreign)
    for note in plan.notes:
        warn(f"{note}.")
    if plan.changes_something and not asked.yes:
        from gaia.console import confirmed

        for line in deploy.changes(plan):
            print(printable(line), file=sys.stderr)
        question = f"Make {version} live in {plan.stage}{_on(plan.hosts)}?"
        if plan.action == history.UNDEPLOY:
            question = f"Have nothing of {plan.line} live in {plan.stage}, on any host?"
        if not confirmed(question, asked.yes):
            raise GaiaError("not confirmed", "nothing was changed")
        start = time.perf_counter()
    done = deploy.carry_out(plan)
    if asked.json:
        print_json(done.facts())
        return
    tag, before = done.event.tag.name, done.event.before
    if not done.tested:
        ended = f", {before.number} was until now" if done.recorded and before else " already"
        print(f"nothing of {plan.line} is live in {plan.stage}{ended} ({tag})")
        return
    where = f"{plan.stage}{_on(done.event.hosts)}"
    tested = f"{done.tested.inputs} golden answers agree to {done.tested.difference:.1g}"
    if not done.recorded:
        here = "; this host follows now" if done.moved else "; nothing to do"
        print(f"{version} is live in {where} already ({tag}){here} ({tested})")
        return
    print(f"{version} is live in {where}{f', {before.number} was until now' if before else ''} ({tag})")
    if not done.mine:
        print("this host is none of them, and keeps what it has")
    print(f"tested on this host: every hash, {tested}; {time.perf_counter() - start:.1f} s")


def _current(asked: argparse.Namespace) -> None:
    from gaia.deployments import current
    from gaia.registry import history

    known = history.look() if asked.line is None else history.of_line(asked.line)
    history.warn_of(known.foreign)
    found = current.of(known, asked.line)
    if asked.json:
        print_json([each.facts() for each in found])
        return
    if not found:
        print("nothing is live; `gaia deploy <line>` makes it so")
    for each in found:
        if each.event:
            version, tag = each.event.version.name, each.event.tag
            why = f": {each.event.reason}" if each.event.reason else ""
            where = "here, too" if each.here and not each.problem else "not on this host" if not each.problem else ""
            said = f"since {_day(tag.date)} by {tag.tagger.partition(' <')[0]} ({tag.name}){why}"
            print(f"{version} is live in {each.stage}{_on(each.event.hosts)} {said}{f'; {where}' if where else ''}")
        if each.problem:
            print(f"  {each.problem}; `{each.mend}` mends it")
        for event in each.elsewhere:
            where = f"{each.stage}{_on(event.hosts)}"
            print(f"{event.version.name} is live in {where} ({event.tag.name}), not on this host")


def _hosts(asked: argparse.Namespace) -> None:
    from gaia.deployments import fleet

    found = fleet.hosts()
    if asked.json:
        print_json([each._asdict() for each in found])
        return
    if not found:
        print("no host has told of itself yet; one that runs `gaia sync` or `gaia serve` does")
        return
    rows = [("host", "line", "stage", "live", "by tags", "lag", "since", "health", "seen", "why")]
    for each in found:
        version = f"{each.version or '-'}{', served' if each.served else ''}"
        lag = "-" if each.lag is None else f"{each.lag} s" if each.lag < 600 else f"{each.lag // 60} min"
        since, seen = (_day(time) if time else "-" for time in (each.since, each.seen))
        rows.append((each.host, each.line or "-", each.stage or "-", version, each.wanted or "-", lag, since,
                     each.health, seen, each.why))  # fmt: skip
    _print_columns(rows)


def _on(hosts: Sequence[str]) -> str:
    return f" on {', '.join(hosts)}" if hosts else ""


def _print_columns(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _history(asked: argparse.Namespace) -> None:
    from gaia.registry import history, names

    known = history.of_line(asked.line)
    history.warn_of(known.foreign)
    events = known.events
    if asked.stage is not None:
        events = history.of_stage(events, names.stage(asked.stage))
    if asked.at is not None:
        events = list(history.at(events, history.moment(asked.at)).values())
    if asked.json:
        print_json([event.facts() for event in events])
        return
    if not events:
        print(f"nothing of {asked.line} was live {'then' if asked.at else 'yet'}")
        return
    rows = [("when", "stage", "version", "from", "by", "why")]
    for event in events:
        back = event.action == history.ROLLBACK
        before = event.before.number if event.before else "nothing" if back else "-"
        before = f"rolled back {'from' if event.before else 'after'} {before}" if back else before
        by = event.tag.tagger.partition(" <")[0]
        version = "-" if event.action == history.UNDEPLOY else event.version.name.number
        stage = f"{event.tag.name.stage}{_on(event.hosts)}"
        rows.append((_day(event.tag.date), stage, version, before, by, event.reason))
    _print_columns(rows)


def _day(date: str) -> str:
    """A tag's date, in its own zone, to the minute."""
    return date[:16].replace("T", " ")


def _sync(asked: argparse.Namespace) -> None:
    from gaia.deployments.sync import sync

    if asked.watch is not None and not asked.watch > 0:
        raise GaiaError(f"--watch is {asked.watch:g}", "it should be a number of seconds above 0")
    first = True
    while True:
        try:
            found = sync(asked.line, asked.stage)
        except GaiaError as error:
            if asked.watch is None or first:
                raise
            print(f"error: {error}", file=sys.stderr, flush=True)  # the network, perhaps; it may come back
            found = []
        _print_synced(found, asked.json, watching=asked.watch is not None, first=first)
        problems = [each for each in found if each.problem]
        if asked.watch is None:
            if problems:
                raise GaiaError("\n".join(f"{each.line}: {each.problem}" for each in problems))
            return
        for each in problems:
            print(f"error: {each.line}: {each.problem}", file=sys.stderr, flush=True)
        first = False
        time.sleep(asked.watch)


def _print_synced(found: list[Any], as_json: bool, watching: bool, first: bool) -> None:
    """What a synchronisation did; while watching, from the second time on, only what it changed."""
    quiet = watching and not first
    shown = [each for each in found if each.moved or each.problem or not quiet]
    if as_json:
        if shown or not quiet:
            print_json([each.facts() for each in shown], line=watching)
        return
    for each in shown:
        if each.note:
            warn(f"{each.note}.")
        if not each.problem:
            live = str(each.version) if each.version else f"nothing of {each.line}"
            print(f"{live} is live in {each.stage}{'' if each.moved else ', as before'}", flush=True)
    if not found and not quiet:
        print("nothing is live, so there is nothing to follow")


def _cleanup(asked: argparse.Namespace) -> None:
    from gaia.deployments import cleanup

    objects = cleanup.unused(asked.yes) if asked.remote else []  # first, as it may refuse
    found = cleanup.cleanup(asked.line, asked.keep, asked.yes)
    kept = cleanup.kept(objects)
    if asked.json:
        folders = [{"folder": str(each.folder), "bytes": each.size} for each in found]
        print_json({"removed": asked.yes, "folders": folders, "objects": objects, "kept": kept})
        return
    for each in found:
        print(f"{each.folder}  {each.size / 1e6:.1f} MB")
    print("\n".join(objects), end="\n" if objects else "")
    total = f"{len(found)} versions, {sum(each.size for each in found) / 1e6:.1f} MB"
    total += f", and {len(objects)} objects of buckets and cache" if asked.remote else ""
    print(f"{total} {'removed' if asked.yes else 'would be removed'}")
    for bucket, days in kept.items():
        until = f"for {days} days" if days else "until somebody deletes the old versions"
        print(f"{bucket} keeps what is deleted {until}: no space is free before, and `gaia storage restore` undoes it")
    if not asked.yes and (found or objects):
        alone = "; fetch others' branches first, since what only those need would go, too" if objects else ""
        print(f"nothing was removed yet; repeat with --yes{alone}")


def _status(asked: argparse.Namespace) -> None:
    from gaia.status import status

    found = status()
    if asked.json:
        print_json([check._asdict() for check in found])
    else:
        from gaia.console import console

        for check in found:
            console.print(f"[{'red' if check.mend else 'green'}]{check.part:<8}[/]", end="")
            command = check.mend.partition(" ")[0] in ("dvc", "gaia", "git", "make", "rm")
            what = f"`{check.mend}` mends it" if command else check.mend
            console.print(printable(check.found + (f": {what}" if check.mend else "")), markup=False)
    if wrong := sum(bool(check.mend) for check in found):
        raise GaiaError(f"{wrong} disagreement{'s' if wrong > 1 else ''}, named above.")
