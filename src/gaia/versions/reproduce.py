"""Make a version once more, from nothing but its tag, and compare."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.errors import GaiaError
from gaia.registry.git import git
from gaia.runtime.golden import TOLERANCE
from gaia.versions.number import differences, flat, other_data
from gaia.versions.record import ENVIRONMENT, STAGES, Record

IDENTICAL, EQUAL, DIFFERENT = "identical", "equal within tolerance", "different"


def reproduce(record: Record) -> dict[str, Any]:
    """Run the line's pipeline in a clean checkout of the version; what `compare` says of the result.

    Its data come from DVC's cache or the storage, all else is made anew: nothing that was made before is taken,
    and nothing is left. What the stages print goes to stderr. Raises GaiaError if the pipeline can't be run.
    """
    with tempfile.TemporaryDirectory(prefix="gaia-reproduce-") as folder:
        again = _checkout(record, Path(folder))
        for command in (["checkout", *record.keepers] if record.keepers else [], _repro(record)):
            if command and _dvc(*command, root=again).returncode:
                raise GaiaError(f"{record}: `dvc {command[0]}` failed in a clean checkout", "the reason stands above")
        git("add", "--all", root=again)
        return compare(record, Record(record.line, git("write-tree", root=again).strip(), root=again))


def compare(record: Record, again: Record) -> dict[str, Any]:
    """`verdict`: identical (the artifact has the same bytes), equal within tolerance (its answers to the test inputs
    are the same), or different. `outputs` are those that differ, `difference` is the largest of a probability.
    `because` names the first input that isn't what the version pins: data, config, code, packages."""
    differing = [path for path, pinned in record.outputs.items() if again.outputs[path].md5 != pinned.md5]
    found: dict[str, Any] = {"version": str(record), "verdict": IDENTICAL, "difference": 0.0, "outputs": differing}
    if again.artifact.md5 != record.artifact.md5:
        found["difference"] = _difference(record, again)
        found["verdict"] = EQUAL if found["difference"] <= TOLERANCE else DIFFERENT
    return found | {"because": _first_differing_input(record, again) if differing else None}


def _checkout(record: Record, folder: Path) -> Path:
    """The project as it was committed, in a clone of its own: if this process is killed, Git has nothing to forget."""
    inside = git("rev-parse", "--show-prefix", root=record.root).strip()
    top = git("rev-parse", "--show-toplevel", root=record.root).strip()
    quiet = ("-c", "core.hooksPath=", "-c", "advice.detachedHead=false")
    git(*quiet, "clone", "--quiet", "--shared", "--no-checkout", top, str(folder / "project"), root=record.root)
    git(*quiet, "checkout", "--quiet", "--detach", record.commit, root=folder / "project")
    project = folder / "project" / inside
    _share_cache(record, project)
    return project


def _share_cache(record: Record, project: Path) -> None:
    """Let the checkout read this clone's cache, which holds the version's data, each file verified."""
    from dvc.config import Config

    from gaia.storage import cache, objects, transfer
    from gaia.storage.s3 import settings
    from gaia.storage.s3.client import S3Client

    with Config(dvc_dir=str(project / ".dvc")).edit("local", validate=False) as local:
        local["cache"] = {"dir": str(cache.folder(record.root).resolve())}
    if record.keepers:
        client = S3Client(settings.read(record.root))
        needed = objects.of_revision(record.commit, record.keepers, client=client, root=record.root)
        transfer.fetch(needed, client, record.root)


def _repro(record: Record) -> list[str]:
    stages = [record.composing, *(f"{stage}@{record.line}" for stage in STAGES)]
    return ["repro", "--force", "--single-item", "--no-run-cache", "--no-commit", *stages]


def _dvc(*arguments: str, root: Path) -> subprocess.CompletedProcess[bytes]:
    """Run DVC on the checkout's own code, with this environment's packages."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(root / "src"), "DVC_NO_ANALYTICS": "1"}
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, env=environment, stdout=2)


def _difference(record: Record, again: Record) -> float:
    """The largest difference of a probability that both give; 1 if they were tested with other items or classes."""
    path = paths.reports(record.line) / "predictions.csv"
    texts = record.read(path.as_posix()).decode("utf-8"), (again.root / path).read_text(encoding="utf-8")
    before, after = (list(csv.DictReader(io.StringIO(text, newline=""))) for text in texts)
    items = [[row["sha256"] for row in rows] for rows in (before, after)]
    if items[0] != items[1] or before[0].keys() != after[0].keys():
        return 1.0
    columns = [key for key in before[0] if key.startswith("probability_")]
    return max(abs(float(old[c]) - float(new[c])) for old, new in zip(before, after, strict=True) for c in columns)


def _first_differing_input(record: Record, again: Record) -> str:
    if data := other_data(record.data, again.data):
        return f"data: {data[0]}"
    if settings := differences(flat(record.settings), flat(again.settings)):
        return f"config: {settings[0]}"
    if code := [path for path, md5 in record.code.items() if again.code.get(path) != md5]:
        return f"code: {code[0]} is not what the version was made with"
    if record.inputs.get(ENVIRONMENT) != again.inputs.get(ENVIRONMENT):
        return f"packages: {ENVIRONMENT} is not what the version was made with"
    if installed := _other_packages(record):
        more = f" and {len(installed) - 3} more" if len(installed) > 3 else ""
        return f"packages: {', '.join(installed[:3])}{more}"
    return "no input differs: this machine computes otherwise, or a stage isn't deterministic"


def _other_packages(record: Record) -> list[str]:
    """The packages that are installed here in another version than the environment's lock asks for."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name, pinned in record.packages.items():
        try:
            here = version(name)
        except PackageNotFoundError:  # of another platform
            continue
        if here not in pinned.split(" or "):
            found.append(f"{name}: {pinned} -> {here}")
    return found
