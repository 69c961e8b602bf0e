"""One page for each search: its trials, settings against values, curves over each other, what mattered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import gaia.evaluation
from gaia.sweeps import figures
from gaia.sweeps.space import Space

Document = dict[str, Any]  # see search.document


def render(found: Document, space: Space) -> str:
    """The page as HTML that needs nothing else: no script, no network, no other file. As long as the search is under
    way, a browser loads it again every few seconds."""
    folders = [Path(__file__).parent, Path(gaia.evaluation.__file__).parent]  # the report's style is this one's
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = value
    trials: list[dict[str, Any]] = found["trials"]
    best = next((trial for trial in trials if trial["number"] == found["best"]), None)
    in_order = sorted(trials, key=lambda trial: trial["number"])
    drawn: dict[str, str] = {}
    if best:
        drawn["parallel"] = figures.parallel(in_order, best, space, found["metric"])
        drawn["curves"] = figures.curves(in_order, best, found["metric"])
        drawn["progress"] = figures.progress(in_order, best, found["metric"], found["least"])
    states = ("finished", "stopped", "failed", "running")
    return environment.get_template("page.html.j2").render(
        {**found, "best": best},
        figure=drawn,
        keys=list(space),
        counts={state: sum(trial["state"] == state for trial in trials) for state in states},
        trials=[{**trial, "outcome": outcome(trial)} for trial in trials],
    )


def value(said: Any) -> str:
    """A setting's value as a table shows it."""
    return "null" if said is None else f"{said:.4g}" if isinstance(said, float) else str(said)


def outcome(trial: dict[str, Any]) -> str:
    """What became of a trial, in words."""
    if trial["same_as"] is not None:
        return f"as trial {trial['same_as']}"
    if trial["state"] == "failed" and trial["log"]:
        return f"failed: {trial['log']}"
    return trial["experiment"] or {"stopped": "stopped early"}.get(trial["state"], trial["state"])
