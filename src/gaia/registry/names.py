"""Names that users give: one that is not exactly that of something in the tags is refused before it touches a path."""

from __future__ import annotations

from pathlib import Path

from gaia.errors import GaiaError, nearest
from gaia.registry import history, tags
from gaia.registry.tags import Tag, Version

PROD = "prod"  # where a version goes without being told where
STAGES = (PROD, "staging")


def version(name: str, root: Path = Path()) -> Tag[Version]:
    """The version that `plants@v1.2.0` names, or the newest of the line that `plants` names: of those that were not
    withdrawn.

    Raises GaiaError if the tags have no such line or version, or the line has none that was not withdrawn.
    """
    if "@" in name:
        return tags.find(name, root)
    known = history.of_line(name, root)
    left = [tag for tag in known.versions if tag.name not in known.withdrawn]
    if not left:
        raise GaiaError(f"every version of {name} is withdrawn", f"`gaia versions {name}` says why")
    return left[-1]


def stage(name: str, root: Path = Path()) -> str:
    """The name, if it is one of prod, staging, and those that decisions in the tags have. Raises GaiaError if not."""
    if name in STAGES:
        return name
    known = sorted({*STAGES, *(tag.name.stage for tag in tags.read(root=root).decisions)})
    if name not in known:
        raise GaiaError(f"there is no stage '{name}'", f"stages are {', '.join(known)}{nearest(name, known)}")
    return name
