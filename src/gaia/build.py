"""`gaia build`: what `dvc repro` would do, the lines side by side.

Each line is built in a workspace of its own, at a commit that holds the working tree; what comes of it is taken over as
soon as it is there: its entries of dvc.lock, written as DVC writes them, and its outputs. At the end `dvc repro` itself
finds nothing left to do, or does what no line needs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from gaia import engines, files, paths
from gaia.config import resources, yaml
from gaia.data import hashed
from gaia.engines import line, result, settings, snapshot, workspace
from gaia.engines import plan as plans
from gaia.engines.job import Done, Job, Needs
from gaia.engines.line import Made, Order
from gaia.engines.plan import Plan
from gaia.engines.settings import Settings
from gaia.errors import GaiaError, Problem, nearest
from gaia.registry import git as registry
from gaia.registry.git import git
from gaia.storage import dvc, pipeline
from gaia.storage.pull import pull

REFS = "refs/gaia/builds"  # below the key of a build: the snapshot, and a commit for each line that is done
SNAPSHOT, FAILURES = "_snapshot", "_failed"  # which no line is called
FOLDER = dvc.TMP / workspace.BUILDS
BEGUN = FOLDER / "begun.json"  # of a build that was killed: see _Begun
BUILT, KEPT, FAILED, LEFT = "built", "up to date", "failed", "left"


class End(NamedTuple):
    """What became of a line: `left` if its inputs were edited meanwhile, so that what was built wasn't taken over."""

    line: str
    state: str
    seconds: float | None = None
    host: str | None = None
    log: str | None = None  # below the project
    why: str | None = None


Show = Callable[[str, float, str], object]  # a line, the share of it that is done, what it does


def build(names: Sequence[str], chosen: Settings, show: Show, root: Path = Path()) -> list[End]:
    """Build these lines, or all if none is named: each one's end, in their order.

    Raises GaiaError before any line is begun if a setting is wrong, a stage fails that is no line's own, what a line
    reads is kept by nothing, or another build is at work here. What fails for one line is told of it; the others go on.
    """
    with _alone(root):
        known = dict(yaml.read(root / paths.PARAMS).get("lines") or {})
        if unknown := next((name for name in names if name not in known), None):
            are = f"its lines are {', '.join(known)}{nearest(unknown, known)}"
            raise GaiaError(f"{paths.PARAMS} has no line '{unknown}'", are)
        hashed.check_all(root)
        begun, away = _begun(root), engines.elsewhere(chosen)
        plan = plans.read(dict.fromkeys(names or known), known, root)
        ends = {name: End(name, KEPT) for name in plan.lines}
        own = [stage for name in plan.lines for stage in plan.lines[name]]
        todo = pipeline.changed([*plan.shared, *own] if names else plan.stages, root)
        if not todo and not begun.keys:
            return list(ends.values())
        if todo & set(plan.shared):
            if away and (missing := [path for path in plan.locked(*plan.shared) if not (root / path).exists()]):
                with suppress(GaiaError):  # what it can't is made anew
                    pull(missing, root)
            _repro(plan.shared, root)
            pipeline.record({}, begun.before, plan.stages, root)
            todo = pipeline.changed(own, root)
        wanted = [name for name in plan.lines if todo & set(plan.lines[name])]
        plans.check_kept(plan, wanted)
        needs = {name: _needs(name, known[name], root) for name in wanted}
        key = plans.key(plan)
        begun = begun.noted(key, registry.remote(root) if away else None, root)
        if wanted:
            for end in _build(plan, key, needs, begun.before, chosen, show):
                ends[end.line] = end
        done = [name for name, end in ends.items() if end.state in (BUILT, KEPT) and not _edited(plan, name, key)]
        if done:
            _repro([] if done == list(known) else [stage for name in done for stage in plan.lines[name]], root)
            pipeline.record({}, begun.before, plan.stages, root)
        _forget(begun, root)
    return list(ends.values())


