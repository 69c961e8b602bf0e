"""What a commit pins, of whatever line: the stages of dvc.lock, what DVC keeps, and the files that Git itself holds."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError
from gaia.registry.git import blobs, git


class Pinned(NamedTuple):
    """A file or folder as DVC pins it: `size` in bytes, `files` the number of files in a folder."""

    path: str
    md5: str
    size: int
    files: int

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Pinned:
        """An entry of `deps` or `outs`, in dvc.lock or a .dvc file."""
        return cls(entry["path"], entry.get("md5", ""), entry.get("size", 0), entry.get("nfiles", 1))


@dataclass(frozen=True)
class Pins:
    """A commit, called `name` in sentences. Everything is read when it is asked for, and from the commit alone."""

    name: str
    commit: str
    root: Path

    @cached_property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The stages of dvc.lock by name, such as train@plants: `cmd`, `deps`, `params`, `outs`."""
        stages: dict[str, dict[str, Any]] = self.yaml("dvc.lock").get("stages", {})
        return stages

    @cached_property
    def in_git(self) -> Counter[str]:
        """How many files Git holds under each path, a file's or a folder's."""
        listed = git("ls-tree", "-r", "-z", "--name-only", self.commit, root=self.root).split("\0")
        parts = (name.split("/") for name in listed if name)
        return Counter("/".join(names[:n]) for names in parts for n in range(1, len(names) + 1))

    @cached_property
    def in_dvc(self) -> dict[str, Pinned]:
        """What DVC keeps, by path: outputs of stages, and of .dvc files."""
        outputs = [Pinned.of(out) for stage in self.stages.values() for out in stage.get("outs", ())]
        found = {output.path: output for output in outputs if not self.git_holds(output)}
        pointers = [path for path in self.in_git if path.endswith(".dvc") and path != ".dvc"]
        contents = blobs([f"{self.commit}:./{path}" for path in pointers], self.root)
        for pointer, content in zip(pointers, contents, strict=True):
            if content is None:  # a folder with such a name
                continue
            said = self._parsed(pointer, content)
            folder = posixpath.join(posixpath.dirname(pointer), said.get("wdir", ""))
            for output in map(Pinned.of, said.get("outs", ())):
                path = posixpath.normpath(posixpath.join(folder, output.path))
                found[path] = output._replace(path=path)
        return found

    def git_holds(self, output: Pinned) -> bool:
        """Whether all files of an output are committed to Git."""
        return self.in_git[output.path] >= max(1, output.files)

    def git_alone(self, path: str) -> bool:
        """Whether Git holds this, and DVC has no part in it."""
        return bool(self.in_git[path]) and not any(overlap(path, output) for output in self.in_dvc)

    def makers(self, path: str) -> list[dict[str, Any]]:
        """The stages an output of which is, holds, or lies in this path."""
        return [s for s in self.stages.values() if any(overlap(path, out["path"]) for out in s.get("outs", ()))]

    def keepers(self, wanted: Pinned) -> list[str]:
        """DVC's outputs that are, hold, or lie in what is wanted; none if Git holds it.

        Raises GaiaError if neither has it, or a part of it.
        """
        path = wanted.path
        found = [output for output in self.in_dvc if overlap(path, output)]
        if any(_within(path, output) for output in found):
            return found
        kept = self.in_git[path] + sum(self.in_dvc[output].files for output in found)
        if not kept:
            raise GaiaError(f"{self.name}: {path} is kept by neither DVC nor Git", f"run `dvc add {path}`, and commit")
        if kept < wanted.files:
            raise GaiaError(
                f"{self.name}: of the {wanted.files} files in {path}, DVC and Git keep {kept}",
                "run `dvc add` for each of the others, and commit",
            )
        return found

    def read(self, path: str) -> bytes | None:
        """A file that Git holds; None if it doesn't."""
        return blobs([f"{self.commit}:./{path}"], self.root)[0]

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML file that Git holds. Raises GaiaError if it doesn't, or the file is damaged."""
        content = self.read(path)
        if content is None:
            raise GaiaError(f"{self.name}: the commit holds no {path}", "run `dvc repro`, and commit")
        return self._parsed(path, content)

    def _parsed(self, path: str, content: bytes) -> dict[str, Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            parsed = YAML(typ="safe").load(content)  # not pure: in C, which is ten times as fast
        except YAMLError as error:
            raise GaiaError(f"{self.name}: {path} is not valid YAML, {' '.join(str(error).split())}.") from None
        return parsed if isinstance(parsed, dict) else {}


def overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or lies in it."""
    return _within(one, other) or _within(other, one)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
