"""Model versions in the storage: a version is its tag and the objects that its commit's dvc.lock names."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.console import megabytes
from gaia.errors import GaiaError, nearest
from gaia.registry import tags
from gaia.registry.git import git
from gaia.storage import objects
from gaia.storage.client import S3Client
from gaia.storage.objects import Object


class ModelStorage:
    """The versions of a project's models, as the storage keeps them. `dvc push` and `dvc pull` see the same objects.

    Versions are named as their tags are (`plants@v1.2.0`). Methods raise GaiaError, and StorageError for what the
    server can't do.
    """

    def __init__(self, root: Path | str = ".", client: S3Client | None = None) -> None:
        self.root = Path(root)
        self._client = client

    @property
    def client(self) -> S3Client:
        """The client to the storage, made when it is first needed."""
        if self._client is None:
            from gaia.storage import settings

            self._client = S3Client(settings.read(self.root))
        return self._client

    def upload_model(self, line: str, revision: str | None = None) -> int:
        """Push what the storage lacks of a line's artifact, as dvc.lock names it (in the workspace, or at a revision);
        the number of objects that had to go. Each is hashed before: a damaged cache is refused, naming the file."""
        needed = self._objects(revision, line)
        lacking = {(p.needed.bucket, p.needed.key): p.needed for p in objects.problems(needed, self.client)}
        with megabytes(f"push {line}", sum(o.size or 0 for o in lacking.values() if not o.folder)) as passed:
            objects.push(lacking.values(), self.client, self.root, passed)
        return len(lacking)

    def download_model(self, version: str, folder: Path | str) -> Path:
        """A version's artifact as a folder, every file verified by its hash; cached files are not fetched again.

        `folder` must not exist yet; it appears when it is whole. Raises Corrupted or Missing naming the file.
        """
        folder = Path(folder)
        if folder.exists():
            raise GaiaError(f"{folder} exists already", "name a folder that doesn't, or remove it")
        tag = tags.find(version, self.root)
        needed = self._objects(tag.commit, tag.name.line)
        with megabytes(f"fetch {version}", sum(o.size or 0 for o in needed if o.folder)) as passed:
            objects.fetch(needed, self.client, self.root, passed)
        beside = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        output = str(paths.model(tag.name.line))
        for o in (o for o in self._objects(tag.commit, tag.name.line) if not o.folder):
            file = beside / Path(o.path).relative_to(output)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(objects.cache(self.root) / o.key, file)
        beside.rename(folder)
        return folder

    def list_model_versions(self, line: str) -> list[str]:
        """The versions of a line, the lowest number first."""
        return [str(tag.name) for tag in tags.versions(line, self.root)]

    def get_latest_version(self, line: str) -> str:
        """The version with the highest number (v10 after v2). Raises GaiaError if the line has none."""
        known = self.list_model_versions(line)
        if not known:
            lines = {tag.name.line for tag in tags.versions(root=self.root)}
            raise GaiaError(f"there is no version of '{line}' yet{nearest(line, lines)}.")
        return known[-1]

    def list_models(self, line: str | None = None) -> list[dict[str, Any]]:
        """The files of the workspace's artifacts and of each version, newest last: `version`, `line`, and `files` with
        `name`, `size` in the storage (None: missing there), `md5` and `bucket`."""
        built = {o.path.split("/")[2] for o in self._everything(None) if o.path.startswith(f"{paths.model('')}/")}
        released = tags.versions(line, self.root)
        if line and line not in built and not released:
            raise GaiaError(f"there is no line '{line}'{nearest(line, built)}.")
        wanted: list[tuple[str, str, str | None]] = [(f"{t.name}", t.name.line, t.commit) for t in released]
        wanted += [(f"{name} (workspace)", name, None) for name in sorted(built) if line in (None, name)]
        needed = [(shown, name, self._objects(revision, name)) for shown, name, revision in wanted]
        sizes = objects.sizes((o for _, _, some in needed for o in some), self.client)
        return [
            {
                "version": shown,
                "line": name,
                "files": [
                    {
                        "name": o.path.removeprefix(f"{paths.model(name)}/"),
                        "size": sizes.get((o.bucket, o.key)),
                        "md5": o.md5,
                        "bucket": o.bucket,
                    }
                    for o in some
                    if not o.folder
                ],
            }
            for shown, name, some in sorted(needed, key=lambda entry: entry[1])
        ]

    def url(self, version: str, file: str | None = None, *, expires: int = 3600) -> str:
        """A link to one file of a version (the model if `file` is not given), good for `expires` seconds without keys.
        The download has the file's own name."""
        tag = tags.find(version, self.root)
        files = {
            o.path.removeprefix(f"{paths.model(tag.name.line)}/"): o
            for o in self._objects(tag.commit, tag.name.line)
            if not o.folder
        }
        name = file or self._model_file(files)
        if name not in files:
            raise GaiaError(
                f"{version} has no file '{name}'", f"its files are {', '.join(files)}{nearest(name, files)}"
            )
        o = files[name]
        return self.client.get_presigned_url(o.bucket, o.key, expires=expires, filename=Path(name).name)

    def delete_model_version(self, version: str, confirm: str | None = None) -> dict[str, Any]:
        """Delete a version in two steps: without `confirm`, nothing happens but the answer, what would be deleted, with
        the word to `confirm` it by; with that word it is done.

        The answer: `version`, `objects` (paths whose content nothing else needs), `bytes`, `confirm`, `deleted`.
        Objects that another version, a branch or the workspace needs stay. A tag that was pushed has to be deleted at
        the Git remote as well. Raises GaiaError if a deployment is of this version, or the word is for something else.
        """
        tag = tags.find(version, self.root)
        for deployment in tags.deployments(tag.name.line, self.root):
            if deployment.commit == tag.commit:
                raise GaiaError(f"{version} is what {deployment.name} deployed", "versions with such a history stay")
        others = [t.commit for t in tags.versions(root=self.root) if t.name != tag.name]
        others += [d.commit for d in tags.deployments(root=self.root)]
        others += git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", root=self.root).split()
        kept = {(o.bucket, o.key) for rev in (None, *dict.fromkeys(others)) for o in self._everything(rev)}
        freed = {(o.bucket, o.key): o for o in self._objects(tag.commit, tag.name.line)}
        freed = {place: o for place, o in freed.items() if place not in kept}
        sizes = objects.sizes(freed.values(), self.client)
        word = hashlib.sha256("\n".join([version, tag.commit, *sorted(map(str, freed))]).encode()).hexdigest()[:12]
        plan = {
            "version": version,
            "objects": sorted(o.path for o in freed.values()),
            "bytes": sum(sizes.values()),
            "confirm": word,
            "deleted": confirm is not None,
        }
        if confirm is None:
            return plan
        if confirm != word:
            raise GaiaError(f"'{confirm}' confirms something else than what would be deleted now", "ask for it anew")
        git("tag", "--delete", version, root=self.root)  # first: a version without its bytes would be a lie
        for name in {bucket for bucket, _ in freed}:
            self.client.delete_objects(name, [key for bucket, key in freed if bucket == name])
        return plan

    def _objects(self, revision: str | None, line: str) -> list[Object]:
        if not paths.NAME.fullmatch(line):
            raise GaiaError(f"'{line}' can't name a line", "names take lower-case letters, digits and single dashes")
        return objects.of_revision(revision, [str(paths.model(line))], client=self.client, root=self.root)

    def _model_file(self, files: dict[str, Object]) -> str:
        """Which file is the model that answers: the contract says it."""
        if "contract.json" not in files:
            raise GaiaError("the version has no contract.json", f"name one of its files {', '.join(files)}")
        pieces: list[bytes] = []
        contract = files["contract.json"]
        self.client.read(contract.bucket, contract.key, pieces.append)
        return str(json.loads(b"".join(pieces))["model"])

    def _everything(self, revision: str | None) -> Iterable[Object]:
        return objects.of_revision(revision, client=self.client, root=self.root)
