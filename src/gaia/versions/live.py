"""Which version is live: what the newest deployment tag of each stage says."""

from __future__ import annotations

from pathlib import Path

from gaia.registry import tags
from gaia.registry.tags import Tag, Version


def live(line: str, root: Path = Path()) -> dict[str, Tag[Version]]:
    """The version that is live on each stage of a line, `{"prod": plants@v1.2.0}`; a stage without one is left out.

    A deployment stands on its version's commit, and the newest counter wins.
    """
    by_commit = {tag.commit: tag for tag in tags.versions(line, root)}
    newest = {tag.name.stage: tag for tag in tags.deployments(line, root)}
    return {stage: by_commit[tag.commit] for stage, tag in newest.items() if tag.commit in by_commit}
