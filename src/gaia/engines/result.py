"""What was built of a line elsewhere, taken over into the project."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gaia import files
from gaia.engines import workspace
from gaia.engines.plan import Plan
from gaia.registry import git as registry
from gaia.registry.git import git
from gaia.storage import cache, dvc, objects, pipeline, transfer
from gaia.storage.errors import Unreachable
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client


def take(plan: Plan, line: str, commit: str, before: Sequence[str], *, fetch: bool) -> None:
    """The line's entries of dvc.lock, what Git keeps and what DVC keeps of it, from the `commit` that `line.make` gave
    (of the stages before the one that failed, if one did). `before` is what dvc.lock named at first. With `fetch` the
    store has the objects.

    Killed at any moment, it can be done again. Raises GaiaError if the store lacks an object.
    """
    made = pipeline.entries((registry.read(commit, str(dvc.LOCK), plan.root) or b"").decode())
    made = {name: made[name] for name in plan.lines[line] if name in made}
    cached = [path for name in made for path in plan.stages[name].cached]
    if fetch:
        workspace.patiently(lambda: _fetch(plan, commit, cached), settings.variables(settings.read(plan.root)))
    pipeline.record(made, before, plan.stages, plan.root)
    pipeline.place(cached, plan.root)
    said = git("ls-tree", "-r", "-z", "--name-only", commit, "--", *plan.tracked(line), root=plan.root)
    for name in filter(None, said.split("\0")):
        content = registry.read(commit, name, plan.root)
        if content is not None and not _holds(plan.root / name, content):
            with files.replaced(plan.root / name) as beside:
                beside.write_bytes(content)


def store(plan: Plan, lines: Iterable[str], revision: str) -> dict[str, list[str]]:
    """See to it that the store has what these lines read, and what they have made that is in the cache; the outputs of
    each that it has whole. Raises GaiaError if the store can't be asked."""
    client = S3Client(settings.read(plan.root))
    wanted = {line: plan.needed(*plan.lines[line]) for line in lines}
    every = {path for outputs in wanted.values() for path in outputs}
    below: dict[str, list[objects.Object]] = {}
    for o in objects.of_revision(revision, client=client, root=plan.root):
        for path in every & {o.path, *map(str, Path(o.path).parents)}:
            below.setdefault(path, []).append(o)
    at = cache.folder(plan.root)
    whole = {path: needed for path, needed in below.items() if not any(cache.fault(o.md5, at) for o in needed)}
    lacking = objects.problems([o for needed in whole.values() for o in needed], client)
    transfer.store(lacking, client, plan.root, "storing what the lines read")
    there = {path for path, needed in below.items() if path in whole or not objects.problems(needed, client)}
    return {line: [path for path in outputs if path in there] for line, outputs in wanted.items()}


def _fetch(plan: Plan, commit: str, outputs: list[str]) -> bool:
    """Bring outputs from the store into the cache; False if it doesn't answer."""
    try:
        client = S3Client(settings.read(plan.root))
        transfer.fetch(objects.of_revision(commit, outputs, client=client, root=plan.root), client, plan.root)
    except Unreachable:
        return False
    return True


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
