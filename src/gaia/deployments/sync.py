"""Make this host what the tags say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gaia.deployments import activation, host
from gaia.deployments.plan import follow
from gaia.errors import GaiaError
from gaia.registry import history, names, tags
from gaia.registry.names import PROD
from gaia.registry.tags import Version


class Synced(NamedTuple):
    """A line on this host: `version` is live in `stage`; `moved`, whether another one was until now; or `problem`, why
    the host doesn't follow the tags."""

    line: str
    stage: str
    version: Version | None
    moved: bool
    problem: str

    def facts(self) -> dict[str, Any]:
        """The same for scripts."""
        return self._asdict() | {"version": self.version.number if self.version else None}


def sync(line: str | None = None, stage: str = PROD, root: Path = Path()) -> list[Synced]:
    """Fetch the tags, and bring each line (or the one) to what is live in `stage`. Repeating it changes nothing.

    One line's problem does not stop the others. Raises GaiaError if there is no such line or stage, or the tags can't
    be fetched.
    """
    tags.fetch(root)
    if line is not None:
        tags.of_line(line, root)
    stage = names.stage(stage, root)
    found = {tag.name.line for tag in tags.deployments(line, root) if tag.name.stage == stage}
    if line is not None and not found:
        raise GaiaError(f"{line} was never live in {stage}", f"`gaia deploy {line}` makes its newest version live")
    return [_follow(each, stage, root) for each in sorted(found)]


def _follow(line: str, stage: str, root: Path) -> Synced:
    version = None
    try:
        with host.changing(line, root) as new:
            events = history.read(line, root)
            live = history.live(events)[line, stage].version
            version = live.name
            there = host.folder(live, root)
            if host.current(line, stage, root) != there or not activation.is_whole(there, activation.pin(live, root)):
                there = activation.prepare(live, new, root).folder
            return Synced(line, stage, version, follow(events, line, stage, there, new, root), "")
    except GaiaError as error:
        return Synced(line, stage, version, False, str(error))
