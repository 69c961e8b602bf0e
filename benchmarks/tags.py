"""How the verbs that read tags grow with their number: `python benchmarks/tags.py`. Writes tags.md here.

A repository with 1,000 versions and 3,000 deployments of one line is made, and the whole process of each verb is timed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gaia.registry import tags
from gaia.registry.tags import Deployment, Version

ROOT = Path(__file__).parent.parent
VERSIONS = (250, 500, 1000)  # with three deployments each
VERBS = ("versions", "current", "history")
RUNS = 5
WHO = "Ada Example <ada@example.org>"
START = 1_767_225_600  # 2026-01-01, in seconds of Unix


def main() -> None:
    rows = ["| versions | deployments | verb | lines of output | seconds |", "|---:|---:|---|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        for count in VERSIONS:
            root = Path(folder) / str(count)
            make(root, count)
            for verb in VERBS:
                if found := measure(root, verb):
                    rows.append(f"| {count} | {3 * count} | `gaia {verb} plants` | {found[0]} | {found[1]:.2f} |")
    page = "\n".join([__doc__ or "", f"Medians of {RUNS} runs on {os.cpu_count()} cores.", "", *rows]) + "\n"
    (ROOT / "benchmarks/tags.md").write_text(f"# Tags\n\n{page}", encoding="utf-8")
    print(page)


def make(root: Path, count: int) -> None:
    """A repository with that many versions, each deployed three times, as `gaia` tags them."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    stream: list[str] = []
    names = [Version("plants", 1 + i // 100, i % 100, 0) for i in range(count)]
    for i, version in enumerate(names):
        stream += [
            "commit refs/heads/main",
            f"mark :{i + 1}",
            f"committer {WHO} {START + i} +0000",
            _data("a step"),
            "",
        ]
        said = tags.message(f"plants {version.number}: accuracy 0.914 (0.868 - 0.945)", _verdict(version))
        stream.append(_tag(str(version), i + 1, START + i, said))
    for i in range(3 * count):
        facts = {"line": "plants", "stage": "prod", "version": names[i % count].number, "from": None}
        facts |= {"action": "deploy", "reason": "a reason as people give one"}
        said = tags.message(f"plants: {names[i % count].number} is live in prod", facts)
        stream.append(_tag(str(Deployment("plants", "prod", i + 1)), i % count + 1, START + count + i, said))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input="\n".join(stream).encode(), check=True)
    subprocess.run(["git", "pack-refs", "--all"], cwd=root, check=True)


def measure(root: Path, verb: str) -> tuple[int, float] | None:
    """Lines of output and median seconds; None if there is no such verb."""
    gaia = [sys.executable, "-c", "from gaia.cli import main; main()", verb, "plants"]
    seconds, lines = [], 0
    for _ in range(RUNS):
        start = time.perf_counter()
        done = subprocess.run(gaia, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True)
        seconds.append(time.perf_counter() - start)
        if done.returncode == 2:
            return None
        assert done.returncode == 0, done.stderr.decode()
        lines = done.stdout.count(b"\n")
    return lines, statistics.median(seconds)


def _verdict(version: Version) -> dict[str, object]:
    metrics = {"n": 182, "accuracy": 0.914, "accuracy_low": 0.868, "accuracy_high": 0.945, "artifact_bytes": 89_571_026}
    gates = [{"gate": f"gate {n}", "limit": 0.8, "found": 0.868, "passed": True} for n in range(8)]
    number = {"bump": "minor", "why": ["trainer.max_epochs: 10 -> 12"]}
    return {"line": "plants", "version": version.number, "number": number, "metrics": metrics, "gates": gates}


def _tag(name: str, mark: int, when: int, message: str) -> str:
    return f"tag {name}\nfrom :{mark}\ntagger {WHO} {when} +0000\n{_data(message)}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


if __name__ == "__main__":
    main()
