"""`gaia build` on a Ray cluster: hosts that share nothing but the Git remote and the store, and die at any moment."""

from __future__ import annotations

import os
import random
import secrets
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
KILLS = int(os.environ.get("KILLS", "0"))
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
    surroundings = pytest.MonkeyPatch()
    surroundings.setenv("RAY_AUTH_MODE", "token")  # as docs/scale.md advises
    surroundings.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        for host in HOSTS:
            cluster.up(host)
        yield cluster
    finally:
        surroundings.undo()
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
    shared: Project, cluster: Cluster, expected: str, store: Store, tmp_path: Path
) -> None:
    code, ends, text = build(shared, "--engine", "ray")
    assert code == 0, text
    assert {name: end["state"] for name, end in ends.items()} == dict.fromkeys(LINES, "built")
    check(shared, expected)
    assert sum("train@" in step for step in cluster.steps()) == 3 and "demo" not in cluster.steps()
    assert not list(shared.path(".dvc/tmp/builds").glob("*/dvc.lock"))  # done there, not here
    shared.commit("built")
    shared.run("git", "push", "--quiet", "origin", "main")
    shared.run("git", "clone", "--quiet", str(tmp_path / "origin.git"), "../fresh")
    fresh = store.connect(Project(tmp_path / "fresh"))
    before = cluster.steps()
    code, _, text = build(fresh, "--engine", "ray", RAY_ADDRESS=cluster.address)
    assert code == 0, text
    assert cluster.steps() == before and not fresh.run("git", "status", "--porcelain").stdout
    check(fresh, expected)


def kill_host(cluster: Cluster) -> None:
    """The one that the driver isn't on: first what holds it together."""
    cluster.kill("other", "raylet")
    cluster.kill("other")


@pytest.mark.parametrize("what", ["worker", "host", "driver"])
def test_whatever_is_killed_it_ends_with_the_same_dvc_lock(
    shared: Project, cluster: Cluster, expected: str, what: str
) -> None:
    began = begin(shared, "--engine", "ray")
    host = where(cluster, "cedar", 5)
    if what == "worker":
        assert cluster.kill(host, "ray::cedar"), [process.cmdline() for process in cluster.processes(host)]
        assert began.wait(300) == 0, said(shared)
        assert cluster.steps().count("epoch 1 of cedar") == 1  # it went on from its checkpoint
    elif what == "host":
        kill_host(cluster)
        assert began.wait(300) == 0, said(shared)
        assert host == "head" or "epoch 30 of cedar" in cluster.steps("head")
    else:
        began.send_signal(signal.SIGKILL)
        began.wait()
        built = [name for name in LINES if f"{name}: built" in said(shared)]
        before = cluster.steps()
        code, ends, text = build(shared, "--engine", "ray")
        assert code == 0, text
        for name in built:
            assert ends[name]["state"] == "up to date" and cluster.steps().count(f"train@{name}") == 1
        assert before.count("epoch 30 of cedar") == 0
    check(shared, expected)


@pytest.mark.skipif(not KILLS, reason="KILLS says how many: minutes")
def test_however_much_is_killed_it_ends_with_the_same_dvc_lock(shared: Project, cluster: Cluster) -> None:
    chance, left, tally = random.Random(KILLS), KILLS, {"worker": 0, "host": 0, "driver": 0}
    shared.replace("conf/engine/ray.yaml", "retries: 3", "retries: 1000")
    for name in LINES:
        shared.edit("params.yaml", lambda params, name=name: params["lines"][name].update(epochs=20))
    other, seed = twin(shared, "other"), 100
    while left:
        began = begin(shared, "--engine", "ray")
        while left and began.poll() is None:
            time.sleep(chance.uniform(0, 10))
            what = chance.choice(["worker", "worker", "driver", "host"])
            if what == "worker" and cluster.kill(chance.choice(HOSTS), "ray::"):
                tally[what] += 1
            elif what == "driver" and began.poll() is None:
                began.send_signal(signal.SIGKILL)
                began.wait()
                tally[what] += 1
            elif what == "host" and cluster.processes("other", "raylet"):
                kill_host(cluster)
                tally[what] += 1
                cluster.up("other")
            left = KILLS - sum(tally.values())
        if began.wait(300) == 0 and left:  # nothing to kill any more
            seed += 1
            name = chance.choice(LINES)
            shared.edit("params.yaml", lambda params, name=name, seed=seed: params["lines"][name].update(seed=seed))
        assert began.returncode in (0, -signal.SIGKILL), said(shared)
    print(tally, f"{seed - 100} builds ended meanwhile")
    code, _, text = build(shared, "--engine", "ray")
    assert code == 0, text
    shutil.copy(shared.path("params.yaml"), other.path("params.yaml"))
    other.repro()
    check(shared, lock(other))


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


ALONE = """
import os, subprocess, sys
from gaia.engines import ray as engine
from gaia.engines.job import Job, Needs

def enter(heard):
    import ray
    asked = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); print('in')"
    address, env = ray.get_runtime_context().gcs_address, dict(os.environ)
    found = []
    for known in (True, False):
        if not known:
            env |= {"RAY_AUTH_TOKEN": "0" * 64}
        done = subprocess.run([sys.executable, "-c", asked, address], env=env, capture_output=True, text=True)
        found.append(done.stdout.strip())
    return found

for done in engine.run([Job("enter", enter, (), Needs(1, 0, None))], lambda job, said: False):
    print(done.result, done.error)
"""


def test_a_cluster_that_it_starts_by_itself_lets_in_who_has_its_token_alone() -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    env |= {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", ALONE], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "['in', ''] None", done.stderr


WHOLE = """
import time
from gaia.engines import ray as engine
from gaia.engines.job import Job

def work(say):
    begun = time.monotonic()
    for _ in range(300):
        say("a")
        time.sleep(0.02)
    return begun, time.monotonic()

heard = []
jobs = [Job(name, work, ()) for name in ("one", "other")]
first, last = sorted(done.result for done in engine.run(jobs, lambda job, said: heard.append(said)))
print(first[1] <= last[0], len(heard))
"""


def test_what_takes_a_whole_host_has_it_for_itself_whatever_it_says() -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", WHOLE], env=env | {"PYTHONPATH": str(ROOT / "src")},
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.strip() == "True 600", done.stderr
