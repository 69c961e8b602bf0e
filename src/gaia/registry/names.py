"""Names that users give: one that is not exactly that of something in the tags is refused before it touches a path."""

from __future__ import annotations

from pathlib import Path

from gaia.errors import GaiaError, nearest
from gaia.registry import tags
from gaia.registry.tags import Tag, Version

PROD = "prod"  # where a version goes without being told where
STAGES = (PROD, "staging")


def version(name: str, root: Path = Path()) -> Tag[Version]:
    """The version that `plants@v1.2.0` names, or the newest of the line that `plants` names.

    Raises GaiaError if the tags have no such line or version.
    """
    return tags.find(name, root) if "@" in name else tags.of_line(name, root)[-1]


def stage(name: str, root: Path = Path()) -> str:
    """The name, if it is one of prod, staging, and those that deployments in the tags have. Raises GaiaError if not."""
    if name in STAGES:
        return name
    known = sorted({*STAGES, *(tag.name.stage for tag in tags.deployments(root=root))})
    if name not in known:
        raise GaiaError(f"there is no stage '{name}'", f"stages are {', '.join(known)}{nearest(name, known)}")
    return name
