"""What is live: by the tags, and on this host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gaia import paths
from gaia.deployments import host
from gaia.registry import history
from gaia.registry.history import UNDEPLOY, Event, History
from gaia.registry.names import PROD

Place = tuple[str, str]  # a line and a stage of it


class Current(NamedTuple):
    """A stage of a line: the decision that holds for this host, the folder that is live here, and in words how they
    disagree, with the command that mends it; no words where they agree, or where this host doesn't follow that stage.
    `elsewhere` are the later decisions, which are about other hosts."""

    line: str
    stage: str
    event: Event | None
    here: Path | None
    problem: str = ""
    mend: str = ""
    elsewhere: tuple[Event, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The same for scripts: line, stage, version, tag, hosts, by, at, reason, here, problem, mend, elsewhere."""
        said = self.event.facts() if self.event else {}
        wanted = {key: said.get(key) for key in ("version", "tag", "action", "hosts", "by", "at", "reason")}
        here = str(self.here) if self.here else None
        return {"line": self.line, "stage": self.stage, **wanted, "here": here, "problem": self.problem,
                "mend": self.mend, "elsewhere": [event.facts() for event in self.elsewhere]}  # fmt: skip


def current(line: str | None = None, root: Path = Path()) -> list[Current]:
    """Each stage of a line, or of every line, that has something live by the tags or here.

    Raises GaiaError if the tags have no such line.
    """
    return of(history.of_line(line, root) if line is not None else history.look(root=root), line, root)


def of(known: History, line: str | None = None, root: Path = Path()) -> list[Current]:
    """The same of what the tags say, which were read before."""
    mine = history.of_host(known.events, host.name(root))
    says, others = history.live(mine), [event for event in history.held(known.events) if event not in mine]
    ended = {event.tag.name[:2]: event for event in known.events if event.action == UNDEPLOY}
    places = says.keys() | {event.tag.name[:2] for event in others}
    lines = {line} if line is not None else {line for line, _ in places} | host.lines(root)
    found = [each for name in sorted(lines) for each in _stages(name, says, ended, places, root)]
    return [each._replace(elsewhere=tuple(e for e in others if e.tag.name[:2] == each[:2])) for each in found]


def _stages(
    line: str, says: dict[Place, Event], ended: dict[Place, Event], places: set[Place], root: Path
) -> list[Current]:
    """A host follows the stages that it has a link for; one that has the line's folder, and neither link nor history,
    was stopped at its first."""
    here = host.live_here(line, root)
    started = not here and line in host.lines(root) and not (root / paths.deployments(line) / host.HISTORY).exists()
    found = []
    for stage in sorted(here.keys() | {stage for of_line, stage in places if of_line == line}):
        event, folder = says.get((line, stage)), here.get(stage)
        problem = mend = ""
        if not event and not folder:
            pass
        elif not event and (line, stage) in ended:
            end = ended[line, stage]
            problem = f"{end.tag.name} says that nothing is live in {stage}, and this host has {here[stage].name}"
            mend = f"gaia sync {line}" + _option(stage)
        elif not event:
            problem = f"{host.link(line, stage, root)} is live on this host, and no tag says so"
            mend = f"gaia deploy {line}" + _option(stage)
        elif (folder or started) and folder != host.folder(event.version, root):
            has = folder.name if folder else "nothing"
            problem = f"{event.tag.name} says that {event.version.name} is live in {stage}, and this host has {has}"
            mend = f"gaia sync {line}" + _option(stage)
        found.append(Current(line, stage, event, folder, problem, mend))
    return found


def _option(stage: str) -> str:
    return "" if stage == PROD else f" --stage {stage}"
