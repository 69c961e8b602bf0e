"""What the commands do, for notebooks and programs. A call is the decision: it does not ask.

`from gaia import ModelVersionManager, ModelStorage`. Whatever can't be done is a GaiaError (gaia.errors), with what was
found and what would mend it. What is returned is what the command of that name prints with --json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaia.deployments import cleanup, fleet, host
from gaia.deployments import plan as deploy
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.registry import history, names, tags
from gaia.registry.names import PROD


class ModelVersionManager:
    """The versions and deployments of a project: that in `root`, or else the one that the current folder is in.

    >>> manager = ModelVersionManager()
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = _project(root)

    def list_versions(self, line: str) -> list[dict[str, Any]]:
        """The versions of a line, the newest first, as `gaia versions <line>`.

        >>> manager.list_versions("cultures")[-1]["version"]
        'v1.0.0'
        """
        from gaia.versions.table import versions

        return versions(line, self.root)

    def release_model(self, line: str, *, dry_run: bool = False, push: bool = True) -> dict[str, Any]:
        """Make what is built and committed the next version, as `gaia release <line> --push`: `version`, `number` and
        why it is that one, `gates` as they were judged, `metrics`, `commit`, `made`. With `dry_run` nothing is made;
        without `push`, what the storage lacks is an error.

        >>> manager.release_model("cultures", dry_run=True)["version"]
        'v1.2.0'
        """
        from gaia.versions.release import release

        return release(line, dry_run=dry_run, may_push=lambda question: push, root=self.root)

    def get_current_version(self, line: str, stage: str = PROD) -> str | None:
        """What the tags say is live on this host, as `gaia current <line>`; None if nothing is, or nothing was released
        yet.

        >>> manager.get_current_version("cultures")
        """
        from gaia.versions.ready import check_line

        known = history.look(line, self.root)
        if not known.versions:
            check_line(line, self.root)
        mine = history.of_host(known.events, host.name(self.root))
        live = history.live(mine).get((line, names.stage(stage, self.root)))
        return live.version.name.number if live else None

    def compare_with_current(self, line: str, version: str | None = None, stage: str = PROD) -> list[str]:
        """What would change if a version, or the newest, went live: the lines that `gaia deploy` shows as it asks.

        >>> manager.compare_with_current("cultures", "v1.0.0")
        ['cultures@v1.0.0 is the first of cultures in prod']
        """
        return deploy.changes(deploy.deploy(_name(line, version), stage, root=self.root), self.root)

    def deploy_model(
        self, line: str, version: str | None = None, stage: str = PROD, reason: str = "", hosts: Sequence[str] = ()
    ) -> dict[str, Any]:  # fmt: skip
        """Make a version live, or the newest, and this host follow: `gaia deploy <line>@<version> --yes`; with `hosts`
        (`shed-*`) only on those.

        >>> manager.deploy_model("cultures", "v1.0.0", reason="the first")["tag"]
        'cultures#prod#1'
        >>> manager.deploy_model("cultures", "v1.1.0")["from"]
        'v1.0.0'
        """
        plan = deploy.deploy(_name(line, version), stage, reason, hosts, self.root)
        return deploy.carry_out(plan, self.root).facts()

    def rollback_to_version(
        self, line: str, version: str | None = None, *, reason: str, stage: str = PROD
    ) -> dict[str, Any]:  # fmt: skip
        """Go back to a version that was live, or to the one before: `gaia rollback <line>@<version> --yes`.

        >>> manager.rollback_to_version("cultures", reason="false alarms in wet weeks")["version"]
        'v1.0.0'
        """
        plan = deploy.rollback(_name(line, version), reason, stage, self.root)
        return deploy.carry_out(plan, self.root).facts()

    def get_deployment_history(self, line: str, stage: str | None = None) -> list[dict[str, Any]]:
        """Every decision, the oldest first, as `gaia history <line>`.

        >>> [event["action"] for event in manager.get_deployment_history("cultures")]
        ['deploy', 'deploy', 'rollback']
        """
        tags.of_line(line, self.root)
        events = history.read(line, self.root)
        if stage is not None:
            events = history.of_stage(events, names.stage(stage, self.root))
        return [event.facts() for event in events]

    def sync(self, line: str | None = None, stage: str = PROD) -> list[dict[str, Any]]:
        """Fetch the tags and make this host what they say, mending what is damaged: `gaia sync`. A line that can't
        follow has a `problem`, and the others follow all the same.

        >>> [(each["line"], each["version"], each["problem"]) for each in manager.sync()]
        [('cultures', 'v1.0.0', '')]
        """
        return [each.facts() for each in sync(line, stage, self.root)]

    def list_hosts(self) -> list[dict[str, Any]]:
        """What is live on every host that told of itself, beside what the tags say of it: `gaia hosts`.

        >>> [found["host"] for found in manager.list_hosts() if found["health"] == "refuses"]
        []
        """
        return [each._asdict() for each in fleet.hosts(self.root)]

    def cleanup_old_versions(self, line: str, keep: int = cleanup.KEEP, remove: bool = False) -> list[str]:
        """The folders of this host that nothing needs, and with `remove` they are removed: `gaia cleanup <line>`.

        >>> [Path(folder).name[:6] for folder in manager.cleanup_old_versions("cultures", keep=0)]
        ['v1.1.0']
        """
        return [str(each.folder) for each in cleanup.cleanup(line, keep, remove, self.root)]

    def undeploy_model(self, line: str, *, reason: str, stage: str = PROD) -> dict[str, Any]:
        """Have nothing of a line live on a stage, on any host that follows: `gaia undeploy <line> --yes`.

        >>> manager.deploy_model("cultures", "v1.0.0", "staging")["stage"]
        'staging'
        >>> manager.undeploy_model("cultures", stage="staging", reason="the trial is over")["action"]
        'undeploy'
        """
        return deploy.carry_out(deploy.undeploy(line, reason, stage, self.root), self.root).facts()

    def withdraw_version(self, line: str, version: str, *, reason: str, remove: bool = False) -> dict[str, Any]:
        """Let a version that isn't live not go live any more: `gaia withdraw <line>@<version> --yes`; with `remove` its
        folder goes, too, from which hosts without Git fetch.

        >>> manager.withdraw_version("cultures", "v1.1.0", reason="labels of a wrong week")["tag"]
        'cultures@v1.1.0!'
        """
        from gaia.versions import withdraw

        plan = withdraw.withdraw(_name(line, version), reason, self.root)
        return withdraw.carry_out(plan, self.root, remove=remove)


