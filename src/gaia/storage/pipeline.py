"""The stages of dvc.yaml and of .dvc files as DVC knows them: which comes before which, what each reads and makes,
which are out of date; and entries of dvc.lock that were made elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gaia import files
from gaia.storage import dvc

Entries = dict[str, Any]  # of dvc.lock: a stage's name -> what it was made of, and what it made


class Stage(NamedTuple):
    """A stage, as `train@plants` or `data/raw/photos.dvc`; its paths are relative to the project."""

    name: str
    file: str  # that says so: dvc.yaml, or itself
    before: tuple[str, ...]  # the stages whose outputs it reads
    reads: tuple[str, ...]  # files and folders, those of its parameters among them
    cached: tuple[str, ...]  # what it makes and DVC keeps
    tracked: tuple[str, ...]  # what it makes and Git keeps

    @property
    def group(self) -> str:
        """What dvc.yaml calls it: `train`"""
        return self.name.partition("@")[0]

    @property
    def key(self) -> str:
        """Which of its group it is: `plants`; empty if it is alone."""
        return self.name.partition("@")[2]


def stages(root: Path = Path()) -> dict[str, Stage]:
    """All of them by name, in the order in which `dvc repro` does them. Raises GaiaError if DVC can't read them."""
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    def path(place: Any) -> str:
        return os.path.relpath(place.fspath, root.absolute()).replace(os.sep, "/")

    with dvc.repo(root, "the pipeline") as repo:
        graph = get_active_graph(repo.index.graph)
        planned = plan_repro(graph, collect_stages(repo, [_target(dvc.PIPELINE, root)]))
        rest = [stage for stage in repo.index.stages if stage not in planned]
        return {
            _name(stage, root): Stage(
                _name(stage, root),
                _file(stage, root),
                tuple(_name(each, root) for each in graph.successors(stage)),
                tuple(path(dep) for dep in stage.deps if dep.protocol == "local"),
                tuple(path(out) for out in stage.outs if out.use_cache),
                tuple(path(out) for out in stage.outs if not out.use_cache),
            )
            for stage in [*planned, *rest]
        }


def upstream(known: Mapping[str, Stage], names: Iterable[str]) -> list[str]:
    """These stages and all before them, in the order of `known`."""
    found, left = set(), list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += known[name].before
    return [name for name in known if name in found]


def changed(names: Iterable[str], root: Path = Path()) -> set[str]:
    """Which of these stages `dvc repro` would do now, or restore what they have made; not those that only follow."""
    with dvc.repo(root, "dvc status") as repo:
        asked = {_target(name, root): name for name in names}
        said = {str(Path(each).absolute()) for each in repo.status(targets=list(asked))}
        by_name = {str(Path(stage.addressing).absolute()): _name(stage, root) for stage in repo.index.stages}
        return {by_name[each] for each in said}


def _file(stage: Any, root: Path) -> str:
    return os.path.relpath(stage.path, root.absolute()).replace(os.sep, "/")


def _name(stage: Any, root: Path) -> str:
    """What `dvc repro` calls a stage at the project's root; DVC names it from wherever the process is."""
    name, file = getattr(stage, "name", None), _file(stage, root)
    return file if name is None else name if file == dvc.PIPELINE else f"{file}:{name}"


def _target(name: str, root: Path) -> str:
    """A stage or a file as DVC takes it from wherever the process is."""
    file, _, stage = name.rpartition(":") if ":" in name else ("", "", name)
    if not file and stage.endswith((".dvc", ".yaml")):
        return str((root / stage).absolute())
    return f"{(root / (file or dvc.PIPELINE)).absolute()}:{stage}"


def entries(content: str) -> Entries:
    """The stages of a dvc.lock."""
    from dvc.utils.serialize import parse_yaml

    return dict(parse_yaml(content, dvc.LOCK).get("stages") or {})


def record(made: Entries, before: Sequence[str], order: Iterable[str], root: Path = Path()) -> None:
    """Write entries into dvc.lock, each as `dvc repro` would: those that it had `before` keep their place, new ones
    follow in the `order` in which it does the stages."""
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    file = root / dvc.LOCK
    with dvc.repo(root, f"writing {dvc.LOCK}") as repo, repo.lock, repo.scm_context() as staged:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        content = parse_yaml_for_update(text, file) or {"schema": "2.0"}
        content["stages"] = known = content.get("stages", {})
        wanted = {name: entry for name, entry in made.items() if known.get(name) != entry}
        known.update(wanted)
        names = [name for name in dict.fromkeys([*before, *order, *known]) if name in known]
        for name in names if names != list(known) else ():
            known[name] = known.pop(name)
        if (written := dumps_yaml(content)) != text:
            with files.replaced(file) as beside:
                beside.write_text(written, encoding="utf-8")
            staged.track_file(str(file.absolute()))


def ignored(path: str, root: Path = Path()) -> bool:
    """Whether .dvcignore names a file or folder: DVC passes over it."""
    with dvc.repo(root, ".dvcignore") as repo:
        return bool(repo.dvcignore.is_ignored(repo.fs, str((root / path).absolute())))


def place(outputs: Sequence[str], root: Path = Path()) -> None:
    """Bring outputs as dvc.lock names them from the cache into the workspace, whatever stands there."""
    if outputs:
        with dvc.repo(root, "dvc checkout") as repo:
            repo.checkout(targets=[str(root / path) for path in outputs], force=True)
