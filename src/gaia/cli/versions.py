"""Versions: `gaia release`, `withdraw`, `versions`, `show`, `diff`, `reproduce`, `audit`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from gaia.cli.verb import ask_reason, print_json, verb
from gaia.errors import GaiaError, Problem


def add(verbs: Any) -> None:
    """The parsers of its verbs."""
    release = verb(
        verbs, "release", _release, help="make a version of what is built and committed: `gaia release plants`",
        description="Tags the commit as the line's next version, if the tree is clean, the pipeline up to date, every "
        "object stored, and each gate of conf/gates/ passed. The number follows from what changed.",
    )  # fmt: skip
    release.add_argument("line")
    release.add_argument("--bump", choices=("patch", "minor", "major"), help="a larger step than the change is")
    release.add_argument("--retrain", action="store_true", help="though the inputs are those of another version")
    release.add_argument("--push", action="store_true", help="store what the storage lacks, without asking")
    release.add_argument("--dry-run", action="store_true", help="check everything, and make nothing")
    withdraw = verb(
        verbs, "withdraw", _withdraw,
        help="a version is not to go live any more: `gaia withdraw plants@v1.2.0 --reason '...'`",
        description="Records that a version, which must not be live now, is not to go live any more: nothing deploys "
        "it, no host follows it, no rollback picks it. It stays, and so does its number.",
    )  # fmt: skip
    withdraw.add_argument("version")
    withdraw.add_argument("--reason", default="", help="kept in the tag")
    withdraw.add_argument("--remove", action="store_true", help="also its folder, from which hosts without Git fetch")
    withdraw.add_argument("--yes", action="store_true", help="don't ask")
    versions = verb(verbs, "versions", _versions, help="the versions of a line: live, accuracy, size, why this number")
    versions.add_argument("line")
    show = verb(verbs, "show", _show, help="everything about one version: `gaia show plants@v1.2.0`")
    show.add_argument("version")
    show.add_argument("--card", action="store_true", help="as a model card in Markdown")
    diff = verb(verbs, "diff", _diff, help="what distinguishes two versions, and which answers changed")
    diff.add_argument("old", metavar="version")
    diff.add_argument("new", metavar="version")
    reproduce = verb(
        verbs, "reproduce", _reproduce, help="make a version once more from its tag, and compare",
        description="Runs the line's pipeline in a clean checkout. Exit code 0: identical, or equal within tolerance.",
    )  # fmt: skip
    reproduce.add_argument("version")
    audit = verb(
        verbs, "audit", _audit,
        help="could every version be restored now? Exit code 1 if one couldn't, or a folder of releases/ is wrong",
    )  # fmt: skip
    audit.add_argument("--deep", action="store_true", help="hash the files of the folders, too")
    audit.add_argument("--mend", action="store_true", help="make folders that are missing or wrong, of what is stored")


def _release(asked: argparse.Namespace) -> None:
    from gaia.console import confirmed
    from gaia.versions.card import gate_lines
    from gaia.versions.release import GatesFailed, release

    def may_push(question: str) -> bool:
        return asked.push or (sys.stdin.isatty() and confirmed(question, False))

    try:
        made = release(
            asked.line, bump=asked.bump, retrain=asked.retrain, dry_run=asked.dry_run, may_push=may_push
        )  # fmt: skip
    except GatesFailed as failed:
        if not asked.json:
            print("\n".join(gate_lines([gate._asdict() for gate in failed.gates])))
        raise
    if asked.json:
        print_json(made)
        return
    print("\n".join(gate_lines(made["gates"])))
    number, name = made["number"], f"{made['line']}@{made['version']}"
    print(f"{name} {'is made' if made['made'] else 'would be made'} of {made['commit'][:8]}, {number['bump']}:")
    print("\n".join(f"  {reason}" for reason in number["why"]))
    if made["folder"]:
        print(f"its files: {made['folder']}")


def _withdraw(asked: argparse.Namespace) -> None:
    from gaia.versions import withdraw

    plan = withdraw.withdraw(asked.version, asked.reason or ask_reason(asked.yes))
    if not asked.yes and (asked.remove or not plan.done):
        from gaia.console import confirmed

        too = ", and remove its folder from the storage" if asked.remove else ""
        if not confirmed(f"Withdraw {plan.version.name}, for every host{too}?", asked.yes):
            raise GaiaError("not confirmed", "nothing was changed")
    made = withdraw.carry_out(plan, remove=asked.remove)
    if asked.json:
        print_json(made)
        return
    already = "" if made["new"] else f" already, {made['at'][:16].replace('T', ' ')}: {made['reason']}"
    print(f"{made['version']} is withdrawn{already} ({made['tag']})")
    if asked.remove:
        print(f"its folder in the storage {'is removed' if made['removed'] else 'was not there'}")


def _versions(asked: argparse.Namespace) -> None:
    from gaia.registry import history
    from gaia.versions.table import rows, table

    known = history.of_line(asked.line)
    history.warn_of(known.foreign)
    found = rows(known)
    if asked.json:
        print_json(found)
        return
    from gaia.console import console

    if not console.is_terminal:
        console.width = 160  # a file has no edge to wrap at
    console.print(table(found))
    for record in known.foreign:
        if not record.wrong:
            console.print(f"{record.tag} {record.why}", markup=False)


def _show(asked: argparse.Namespace) -> None:
    from gaia.versions import card, record

    found = card.show(record.of(asked.version))
    if asked.json:
        print_json(found)
    else:
        print(card.card(found) if asked.card else "\n".join(card.text(found)))


def _diff(asked: argparse.Namespace) -> None:
    from gaia.versions import diff, record

    found = diff.diff(record.of(asked.old), record.of(asked.new))
    if asked.json:
        print_json(found)
    else:
        print("\n".join(diff.text(found)))


def _reproduce(asked: argparse.Namespace) -> None:
    from gaia.versions import record, reproduce

    found = reproduce.reproduce(record.of(asked.version))
    if asked.json:
        print_json(found)
    else:
        apart = f", the largest difference of a probability is {found['difference']:.2g}" if found["difference"] else ""
        print(f"{found['version']}: {found['verdict']}{apart}")
        if found["outputs"]:
            print(f"  differing: {', '.join(found['outputs'])}\n  because of {found['because']}")
    if found["verdict"] == reproduce.DIFFERENT:
        raise GaiaError(f"{found['version']} came out differently: {found['because']}.")


def _audit(asked: argparse.Namespace) -> None:
    from gaia.versions.audit import audit

    found = audit(deep=asked.deep, mend=asked.mend)
    if asked.json:
        print_json([{**each._asdict(), "restorable": each.restorable} for each in found])
    for each in found if not asked.json else ():
        here = f"; {len(each.only_here)} in this cache alone, `gaia push --all` stores them" if each.only_here else ""
        lost = f": {each.problem or f'{len(each.lost)} lost, such as {each.lost[0]}'}" if not each.restorable else here
        folder = f"; its folder in releases/: {each.folder}" if each.folder else ""
        state = "LOST" if not each.restorable else "ok" if each.objects else "no version"
        print(f"{each.version}  {state}, {each.objects} objects{lost}{folder}")
    if any(each.folder for each in found) and not asked.mend:
        print("`gaia audit --mend` sees to the folders", file=sys.stderr)
    bad = [each.version for each in found if not each.restorable]
    apart = [each.version for each in found if each.apart]
    said = [f"{len(bad)} of {len(found)} versions can't be restored now: {', '.join(bad)}."] if bad else []
    said += [f"{len(apart)} folders of releases/ are not what the tags say: {', '.join(apart)}."] if apart else []
    if said:
        raise GaiaError.several(Problem(each) for each in said)