class ModelStorage:
    """The versions of a project's models as the storage keeps them; `dvc push` and `dvc pull` see the same objects.
    Versions are named as their tags are. What the server can't do is a StorageError (gaia.storage.errors).

    >>> storage = ModelStorage()
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = _project(root)

    def list_model_versions(self, line: str) -> list[str]:
        """The versions of a line, the lowest number first.

        >>> storage.list_model_versions("cultures")
        ['cultures@v1.0.0', 'cultures@v1.1.0']
        """
        return [str(tag.name) for tag in tags.versions(line, self.root)]

    def get_latest_version(self, line: str) -> str:
        """The version with the highest number (v10 after v2). Raises GaiaError if the line has none.

        >>> storage.get_latest_version("cultures")
        'cultures@v1.1.0'
        """
        return str(tags.of_line(line, self.root)[-1].name)

    def list_models(self, line: str | None = None) -> list[dict[str, Any]]:
        """The files of the workspace's artifacts and of each version, newest last, as `gaia storage ls`: `version`,
        `line`, and `files` with `name`, `size` in the storage (None: missing there), `md5` and `bucket`.

        >>> [each["version"] for each in storage.list_models("cultures")]
        ['cultures@v1.0.0', 'cultures@v1.1.0', 'cultures (workspace)']
        """
        from gaia.storage.models import models

        return models(line, self.root)

    def upload_model(self, line: str, revision: str | None = None) -> int:
        """Push what the storage lacks of a line's artifact, as dvc.lock names it (in the workspace, or at a revision);
        the number of objects that had to go. Each is hashed before: a damaged cache is refused, naming the file.

        >>> storage.upload_model("cultures", "cultures@v1.1.0")
        0
        """
        from gaia.storage.models import upload

        return upload(line, revision, self.root)

    def download_model(self, version: str, folder: Path | str) -> Path:
        """A version's artifact as a folder, which must not exist yet and appears when it is whole: every file verified
        by its hash, from the cache where that has it. Raises GaiaError naming the file that can't be had.

        >>> sorted(path.name for path in storage.download_model("cultures@v1.0.0", "elsewhere/v1.0.0").iterdir())
        ['contract.json', 'golden.json', 'history.csv', 'manifest.json', 'model.cbm']
        """
        from gaia.storage.models import download

        return download(version, Path(folder), self.root)

    def url(self, version: str, file: str | None = None, *, expires: int = 3600) -> str:
        """A link to one file of a version (the model if `file` is not given), good for `expires` seconds without keys,
        as `gaia storage url`. The download has the file's own name.

        >>> storage.url("cultures@v1.0.0", "contract.json", expires=60)[:7]
        'http://'
        """
        from gaia.storage.models import url

        return url(version, file, expires=expires, root=self.root)

    def delete_model_version(self, version: str, confirm: str | None = None) -> dict[str, Any]:
        """Delete a version in two steps: without `confirm`, nothing happens but the answer, what would be deleted, with
        the word to `confirm` it by; with that word it is done.

        The answer: `version`, `objects` (paths whose content nothing else needs), `folder` (its copies in `releases/`;
        None if there are none), `bytes`, `confirm`, `deleted`. What another version, a branch or the workspace needs
        stays. A tag that was pushed has to be deleted at the Git
        remote as well. Raises GaiaError if a deployment is of this version, or the word is for something else.

        >>> storage.delete_model_version("cultures@v1.1.0")["deleted"]
        Traceback (most recent call last):
        gaia.errors.GaiaError: cultures@v1.1.0 is what cultures#prod#2 deployed; versions with such a history stay.
        """
        from gaia.storage.models import delete

        return delete(version, confirm, self.root)


def _project(root: Path | str | None) -> Path:
    """The folder of dvc.yaml: the one given, or the nearest that the current folder is in."""
    if root is not None:
        return Path(root)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").exists():
            return folder
    raise GaiaError(
        f"{here} is not inside a Gaia project", "`cd` into one, or name it: ModelVersionManager('path/of/the/project')"
    )


def _name(line: str, version: str | None) -> str:
    return line if version is None else f"{line}@{version}"
