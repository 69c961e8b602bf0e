"""Whether Git, lock, cache, storage, disk and tags say the same: each disagreement is named, with what mends it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gaia import paths
from gaia.config import yaml
from gaia.data import hashed
from gaia.data.kept import is_kept
from gaia.deployments import activation, servers, trust
from gaia.deployments.current import current
from gaia.errors import GaiaError
from gaia.registry import grammar, history, sharing
from gaia.registry.git import git
from gaia.registry.history import Event, History
from gaia.registry.tags import Tag, Version
from gaia.storage import dvc, said
from gaia.storage.objects import PUT_BACK
from gaia.versions import ready


class Check(NamedTuple):
    """What was looked at, what was found, and what mends it: a command, or a sentence in which `commands` are marked;
    nothing if nothing is wrong."""

    part: str  # one of PARTS
    found: str
    mend: str = ""


def status(root: Path = Path()) -> list[Check]:
    """Every part, in the order in which one makes the next. What can't be asked now is found wrong, not passed over;
    a storage that was never set up is none."""
    looked = said.look(root)
    known = said.recall(looked, root)
    stuck = [Check("data", *found) for found in _unhashable(root)] if not known else []
    asked = {} if known or stuck else said.ask(root)
    looks = {"git": _git, "data": _data, "tags": _tags, "disk": _disk, "serving": _serving}
    here = [check for name, look in looks.items() for check in _part(name, look, root)]
    stored = _part("storage", _storage, root)
    answers = known or said.answers(asked, looked, root)
    built = [check for name, answer in answers.items() for check in _part(name, partial(_built, name, answer), root)]
    return sorted([*here, *stuck, *stored, *built], key=lambda check: PARTS.index(check.part))


PARTS = ("git", "data", "lock", "cache", "storage", "tags", "disk", "serving")


def _part(name: str, look: Any, root: Path) -> list[Check]:
    """What a part's own look finds; that it can't look is something found, too."""
    try:
        return [Check(name, *found) for found in look(root)]
    except GaiaError as error:
        return [Check(name, *_halves(error))]


def _git(root: Path) -> Iterator[tuple[str, ...]]:
    lines = git("status", "--porcelain=v2", "--branch", root=root).splitlines()
    facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    changed = [line for line in lines if not line.startswith("# ")]
    branch = facts["branch.head"].strip("()")
    apart = [line.split(" ", 10)[10] for line in changed if line.startswith("u ")]
    if by_hand := [
        path for path in apart if path != str(dvc.LOCK) and not path.startswith(("data/config/", "data/reports/"))
    ]:
        named = shlex.join(by_hand)
        yield (
            f"{_few(by_hand)} holds both sides of a merge",
            f"edit what stands between <<<<<<< and >>>>>>>, then `git add {named}`",
        )
    if str(dvc.LOCK) in apart:
        built = "dvc.lock data/config data/reports"  # all that a build writes into Git
        yield "dvc.lock is in a merge conflict", f"git checkout --ours {built} && dvc repro && git add {built}"
    elif changed and not by_hand:
        try:
            dvc.check_lock(root)
        except GaiaError:  # which is said of the lock, and to commit it would be the wrong cure
            others = len([line for line in changed if not line.endswith(" dvc.lock")])
            yield (f"{branch}, {others} files besides {dvc.LOCK} are not committed",)
        else:
            yield f"{branch}, {len(changed)} files are not committed", "git add --all && git commit"
    ahead, behind = (int(count) for count in facts.get("branch.ab", "+0 -0").split())
    upstream = facts.get("branch.upstream")
    if ahead and behind:
        apart_by = f"{_commits(ahead)} that {upstream} lacks, and lacks {_commits(-behind)} of it"
        yield f"{branch} has {apart_by}", "git pull --no-rebase"
    elif ahead:
        yield f"{branch} has {_commits(ahead)} that {upstream} lacks", "git push"
    elif behind:
        yield f"{upstream} has {_commits(-behind)} that {branch} lacks", "git pull"
    if not changed and not ahead and not behind:
        yield (f"{branch}, everything is committed",)


def _commits(count: int) -> str:
    return f"{count} commit{'s' if count > 1 else ''}"


def _data(root: Path) -> Iterator[tuple[str, ...]]:
    params = yaml.read(root / paths.PARAMS)
    entries = (entry for entry in (params.get("lines") or {}).values() if isinstance(entry, dict))
    there = {raw for raw in (str(entry.get("raw")) for entry in entries) if (root / paths.raw(raw)).exists()}
    lost = sorted(raw for raw in there if not is_kept(raw, params.get("demo"), root))
    for raw in lost:
        yield f"{paths.raw(raw)} is kept by neither DVC nor Git", f"dvc add {paths.raw(raw)}"
    left = list(_left(params.get("lines") or {}, root))
    yield from left
    if not lost and not left:
        yield ("DVC or Git keeps what the lines are made of",)


def _unhashable(root: Path) -> Iterator[tuple[str, str]]:
    """What DVC can't hash, at which it may wait for ever: then it isn't asked."""
    try:
        hashed.check_all(root)
    except GaiaError as error:
        yield from ((problem.found, problem.mend) for problem in error.problems)


def _left(lines: Any, root: Path) -> Iterator[tuple[str, ...]]:
    """What is left of lines that params.yaml has no more. (Their entries in dvc.lock do nothing.)"""
    kinds = (paths.prepared, paths.training, paths.model, paths.reports)
    names = {path.stem for path in (root / paths.config("")).parent.glob("*.yaml")}
    names |= {path.name for kind in kinds for path in (root / kind("")).glob("[!.]*") if path.is_dir()}
    for name in sorted(names - {str(line) for line in lines}):
        there = [str(path) for path in (paths.config(name), *(kind(name) for kind in kinds)) if (root / path).exists()]
        yield (
            f"{name} is no line of {paths.PARAMS}, and {_few(there)} {'is' if len(there) == 1 else 'are'} left of it",
            f"rm -r {shlex.join(there)}",
        )


def _built(part: str, answer: Any, root: Path) -> Iterator[tuple[str, ...]]:
    if isinstance(answer, GaiaError):
        raise answer
    yield from {"lock": _lock, "cache": _cache}[part](answer, root)


def _lock(answer: Any, root: Path) -> Iterator[tuple[str, ...]]:
    others, changed = ready.apart(answer, root)
    if others:
        yield f"not here as {dvc.LOCK} names it: {_few(others)}", ready.bring(others, root)
    if changed:
        yield f"changed since it was built: {', '.join(sorted(changed))}", "dvc repro"
    if not others and not changed:
        yield ("everything is built",)


def _cache(answer: Any, root: Path) -> Iterator[tuple[str, ...]]:
    lacks = [str(path).rstrip("/") for path in answer.get("not_in_cache", [])]
    if not lacks:
        yield ("has everything that dvc.lock names",)
    elif all((root / path).exists() for path in lacks):
        yield f"lacks {_few(lacks)}", PUT_BACK
    else:
        yield f"lacks {_few(lacks)}", ready.bring(lacks, root)


def _few(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{' ...' if names[3:] else ''}"


def _storage(root: Path) -> Iterator[tuple[str, ...]]:
    from gaia.storage import objects
    from gaia.storage.s3 import settings
    from gaia.storage.s3.client import S3Client

    try:
        at = settings.read(root)
    except GaiaError as error:
        yield (str(error).rstrip("."),)
        return
    client = S3Client(at, timeout=10, attempts=2)
    needed = objects.of_revision("HEAD", client=client, root=root)
    problems = objects.problems(needed, client)
    for problem in problems[:3]:
        yield f"{problem.needed.path} is {problem.reason} at {at.endpoint}", "gaia push"
    if problems[3:]:
        yield f"{len(problems) - 3} objects more", "gaia push"
    if not problems:
        yield (f"{at.endpoint} has everything that this commit names",)


def _tags(root: Path) -> Iterator[tuple[str, ...]]:
    remote, here, there = sharing.compare(root)
    nothing = True
    for found in (*_shared(remote, here, there), *_records(remote, root)):
        nothing = False
        yield found
    if nothing:
        yield (f"{len(here)}, the same at {remote}" if remote else f"{len(here)}, and no remote to share them",)


def _shared(remote: str | None, here: dict[str, str], there: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Where this clone and its remote have other tags."""
    for name in sorted(set(here) - set(there)):
        yield f"{name} is not at {remote}", f"git push --no-verify {remote} 'refs/tags/{name}'"
    if missing := sorted(set(there) - set(here)):
        yield f"{remote} has {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}", "git fetch --tags"
    for name in sorted(name for name in set(here) & set(there) if here[name] != there[name]):
        yield f"{name} is another one at {remote}", f"git tag -d '{name}' && git fetch --tags"


