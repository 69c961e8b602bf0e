"""How long `gaia rollback` takes with the version on disk: `python benchmarks/rollback.py`. Writes rollback.md here.

The whole process is timed: Python's start, the decision, every hash of the version, the model loaded and its golden
answers replayed, the tag, the switch. The lines are the shipped ones, with few photos and one epoch, since what is
timed depends on the artifact's size alone; there is no remote to push to.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

from gaia.registry import sharing, tags
from gaia.versions.verdict import Gate, Verdict

ROOT = Path(__file__).parent.parent
LINES = ("plants", "bags", "cultures")
RUNS = 15
ENVIRONMENT = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "project")
        text = page(Path(folder) / "project")
    (ROOT / "benchmarks/rollback.md").write_text(text, encoding="utf-8")
    print(text)


def page(root: Path) -> str:
    """The measurements as Markdown."""
    rows = ["| line | artifact | seconds | of the processor |", "|---|---:|---:|---:|"]
    for line in LINES:
        size = sum(path.stat().st_size for path in (root / "data/models" / line).iterdir()) / 1e6
        times, work = zip(*measure(root, line), strict=True)
        rows.append(f"| {line} | {size:.1f} MB | {statistics.median(times):.2f} | {statistics.median(work):.2f} |")
    told = f"Medians of {RUNS} runs on {os.cpu_count()} cores; load of the machine {os.getloadavg()[0]:.1f}."
    return "\n".join(["# Rollback\n", __doc__ or "", told, "", *rows]) + "\n"


def build(root: Path) -> None:
    """A clone of this repository with two versions of each line, both of them live at some time."""
    run(root.parent, "git", "clone", "--quiet", str(ROOT), str(root))
    run(root, "git", "remote", "remove", "origin")
    yaml = YAML()
    params = yaml.load(root / "params.yaml")
    for line, entry in params["lines"].items():
        params["demo"][entry["raw"]]["count"] = 600 if line == "cultures" else 60
        entry["trainer"] |= {} if line == "cultures" else {"max_epochs": 1}
    yaml.dump(params, root / "params.yaml")
    run(root, "dvc", "repro", "--quiet")
    for number in ("v1.0.0", "v1.1.0"):
        run(root, "git", "commit", "--quiet", "--all", "--allow-empty", "--message", number)
        for line in LINES:
            judged = Verdict([Gate("none", None, None, True)], {}, "first", ["to be measured"])
            sharing.create(
                f"{line}@{number}", "HEAD", judged.message(tags.version(f"{line}@{number}"), "not asked"), root
            )
            run(root, "gaia", "deploy", f"{line}@{number}", "--yes")


def measure(root: Path, line: str) -> list[tuple[float, float]]:
    """Seconds by the clock and of the processor of each rollback to v1.0.0; ways back to v1.1.0 are not counted."""
    found = []
    for _ in range(RUNS):
        start, before = time.perf_counter(), os.times()
        run(root, "gaia", "rollback", line, "--reason", "to be measured", "--yes")
        after = os.times()
        work = after.children_user + after.children_system - before.children_user - before.children_system
        found.append((time.perf_counter() - start, work))
        run(root, "gaia", "deploy", f"{line}@v1.1.0", "--yes")
    return found


def run(root: Path, *command: str) -> None:
    subprocess.run(command, cwd=root, env=ENVIRONMENT | {"PYTHONPATH": str(root / "src")}, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


if __name__ == "__main__":
    main()
