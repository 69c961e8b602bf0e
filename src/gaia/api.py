"""What the commands do, for notebooks and programs. A call is the decision: it does not ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gaia.deployments import cleanup
from gaia.deployments import plan as deploy
from gaia.registry import history, names, tags
from gaia.registry.names import PROD


class ModelVersionManager:
    """The versions and deployments of the project in `root`. Whatever can't be done is a GaiaError, in a sentence."""

    def __init__(self, root: Path | str = ".") -> None:
        self.root = Path(root)

    def list_versions(self, line: str) -> list[dict[str, Any]]:
        """A row a version, the newest first, as `gaia versions <line> --json`."""
        from gaia.versions.table import versions

        return versions(line, self.root)

    def get_current_version(self, line: str, stage: str = PROD) -> str | None:
        """`v1.2.0`, or None if nothing is live; what the tags say, as `gaia current`."""
        tags.of_line(line, self.root)
        live = history.live(history.read(line, self.root)).get((line, names.stage(stage, self.root)))
        return live.version.name.number if live else None

    def get_deployment_history(self, line: str, stage: str | None = None) -> list[dict[str, Any]]:
        """Every decision, the oldest first, as `gaia history <line> --json`."""
        tags.of_line(line, self.root)
        events = history.read(line, self.root)
        if stage is not None:
            events = history.of_stage(events, names.stage(stage, self.root))
        return [event.facts() for event in events]

    def deploy_model(
        self, line: str, version: str | None = None, stage: str = PROD, reason: str = ""
    ) -> dict[str, Any]:  # fmt: skip
        """Make a version live, or the newest: `gaia deploy <line>@<version> --yes`. What came of it."""
        plan = deploy.deploy(_name(line, version), stage, reason, self.root)
        return deploy.carry_out(plan, self.root).facts()

    def rollback_to_version(
        self, line: str, version: str | None = None, *, reason: str, stage: str = PROD
    ) -> dict[str, Any]:  # fmt: skip
        """Go back to a version that was live, or to the one before: `gaia rollback <line>@<version> --yes`."""
        plan = deploy.rollback(_name(line, version), reason, stage, self.root)
        return deploy.carry_out(plan, self.root).facts()

    def cleanup_old_versions(self, line: str, keep: int = cleanup.KEEP, remove: bool = False) -> list[str]:
        """The folders of this host that nothing needs, and with `remove` they are removed: `gaia cleanup <line>`."""
        return [str(each.folder) for each in cleanup.cleanup(line, keep, remove, self.root)]


def _name(line: str, version: str | None) -> str:
    return line if version is None else f"{line}@{version}"
