"""Steps and looks that the tests of deployments share."""

from __future__ import annotations

from pathlib import Path

from conftest import Project
from gaia.deployments import host
from gaia.deployments import plan as deploy
from gaia.deployments.current import current
from gaia.registry import tags


def go(project: Project, *names: str, stage: str = "prod") -> None:
    """Make versions of spores live, one after the other."""
    for name in names:
        deploy.carry_out(deploy.deploy(f"spores@{name}", stage, root=project.root), project.root)


def back(project: Project, name: str = "spores", reason: str = "why") -> None:
    deploy.carry_out(deploy.rollback(name, reason, root=project.root), project.root)


def live(project: Project, line: str = "spores", stage: str = "prod") -> str:
    """The version that is live, by the tags and on this host, which agree."""
    (found,) = (each for each in current(line, project.root) if each.stage == stage)
    assert found.event and found.here and not found.problem
    return found.event.version.name.number


def folder(project: Project, version: str) -> Path:
    return host.folder(tags.find(version, project.root), project.root)


def everything(root: Path, *but: str) -> dict[str, bytes]:
    """The bytes of every file of a project, except under some paths."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {name: path.read_bytes() for path in files if not (name := str(path.relative_to(root))).startswith(but)}


def at(project: Project, counter: int, version: str, date: str) -> None:
    """A deployment as another tool makes it, at a date."""
    project.environment["GIT_COMMITTER_DATE"] = date
    project.run("git", "tag", "-a", f"spores#prod#{counter}", f"spores@{version}^{{}}", "-m", "Assigning stage")
