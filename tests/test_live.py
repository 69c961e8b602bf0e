"""A deployment takes effect in a running server: no restart, no failed request, no answer of two versions; and a
version that can't answer leaves the one before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from conftest import ROOT, Project
from deployed import back, folder, go
from gaia import files
from gaia.deployments import plan as deploy
from gaia.deployments import servers
from gaia.errors import GaiaError
from gaia.runtime import artifact
from gaia.runtime.load import load
from gaia.serving import run
from gaia.status import status
from released import clone, share
from served import set_serving, workspace

ROW = {"species": "oyster", "days": 12}
WITHIN = 2  # s, as promised


@pytest.fixture
def project(released: Project) -> Project:
    shutil.copytree(ROOT / "conf" / "serving", released.path("conf/serving"))
    set_serving(released.root, lambda said: said.update(inspect=None))
    return released


@contextmanager
def running(project: Project, *options: str) -> Iterator[httpx2.Client]:
    """`gaia serve` as a user starts it, and a client of it."""
    log = project.root.parent / "serve.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "gaia", "serve", "--port", "0", *options],
            cwd=project.root, env=project.environment, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = until(lambda: next((each.url for each in servers.running(project.root)), None), 60, log)
        with httpx2.Client(base_url=url, timeout=30) as client:
            yield client
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in (0, -signal.SIGTERM), log.read_text()
    assert "Traceback" not in log.read_text()


def until(found: Callable[[], Any], seconds: float, log: Path | None = None) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError(log.read_text() if log else "in vain")


def answer(client: httpx2.Client | TestClient, stage: str = "prod") -> dict[str, Any]:
    response = client.post(f"/lines/spores/predict?stage={stage}", json={"rows": [ROW]})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_a_deployment_and_a_rollback_take_effect_without_a_failed_request(project: Project) -> None:
    """Each answer is wholly of one version: its number, its hash and its probabilities belong together."""
    go(project, "v1.0.0")
    expected = {}
    for number in ("v1.0.0", "v1.1.0"):
        go(project, number)
        model = load(folder(project, f"spores@{number}"))
        sha256 = files.sha256(folder(project, f"spores@{number}") / artifact.MANIFEST)
        (row,) = model.probabilities(model.read_rows([ROW]))
        expected[number] = (sha256, [round(float(p), 6) for p in row])
    assert expected["v1.0.0"][1] != expected["v1.1.0"][1]
    seen: list[tuple[str, str, list[float]]] = []
    failed: list[str] = []
    stop = threading.Event()
    with running(project) as client:

        def ask() -> None:
            with httpx2.Client(base_url=client.base_url, timeout=30) as mine:
                while not stop.is_set():
                    response = mine.post("/lines/spores/predict", json={"rows": [ROW]})
                    if response.status_code != 200:
                        failed.append(response.text)
                        continue
                    said = response.json()
                    shares = list(said["answers"][0]["probabilities"].values())
                    seen.append((said["version"], said["sha256"], shares))

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for turn in range(6):
            number = ("v1.0.0", "v1.1.0")[turn % 2]
            go(project, number)
            start = time.monotonic()
            until(lambda number=number: answer(client)["version"] == number, WITHIN + 3)
            assert time.monotonic() - start < WITHIN
        back(project)
        until(lambda: answer(client)["version"] != "v1.1.0", WITHIN)
        stop.set()
        for asker in askers:
            asker.join()
    assert not failed
    assert len(seen) > 100 and {number for number, _, _ in seen} == set(expected)
    for number, sha256, shares in seen:
        assert (sha256, shares) == expected[number]


def test_a_version_that_can_t_answer_leaves_the_one_before_and_says_why(project: Project) -> None:
    go(project, "v1.0.0", "v1.1.0")
    with running(project) as client:
        assert answer(client)["version"] == "v1.1.0"
        damaged = folder(project, "spores@v1.0.0") / "golden.json"
        said = json.loads(damaged.read_text())
        damaged.chmod(0o644)
        damaged.write_text(json.dumps(said | {"probabilities": [[0.5, 0.5]] * len(said["probabilities"])}))
        link = project.path("deployments/spores/current")
        beside = link.with_name("beside")
        beside.symlink_to(Path("versions") / folder(project, "spores@v1.0.0").name)
        beside.replace(link)  # as a hand would, past every check of `gaia deploy`
        ready = until(lambda: client.get("/ready").json()["problems"], 5)
        assert "golden.json" in ready[0]["found"] and "gaia sync spores" in ready[0]["mend"]
        assert client.get("/ready").status_code == 200  # every line can answer
        assert answer(client)["version"] == "v1.1.0"
        (found,) = (check for check in status(project.root) if check.part == "serving" and "golden.json" in check.found)
        assert found.mend
        project.run("gaia", "deploy", "spores@v1.0.0", "--yes", ok=False)
        project.run("gaia", "sync", "spores")
        until(lambda: not [p for p in client.get("/ready").json()["problems"] if p["line"] == "spores"], 15)
    assert not servers.running(project.root)


def test_stages_answer_side_by_side_and_an_end_is_an_end(project: Project) -> None:
    go(project, "v1.0.0")
    go(project, "v1.1.0", stage="staging")
    with running(project) as client:
        assert answer(client)["version"] == "v1.0.0" and answer(client, "staging")["version"] == "v1.1.0"
        said = client.get("/lines/spores").json()["stages"]
        assert said["prod"]["tag"] == "spores#prod#1" and said["staging"]["metrics"]["accuracy"] == 0.91
        assert [each["version"] for each in client.get("/lines/spores/history").json()] == ["v1.0.0", "v1.1.0"]
        assert client.get("/lines/spores/versions").json()[0]["version"] == "v1.2.0"
        assert client.get("/lines/spores/versions/v1.0.0/v1.1.0").json()["config"]
        assert client.get("/lines/spores/versions/v1.0.0/v9.9.9").status_code == 422
        assert client.get("/lines/sporez").status_code == 404
        deploy.carry_out(deploy.undeploy("spores", "why", root=project.root), project.root)
        until(lambda: client.post("/lines/spores/predict", json={"rows": [ROW]}).status_code == 503, WITHIN)
        assert answer(client, "staging")["version"] == "v1.1.0"


def test_the_first_deployment_fails_no_request_either(project: Project) -> None:
    """The folder of a line is there before anything in it is live: until then the workspace's build goes on."""
    failed: list[str] = []
    stop = threading.Event()
    with running(project) as client:
        assert answer(client)["version"] is None

        def ask() -> None:
            while not stop.is_set():
                response = client.post("/lines/spores/predict", json={"rows": [ROW]})
                if response.status_code != 200:
                    failed.append(response.text)

        asker = threading.Thread(target=ask)
        asker.start()
        project.path("deployments/spores/versions").mkdir(parents=True)
        time.sleep(1.5)
        go(project, "v1.0.0")
        until(lambda: answer(client)["version"] == "v1.0.0", WITHIN)
        stop.set()
        asker.join()
    assert not failed


