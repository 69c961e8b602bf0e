"""Make this host what the tags say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gaia.deployments import activation, fleet, host, trust
from gaia.deployments.plan import follow
from gaia.errors import GaiaError
from gaia.registry import history, names, sharing, tags
from gaia.registry.history import History
from gaia.registry.names import PROD
from gaia.registry.tags import Version


class Synced(NamedTuple):
    """A line on this host: `version` is live in `stage`, or none is; `moved`, whether it was otherwise until now; or
    `problem`, why the host doesn't follow the tags. `note` is what to say of the version nevertheless."""

    line: str
    stage: str
    version: Version | None
    moved: bool
    problem: str
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """The same for scripts."""
        return self._asdict() | {"version": self.version.number if self.version else None}


def sync(line: str | None = None, stage: str = PROD, root: Path = Path()) -> list[Synced]:
    """Fetch the tags, and bring each line (or the one) to what is live in `stage`. Repeating it changes nothing.

    What can't hold is said on stderr, and not followed; a version that was withdrawn, or that no gate judged, is a
    problem, and the host keeps what it has; what came of it is told to others (fleet.py).
    One line's problem does not stop the others. Raises GaiaError if there is no such line or stage, or the tags can't
    be fetched.
    """
    sharing.fetch(root)
    if line is not None:
        tags.of_line(line, root)
    stage = names.stage(stage, root)
    known = history.look(line, root)
    history.warn_of(known.foreign, root)
    found = {event.tag.name.line for event in history.of_stage(known.events, stage)}
    if line is not None and not found:
        raise GaiaError(f"{line} was never live in {stage}", f"`gaia deploy {line}` makes its newest version live")
    synced = [_follow(each, stage, known, root) for each in sorted(found)]
    fleet.tell({(each.line, each.stage): each.problem for each in synced}, root)
    return synced


def _follow(line: str, stage: str, known: History, root: Path) -> Synced:
    now = history.live(history.of_host(known.events, host.name(root))).get((line, stage))
    if not now and line not in host.lines(root):
        return Synced(line, stage, None, False, "")  # and nothing is made for it
    version = now.version.name if now else None
    try:
        with host.changing(line, root) as making:
            events = [event for event in known.events if event.tag.name.line == line]
            if not now:
                return Synced(line, stage, None, follow(events, line, stage, None, making, root), "")
            if refused := trust.refusal(now.version, known, root):
                raise GaiaError(*refused)
            there = host.folder(now.version, root)
            pinned = activation.pin(now.version, root)
            if host.current(line, stage, root) != there or not activation.is_whole(there, pinned):
                there = activation.prepare(now.version, making, root).folder
            moved = follow(events, line, stage, there, making, root)
            return Synced(line, stage, version, moved, "", trust.doubt(now.version))
    except GaiaError as error:
        return Synced(line, stage, version, False, str(error))