def problem(end: End) -> Problem:
    """What is to be said of a line that wasn't built."""
    if end.state == LEFT:
        return Problem(f"{end.line}: {end.why}, so what was built is not taken over", "`gaia build` builds it anew")
    log = f"{end.log} says more, and " if end.log else ""
    return Problem(f"{end.line} failed: {(end.why or '').rstrip('.')}", f"{log}`gaia build` goes on from there")


def _build(
    plan: Plan, key: str, needs: dict[str, Needs], before: list[str], chosen: Settings, show: Show
) -> Iterator[End]:
    root, refs = plan.root, f"{REFS}/{key}"
    away = engines.elsewhere(chosen)
    taken = snapshot.take(root, f"{refs}/{SNAPSHOT}")
    origin = workspace.abroad(taken, root) if away else workspace.here(taken, root)
    if away:
        git("fetch", "--quiet", "--no-tags", origin.git, f"+{refs}/*:{refs}/*", root=root)
    ready = {ref.removeprefix(f"{refs}/"): commit for ref, commit in _refs(refs, root).items()}
    left = [name for name in needs if name not in ready]
    known = result.store(plan, left, taken.commit) if away else {n: plan.locked(*plan.lines[n]) for n in left}
    watch = _Watch(plan, show)

    def ends() -> Iterator[Done]:
        jobs = {
            name: Job(
                name, line.make, (_order(plan, name, known[name], origin, refs),), needs[name], watch.before(name)
            )
            for name in left
        }
        yield from (Done(Job(name, line.make, ()), Made(ready[name], 0)) for name in needs if name in ready)
        yield from engines.run(chosen, jobs.values(), watch.heard)

    for done in ends():
        yield _take(plan, key, done, before, watch, origin.git if away else None)


def _take(plan: Plan, key: str, done: Done, before: list[str], watch: _Watch, remote: str | None) -> End:
    """Take over what a job made, unless the line has been edited meanwhile."""
    name, root = done.job.name, plan.root
    end = End(name, FAILED, watch.seconds(name), watch.hosts.get(name), watch.log(name))
    if done.error:
        end = end._replace(why=done.error)
    elif file := _edited(plan, name, key):
        end = end._replace(state=LEFT, why=f"{file} was edited meanwhile")
    else:
        try:
            if remote:
                git("fetch", "--quiet", "--no-tags", remote, f"+{REFS}/{key}/*:{REFS}/{key}/*", root=root)
            result.take(plan, name, done.result.commit, before, fetch=remote is not None)
            end = end._replace(state=BUILT)
            if code := done.result.code:
                said = watch.errors.get(name, f"`dvc repro` ended with exit code {code}")
                end = end._replace(state=FAILED, why=said)
        except GaiaError as error:
            end = end._replace(why=str(error))
    watch.show(name, 1, f"{end.state}: {end.why.splitlines()[0]}" if end.why else end.state)
    return end


class _Watch:
    """What jobs say: shown, and kept in a log for each."""

    def __init__(self, plan: Plan, show: Show) -> None:
        self.plan, self.show = plan, show
        self.begun: dict[str, float] = {}
        self.hosts: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.at: dict[str, int] = {}

    def log(self, name: str) -> str | None:
        """Where the log of a line lies."""
        return str(FOLDER / f"{name}.log") if name in self.begun else None

    def before(self, name: str) -> str | None:
        """The host on which a line was begun last."""
        file = self.plan.root / FOLDER / f"{name}.host"
        return file.read_text(encoding="utf-8") if file.exists() else None

    def seconds(self, name: str) -> float | None:
        """How long a line has taken."""
        return round(time.monotonic() - self.begun[name], 1) if name in self.begun else None

    def heard(self, job: Job, said: tuple[str, str]) -> None:
        """One thing that a job says; see engines/line.py."""
        kind, text = said
        file = self.plan.root / FOLDER / f"{job.name}.log"
        if kind == "host":
            self.begun[job.name] = time.monotonic()
            self.hosts[job.name] = text
            self.errors.pop(job.name, None)
            file.write_bytes(b"")
            with files.replaced(file.with_suffix(".host")) as beside:
                beside.write_text(text, encoding="utf-8")
            self.show(job.name, 0, f"begins on {text}")
        elif kind == "log":
            with file.open("a", encoding="utf-8") as log:
                log.write(text)
        else:
            for fact in map(json.loads, text.splitlines()):
                self._progress(job.name, fact)

    def _progress(self, name: str, fact: dict[str, Any]) -> None:
        own = self.plan.lines[name]
        if "error" in fact:
            self.errors[name] = fact["error"]
        elif fact.get("stage") in own:
            self.at[name] = own.index(fact["stage"])
            self.show(name, self.at[name] / len(own), fact["stage"].partition("@")[0])
        elif "done" in fact:
            at = self.at.get(name, 0)
            share = (at + fact["done"] / max(fact["total"], 1)) / len(own)
            self.show(name, share, " ".join(filter(None, (self.plan.stages[own[at]].group, fact["text"]))))


