"""Whether a version may go live: not one that was withdrawn, nor, unless this checkout says otherwise, one that no gate
judged."""

from __future__ import annotations

from pathlib import Path

from gaia import paths
from gaia.errors import GaiaError, Problem
from gaia.registry import grammar
from gaia.registry.git import remote
from gaia.registry.history import History
from gaia.registry.tags import Tag, Version
from gaia.versions import verdict


def refusal(version: Tag[Version], known: History, root: Path = Path()) -> Problem | None:
    """Why no deployment of a version is made or followed here, and what would do; None if one is."""
    if withdrawn := known.withdrawn.get(version.name):
        who, reason = withdrawn.tagger.partition(" <")[0], withdrawn.reason or "no reason given"
        found = f"{version.name} was withdrawn {withdrawn.day} by {who}: {reason}"
        return Problem(found, f"choose another version; {grammar.removal(str(withdrawn.name), remote(root))}")
    if verdict.read(version) is None and unjudged(version.name.line, root) == "refuse":
        found = f"{version.name} has no verdict: no gate judged it, or one was not passed"
        mend = f"choose a version that `gaia release` made, or set `unjudged: warn` in the gates of {version.name.line}"
        return Problem(found, f"{mend} in params.yaml, and run `dvc repro`")
    return None


def doubt(version: Tag[Version]) -> str:
    """What is to be said of a version although it may go live, or nothing."""
    return f"{version.name} has no verdict: no gate judged it" if verdict.read(version) is None else ""


def unjudged(line: str, root: Path = Path()) -> str:
    """`refuse` or `warn`: what conf/gates/ says in this checkout, as it was composed last.

    Not what the version's own commit says: who tags past the gates has written that commit, too.
    """
    from gaia.config import yaml

    try:
        gates = yaml.read(root / paths.config(line)).get("gates")
    except GaiaError:  # of a line that this checkout doesn't have
        return "refuse"
    return "warn" if isinstance(gates, dict) and gates.get("unjudged") == "warn" else "refuse"
