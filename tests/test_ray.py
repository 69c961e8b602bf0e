"""`gaia build` on a Ray cluster: hosts that share nothing but the Git remote and the store, and die at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from conftest import ROOT, Project, Store, free_ports, until
from sidebyside import LINES, begin, build, lock, said, twin

pytest.importorskip("ray", reason="Ray is not installed: `pip install 'gaia-vision[ray]'`")
pytestmark = pytest.mark.slow
KILLS = range(int(os.environ.get("KILLS", "1")))  # of each kind, each at a moment of its own
HOSTS = ("head", "other")


class Cluster:
    """Two hosts on this machine, each a raylet and its workers with a home of its own; the head has one core."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, f"127.0.0.1:{free_ports()}"
        self.short = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # the names of sockets are short

    def home(self, host: str) -> Path:
        return self.folder / host

    def up(self, host: str) -> None:
        """Start a host."""
        head = ("--head", f"--port={self.address.partition(':')[2]}", "--num-cpus=1", f"--temp-dir={self.short}",
                "--include-dashboard=false")  # fmt: skip
        joins = (f"--address={self.address}", "--num-cpus=2")
        self.home(host).mkdir(parents=True, exist_ok=True)
        given = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        given |= {
            "HOME": str(self.home(host)), "GAIA_TEST_HOST": str(self.home(host)), "PYTHONPATH": str(ROOT / "src"),
            "STEPS": str(self.home(host) / "steps"), "PAUSE": "0.2",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        command = ["ray", "start", *(head if host == "head" else joins), "--node-ip-address=127.0.0.1",
                   "--disable-usage-stats", "--object-store-memory=80000000"]  # fmt: skip
        done = subprocess.run(command, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout

    def processes(self, host: str, name: str = "") -> list[psutil.Process]:
        """Those of a host whose name begins so."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # gone just now
                if process.environ().get("GAIA_TEST_HOST") == str(self.home(host)):
                    title = " ".join(process.cmdline())
                    found += [process] if process.name().startswith(name) or title.startswith(name) else []
        return found

    def kill(self, host: str, name: str = "") -> int:
        """Kill these; how many there were."""
        found = self.processes(host, name)
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        return len(found)

    def steps(self, *hosts: str) -> list[str]:
        """What stages and epochs have run there since the test began."""
        files = [self.home(host) / "steps" for host in hosts or HOSTS]
        return [line for file in files if file.exists() for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("hosts"))
    try:
        for host in HOSTS:
            cluster.up(host)
        yield cluster
    finally:
        for host in HOSTS:
            cluster.kill(host)
        shutil.rmtree(cluster.short, ignore_errors=True)


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    """The two hosts, which know nothing of the project."""
    if not running.processes("other", "raylet"):
        running.up("other")
    for host in HOSTS:
        shutil.rmtree(running.home(host) / ".cache", ignore_errors=True)
        (running.home(host) / "steps").unlink(missing_ok=True)
    return running


@pytest.fixture
def shared(unbuilt: Project, store: Store, cluster: Cluster, tmp_path: Path) -> Project:
    """Three lines that aren't built, whose code others have from a bare repository and whose data from the store."""
    root = tmp_path / "project"
    shutil.copytree(unbuilt.root, root, symlinks=True)
    project = store.connect(Project(root))
    store.empty()
    project.edit(
        "params.yaml", lambda params: [line.update(resources={"cpus": 1}) for line in params["lines"].values()]
    )
    project.edit("params.yaml", lambda params: params["lines"]["cedar"].update(epochs=30))
    project.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    project.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    project.environment["RAY_ADDRESS"] = cluster.address
    return project


@pytest.fixture
def expected(unbuilt: Project, shared: Project) -> str:
    """The dvc.lock that `dvc repro` makes of these lines."""
    other = twin(shared, "other")
    other.repro()
    return lock(other)


def check(project: Project, expected: str) -> None:
    assert lock(project) == expected
    assert project.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert "refs/gaia" not in project.run("git", "ls-remote", "origin").stdout


def where(cluster: Cluster, line: str, epoch: int) -> str:
    """The host that trains a line, as soon as it is at this epoch."""
    until(lambda: f"epoch {epoch} of {line}" in cluster.steps(), f"epoch {epoch} of {line}", 180)
    return next(host for host in HOSTS if f"epoch {epoch} of {line}" in cluster.steps(host))


def test_hosts_that_share_nothing_give_the_dvc_lock_that_dvc_repro_gives(
    shared: Project, cluster: Cluster, expected: str
) -> None:
    code, ends, text = build(shared, "--engine", "ray")
    assert code == 0, text
    assert {name: end["state"] for name, end in ends.items()} == dict.fromkeys(LINES, "built")
    check(shared, expected)
    assert sum("train@" in step for step in cluster.steps()) == 3 and "demo" not in cluster.steps()
    assert not list(shared.path(".dvc/tmp/builds").glob("*/dvc.lock"))  # done there, not here


@pytest.mark.parametrize("number", KILLS)
@pytest.mark.parametrize("what", ["worker", "host", "driver"])
def test_whatever_is_killed_it_ends_with_the_same_dvc_lock(
    shared: Project, cluster: Cluster, expected: str, what: str, number: int
) -> None:
    chance = random.Random(f"{what} {number}")
    began = begin(shared, "--engine", "ray")
    if what == "driver" and number % 2:  # at any moment; else while one trains
        time.sleep(chance.uniform(1, 30))
    else:
        host = where(cluster, "cedar", chance.randint(2, 10))
    if what == "driver":
        began.send_signal(signal.SIGKILL)
        began.wait()
        trained = cluster.steps().count("train@alder") if "alder: built" in said(shared) else None
        code, ends, text = build(shared, "--engine", "ray")
        assert code == 0, text
        if trained is not None:
            assert ends["alder"]["state"] == "up to date" and cluster.steps().count("train@alder") == trained
    elif what == "worker":
        assert cluster.kill(host, "ray::cedar"), [p.cmdline() for p in cluster.processes(host)]
        assert began.wait(300) == 0, said(shared)
        assert cluster.steps().count("epoch 1 of cedar") == 1  # it went on from its checkpoint
    else:  # that of the driver is the head
        if host == "head":
            pytest.skip("the line was given to the host that the driver is on")
        assert cluster.kill("other", "raylet") or cluster.processes("other")
        cluster.kill("other")
        assert began.wait(300) == 0, said(shared)
        assert "epoch 30 of cedar" in cluster.steps("head")
    check(shared, expected)


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    shared: Project, cluster: Cluster, expected: str, store: Store
) -> None:
    began = begin(shared, "--engine", "ray")
    where(cluster, "cedar", 20)
    store.kill()
    time.sleep(8)
    store.start()
    code = began.wait(300)
    if code:  # the driver itself met it
        code, _, text = build(shared, "--engine", "ray")
        assert code == 0, text
    check(shared, expected)
