"""What there is to build: which stages are whose, on what they hang, and whether that is as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gaia import paths
from gaia.config import yaml
from gaia.engines import snapshot
from gaia.errors import GaiaError
from gaia.registry.git import git
from gaia.storage import dvc, pipeline
from gaia.storage.pipeline import Stage

NOBODYS = ("lines", "serving", "engine")  # of params.yaml: each line's own, and what no stage reads


class Plan(NamedTuple):
    """The stages; those that some lines need and that are no line's own, and each line's: all in DVC's order."""

    root: Path
    stages: dict[str, Stage]
    shared: list[str]
    lines: dict[str, list[str]]

    def cached(self, line: str) -> list[str]:
        """What DVC keeps of what a line's own stages make."""
        return [path for stage in self.lines[line] for path in self.stages[stage].cached]

    def tracked(self, line: str) -> list[str]:
        """What Git keeps of it; and how long it took, which nothing pins."""
        own = [path for stage in self.lines[line] for path in self.stages[stage].tracked]
        return [*own, f"{paths.reports(line)}/timings.json"]

    def needed(self, *stages: str) -> list[str]:
        """What DVC keeps of what these stages make, and all before them."""
        return [path for name in pipeline.upstream(self.stages, stages) for path in self.stages[name].cached]

    def reads(self, line: str) -> set[str]:
        """All that a line hangs on, by path."""
        before = [self.stages[name] for name in pipeline.upstream(self.stages, self.lines[line])]
        return {path for stage in before for path in (stage.file, *stage.reads)}

    def locked(self, *stages: str) -> list[str]:
        """What of that dvc.lock or a .dvc file has a hash of."""
        known = locked(self.root)
        made = {out["path"] for entry in known.values() for out in entry.get("outs", ())}
        own = {path for stage in self.stages.values() if stage.file == stage.name for path in stage.cached}
        return [path for path in self.needed(*stages) if path in made | own]


def locked(root: Path = Path()) -> pipeline.Entries:
    """What dvc.lock says now."""
    file = root / dvc.LOCK
    return pipeline.entries(file.read_text(encoding="utf-8")) if file.exists() else {}


def read(lines: Iterable[str], known: Iterable[str], root: Path = Path()) -> Plan:
    """The plan for some of the `known` lines. A stage is a line's own if dvc.yaml makes it for each of them."""
    stages, every = pipeline.stages(root), set(known)
    keys: dict[str, set[str]] = {}
    for stage in stages.values():
        keys.setdefault(stage.group, set()).add(stage.key)
    own = {line: [s.name for s in stages.values() if s.key == line and keys[s.group] == every] for line in lines}
    if lacking := [line for line, names in own.items() if not names]:
        raise GaiaError(f"{paths.PIPELINE} has no stage for the line '{lacking[0]}'", "it says `foreach: ${lines}`")
    theirs = [name for names in own.values() for name in names]
    shared = [name for name in pipeline.upstream(stages, theirs) if name not in theirs]
    return Plan(root, stages, shared, own)


def key(plan: Plan) -> str:
    """What names a build: the tree of all that Git keeps and no stage makes, with what dvc.lock says of the shared
    stages. As long as it is the same, so is all that comes of it."""
    made: dict[str, str | None] = {path: None for stage in plan.stages.values() for path in stage.tracked}
    known = locked(plan.root)
    shared = {name: known[name] for name in plan.shared if name in known}
    return snapshot.tree(plan.root, made | {str(dvc.LOCK): yaml.dump(shared)})


def edited(plan: Plan, line: str, before: str, now: str) -> str | None:
    """A file on which a line hangs, and which differs between two keys; None if there is none."""
    if before == now:
        return None
    said = git("diff-tree", "-r", "-z", "--name-only", "--relative", before, now, root=plan.root)
    reads = plan.reads(line)
    for path in filter(None, said.split("\0")):
        if path == str(paths.PARAMS):
            old, new = (_params(plan, tree, line) for tree in (before, now))
            if old != new:
                return path
        elif path == str(dvc.LOCK) or reads & {path, *map(str, Path(path).parents)}:
            return path
    return None


def check_kept(plan: Plan, lines: Iterable[str]) -> None:
    """Raise GaiaError if a line reads what neither Git nor DVC keeps: no workspace could have it."""
    made = {path for stage in plan.stages.values() for path in (*stage.cached, *stage.tracked)}
    reads = sorted(path for path in set().union(*map(plan.reads, lines)) - made if (plan.root / path).exists())
    said = git("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", *reads,
               root=plan.root)  # fmt: skip
    for path in filter(None, (name.rstrip("/") for name in said.split("\0"))):
        inside = {path, *map(str, Path(path).parents)} & made or any(place.startswith(f"{path}/") for place in made)
        if not inside and not pipeline.ignored(path, plan.root):
            add = next(place for place in reads if place in (path, *map(str, Path(path).parents)))
            add = path if add == str(paths.raw(paths.WEIGHTS)) else add
            raise GaiaError(f"{path} is kept neither by Git nor by DVC, so that no workspace can have it",
                            f"`dvc add {add}` keeps it")  # fmt: skip


def _params(plan: Plan, tree: str, line: str) -> tuple[Any, Any]:
    """What params.yaml says for a line, and for all."""
    prefix = git("rev-parse", "--show-prefix", root=plan.root).strip()
    text = git("cat-file", "blob", f"{tree}:{prefix}{paths.PARAMS}", root=plan.root)
    try:
        params: Mapping[str, Any] = YAML(typ="safe").load(text)
    except YAMLError:  # somebody is at it
        return text, None
    rest = {key: value for key, value in params.items() if key not in NOBODYS}
    entry = dict((params.get("lines") or {}).get(line) or {})
    return {key: value for key, value in entry.items() if key not in ("resources", "bucket")}, rest
