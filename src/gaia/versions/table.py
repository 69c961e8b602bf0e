"""The versions of a line, as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaia import paths
from gaia.registry import history
from gaia.registry.git import blobs
from gaia.registry.history import Event, History
from gaia.registry.tags import Tag, Version, Withdrawal
from gaia.versions import verdict

if TYPE_CHECKING:
    from rich.table import Table


def versions(line: str, root: Path = Path()) -> list[dict[str, Any]]:
    """A row for each version, the newest first: number, stages it is live on, date, who, commit, accuracy, size, why
    this number, `judged` (whether it has a verdict), and if so, `withdrawn` and `rolled_back` (at, by, reason).

    All of it stands in the tags; of a version without a verdict, the numbers are those of its commit, and None where it
    has none. Raises GaiaError if there is no such line.
    """
    return rows(history.of_line(line, root), root)


def rows(known: History, root: Path = Path()) -> list[dict[str, Any]]:
    """The same of what the tags say, which were read before."""
    fled = history.rolled_back(known.events)
    stages = history.places(known.events)
    verdicts = {tag.name: verdict.read(tag) for tag in known.versions}
    unjudged = [tag for tag in known.versions if not verdicts[tag.name]]
    committed = dict(zip((tag.name for tag in unjudged), _metrics(unjudged, root), strict=True))
    found = []
    for tag in reversed(known.versions):
        said = verdicts[tag.name]
        metrics = said.metrics if said else committed[tag.name]
        found.append(
            {
                "line": tag.name.line,
                "version": tag.name.number,
                "live": stages.get(tag.name, []),
                "date": tag.date,
                "by": tag.tagger,
                "commit": tag.commit,
                **{key: metrics.get(key) for key in ("accuracy", "accuracy_low", "accuracy_high", "n")},
                "bytes": metrics.get("artifact_bytes"),
                "bump": said.bump or None if said else None,
                "why": said.why if said else [],
                "judged": said is not None,
                **_fate(known.withdrawn.get(tag.name), fled.get(tag.name)),
            }
        )
    return found


def _metrics(unjudged: list[Tag[Version]], root: Path) -> list[dict[str, float]]:
    """The metrics that the commits of versions hold; one call of Git."""
    contents = blobs(
        [f"{t.commit}:./{(paths.reports(t.name.line) / 'metrics.json').as_posix()}" for t in unjudged], root
    )
    found = []
    for content in contents:
        try:
            found.append(verdict.numbers(json.loads(content or b"{}")))
        except (ValueError, RecursionError):
            found.append({})
    return found


def _fate(withdrawn: Tag[Withdrawal] | None, fled: Event | None) -> dict[str, Any]:
    """Whether a version was withdrawn, or rolled back from and not made live again since."""
    return {
        "withdrawn": {"at": withdrawn.date, "by": withdrawn.tagger, "reason": withdrawn.reason} if withdrawn else None,
        "rolled_back": {"at": fled.tag.date, "by": fled.tag.tagger, "reason": fled.reason} if fled else None,
    }


def _remarks(row: dict[str, Any]) -> str:
    """`rolled back 2026-11-24: false alarms; no verdict`"""
    found = []
    for key, word in (("withdrawn", "withdrawn"), ("rolled_back", "rolled back")):
        if row[key]:
            found.append(f"{word} {row[key]['at'][:10]}" + (f": {row[key]['reason']}" if row[key]["reason"] else ""))
    return "; ".join([*found, *([] if row["judged"] else ["no verdict"])])


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for a person."""
    from rich.table import Table
    from rich.text import Text  # what others wrote is no markup

    shown = Table(box=None, header_style="bold", pad_edge=False)
    remarks = {row["version"]: Text(_remarks(row)) for row in rows}
    names = ["version", "live", "date", "accuracy", "size", "commit", "why this number"]
    for name in [*names, *(["remarks"] if any(remarks.values()) else [])]:
        right = name in ("accuracy", "size")
        wraps = name in ("why this number", "remarks")
        shown.add_column(name, justify="right" if right else "left", no_wrap=not wraps)
    for row in rows:
        interval = ""
        if row["accuracy_low"] is not None and row["accuracy_high"] is not None:
            interval = f" ({row['accuracy_low']:.3f} - {row['accuracy_high']:.3f})"
        why = "; ".join([f"{row['bump']}: {row['why'][0]}", *row["why"][1:2]]) if row["why"] else "-"
        shown.add_row(
            row["version"], ", ".join(row["live"]), row["date"][:10],
            f"{row['accuracy']:.3f}{interval}" if row["accuracy"] is not None else "-",
            f"{row['bytes'] / 1e6:.2f} MB" if row["bytes"] else "-", row["commit"][:8], Text(why),
            *([remarks[row["version"]]] if any(remarks.values()) else []),
            style="bold" if row["live"] else "",
        )  # fmt: skip
    return shown
