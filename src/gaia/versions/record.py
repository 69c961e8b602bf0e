"""Everything about one version, read from the commit that its tag names: nothing of it is stored a second time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gaia import files, paths
from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.registry.pins import Pinned, Pins, overlap
from gaia.registry.tags import Tag, Version

STAGES = ("prepare", "train", "evaluate")  # of a line, as dvc.yaml names them; what they read makes the artifact
ENVIRONMENT = "requirements.lock"
# Where the weights of all lines come from. What of it a line starts from is an input of its own, stored as such.
ALL_WEIGHTS = paths.raw(paths.WEIGHTS).as_posix()
FROM_SCRATCH = files.md5_of_listing({paths.WEIGHTS_FACTS: files.digest(b"null\n").hexdigest()})


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
        names, pinned = {stage: f"{stage}@{self.line}" for stage in STAGES}, self._pins.stages
        if missing := [name for name in names.values() if name not in pinned]:
            raise GaiaError(f"{self}: dvc.lock has no stage {missing[0]}", "run `dvc repro`, and commit")
        return {stage: pinned[name] for stage, name in names.items()}

    @property
    def composing(self) -> str:
        """The stage that composed the line's settings: until lines had it in common, each had its own."""
        return "compose" if "compose" in self._pins.stages else f"compose@{self.line}"

    @cached_property
    def outputs(self) -> dict[str, Pinned]:
        """What the line's stages made, by path."""
        return {o["path"]: Pinned.of(o) for stage in self.stages.values() for o in stage.get("outs", ())}

    @cached_property
    def inputs(self) -> dict[str, Pinned]:
        """What the version was made of, by path: all that the building stages read and did not make themselves (code,
        the environment's lock, data); and where another stage made such data, the data that it read, to the roots.
        """
        found: dict[str, Pinned] = {}
        to_do = [(dep, True) for stage in STAGES for dep in self.stages[stage].get("deps", ())]
        for dep, read_here in to_do:  # which grows
            path = dep["path"]
            if path == ALL_WEIGHTS or path in found or any(overlap(path, own) for own in self.outputs):
                continue
            if not read_here and self._pins.git_alone(path):
                continue  # its say is in what was made of it
            found[path] = Pinned.of(dep)
            to_do += [(further, False) for maker in self._pins.makers(path) for further in maker.get("deps", ())]
        return found

    @property
    def data(self) -> dict[str, str]:
        """The md5 of each input that is data: all that lies under data/, or is not Git's alone. That there are no
        weights to start from is no input."""
        found = {path: read.md5 for path, read in self.inputs.items() if self._is_data(path)}
        return {path: md5 for path, md5 in found.items() if md5 != FROM_SCRATCH}

    @property
    def code(self) -> dict[str, str]:
        """The md5 of each input that is code: the others, without the environment's lock."""
        rest = {path: read.md5 for path, read in self.inputs.items() if path != ENVIRONMENT}
        return {path: md5 for path, md5 in rest.items() if not self._is_data(path)}

    @cached_property
    def kept(self) -> list[str]:
        """The outputs of DVC without which the version can't be restored and made again: the line's own, `keepers`, and
        the file of weights that the line names, without which `dvc pull` would end at its pointer.

        Raises GaiaError if neither DVC nor Git keeps some of the data."""
        own = [path for path, output in self.outputs.items() if not self._pins.git_holds(output)]
        start = self._params.get("model", {}).get("weights")
        given = f"{ALL_WEIGHTS}/{start['file'] if isinstance(start, dict) else start}"
        return [*own, *self.keepers, *([given] if given in self._pins.in_dvc else [])]

    @cached_property
    def keepers(self) -> list[str]:
        """DVC's outputs that are, hold, or lie in the version's data; what Git keeps needs none.

        Raises GaiaError if neither keeps some of the data."""
        found = (self._pins.keepers(read) for path, read in self.inputs.items() if self._is_data(path))
        return list(dict.fromkeys(keeper for keepers in found for keeper in keepers))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that the building stages read, by section, whatever the line's folder of raw data is called."""
        return {key: value for key, value in self._params.items() if key != "raw"}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration in full. Settings are read from dvc.lock, here as everywhere; the gates alone, which no
        stage reads and no lock pins, from the composed file."""
        composed = self._pins.yaml(paths.config(self.line).as_posix())
        return self._params | {"gates": composed.get("gates")}

    @property
    def artifact(self) -> Pinned:
        """The artifact that ships."""
        return self.outputs[paths.model(self.line).as_posix()]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json as it was committed."""
        return dict(self._json((paths.reports(self.line) / "metrics.json").as_posix()))

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What the artifact promises, in the newest format: input, labels, decision."""
        from gaia.runtime.contract import newest

        return newest(dict(self._json((paths.model(self.line) / "contract.json").as_posix())))

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
        content = self._pins.read(path)
        if content is not None:
            return content
        for output in self.outputs.values():
            if path == output.path or path.startswith(f"{output.path}/"):
                files = self.files(output)
                if path in files:
                    return self._object(output.path, files[path])
        raise GaiaError(f"{self} holds no {path}.")

    def raw(self, source: str) -> bytes:
        """A file of the raw data that the version was made of, by its `source` in the index.

        Raises GaiaError if the version has no such file, or nothing holds it.
        """
        folder = paths.raw(self._params["raw"]).as_posix()
        files = self.files(self.inputs[folder])
        if (path := f"{folder}/{source}") not in files:
            raise GaiaError(f"{self} was not made of {path}.")
        return self._object(folder, files[path])

    def files(self, pinned: Pinned) -> dict[str, str]:
        """The files in a folder that DVC keeps, `path -> md5`. Raises GaiaError if nothing has the list any more."""
        from gaia.storage import cache

        if not pinned.md5.endswith(cache.DIR):
            return {pinned.path: pinned.md5}
        listing = self._object(pinned.path, pinned.md5)
        return {f"{pinned.path}/{name}": md5 for name, md5 in cache.listed(listing).items()}

    def _object(self, output: str, md5: str) -> bytes:
        """The content with this hash, which is of a file in one of DVC's outputs, or of the folder's listing."""
        from gaia.storage import copies

        return copies.content(md5, output, self.commit, self.root)

    @cached_property
    def _pins(self) -> Pins:
        return Pins(str(self), self.commit, self.root)

    @cached_property
    def _params(self) -> dict[str, Any]:
        """All settings that the building stages read, by section."""
        read = (self.stages[stage].get("params", {}) for stage in STAGES)
        merged = {key: value for sections in read for part in sections.values() for key, value in part.items()}
        return dict(sorted(merged.items()))

    def _is_data(self, path: str) -> bool:
        return path.startswith("data/") or not self._pins.git_alone(path)

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self.read(path))
        except ValueError as error:
            raise GaiaError(f"{self}: {path} is damaged ({error}).") from None


def of(name: str, root: Path = Path()) -> Record:
    """The record of a version. Raises GaiaError if the name is not exactly that of a version that exists."""
    tag = tags.find(name, root)
    return Record(tag.name.line, tag.commit, tag, root)