def _records(remote: str | None, root: Path) -> Iterator[tuple[str, ...]]:
    """What the tags say that can't hold, isn't followed, or is read otherwise by GTO and DVC."""
    known = history.look(root=root)
    for record in known.foreign:
        yield (f"{record.tag} {record.why}", *([record.mend(remote)] if record.wrong else []))
    for event in history.yet_to_come(known.events):
        yield (f"{event.tag.name} is dated {event.tag.date}, which is yet to come; what follows is dated after it",)
    live = history.live(known.events)
    for place, event in live.items():
        if refused := trust.refusal(event.version, known, root):
            yield f"{event.version.name} is live in {place[1]}, and hosts don't follow: {refused.found}", _away(place)
        elif doubt := trust.doubt(event.version):
            yield (f"{event.version.name} is live in {place[1]}: {doubt}",)
    unjudged = [tag for tag in known.versions if trust.doubt(tag)]
    if unjudged:
        yield (f"{unjudged[0].name}{f' and {len(unjudged) - 1} more' if unjudged[1:] else ''}: no verdict",)
    for line, stage in dict.fromkeys(event.tag.name[:2] for event in known.events):
        yield from _standard(known, line, stage, live.get((line, stage)), remote, root)


def _standard(
    known: History, line: str, stage: str, now: Event | None, remote: str | None, root: Path
) -> Iterator[tuple[str, ...]]:  # fmt: skip
    """Where `gto show` or `dvc artifacts get` hands out another version of a stage than the one that is live."""
    about = history.of_place(known.stages, line, stage)
    out = history.handed_out(about)
    if out == ({now.version.commit} if now else set()):
        return
    names = {tag.commit: tag.name.number for tag in known.versions}
    others = ", ".join(sorted(names.get(commit, commit[:8]) for commit in out)) or "nothing"
    live = now.version.name.number if now else "nothing"
    last = max(about, key=lambda each: each.date)
    if last.date.timestamp() >= sharing.next_date(line, root):
        mend = grammar.removal(last.tag, remote)
    elif now:
        mend = f"gaia deploy {now.version.name} --stage {stage} --yes"
    else:
        mend = f"gaia undeploy {line} --stage {stage} --reason 'for GTO, too' --yes"
    yield f"{live} of {line} is live in {stage}, and GTO or DVC, which go by dates, hand out {others}", mend


