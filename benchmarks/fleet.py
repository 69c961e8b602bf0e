"""How long a deployment takes to reach a fleet: `python benchmarks/fleet.py`. Writes fleet.json and fleet.md here.

A bare repository, a desk that decides, and many hosts: clones of depth 1 with a name each. A host does what `gaia sync
--watch` does, once an interval, from a moment of its own on; a few processes do it for all of them, as two cores are no
fleet. They share the desk's cache, so that Git's remote is all that they wait for. A version goes to ten hosts first,
then to the rest; what counts is when each host's link was switched.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the small project of the tests

from gaia.deployments import fleet, host  # noqa: E402
from gaia.deployments import plan as deploy  # noqa: E402
from gaia.deployments.sync import sync  # noqa: E402

FIRST = "shed-00*"
END = "end"  # a file: the hosts stop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--interval", type=float, default=60, help="seconds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        follow([Path(name) for name in asked.work], asked.interval)
        return
    with tempfile.TemporaryDirectory() as folder:
        facts = measure(Path(folder), asked.hosts, asked.interval, asked.processes)
    (ROOT / "benchmarks/fleet.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (ROOT / "benchmarks/fleet.md").write_text(text := page(facts), encoding="utf-8")
    print(text)


def measure(folder: Path, count: int, interval: float, processes: int) -> dict[str, Any]:
    from conftest import Project
    from released import release, share

    desk = Project.empty(folder / "desk")
    release(desk)
    share(desk)
    hosts = [_clone(desk.root, folder / f"shed-{i:03}") for i in range(count)]
    command = [sys.executable, __file__, "--interval", str(interval), "--work"]
    shares = [hosts[i::processes] for i in range(processes)]
    workers = [subprocess.Popen([*command, *map(str, mine)], cwd=folder) for mine in shares]
    try:
        facts: dict[str, Any] = {"hosts": count, "interval_s": interval, "processes": processes}
        facts |= {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "deploys": []}
        first = [each for each in hosts if each.name.startswith(FIRST.rstrip("*"))]
        rest = [each for each in hosts if each not in first]
        steps = [("all", "v1.0.0", (), hosts), (f"--hosts '{FIRST}'", "v1.1.0", (FIRST,), first),
                 ("the rest", "v1.1.0", (), rest)]  # fmt: skip
        for what, version, patterns, concerned in steps:
            start = time.time()
            go(desk.root, f"spores@{version}", *patterns)
            took = reached(concerned, version, start, 5 * interval)
            time.sleep(interval if patterns else 0)  # for those that it is not about
            others = sum(live(each) == version for each in hosts if each not in concerned) if patterns else 0
            seconds = {"median_s": round(statistics.median(took), 1), "last_s": round(max(took), 1)}
            said = {"what": what, "hosts": len(concerned), "reached": len(took), "others": others}
            facts["deploys"].append(said | seconds)
            print(facts["deploys"][-1], flush=True)
        time.sleep(interval)  # each has told of itself
        start = time.perf_counter()
        seen = fleet.hosts(desk.root)
        facts["gaia_hosts_s"] = round(time.perf_counter() - start, 2)
        facts["health"] = {word: sum(each.health == word for each in seen) for word in {each.health for each in seen}}
    finally:
        (folder / END).touch()
        for worker in workers:
            worker.wait()
    facts["syncs_s"] = round(statistics.median(json.loads(line) for line in (folder / "took").read_text().split()), 2)
    return facts


def follow(mine: list[Path], interval: float) -> None:
    """Keep some hosts what the tags say, each once an interval."""
    due = {root: time.monotonic() + random.random() * interval for root in mine}
    took = []
    while not (mine[0].parent / END).exists():
        root = min(due, key=due.__getitem__)
        if (wait := due[root] - time.monotonic()) > 0:
            time.sleep(min(wait, 0.2))
            continue
        start = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):
            sync(root=root)
        took.append(time.perf_counter() - start)
        due[root] += interval
    with (mine[0].parent / "took").open("a") as file:
        file.write("".join(f"{seconds}\n" for seconds in took))


def go(root: Path, version: str, *patterns: str) -> None:
    """Deploy it, from the desk."""
    deploy.carry_out(deploy.deploy(version, hosts=patterns, root=root), root)


def live(root: Path) -> str | None:
    there = host.current("spores", root=root)
    return there.name.partition("_")[0] if there else None


def reached(hosts: list[Path], version: str, start: float, most: float) -> list[float]:
    """The seconds after which each host that has the version had it; waited for at most so long."""
    while time.time() - start < most and not all(live(each) == version for each in hosts):
        time.sleep(0.5)
    links = [host.link("spores", root=each) for each in hosts if live(each) == version]
    return [link.lstat().st_mtime - start for link in links]


def _clone(desk: Path, root: Path) -> Path:
    remote = desk.with_name(f"{desk.name}.git").as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", remote, str(root)], check=True)
    (root / ".env").write_text(f"GAIA_HOST={root.name}\n")
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {desk / '.dvc/cache'}\n")
    return root


def page(facts: dict[str, Any]) -> str:
    rows = ["| deployed to | hosts | reached | others with it | median | last | intervals |", "|---|" + "---:|" * 6]
    for each in facts["deploys"]:
        rows.append(
            f"| {each['what']} | {each['hosts']} | {each['reached']} | {each['others']} | {each['median_s']} s | "
            f"{each['last_s']} s | {each['last_s'] / facts['interval_s']:.2f} |"
        )
    where = (
        f"{facts['hosts']} hosts, each synchronised every {facts['interval_s']:g} s by one of {facts['processes']} "
        f"processes, on {facts['cpus']} cores (load {facts['load']}); a synchronisation took {facts['syncs_s']} s "
        f"(median). `gaia hosts` of all of them took {facts['gaia_hosts_s']} s and found "
        f"{', '.join(f'{count} {word}' for word, count in sorted(facts['health'].items()))}."
    )
    return "\n".join(["# Fleets", "", __doc__ or "", where, "", *rows]) + "\n"


if __name__ == "__main__":
    main()
