"""A host that asks and serves needs no training framework: requirements-serve.lock, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2
import pytest

from conftest import ROOT, Project
from deployed import go
from gaia.deployments import servers
from released import clone, share
from served import RED, set_serving, workspace
from test_live import until

LOCK = ROOT / "requirements-serve.lock"
TRAINING = ("torch", "torchvision", "tensorflow", "keras", "tf2onnx", "onnx", "sklearn", "matplotlib", "plotly")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with what the lock holds, and nothing else."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    environment = os.environ | {"UV_HTTP_TIMEOUT": "30", "UV_HTTP_RETRIES": "1"}

    def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "uv", *arguments]
        return subprocess.run(command, env=environment, text=True, capture_output=True)

    assert uv("venv", "--python", sys.executable, str(folder)).returncode == 0
    python = folder / "bin" / "python"
    to = ("pip", "install", "--python", str(python), "--no-deps")
    if uv(*to, "--dry-run", "--no-cache", "packaging").returncode:
        pytest.skip("no package index answers here")
    done = uv(*to, "--require-hashes", "-r", str(LOCK))
    assert done.returncode == 0, done.stderr
    (next(folder.glob("lib/*/site-packages")) / "gaia.pth").write_text(str(ROOT / "src"))
    return python


def gaia(python: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([python, "-m", "gaia", *words], cwd=root, env=environment, capture_output=True, text=True)


def test_no_training_framework_comes_along(light: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {TRAINING!r} if u.find_spec(n)])"
    assert subprocess.run([light, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_it_answers(light: Path, tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "a.png").write_bytes(RED)
    done = gaia(light, root, "predict", "plants", "a.png", "--json")
    assert json.loads(done.stdout)[0]["answer"] == "dandelion", done.stderr
    done = gaia(light, root, "predict", "cultures", "species=oyster", "days=3", "--json")
    assert json.loads(done.stdout)[0]["answer"] == "healthy", done.stderr


def test_what_takes_an_extra_names_it(light: Path, tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "rows.parquet").write_bytes(b"PAR1")
    for words in (("predict", "cultures", "rows.parquet"), ("config", "plants"), ("versions", "plants")):
        done = gaia(light, root, *words)
        assert "Traceback" not in done.stderr, done.stderr
    for words in (("status",), ("sync",)):  # nothing of what a host does takes a package that it lacks
        assert "not installed" not in gaia(light, root, *words).stderr
    assert "`pip install pyarrow`" in gaia(light, root, "predict", "cultures", "rows.parquet").stderr


def test_it_syncs_and_serves(light: Path, released: Project, tmp_path: Path) -> None:
    share(released)
    go(released, "v1.1.0")
    host = clone(released, tmp_path / "host")
    shutil.copytree(ROOT / "conf" / "serving", host.path("conf/serving"))
    set_serving(host.root, lambda said: said.update(inspect=None, follow=1))
    cache = released.path(".dvc/cache")
    with host.path(".dvc/config.local").open("a") as file:
        file.write(f"[cache]\n    dir = {cache}\n")
    environment = host.environment | {"PYTHONPATH": ""}
    command = [str(light), "-m", "gaia", "serve", "--port", "0", "--follow"]
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=host.root, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        url = until(lambda: next((each.url for each in servers.running(host.root)), None), 60, log)
        rows = {"rows": [{"species": "oyster", "days": 1}]}
        ask = lambda: httpx2.post(f"{url}/lines/spores/predict", json=rows)  # noqa: E731
        until(lambda: ask().status_code == 200, 30, log)
        assert ask().json()["version"] == "v1.1.0"
    finally:
        server.terminate()
        server.wait(20)


def test_the_lock_is_a_part_of_the_whole_one() -> None:
    """What a host runs is what was tested: the same versions."""
    pins = [{line.split(" ")[0] for line in lock.read_text().splitlines() if "==" in line and line[0] not in " #"}
            for lock in (LOCK, ROOT / "requirements.lock")]  # fmt: skip
    assert pins[0] < pins[1]
    named = {pin.partition("==")[0] for pin in pins[0]}
    assert {"onnxruntime", "catboost", "fastapi", "dvc"} <= named
    assert not {"torch", "tensorflow", "keras", "plotly", "matplotlib"} & named
    assert "https://" not in "".join(line for line in LOCK.read_text().splitlines() if not line.startswith("#"))