def _away(place: tuple[str, str]) -> str:
    line, stage = place
    return f"`gaia rollback {line} --stage {stage} --reason ...`, or `gaia deploy` another"


def _disk(root: Path) -> Iterator[tuple[str, ...]]:
    nothing = True
    for found in current(root=root):
        nothing = False
        if found.problem:
            yield found.problem, found.mend
        elif found.event:
            live = f"{found.event.version.name} is live in {found.stage}"
            version, stage = found.event.version, found.stage
            yield from _whole(found.here, version, stage, root) if found.here else ((f"{live}, not here",),)
        for event in found.elsewhere:
            yield (f"{event.version.name} is live in {found.stage} on {', '.join(event.hosts)}, not on this host",)
    if nothing:
        yield ("nothing is live",)


def _serving(root: Path) -> Iterator[tuple[str, ...]]:
    for server in servers.running(root):
        yield (f"{server.url} answers with {', '.join(server.answers) or 'nothing'}",)
        for found, mend in server.problems:
            yield f"{server.url}: {found}", mend or "see above"


def _whole(folder: Path, version: Tag[Version], stage: str, root: Path) -> Iterator[tuple[str, ...]]:
    try:
        activation.verify(folder, activation.pin(version, root), version, stage)
        yield (f"{version.name} is live in {stage}, and here",)
    except GaiaError as error:
        yield _halves(error)


def _halves(error: GaiaError) -> tuple[str, str]:
    """What was found, and what would do."""
    found, mend = error.problems[0]
    return found.rstrip("."), mend or "it can't be told here what mends it"