def test_what_ends_one_look_at_the_remote_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def sync(root: Path) -> list[Any]:
        looks.append(1)
        if len(looks) < 3:
            raise (RuntimeError("a bug"), GaiaError("no network"))[len(looks) - 1]
        raise SystemExit

    monkeypatch.setattr(run, "sync", sync)
    with pytest.raises(SystemExit):
        run._follow(0.01, True, Path())
    assert len(looks) == 3


def test_ctrl_c_is_how_it_ends(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    command = [sys.executable, "-m", "gaia", "serve", "--port", "0"]
    server = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    until(lambda: servers.running(root), 60)
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=20)
    assert server.returncode == 0 and "error" not in said


def test_what_is_said_of_a_version_follows_the_tags(project: Project) -> None:
    """The same version made live by another decision: the model stays, who and why don't."""
    go(project, "v1.0.0", "v1.1.0")
    back(project, reason="first")
    with running(project) as client:
        assert client.get("/lines/spores").json()["stages"]["prod"]["reason"] == "first"
        go(project, "v1.2.0")
        back(project, "spores@v1.0.0", reason="second")
        until(lambda: client.get("/lines/spores").json()["stages"]["prod"]["reason"] == "second", WITHIN)


def test_a_host_that_follows_is_one_command(project: Project, tmp_path: Path) -> None:
    share(project)
    host = clone(project, tmp_path / "host")
    shutil.copytree(project.path("conf/serving"), host.path("conf/serving"))
    set_serving(host.root, lambda said: said.update(follow=1))
    host.run("dvc", "cache", "dir", "--local", str(project.path(".dvc/cache")))
    go(project, "v1.0.0")
    with running(host, "--follow") as client:
        until(lambda: client.post("/lines/spores/predict", json={"rows": [ROW]}).status_code == 200, 20)
        assert answer(client)["version"] == "v1.0.0"
        go(project, "v1.1.0")
        until(lambda: answer(client)["version"] == "v1.1.0", 20)


def test_an_address_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    import socket

    root = workspace(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "gaia", "serve", "--port", str(port)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"error: 127.0.0.1, port {port}: " in done.stderr and "`--port N` takes another" in done.stderr


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gaia", "serve", "--host", "0.0.0.0"]
    environment = {key: value for key, value in os.environ.items() if key != "GAIA_API_KEY"}
    done = subprocess.run(command, cwd=workspace(tmp_path), capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "GAIA_API_KEY is not set" in done.stderr


def test_a_killed_server_says_nothing_any_more(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    server = subprocess.Popen(
        [sys.executable, "-m", "gaia", "serve", "--port", "0"], cwd=root, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        (found,) = until(lambda: servers.running(root), 60)
        assert found.answers == ["plants@workspace in prod", "cultures@workspace in prod"]
    finally:
        server.kill()
        server.wait()
    assert servers.running(root) == []
    assert list(root.glob("deployments/.serving-*.json"))
