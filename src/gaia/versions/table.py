"""The versions of a line, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaia.registry import tags
from gaia.versions.live import live

if TYPE_CHECKING:
    from rich.table import Table


def versions(line: str, root: Path = Path()) -> list[dict[str, Any]]:
    """A row a version, the newest first: number, stages it is live on, date, who, commit, its verdict's numbers.

    All of it stands in the tags. Numbers are None in a tag that `gaia release` didn't make. Raises GaiaError if there
    is no such line.
    """
    found = tags.of_line(line, root)
    stages: dict[str, list[str]] = {}
    for stage, tag in live(line, root).items():
        stages.setdefault(str(tag.name), []).append(stage)
    rows = []
    for tag in reversed(found):
        metrics, number = tag.facts.get("metrics", {}), tag.facts.get("number", {})
        rows.append(
            {
                "line": line,
                "version": tag.name.number,
                "live": stages.get(str(tag.name), []),
                "date": tag.date,
                "by": tag.tagger,
                "commit": tag.commit,
                **{key: metrics.get(key) for key in ("accuracy", "accuracy_low", "accuracy_high", "n")},
                "bytes": metrics.get("artifact_bytes"),
                "bump": number.get("bump"),
                "why": number.get("why", []),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for a person."""
    from rich.table import Table

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("version", "live", "date", "accuracy", "size", "commit", "why this number"):
        right = name in ("accuracy", "size")
        shown.add_column(name, justify="right" if right else "left", no_wrap=name != "why this number")
    for row in rows:
        known = row["accuracy"] is not None
        interval = f" ({row['accuracy_low']:.3f} - {row['accuracy_high']:.3f})" if known else ""
        shown.add_row(
            row["version"], ", ".join(row["live"]), row["date"][:10],
            f"{row['accuracy']:.3f}{interval}" if known else "-",
            f"{row['bytes'] / 1e6:.2f} MB" if row["bytes"] else "-", row["commit"][:8],
            "; ".join([f"{row['bump']}: {row['why'][0]}", *row["why"][1:2]]) if row["why"] else "-",
            style="bold" if row["live"] else "",
        )  # fmt: skip
    return shown
