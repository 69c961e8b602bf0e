"""What a revision needs of the storage: the outputs that its dvc.lock and .dvc files pin, and where dvc.yaml says that
each is kept; read from Git or the workspace.

DVC could be asked, by making it open the revision, which takes a second; its own parser says what its templates mean.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from gaia.errors import GaiaError, first_line
from gaia.registry.git import blobs, commit, git
from gaia.storage import dvc, memo

_ID = re.compile("[0-9a-f]{40}")  # of a commit
_FORMAT = 1  # of what is kept of a commit, or of what the workspace's files hold
_TELLS = ("outs", "metrics", "plots", "vars", "wdir", "foreach", "matrix")  # of a stage: what it makes, and how often
Read = Callable[[str], bytes | None]  # a file of a revision, by its path; None if there is none


class Output(NamedTuple):
    """A file or folder as DVC pins it, whose content goes to a remote: `size` in bytes, None if it isn't said; an empty
    `remote` is the default one."""

    path: str
    md5: str
    size: int | None
    remote: str


def outputs(revision: str | None, root: Path = Path()) -> list[Output]:
    """What DVC keeps at a revision (None: in the workspace as it is) and would push, by path.

    Raises GaiaError if the revision names no commit, or what says so can't be read.
    """
    if revision:
        wanted = revision if _ID.fullmatch(revision) else commit(revision, root)  # Git takes longer than the rest
        return _remembered(wanted, wanted, lambda: sorted(_pinned(*_committed(wanted, root), revision)), root)
    names_here, read, seen = _lying(root)
    mark = hashlib.sha256(repr([(name, read(name)) for name in _looked_at(names_here)]).encode()).hexdigest()
    seen.clear()

    def ask() -> list[Output]:
        return sorted(_pinned(names_here, read, "the workspace"))

    return _remembered("workspace", mark, ask, root, lambda: seen <= set(_looked_at(names_here)))


def _committed(wanted: str, root: Path) -> tuple[list[str], Read]:
    listed = git("ls-tree", "-r", "-z", "--name-only", commit(wanted, root), root=root).split("\0")
    return [name for name in listed if _says(name)], lambda path: blobs([f"{wanted}:./{path}"], root)[0]


def _lying(root: Path) -> tuple[list[str], Read, set[str]]:
    """The files that say so, how to read one, and the names of those that were read."""
    listed = git(
        "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--",
        "*.dvc", f"*{dvc.PIPELINE}", root=root,
    )  # fmt: skip
    seen = set()

    def read(path: str) -> bytes | None:
        seen.add(path)
        with suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return (root / path).read_bytes()
        return None

    return sorted(name for name in listed.split("\0") if _says(name)), read, seen


def _looked_at(names: Iterable[str]) -> Iterator[str]:
    """The files that say so, and those that each looks at if nothing else is said."""
    for name in names:
        yield name
        if posixpath.basename(name) == dvc.PIPELINE:
            yield from (posixpath.join(posixpath.dirname(name), other) for other in (str(dvc.LOCK), "params.yaml"))


def _says(name: str) -> bool:
    return posixpath.basename(name) == dvc.PIPELINE or (name.endswith(".dvc") and posixpath.basename(name) != ".dvc")


def _remembered(
    name: str, mark: str, ask: Callable[[], list[Output]], root: Path, whole: Callable[[], bool] = lambda: True
) -> list[Output]:
    """What was kept under the name, if it has the mark; else what is asked, kept if the mark is the `whole` of it."""
    name, marks = f"needed/{name}", [_FORMAT, mark]
    with suppress(TypeError):
        return [Output(*each) for each in memo.recall(name, marks, root)]
    found = ask()
    if whole():
        memo.keep(name, marks, found, root)
    return found


def _pinned(names: Iterable[str], read: Read, revision: str) -> Iterator[Output]:
    from dvc.exceptions import DvcException

    try:
        for name in names:
            if (said := _yaml(name, read)) is None:
                continue
            folder = posixpath.dirname(name)
            if name.endswith(".dvc"):
                outs = {each["path"]: each for each in said.get("outs", ())}
                yield from _kept(outs, said.get("outs", ()), posixpath.join(folder, said.get("wdir", "")))
            else:
                locked = (_yaml(posixpath.join(folder, str(dvc.LOCK)), read) or {}).get("stages") or {}
                for stage, told in _stages(said, folder, read):
                    wdir = posixpath.join(folder, told.get("wdir", ""))
                    yield from _kept(_declared(told), (locked.get(stage) or {}).get("outs", ()), wdir)
    except DvcException as error:
        raise GaiaError(f"{revision}: {first_line(error)}.") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise GaiaError(f"{revision}: {name} is not what DVC takes", "`dvc status` says more") from None


def _stages(said: dict[str, Any], folder: str, read: Read) -> Iterator[tuple[str, dict[str, Any]]]:
    """The stages of a dvc.yaml, its templates filled in as far as they say what is made."""
    from dvc.parsing import DataResolver

    def told(stage: dict[str, Any]) -> dict[str, Any]:
        return {name: told(each) if name == "do" else each for name, each in stage.items() if name in (*_TELLS, "do")}

    stages = {name: told(stage) for name, stage in (said.get("stages") or {}).items()}
    place = SimpleNamespace(fs=_Files(read), config={})
    resolver = DataResolver(place, folder, {"vars": said.get("vars") or [], "stages": stages})
    for name in resolver.get_keys():
        yield name, resolver.resolve_one(name)[name]


def _declared(stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a stage says of each of its outputs."""
    found: dict[str, dict[str, Any]] = {}
    for each in [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind) or ()]:
        found |= {each: {}} if isinstance(each, str) else {path: said or {} for path, said in each.items()}
    return found


def _kept(declared: dict[str, dict[str, Any]], pinned: Iterable[dict[str, Any]], wdir: str) -> Iterator[Output]:
    for entry in pinned:
        said = declared.get(entry["path"])
        if said is None or entry.get("hash") != "md5" or not entry.get("md5"):
            continue
        if said.get("cache", True) and said.get("push", True):
            path = posixpath.normpath(posixpath.join(wdir, entry["path"]))
            yield Output(path, entry["md5"], entry.get("size"), said.get("remote") or "")


def _yaml(name: str, read: Read) -> dict[str, Any] | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    content = read(name)
    try:
        return None if content is None else YAML(typ="safe").load(content) or {}  # in C, which is ten times as fast
    except (YAMLError, UnicodeDecodeError) as error:
        raise GaiaError(f"{name} is not valid YAML, {' '.join(str(error).split())}.") from None


class _Files:
    """A revision's files, as far as DVC's parser looks at them: for what `vars` names."""

    join, normpath = staticmethod(posixpath.join), staticmethod(posixpath.normpath)

    def __init__(self, read: Read) -> None:
        self._read = read

    def relpath(self, path: str, start: str = "") -> str:
        return posixpath.relpath(path, start or posixpath.curdir)

    def suffix(self, path: str) -> str:
        return posixpath.splitext(path)[1]

    def exists(self, path: str) -> bool:
        return self._read(path) is not None

    def isdir(self, path: str) -> bool:
        return False

    def open(self, path: str, **_: object) -> StringIO:
        return StringIO((self._read(path) or b"").decode())
