"""Release: a line as it is built and committed becomes a version, if all that is promised of versions holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError, Problem, warn
from gaia.evaluation.results import accuracy
from gaia.registry import history, sharing, tags
from gaia.registry.git import blobs, commit
from gaia.registry.names import PROD
from gaia.registry.tags import Tag, Version
from gaia.versions import number, ready, verdict
from gaia.versions.gates import judge
from gaia.versions.number import Bump, Facts
from gaia.versions.record import Record
from gaia.versions.verdict import Gate, Verdict

ATTEMPTS = 50  # to find a free number; each failure means that somebody else has just released
Known = list[Tag[Version]]


class GatesFailed(GaiaError):
    """A gate was not passed; `gates` are all that were judged."""

    def __init__(self, line: str, gates: list[Gate]) -> None:
        failed = [f"{line}: the gate {g.gate} asks for {g.asked}, found {g.found}" for g in gates if not g.passed]
        super().__init__("no version is made", "build a better one, or choose other gates (conf/gates/)")
        self.problems = (*(Problem(f"{found}.") for found in failed), *self.problems)
        self.gates = gates

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"gates": [gate._asdict() for gate in self.gates]}


class Released(GaiaError):
    """What is built is a version already; `version` is which."""

    def __init__(self, version: Version, found: str, mend: str) -> None:
        super().__init__(found, mend)
        self.version = version


class Plan(NamedTuple):
    """The number that a line would get now, and why."""

    version: Version
    bump: str
    why: list[str]


def release(
    line: str,
    *,
    bump: Bump | None = None,
    retrain: bool = False,
    dry_run: bool = False,
    may_push: Callable[[str], bool],
    root: Path = Path(),
) -> dict[str, Any]:
    """Tag HEAD as the next version of a line; what the tag's message says, `commit`, `made`, and `folder`, where its
    files lie in the storage (None: a warning has said why they don't).

    `may_push` is asked, with the question, whether objects that the storage lacks shall be stored now. `retrain` lets
    the same inputs have another version, `bump` asks for a larger step than the change is; a `dry_run` makes nothing.
    Raises GaiaError, naming what would mend it, if anything that a version promises does not hold.
    """
    ready.check_line(line, root)
    ready.check_tree(root)
    record = Record(line, commit("HEAD", root), root=root)
    gates = cache(lambda live: _gates(record, live))  # judged once against each version that is live meanwhile

    def decide(known: Known) -> Plan:
        return plan(record, known, bump, retrain)

    verdicts: dict[Version, Verdict] = {}

    def message(planned: Plan) -> str:
        said = Verdict(gates(_live(line, root)), verdict.numbers(record.metrics), planned.bump, planned.why)
        verdicts[planned.version] = said
        return said.message(planned.version, f"accuracy {accuracy(record.metrics)}")

    sharing.fetch(root)  # others may have released, and another version may be live
    try:
        decide(tags.versions(line, root))  # what can be refused at once is
    except Released as done:
        if not dry_run and done.version not in history.look(line, root).withdrawn:
            _folder(done.version, root)  # what made it may have died before
        raise
    ready.check_pipeline(line, root)
    gates(_live(line, root))
    _store(record, dry_run, may_push)
    if dry_run:
        sharing.fetch(root)
        planned = decide(tags.versions(line, root))
        message(planned)
    else:
        planned = claim(line, record.commit, decide, message, root)
    made = {**verdicts[planned.version].facts(planned.version), "commit": record.commit, "made": not dry_run}
    return {**made, "folder": None if dry_run else _folder(planned.version, root)}


def plan(record: Record, known: Known, asked: Bump | None = None, retrain: bool = False) -> Plan:
    """The number of a new version, given those that exist. Raises GaiaError if it would be no new version."""
    _refuse_the_same(record, known, retrain)
    if not known:
        return Plan(Version(record.line, 1, 0, 0), "first", ["the first version"])
    newest = known[-1]
    new = facts(record)  # if these can't be had, no `--bump` helps
    try:
        change = number.change(facts(Record(record.line, newest.commit, newest, record.root)), new)
    except GaiaError as error:
        if asked != "major":
            raise GaiaError(f"{error} `--bump major` needs no comparison.") from None
        change = number.Change("major", [f"not compared with {newest.name.number}, which can't be read any more"])
    bump, why = number.widened(change, asked)
    return Plan(number.following(newest.name, bump), bump, why)


def facts(record: Record) -> Facts:
    """What decides about a version's number. Raises GaiaError if its contract can't be had any more."""
    contract = record.contract
    return Facts(
        contract["labels"], contract["input"], record.data, record.settings, record.code, record.packages
    )  # fmt: skip


def claim(
    line: str, commit: str, decide: Callable[[Known], Plan], message: Callable[[Plan], str], root: Path = Path()
) -> Plan:
    """Tag the commit with the number that `decide` gives, and the message, in view of all that anybody has made or
    deployed until now.

    Whoever is first has the number; the others decide anew, which may also mean to be told that nothing is left to do.
    """
    for _ in range(ATTEMPTS):
        with sharing.one_at_a_time(root):
            sharing.fetch(root)
            planned = decide(tags.versions(line, root))
            try:
                sharing.create(str(planned.version), commit, message(planned), root)
            except sharing.TagTaken:
                continue
            return planned
    raise GaiaError(f"{ATTEMPTS} times somebody else was faster with the next version of {line}", "try again")


def _refuse_the_same(record: Record, known: Known, retrain: bool) -> None:
    """Raise GaiaError if the commit is a version already, or one has the same bytes, or the same inputs."""
    for tag in known:
        if tag.commit == record.commit:
            raise Released(tag.name, f"this commit is {tag.name} already", "a new version needs a new commit")
    # a lock can only pin these bytes, or inputs, if it holds their hashes: few of many locks have to be parsed
    locks = blobs([f"{tag.commit}:./dvc.lock" for tag in known], record.root)
    hashes = [pinned.md5.encode() for pinned in record.inputs.values()]
    for tag, lock in zip(known, locks, strict=True):
        other = Record(record.line, tag.commit, tag, record.root)
        if lock and record.artifact.md5.encode() in lock and other.artifact.md5 == record.artifact.md5:
            raise Released(tag.name, f"{tag.name} has the very same bytes", "there is nothing new to release")
        same = lock and all(md5 in lock for md5 in hashes)
        if same and not retrain and (other.settings, other.inputs) == (record.settings, record.inputs):
            raise GaiaError(
                f"{tag.name} was made of the same data, settings, code and packages, and came out otherwise",
                f"`gaia release {record.line} --retrain` makes a version of this training nevertheless",
            )


def _live(line: str, root: Path) -> Tag[Version] | None:
    """The version that is live in prod, by the tags that were fetched last."""
    now = history.live(history.read(line, root)).get((line, PROD))
    return now.version if now else None


def _gates(record: Record, live: Tag[Version] | None) -> list[Gate]:
    """Every gate, judged against the version that is live. Raises GatesFailed if one is not passed."""
    from pydantic import ValidationError

    from gaia.config.schema import Gates

    try:
        asked = Gates.model_validate(record.config.get("gates"))
    except ValidationError:
        raise GaiaError(f"{record}: data/config/{record.line}.yaml has no valid gates", "run `dvc repro`") from None
    ready.check_branch(asked.branch, record.root)
    before = Record(record.line, live.commit, live, record.root).metrics if live else None
    judged = judge(record.line, asked, record.metrics, before, record.root)
    if not all(gate.passed for gate in judged):
        raise GatesFailed(record.line, judged)
    return judged


def _folder(version: Version, root: Path) -> str | None:
    """See to it that a version has its folder in the storage, and say where. It comes after the tag: a number that
    somebody else was faster with has no files of ours. That it can't be made costs no version."""
    from gaia.versions import folder

    try:
        return folder.completed(str(version), root)
    except GaiaError as error:
        warn(f"{version} is a version, and has no folder in the storage: {error} `gaia audit --mend` makes it.")
        return None


def _store(record: Record, dry_run: bool, may_push: Callable[[str], bool]) -> None:
    """See to it that the storage holds every object of the version."""
    from gaia.storage import transfer
    from gaia.storage.s3 import settings
    from gaia.storage.s3.client import S3Client

    client = S3Client(settings.read(record.root))
    problems = ready.missing(record, client)
    if not problems:
        return
    few = ", ".join(f"{p.needed.path} ({p.reason})" for p in problems[:3])
    said = f"the storage lacks {len(problems)} object(s) of this version: {few}{', ...' if problems[3:] else ''}"
    if not may_push(f"{said}. Store them now?"):
        raise GaiaError(said, f"`gaia release {record.line} --push` stores them first")
    if dry_run:
        return
    transfer.store(problems, client, record.root, f"{record.line}: storing")
