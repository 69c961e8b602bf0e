"""What a shell and a HOME have for other programs changes neither where data go nor what is built."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ROOT, Project, Store
from gaia.storage.client import S3Client
from gaia.storage.errors import Unreachable

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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME whose files mean other servers."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    virtual = "[default]\ns3 =\n    addressing_style = virtual\n    use_accelerate_endpoint = true\n"
    (home / ".aws/config").write_text(virtual)
    (home / ".aws/credentials").write_text("[default]\naws_access_key_id = x\naws_secret_access_key = y\n")
    (home / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
    (home / "broken").write_text("this is no configuration\n")
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
