"""What a shell and a HOME have for other programs changes neither where data go nor what is built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ROOT, Project, Store
from gaia.config import yaml
from gaia.storage import remotes
from gaia.storage.errors import Unreachable
from gaia.storage.s3.client import S3Client

NOWHERE = "http://127.0.0.1:9"
OTHER = "of another service"
AWS = {
    "AWS_PROFILE": "nope", "AWS_CA_BUNDLE": "/nonexistent", "AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_S3": NOWHERE,
    "AWS_ACCESS_KEY_ID": OTHER, "AWS_SECRET_ACCESS_KEY": OTHER, "AWS_SESSION_TOKEN": OTHER,
    "AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-1", "AWS_USE_FIPS_ENDPOINT": "true",
}  # fmt: skip
SHELLS = {
    "a shell of AWS's": AWS | {"AWS_CONFIG_FILE": "/nonexistent"},
    "no credentials": AWS | {"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"},
    "another HOME": {"HOME": "{home}"},
}
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
# Which only a variable mends for a plain `dvc push`: our hooks and verbs set it.
WORSE = {
    "proxies": PROXIES,
    "proxies in small letters": {n.lower(): proxy for n, proxy in PROXIES.items()} | {"no_proxy": "example.org"},
    "no file of ours": {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"},
    "nonsense": {"AWS_CONFIG_FILE": "{home}/broken", "AWS_DEFAULTS_MODE": OTHER, "AWS_MAX_ATTEMPTS": OTHER,
                 "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": OTHER},
}  # fmt: skip


# What chooses kernels, precisions, back ends, epochs, styles, orders, languages, dates or rights for other programs.
BUILDING = {
    "PYTHONHASHSEED": "12345", "PYTHONOPTIMIZE": "1", "LANG": "tr_TR.UTF-8", "LC_ALL": "C",
    "TZ": "Pacific/Kiritimati", "SOURCE_DATE_EPOCH": "1", "NO_COLOR": "1", "COLUMNS": "20", "HYDRA_FULL_ERROR": "1",
    "KERAS_BACKEND": "torch", "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "TF_USE_LEGACY_KERAS": "1",
    "TF_DETERMINISTIC_OPS": "0", "TF_ENABLE_ONEDNN_OPTS": "0", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "MPLBACKEND": "module://nonsense", "MATPLOTLIBRC": "{home}/matplotlibrc", "CUDA_VISIBLE_DEVICES": "",
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME whose files mean other servers, other numbers and other colours."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    virtual = "[default]\ns3 =\n    addressing_style = virtual\n    use_accelerate_endpoint = true\n"
    (home / ".aws/config").write_text(virtual)
    (home / ".aws/credentials").write_text("[default]\naws_access_key_id = x\naws_secret_access_key = y\n")
    (home / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
    (home / "broken").write_text("this is no configuration\n")
    (home / ".keras").mkdir()
    numbers = {"floatx": "float16", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}
    (home / ".keras/keras.json").write_text(json.dumps(numbers))
    style = "font.size: 30\nsavefig.dpi: 30\nsvg.fonttype: path\ntimezone: Asia/Tokyo\naxes.facecolor: red\n"
    for file in (home / "matplotlibrc", home / ".config/matplotlib/matplotlibrc"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(style)
    return home


def within(project: Project, home: Path, shell: dict[str, str]) -> None:
    project.environment |= {name: value.format(home=home) for name, value in shell.items()}


def goes_and_comes(project: Project, store: Store, push: str) -> None:
    """What is pushed is there, and is fetched into an empty cache."""
    store.empty()
    project.run("sh", "-c", push)
    shutil.rmtree(project.path(".dvc/cache"))
    project.run("sh", "-c", push.replace("push", "fetch"))
    assert list(project.path(".dvc/cache").rglob("*.dir"))


def answers(project: Project) -> bool:
    return json.loads(project.run("gaia", "storage", "status", "--json").stdout)["answers"]


def failed(project: Project) -> dict[str, str]:
    """What `gaia storage verify` complains of."""
    said = project.run("gaia", "storage", "verify", "--json", ok=False).stdout
    return {check["name"]: check["said"] for check in json.JSONDecoder().raw_decode(said)[0] if not check["ok"]}


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_dvc_and_our_verbs_reach_the_storage_from_any_shell(
    small: Project, store: Store, home: Path, shell: dict[str, str]
) -> None:
    within(small, home, shell)
    goes_and_comes(small, store, "dvc push")
    assert answers(small)
    assert "HOME" in shell or failed(small) == {}


@pytest.mark.parametrize("shell", WORSE.values(), ids=WORSE)
def test_where_only_a_variable_helps_our_hooks_and_verbs_set_it(
    small: Project, store: Store, home: Path, shell: dict[str, str]
) -> None:
    within(small, home, shell)
    assert answers(small)
    assert small.run("dvc", "push", ok=False).returncode
    goes_and_comes(small, store, f". '{ROOT}/.githooks/environment' && dvc push")
    verb = "import os; from gaia.storage import remotes; os.execvpe('dvc', ['dvc', 'push'], remotes.environment())"
    goes_and_comes(small, store, f'python -c "{verb}"')


def test_a_proxy_that_leads_nowhere_is_named_with_what_lets_dvc_pass_by(small: Project, store: Store) -> None:
    small.environment |= {"http_proxy": NOWHERE, "no_proxy": "example.org"}
    store.fill(small, "HEAD")
    (said,) = failed(small).values()
    to = store.settings.endpoint
    assert f"http_proxy sends `dvc push` and `dvc pull` to a proxy, which can't reach {to}; `export no_proxy=" in said
    assert f"warning: {said}" in small.run("gaia", "storage", "up").stdout
    goes_and_comes(small, store, f"{said.split('`')[-2]} && dvc push")


def test_the_settings_hold_where_the_project_was_moved(small: Project, store: Store) -> None:
    moved = small.root.with_name("moved")
    small.root.rename(moved)
    project = Project(moved)
    project.environment |= AWS
    goes_and_comes(project, store, "dvc push")
    assert remotes.agree(store.settings, moved)


def test_the_authorities_of_a_server_elsewhere_are_those_of_the_variable(small: Project, store: Store) -> None:
    """Those of one on this machine are not asked, and AWS_CA_BUNDLE can break it though it has none."""
    local = small.path(".dvc/config.local")
    assert "ssl_verify" in local.read_text()
    remotes.write(replace(store.settings, endpoint="https://s3.example.org"), small.root)
    assert "ssl_verify" not in local.read_text()


def test_a_proxy_that_is_needed_and_wrong_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    away = S3Client(replace(store.settings, endpoint="http://s3.example.org"), attempts=1)
    with pytest.raises(
        Unreachable, match="s3.example.org can't be reached through the proxy http://127.0.0.1:9.*NO_PROXY"
    ):
        away.buckets()


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_a_line_is_built_of_the_same_bytes_in_any_surroundings(project: Project, home: Path, line: str) -> None:
    """But for the number of threads, by which PyTorch divides its sums: it is the same here, and named in the docs."""

    def outputs() -> dict[str, dict[str, str]]:
        stages = yaml.read(project.path("dvc.lock"))["stages"]
        return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}

    before = outputs()
    within(project, home, BUILDING | {"HOME": "{home}"})
    one_core = "taskset -c 0" if shutil.which("taskset") else ""
    stages = " ".join(("compose", *(f"{stage}@{line}" for stage in ("prepare", "train", "evaluate"))))
    project.run("sh", "-c", f"umask 077; {one_core} dvc repro --force --single-item --no-run-cache {stages}")
    assert outputs() == before


def test_a_stage_settles_once_whatever_a_python_sets_as_it_starts(tmp_path: Path) -> None:
    shell = os.environ | {"LC_ALL": "C", "PYTHONWARNINGS": "error", "KERAS_BACKEND": "torch"}
    for settled in ({}, {"GAIA_SETTLED": "1"}):
        command = [sys.executable, "-m", "gaia.stages.compose"]
        done = subprocess.run(command, cwd=tmp_path, env=shell | settled, capture_output=True, text=True, timeout=60)
        assert done.stderr == "error: params.yaml is missing.\n"
