"""docker-compose.yml, without an engine: what its services run, and how Compose and gaia read the same .env."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, Project, free_ports, until
from gaia.errors import GaiaError
from gaia.storage.s3 import client, dotenv, settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import buckets, docker
from servers import binary


def compose() -> Any:
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")


def test_it_is_valid_for_the_specification() -> None:
    check = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([Path(sys.executable).with_name(check[0]), *check[1:], ROOT / "docker-compose.yml"], check=True)


def test_it_binds_to_this_machine_pins_its_image_and_holds_no_key() -> None:
    services = compose()["services"]
    server = services["server"]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    pinned = r"\$\{S3_IMAGE:-pgsty/silo:RELEASE\.2026-09-16T00-00-00Z@sha256:[0-9a-f]{64}\}"
    assert all(re.fullmatch(pinned, services[name]["image"]) for name in ("server", "buckets", "users"))
    assert server["environment"]["MINIO_ROOT_PASSWORD"].startswith("${S3_SECRET_KEY:?")
    assert server["volumes"] == ["objects:/data"] and "objects" in compose()["volumes"]
    assert all(services[n]["depends_on"]["server"]["condition"] == "service_healthy" for n in ("buckets", "users"))
    text = (ROOT / "docker-compose.yml").read_text()
    own = {"S3_IMAGE", "S3_PORT", "S3_CONSOLE_PORT"}
    assert set(re.findall(r"\$\{(S3_\w+)", text)) <= {*settings.DEFAULTS, *settings.KEYS, *own}


def test_its_services_make_a_server_with_buckets_and_users(tmp_path: Path) -> None:
    """Its own commands, with this machine's `minio` and `mc` for the image's, and twice, as a second `up` would."""
    minio, _ = binary("minio"), binary("mc")
    services, first = compose()["services"], free_ports()
    keys = {"S3_ACCESS_KEY": "root", "S3_SECRET_KEY": "with $ and 'quotes\""}
    given = keys | {"S3_ENDPOINT": f"http://127.0.0.1:{first}", "S3_REGION": "us-east-1"}
    users = {name: f"{name.lower()}-1" for name in services["users"]["environment"] if name.startswith("USER_")}
    project = Project(tmp_path)
    project.environment |= users | {"MC_CONFIG_DIR": str(tmp_path / "mc"), "MC_HOST_local": given["S3_ENDPOINT"]}

    def environment(service: str) -> dict[str, str]:
        """As Compose fills it in; the name of the server is known in its network alone."""
        said = {name: value for name, value in services[service]["environment"].items() if value is not None}
        fill = lambda found: given.get(found[1], found[2])  # noqa: E731
        filled = {name: re.sub(r"\$\{(\w+)(?::[-?](.*))?\}", fill, value) for name, value in said.items()}
        return project.environment | filled | {"S3_ENDPOINT": given["S3_ENDPOINT"]}

    def run(service: str) -> None:
        words = [*services[service]["entrypoint"], *services[service]["command"]]
        here = [word.replace("/storage", str(ROOT / "conf/storage")) for word in words]
        done = subprocess.run(here, env=environment(service), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        secret = [keys["S3_SECRET_KEY"], *(value for name, value in users.items() if "SECRET" in name)]
        assert len(secret) == 4
        assert not [key for key in secret if key in done.stdout + done.stderr]

    command = services["server"]["command"].replace("/data", str(tmp_path / "data")).replace('":9001"', f":{first + 1}")
    server = subprocess.Popen(
        [minio, *command.split(), "--address", f"127.0.0.1:{first}"],
        env=environment("server"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        healthy = services["server"]["healthcheck"]["test"]
        assert healthy[0] == "CMD"
        until(lambda: project.run(*healthy[1:], ok=False).returncode == 0, "its health")
        for _ in range(2):
            run("buckets")
            run("users")
        names = dict(zip(settings.BUCKETS, ("models", "plants-images", "data"), strict=True))
        root = settings.Settings(given["S3_ENDPOINT"], "us-east-1", names, *keys.values())
        assert sorted(S3Client(root).buckets()) == sorted(names.values())
        assert [buckets.days(S3Client(root), name) for name in names.values()] == [30] * 3
        for role, lists in (("HOST", False), ("READER", True), ("WRITER", True)):
            own = (users[f"USER_{role}_ACCESS_KEY"], users[f"USER_{role}_SECRET_KEY"])
            at = settings.Settings(given["S3_ENDPOINT"], "us-east-1", names, *own)
            assert client.answers(at)
            assert S3Client(at).may_list() is lists
    finally:
        server.kill()
        server.wait()


# .env


SAME = {
    "abc": "abc", "'abc'": "abc", '"abc"': "abc", "": "", "''": "", " x ": "x", "ab/+=": "ab/+=", "a b": "a b",
    "a # c": "a", "a#c": "a#c", "'a # c'": "a # c", "'a' # c": "a", '"a" # c': "a", "#x": "#x", "a\\nb": "a\\nb",
    "a'b": "a'b", 'a"b': 'a"b', "'a\"b'": 'a"b', "'a\\b'": "a\\b", "'a\\'b'": "a'b", "'a$b'": "a$b",
    "'a${b}c'": "a${b}c", "'a$$b'": "a$$b", "'$'": "$",
}  # fmt: skip
OTHER = ["a$b", '"a$b"', "$$", "${b}", '"a\\nb"', "'a", '"a', "'a'b", "'ab\\'"]


@pytest.mark.parametrize("value", [*SAME, *OTHER])
def test_a_value_in_env_is_read_or_refused_with_a_cure(value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"S3_ACCESS_KEY=me\nS3_SECRET_KEY={value}\n")
    if value in SAME:
        assert settings.read(tmp_path, keyless=True).secret_key == SAME[value]
        return
    with pytest.raises(GaiaError, match=r"^S3_SECRET_KEY in .* in single quotes: S3_SECRET_KEY='...'"):
        settings.read(tmp_path, keyless=True)


def test_compose_reads_the_same_values(tmp_path: Path) -> None:
    if docker._said("compose", "version") is None:
        pytest.skip("there is no `docker compose`")
    names = [f"S3_V{number}" for number, _ in enumerate(SAME)]
    (tmp_path / ".env").write_text("".join(f"{n}={value}\n" for n, value in zip(names, SAME, strict=True)))
    wanted = {n: f"[${{{n}}}]" for n in names}
    content = {"services": {"a": {"image": "x", "environment": wanted}}}
    (tmp_path / "docker-compose.yml").write_text(json.dumps(content))
    asked = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True)
    said = json.loads(done.stdout)["services"]["a"]["environment"]
    plain = {n: f"[{value}]" for n, value in zip(names, SAME.values(), strict=True)}
    as_file = {n: value.replace("$", "$$") for n, value in plain.items()}  # what it could read again as it prints it
    assert said in (plain, as_file)


def test_what_is_written_into_env_is_read_back() -> None:
    for value in ("gaia-12ab", "http://127.0.0.1:9000", "with $ and # and space", 'with "quotes"'):
        assert dotenv.read([dotenv.line("S3_SECRET_KEY", value)], Path(".env")) == {"S3_SECRET_KEY": value}


# Docker itself


def test_the_first_pull_is_shown_as_it_goes_on_and_the_answer_stays_one_document(
    drafted: Project, tmp_path: Path
) -> None:
    """A client that knows no image: what it says of the pull comes through, and of the rest only what fails."""
    shutil.copytree(drafted.root, tmp_path / "mine", symlinks=True)
    project = Project(tmp_path / "mine")
    fake = tmp_path / "bin/docker"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\necho "$*" >> "$HOME/asked"\ncase "$*" in\n'
        "*--images*) echo some/image ;;\nimage*) exit 1 ;;\n*pull*) echo '11 of 99 MB' >&2 ;;\n"
        "*up*) echo nothing of this; echo 'no room left.' >&2; exit 1 ;;\nesac\n"
    )
    fake.chmod(0o755)
    project.path(".env").write_text(f"S3_ENDPOINT=http://127.0.0.1:{free_ports()}\n")
    project.environment["PATH"] = f"{fake.parent}{os.pathsep}{project.environment['PATH']}"
    done = subprocess.run(
        ["gaia", "storage", "up", "--json"], cwd=project.root, env=project.environment, capture_output=True, text=True
    )
    assert done.stderr.startswith("11 of 99 MB\n"), done.stderr
    assert "docker compose up: no room left." in done.stderr
    assert json.loads(done.stdout)["error"] == "docker compose up: no room left."
    assert "compose pull server" in (tmp_path / "asked").read_text()
