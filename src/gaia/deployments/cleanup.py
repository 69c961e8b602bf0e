"""Remove what nothing needs any more: versions of this host, and objects that no branch and no tag names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from gaia.deployments import host
from gaia.errors import GaiaError
from gaia.registry import history, tags

KEEP = 5


class Removable(NamedTuple):
    """A version's folder on this host that nothing needs, and the bytes of its files."""

    folder: Path
    size: int


def cleanup(line: str, keep: int = KEEP, remove: bool = False, root: Path = Path()) -> list[Removable]:
    """The versions on this host beyond the `keep` newest, and with `remove` they are removed.

    Never among them is what is live on any stage, by the tags or on this host, nor what a rollback would go back to.
    No tag goes, and a version that went comes back when it is deployed. Raises GaiaError if there is no such line.
    """
    known = tags.of_line(line, root)
    if keep < 0:
        raise GaiaError(f"--keep is {keep}", "it should be 0 or more")
    with host.changing(line, root) as new:
        events = history.read(line, root)
        needed = set(host.live_here(line, root).values())
        for stage in {event.tag.name.stage for event in events}:
            decided = history.of_stage(events, stage)
            needed |= {host.folder(v, root) for v in (decided[-1].version, history.previous(decided)) if v}
        there = {path for path in host.versions(line, root).iterdir() if path.is_dir()}
        folders = [host.folder(version, root) for version in known]
        newest = [folder for folder in reversed(folders) if folder in there][:keep]
        order = {folder: number for number, folder in enumerate(folders)}
        found = sorted(there - needed - set(newest), key=lambda folder: (order.get(folder, -1), folder))
        removable = [Removable(path, sum(file.stat().st_size for file in path.iterdir())) for path in found]
        if remove:
            for each in removable:
                host.discard(each.folder, new)
    return removable


def unused(remove: bool = False, root: Path = Path()) -> list[str]:
    """The objects, in the buckets and in this clone's cache, that `dvc gc` finds unused, and with `remove` they go.

    Used is what the workspace, any branch of this clone, or any tag needs; tags are fetched before. Raises GaiaError
    if they can't be, or with what DVC complains of.
    """
    tags.fetch(root)
    scope = ("--workspace", "--all-branches", "--all-tags", "--cloud")
    command = [sys.executable, "-m", "dvc", "gc", *scope, "--force" if remove else "--dry"]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
        raise GaiaError(f"dvc gc: {said.rstrip('.')}.")
    return re.findall(r"^Removing (.+)$", done.stdout + done.stderr, re.MULTILINE)
