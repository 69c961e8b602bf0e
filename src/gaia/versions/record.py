"""Everything about one version, read from the commit that its tag names: nothing of it is stored a second time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from gaia import paths
from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.registry.git import blobs, git
from gaia.registry.tags import Tag, Version

STAGES = ("compose", "prepare", "train", "evaluate")  # of a line, as dvc.yaml names them
BUILDING = STAGES[1:]  # those whose code and settings make the artifact
ENVIRONMENT = "requirements.lock"


class Pinned(NamedTuple):
    """A file or folder as dvc.lock pins it: `size` in bytes, `files` the number of files in a folder."""

    path: str
    md5: str
    size: int
    files: int


@dataclass(frozen=True)
class Record:
    """A line at a commit. Everything is read when it is asked for; GaiaError says what the commit lacks."""

    line: str
    commit: str
    tag: Tag[Version] | None = None  # None: no version (yet)
    root: Path = Path()

    def __str__(self) -> str:
        return str(self.tag.name) if self.tag else f"{self.line} at {self.commit[:8]}"

    @cached_property
    def stages(self) -> dict[str, dict[str, Any]]:
        """What dvc.lock says of the line's stages: `cmd`, `deps`, `params`, `outs`."""
        content = self._yaml("dvc.lock").get("stages", {})
        found = {stage: content.get(f"{stage}@{self.line}") for stage in STAGES}
        if missing := [f"{stage}@{self.line}" for stage, entry in found.items() if entry is None]:
            raise GaiaError(f"{self}: dvc.lock has no stage {missing[0]}", "run `dvc repro`, and commit")
        return found

    @cached_property
    def outputs(self) -> dict[str, Pinned]:
        """What the line's stages made, by path."""
        return {o["path"]: _pinned(o) for stage in self.stages.values() for o in stage.get("outs", ())}

    @cached_property
    def inputs(self) -> dict[str, Pinned]:
        """What the building stages read and did not make themselves, by path: data, code, the environment's lock."""
        read = (dep for stage in BUILDING for dep in self.stages[stage].get("deps", ()))
        return {d["path"]: _pinned(d) for d in read if d["path"] not in self.outputs}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that the building stages read, by section, whatever the line's folder of raw data is called."""
        read = (self.stages[stage].get("params", {}) for stage in BUILDING)
        merged = {key: value for sections in read for part in sections.values() for key, value in part.items()}
        return {key: value for key, value in sorted(merged.items()) if key != "raw"}

    @property
    def raw(self) -> Pinned:
        """The data that the version was made of."""
        path = paths.raw(str(self.config.get("raw"))).as_posix()
        if path not in self.inputs:
            raise GaiaError(f"{self}: dvc.lock does not say what {path} held", "run `dvc repro`, and commit")
        return self.inputs[path]

    @cached_property
    def kept(self) -> list[str]:
        """The outputs of DVC without which the version can't be restored and made again: the line's own, and `keeper`.

        Raises GaiaError if neither DVC nor Git keeps the raw data."""
        own = list(self.outputs)
        in_git = blobs([f"{self.commit}:./{path}" for path in own], self.root)
        keeper = [self.keeper] if self.keeper else []
        return [path for path, content in zip(own, in_git, strict=True) if content is None] + keeper

    @cached_property
    def keeper(self) -> str | None:
        """DVC's output that is, or holds, the raw data; None if Git keeps them. Raises GaiaError if neither does."""
        raw = Path(self.raw.path)
        folders = [p.as_posix() for p in (raw, *raw.parents[:-1])]
        made = {o["path"] for stage in self._yaml("dvc.lock")["stages"].values() for o in stage.get("outs", ())}
        added = blobs([f"{self.commit}:./{folder}.dvc" for folder in folders], self.root)
        for folder, pointer in zip(folders, added, strict=True):
            if folder in made or pointer is not None:
                return folder
        if git("ls-tree", self.commit, raw.as_posix(), root=self.root):
            return None
        raise GaiaError(f"{self}: {raw} is kept by neither DVC nor Git", f"run `dvc add {raw}`, and commit")

    @property
    def artifact(self) -> Pinned:
        """The artifact that ships."""
        return self.outputs[paths.model(self.line).as_posix()]

    @property
    def code(self) -> dict[str, str]:
        """The md5 of each file and folder of code that the building stages depend on."""
        return {path: pinned.md5 for path, pinned in self.inputs.items() if path.startswith("src/")}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed configuration."""
        return self._yaml(paths.config(self.line).as_posix())

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json as it was committed."""
        return dict(self._json((paths.reports(self.line) / "metrics.json").as_posix()))

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What the artifact promises: input, labels, decision."""
        return dict(self._json((paths.model(self.line) / "contract.json").as_posix()))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the artifact says of itself: architecture, epochs, losses, files."""
        return dict(self._json((paths.model(self.line) / "manifest.json").as_posix()))

    @cached_property
    def packages(self) -> dict[str, str]:
        """The version of each package in the environment's lock; `1.3.3 or 1.4.0` where it depends on the Python."""
        found: dict[str, str] = {}
        for text in self.read(ENVIRONMENT).decode().splitlines():
            name, pinned, rest = text.partition("==")
            if pinned and name[:1].isalnum():
                version = rest.split()[0]
                found[name] = f"{found[name]} or {version}" if name in found else version
        return found

    def read(self, path: str) -> bytes:
        """A file of the version: from Git, or by its hash from DVC's cache, or else from the storage.

        Raises GaiaError if the version has no such file, or nothing holds it.
        """
        content = self._committed(path)
        if content is not None:
            return content
        for output in self.outputs.values():
            if path == output.path or path.startswith(f"{output.path}/"):
                files = self.files(output)
                if path in files:
                    return self._object(output.path, files[path])
        raise GaiaError(f"{self} holds no {path}.")

    def _committed(self, path: str) -> bytes | None:
        return blobs([f"{self.commit}:./{path}"], self.root)[0]

    def files(self, pinned: Pinned) -> dict[str, str]:
        """The files in a folder that DVC keeps, `path -> md5`. Raises GaiaError if nothing has the list any more."""
        from gaia.storage import cache

        if not pinned.md5.endswith(cache.DIR):
            return {pinned.path: pinned.md5}
        listing = self._object(pinned.path, pinned.md5)
        return {f"{pinned.path}/{name}": md5 for name, md5 in cache.listed(listing).items()}

    def _object(self, output: str, md5: str) -> bytes:
        """The content with this hash, which is of a file in one of DVC's outputs, or of the folder's listing."""
        from gaia.storage import objects

        return objects.content(md5, output, self.commit, self.root)

    def _yaml(self, path: str) -> dict[str, Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        content = self._committed(path)
        if content is None:
            raise GaiaError(f"{self}: the commit holds no {path}", "run `dvc repro`, and commit")
        try:
            parsed = YAML(typ="safe").load(content)  # not pure: in C, which is ten times as fast
        except YAMLError as error:
            raise GaiaError(f"{self}: {path} is not valid YAML, {' '.join(str(error).split())}.") from None
        return parsed if isinstance(parsed, dict) else {}

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self.read(path))
        except ValueError as error:
            raise GaiaError(f"{self}: {path} is damaged ({error}).") from None


def of(name: str, root: Path = Path()) -> Record:
    """The record of a version. Raises GaiaError if the name is not exactly that of a version that exists."""
    tag = tags.find(name, root)
    return Record(tag.name.line, tag.commit, tag, root)


def _pinned(entry: dict[str, Any]) -> Pinned:
    return Pinned(entry["path"], entry.get("md5", ""), entry.get("size", 0), entry.get("nfiles", 1))