def _order(plan: Plan, name: str, known: Iterable[str], origin: workspace.Origin, refs: str) -> Order:
    return Order(origin, name, tuple(plan.lines[name]), tuple(known), tuple(plan.tracked(name)),
                 f"{refs}/{name}", f"{refs}/{FAILURES}/{name}")  # fmt: skip


def _edited(plan: Plan, name: str, key: str) -> str | None:
    return plans.edited(plan, name, key, plans.key(plan))


def _needs(name: str, entry: dict[str, Any], root: Path) -> Needs:
    """What a line takes: as its entry in params.yaml says, else as its trainer will, if that is composed already."""
    if problems := resources.problems(f"{paths.PARAMS}: lines.{name}", entry):
        raise GaiaError.several(problems)
    file = root / paths.config(name)
    return settings.needs(entry, (yaml.read(file).get("trainer") if file.exists() else None) or {})


def _repro(targets: Iterable[str], root: Path) -> None:
    if dvc.run("repro", "--quiet", *targets, root=root):
        raise GaiaError("`dvc repro` failed", "the reason stands above")


class _Begun(NamedTuple):
    """What a build remembers in a file from its first line on until it is over, so that the next one goes on if it is
    killed: at which commit it was, and what dvc.lock named at first (new entries follow in DVC's order); the keys of
    the builds whose refs are to go, and the Git remotes that have them, too."""

    head: str
    before: list[str]
    keys: list[str]
    remotes: list[str]

    def noted(self, key: str, remote: str | None, root: Path) -> _Begun:
        """The same with one more build, on the disk."""
        keys, remotes = [*self.keys, key], [*self.remotes, *([remote] if remote else [])]
        more = self._replace(keys=list(dict.fromkeys(keys)), remotes=list(dict.fromkeys(remotes)))
        with files.replaced(root / BEGUN) as beside:
            beside.write_text(json.dumps(more._asdict()), encoding="utf-8")
        return more


def _begun(root: Path) -> _Begun:
    file, head = root / BEGUN, registry.commit("HEAD", root)
    new = _Begun(head, list(plans.locked(root)), [], [])
    if not file.exists():
        return new
    killed = _Begun(**json.loads(file.read_text(encoding="utf-8")))
    return killed if killed.head == head else new._replace(keys=killed.keys, remotes=killed.remotes)


def _forget(begun: _Begun, root: Path) -> None:
    """End of a build: its refs go, here and where they were shared, and so does what is remembered of it."""
    for remote in begun.remotes:
        there = git("ls-remote", "--quiet", remote, *(f"{REFS}/{key}/*" for key in begun.keys), root=root)
        if refs := [row.split()[1] for row in there.splitlines()]:
            git("push", "--quiet", remote, "--delete", *refs, root=root)
    for key in begun.keys:
        for ref in _refs(f"{REFS}/{key}", root):
            git("update-ref", "-d", ref, root=root)
    (root / BEGUN).unlink(missing_ok=True)


def _refs(below: str, root: Path) -> dict[str, str]:
    said = git("for-each-ref", "--format=%(refname) %(objectname)", f"{below}/", root=root)
    return dict(row.split() for row in said.splitlines())


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / dvc.TMP / "build.lock", timeout=0):
            yield
    except Timeout:
        raise GaiaError("another `gaia build` is at work in this folder", "let it end, and repeat") from None
