"""What the last `dvc repro` built, a row for each line: read from the reports, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaia import paths
from gaia.config import yaml
from gaia.evaluation import timings
from gaia.runtime import artifact

if TYPE_CHECKING:
    from rich.table import Table

LOCK = Path("dvc.lock")


def results() -> list[dict[str, Any]]:
    """For each line of params.yaml that was built: its test metrics, seconds by stage (where it was built here), the
    artifact's bytes and the report's path. Raises GaiaError if params.yaml can't be read."""
    found = []
    for line in yaml.read(paths.PARAMS).get("lines") or {}:
        report = paths.reports(line)
        file = report / "metrics.json"
        if not file.exists():
            continue
        metrics = artifact.read_json(file, "remove it, and `dvc repro` makes it anew")
        found.append({"line": line, **metrics, "seconds": timings.read(line), "report": str(report / "report.html")})
    return found


def outdated(lines: Iterable[str]) -> list[str]:
    """A sentence for each of the lines that params.yaml has no more, whose artifact is not the one that dvc.lock names
    (Git brought another lock), or was made with other settings than were composed last (a training has failed since, or
    is still to be done)."""
    told = []
    known = yaml.read(paths.PARAMS).get("lines") or {}
    lock = LOCK.read_bytes() if LOCK.exists() else None
    for line in lines:
        config, folder = paths.config(line), paths.model(line)
        if not (folder / artifact.MANIFEST).exists():
            continue
        if line not in known:
            told.append(f"{line} is no line of {paths.PARAMS} any more; {folder} is what was built of it before")
            continue
        md5 = artifact.md5(folder)
        if lock is not None and md5.encode() not in lock:
            told.append(
                f"{line}: the model in {folder} ({md5[:8]}) is not the one that {LOCK} names; `dvc checkout {folder}` "
                f"brings that one if it was here before, else `gaia pull {folder}`, or `dvc repro`"
            )
        elif config.exists():
            now = yaml.sha256({key: value for key, value in yaml.read(config).items() if key != "gates"})
            if artifact.manifest(folder).get("config_sha256", now) != now:
                told.append(f"{line}: this model was made with other settings than {config} has now; `dvc repro`")
    return told


def accuracy(metrics: Mapping[str, Any]) -> str:
    """`0.862 (0.850 - 0.874)`: the test accuracy with its 95 % interval."""
    return f"{metrics['accuracy']:.3f} ({metrics['accuracy_low']:.3f} - {metrics['accuracy_high']:.3f})"


def table(found: list[dict[str, Any]]) -> Table:
    """The results for a person."""
    from rich.table import Table

    caption = "time: of the runs that made this build, if they ran here; reports: data/reports/<line>/report.html"
    shown = Table(box=None, header_style="bold", pad_edge=False, caption=caption, caption_justify="left")
    shown.add_column("line", style="bold")
    for name in ("test accuracy", "95 % interval", "n", "threshold", "time", "size"):
        shown.add_column(name, justify="right")
    for row in found:
        seconds = sum(row["seconds"].values()) if set(row["seconds"]) == set(timings.MADE) else 0
        threshold = row.get("threshold")  # what was built before says none
        shown.add_row(
            row["line"], f"{row['accuracy']:.3f}", f"{row['accuracy_low']:.3f} - {row['accuracy_high']:.3f}",
            str(row["n"]), "-" if threshold is None else f"{threshold:.3g}",
            f"{seconds:.0f} s" if seconds else "-", f"{row['artifact_bytes'] / 1e6:.1f} MB",
        )  # fmt: skip
    return shown
