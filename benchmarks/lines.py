"""How a project grows with its number of lines: `python benchmarks/lines.py`. Writes lines.json and lines.md here.

Every project is this repository with other lines: the three that it has, over and over, with values of their own and,
by turns, other options. What the stages make is small and made up, and `dvc commit` pins it as `dvc repro` would, so
nothing is trained here. Each line has ten versions, two of which were deployed. What is timed is the whole process.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gaia import files
from gaia.config import yaml
from gaia.registry import tags
from gaia.registry.tags import Deployment, Version
from gaia.runtime import artifact

ROOT = Path(__file__).parent.parent
COUNTS = (3, 23, 100)
VERSIONS = 10  # of each line
RUNS = 5
WHO = "Ada Example <ada@example.org>"
START = 1_767_225_600  # 2026-01-01, in seconds of Unix
# What lines of a framework choose by turns
CHOICES = {
    "pytorch": {"model": ["resnet18", "mobilenet_v3_small"], "trainer": ["default", "long"]},
    "keras": {"model": ["efficientnet_b0", "mobilenet_v3"], "augmentation": ["light", "none"]},
    "catboost": {"gates": ["default", "strict"]},
}
RAW = {
    "demo_plants": ("dandelion/1.jpg", "grass/1.jpg"),
    "demo_bags": ("healthy/1.jpg", "contaminated/1.jpg"),
    "demo_cultures": ("cultures.csv",),
}
MADE = {"prepared": "index.csv", "weights": "weights.json", "training": "history.csv", "models": "model.bin"}
REPORTS = ("learning", "confusion", "roc", "precision_recall", "calibration", "importance", "predictions")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--counts", type=int, nargs="*", default=COUNTS)
    asked.add_argument("--runs", type=int, default=RUNS)
    given = asked.parse_args()
    found = []
    for count in given.counts:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            found.append({"lines": count, **measure(Path(folder), given.runs)})
            print(found[-1], flush=True)
    facts = {"runs": given.runs, "cpus": os.cpu_count(), "load": round(os.getloadavg()[1], 1), "rows": found}
    (ROOT / "benchmarks/lines.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (ROOT / "benchmarks/lines.md").write_text(page(facts), encoding="utf-8")


def make(root: Path, count: int) -> None:
    """A project with so many lines, as it is once everything is built, committed, and released."""
    kept = ["conf", "src", ".dvc", "dvc.yaml", "params.yaml", "requirements.lock", ".dvcignore", ".gitignore"]
    listed = subprocess.run(["git", "ls-files", "-z", *kept], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        write(root / name, (ROOT / name).read_bytes())
    params = yaml.read(ROOT / "params.yaml")
    params["lines"] = lines(params["lines"], count)
    write(root / "params.yaml", yaml.dump(params).encode())
    for folder, names in (RAW | {"weights": ("README.md",)}).items():
        for name in names:
            write(root / "data/raw" / folder / name, name.encode())
    run(root, "git", "init", "--quiet", "--initial-branch", "main")
    run(root, sys.executable, "-m", "gaia.stages.compose")
    for line in params["lines"]:
        build(root, line)
    run(root, sys.executable, "-m", "dvc", "commit", "--force", "--quiet")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "built")
    release(root, list(params["lines"]))


def lines(given: dict[str, Any], count: int) -> dict[str, Any]:
    """So many lines, each like one of the given, with a seed of its own, and other options by turns."""
    made = dict(given)
    for i in range(len(given), count):
        name, entry = list(given.items())[i % len(given)]
        entry = copy.deepcopy(entry) | {"seed": i}
        for turn, (group, options) in enumerate(CHOICES[entry["framework"]].items()):
            entry[group] = options[i // len(given) // (turn + 1) % len(options)]
        made[f"{name}-{i}"] = entry
    return made


def build(root: Path, line: str) -> None:
    """What the stages of a line would have made, in small."""
    for folder, name in MADE.items():
        write(root / "data" / folder / line / name, f"{folder} of {line}".encode())
    config = yaml.read(root / "data/config" / f"{line}.yaml")
    settings = yaml.sha256({key: value for key, value in config.items() if key != "gates"})
    artifact.seal(root / "data/models" / line, {"config_sha256": settings})
    metrics = (ROOT / "data/reports" / line.partition("-")[0] / "metrics.json").read_bytes()
    reports = root / "data/reports" / line
    write(reports / "metrics.json", metrics)
    for name in (*(f"{each}.csv" for each in REPORTS), "report.html", "mistakes.png"):
        write(reports / name, f"{name} of {line}".encode())


def release(root: Path, names: list[str]) -> None:
    """Tag ten commits as versions of each line, and deploy the last two."""
    stream, clock = [], START
    for i in range(VERSIONS):
        clock += 60
        above = "from refs/heads/main^0\n" if not i else ""
        who = f"committer {WHO} {clock} +0000"
        stream.append(f"commit refs/heads/main\nmark :{i + 1}\n{who}\n{data('a step')}\n{above}")
        for line in names:
            version = Version(line, 1, i, 0)
            said = tags.message(f"{line} {version.number}: accuracy 0.914 (0.868 - 0.945)", verdict(version))
            stream.append(tag(str(version), i + 1, clock, said))
    for counter in (1, 2):
        for line in names:
            number, clock = f"v1.{VERSIONS - 3 + counter}.0", clock + 1
            facts = {"line": line, "stage": "prod", "version": number, "from": None, "action": "deploy", "reason": "go"}
            said = tags.message(f"{line}: {number} is live in prod", facts)
            stream.append(tag(str(Deployment(line, "prod", counter)), VERSIONS - 2 + counter, clock, said))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input="\n".join(stream).encode(), check=True)
    run(root, "git", "pack-refs", "--all")


def measure(root: Path, runs: int) -> dict[str, Any]:
    """Median seconds of each, and what stands in dvc.lock, in bytes."""
    python = [sys.executable, "-c"]
    gaia = [*python, "from gaia.cli import main; main()"]
    asked = {
        "compose": [sys.executable, "-m", "gaia.stages.compose"],
        "dvc status": [sys.executable, "-m", "dvc", "status"],
        "dvc repro": [sys.executable, "-m", "dvc", "repro"],
        "gaia results": [*gaia, "results"],
        "gaia versions": [*gaia, "versions", "plants"],
        "gaia status": [*gaia, "status"],
        "gaia status again": [*gaia, "status"],
    }
    taken: dict[str, list[float]] = {name: [] for name in asked}
    busy: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(runs):  # by turns, so that a busy moment is everybody's
        for name, command in asked.items():
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            run(root, *command, fine=(0, 1) if "gaia status" in name else (0,))
            taken[name].append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            busy[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    seconds = {name: round(statistics.median(each), 2) for name, each in taken.items()}
    used = {name: round(statistics.median(each), 2) for name, each in busy.items()}
    ratio = statistics.median(r / s for r, s in zip(busy["dvc repro"], busy["dvc status"], strict=True))
    return {"seconds": seconds, "busy": used, "ratio": round(ratio, 2), "lock": (root / "dvc.lock").stat().st_size}


def page(facts: dict[str, Any]) -> str:
    rows = facts["rows"]
    heads, sizes = ([f"{row['lines']} lines" for row in rows], [f"{row['lock'] / 1e3:.0f} kB" for row in rows])
    table = [f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(rows)]
    for name in rows[0]["busy"]:
        cells = (f"{row['busy'][name]} s ({row['seconds'][name]} s)" for row in rows)
        table.append(f"| {name} | {' | '.join(cells)} |")
    table.append(f"| dvc repro / dvc status | {' | '.join(str(row['ratio']) for row in rows)} |")
    table.append(f"| dvc.lock | {' | '.join(sizes)} |")
    where = (
        "Seconds of a processor, all that the command starts included, and in brackets those that passed; medians of "
        f"{facts['runs']} runs by turns on {facts['cpus']} cores, for which {facts['load']} processes waited. "
        "`dvc repro` has nothing to do. `gaia status` asks DVC, and again, as nothing has changed since, does not. "
        "compose is the whole stage; once each line had one, which composed them all."
    )
    return "\n".join(["# Lines", "", __doc__ or "", where, "", *table]) + "\n"


def verdict(version: Version) -> dict[str, object]:
    metrics = {"n": 182, "accuracy": 0.914, "accuracy_low": 0.868, "accuracy_high": 0.945, "artifact_bytes": 89_571_026}
    gates = [{"gate": f"gate {n}", "limit": 0.8, "found": 0.868, "passed": True} for n in range(8)]
    number = {"bump": "minor", "why": ["trainer.max_epochs: 10 -> 12"]}
    return {"line": version.line, "version": version.number, "number": number, "metrics": metrics, "gates": gates}


def tag(name: str, mark: int, when: int, message: str) -> str:
    return f"tag {name}\nfrom :{mark}\ntagger {WHO} {when} +0000\n{data(message)}"


def data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def write(path: Path, content: bytes) -> None:
    with files.replaced(path) as beside:
        beside.write_bytes(content)


def run(root: Path, *command: str, fine: tuple[int, ...] = (0,)) -> str:
    """What the command says, which is run on the project's own code."""
    who = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | who | {"PYTHONPATH": str(root / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode in fine, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
