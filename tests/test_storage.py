"""`gaia storage`: one command for a server, keys, buckets and DVC; its check finds what is wrong."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, Project, Store, free_ports
from gaia.errors import GaiaError
from gaia.storage import remotes
from gaia.storage.checks import object_checks, server_checks
from gaia.storage.checks.verify import checks
from gaia.storage.s3 import settings
from gaia.storage.servers import embedded


def clone(project: Project, root: Path, **variables: object) -> Project:
    """A copy of a project, with an .env of its own."""
    shutil.copytree(project.root, root, symlinks=True)
    copy = Project(root)
    copy.path(".env").write_text("".join(f"{key}={value}\n" for key, value in variables.items()))
    return copy


def free_project(project: Project, root: Path) -> Project:
    return clone(project, root, S3_ENDPOINT=f"http://127.0.0.1:{free_ports()}")


def asked(project: Project, *words: str) -> dict:
    return json.loads(project.run("gaia", "storage", *words, "--json").stdout)


# Start and stop


def test_the_story_from_up_to_down(drafted: Project, tmp_path: Path) -> None:
    project = free_project(drafted, tmp_path / "project")
    try:
        up = asked(project, "up")
        assert (up["server"], up["answers"]) == ("embedded", True)
        assert up == asked(project, "up") == asked(project, "status")  # idempotent: the same process
        for secret in (".env", ".dvc/config.local"):
            assert stat.S_IMODE(project.path(secret).stat().st_mode) == 0o600
        keys = settings.keys(project.root)
        assert len(set(keys)) == 2
        assert all(key not in project.run("gaia", "storage", "status").stdout for key in keys)
        assert project.run("git", "status", "--porcelain").stdout == ""
        project.run("dvc", "push")
        listening = {c for c in connections(up["pid"]) if c != "127.0.0.1"}
        assert not listening, f"it listens on {listening}"
        shutil.rmtree(project.path(".dvc/cache"))
        shutil.rmtree(project.path("data"))
        assert asked(project, "down") == {"stopped": "embedded"}
        assert asked(project, "down") == {"stopped": "none"}
        assert not Path(f"/proc/{up['pid']}").exists()
        assert asked(project, "up")["pid"] != up["pid"]
        assert settings.keys(project.root) == keys
        project.run("dvc", "pull")
        assert project.repro() == set()
    finally:
        project.run("gaia", "storage", "down")
    assert asked(project, "status")["answers"] is False
    ports = embedded._ports(int(up["endpoint"].rpartition(":")[2]))
    assert not [each for each in Path("/tmp").glob("*.sock") if any(f"-{port}.sock" in each.name for port in ports)]


def connections(pid: int) -> set[str]:
    import psutil

    return {c.laddr.ip for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def test_two_that_start_it_at_once_get_one_server(drafted: Project, tmp_path: Path) -> None:
    project = free_project(drafted, tmp_path / "project")
    try:
        found: list[dict] = []
        threads = [threading.Thread(target=lambda: found.append(asked(project, "up"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({one["pid"] for one in found}) == 1
        assert len(found) == 3
    finally:
        project.run("gaia", "storage", "down")


def test_down_ends_no_process_that_is_not_the_server(drafted: Project, tmp_path: Path) -> None:
    project = free_project(drafted, tmp_path / "project")
    settings.make_keys(project.root)
    data = project.path(".storage/data")
    others = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
        for words in (["mini", f"-dir={data}2"], [f"-dir={data}"], ["mini"])
    ]
    try:
        assert asked(project, "down") == {"stopped": "none"}
        assert asked(project, "status")["pid"] is None
        assert [other.poll() for other in others] == [None] * 3
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_busy_port_is_a_sentence_that_names_its_holder(drafted: Project, tmp_path: Path) -> None:
    for offset in (0, 3):
        project = free_project(drafted, tmp_path / f"project {offset}")
        port = int(settings_value(project, "S3_ENDPOINT").rpartition(":")[2]) + offset
        with socket.create_server(("127.0.0.1", port)):
            done = project.run("gaia", "storage", "up", ok=False)
        assert done.returncode == 1
        assert re.fullmatch(
            rf"error: port {port} is busy: \S+ \(pid {os.getpid()}\) holds it; end it, or set S3_ENDPOINT=.*\n",
            done.stdout,
        ), done.stdout
        assert embedded.process(project.root) is None
        assert not project.path(".dvc/config.local").exists()


def test_a_server_with_other_keys_is_not_taken(drafted: Project, store: Store, tmp_path: Path) -> None:
    keys = {"S3_ACCESS_KEY": "other", "S3_SECRET_KEY": "another"}
    project = clone(drafted, tmp_path / "project", S3_ENDPOINT=store.settings.endpoint, **keys)
    done = project.run("gaia", "storage", "up", ok=False)
    assert done.returncode == 1
    assert re.match(r"error: http\S+ doesn't know this access key; check S3_ACCESS_KEY and S3_SECRET_KEY", done.stdout)
    assert not project.path(".dvc/config.local").exists()


def test_a_server_of_somebody_else_is_taken_as_it_is(drafted: Project, store: Store, tmp_path: Path) -> None:
    project = clone(drafted, tmp_path / "project")
    project.environment |= settings.variables(store.settings)
    up = asked(project, "up")
    assert (up["server"], up["answers"], up["pid"]) == ("elsewhere", True, None)
    assert not project.path(".env").read_text()  # what the environment says is not copied
    project.run("dvc", "push")
    assert asked(project, "down") == {"stopped": "none"}
    assert store.client.buckets()
    project.environment |= {"S3_ENDPOINT": "http://192.0.2.1:9", "S3_ACCESS_KEY": ""}
    done = project.run("gaia", "storage", "up", ok=False)
    assert (done.returncode, "S3_ACCESS_KEY is set neither" in done.stdout) == (1, True)


# Settings


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path


def settings_value(project: Project, key: str) -> str:
    return next(line.partition("=")[2] for line in project.path(".env").read_text().splitlines() if key in line)


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".env").write_text(
        "# a remark\n\nexport S3_ACCESS_KEY='from file'\nS3_SECRET_KEY=\"secret\"\n"
        "S3_REGION=eu-west-1\nS3_BUCKET_DATA=\n"
    )
    monkeypatch.setenv("S3_REGION", "eu-central-1")
    monkeypatch.setenv("S3_ENDPOINT", "https://s3.example.org/")
    found = settings.read(here)
    assert (found.access_key, found.secret_key) == ("from file", "secret")
    assert (found.endpoint, found.region) == ("https://s3.example.org", "eu-central-1")
    assert found.buckets == {"models": "models", "plants-images": "plants-images", "data": "data"}
    assert (found.address, found.here) == (("s3.example.org", 443), False)


def test_keys_are_made_once_and_other_lines_stay(here: Path) -> None:
    (here / ".env").write_text("MINE=1\nS3_ACCESS_KEY=\n")
    settings.make_keys(here)
    first = (here / ".env").read_text()
    settings.make_keys(here)
    assert (here / ".env").read_text() == first
    assert first.startswith("MINE=1\nS3_ACCESS_KEY=gaia-")
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o600


def test_no_keys_are_made_for_a_foreign_endpoint(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://s3.example.org")
    settings.make_keys(here)
    assert not (here / ".env").exists()
    with pytest.raises(
        GaiaError, match=r"S3_ACCESS_KEY and S3_SECRET_KEY are set neither in the environment nor in .env"
    ):
        settings.read(here)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("S3_ENDPOINT", "127.0.0.1:9000", "S3_ENDPOINT is '127.0.0.1:9000'; it should be like http://127.0.0.1:9000"),
        ("S3_ENDPOINT", "ftp://x", "S3_ENDPOINT is 'ftp://x'"),
        ("S3_ENDPOINT", "http://x:99999", "S3_ENDPOINT is 'http://x:99999'"),
        ("S3_ENDPOINT", "http://", "S3_ENDPOINT is 'http:'"),
        ("S3_ENDPOINT", "http://x/models", "S3_ENDPOINT is 'http://x/models'"),
        ("S3_BUCKET_DATA", "My_Data", "'My_Data' can't name a bucket"),
        ("S3_BUCKET_DATA", "../x", "'../x' can't name a bucket"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str, said: str
) -> None:
    settings.make_keys(here)
    monkeypatch.setenv(key, value)
    with pytest.raises(GaiaError, match=re.escape(said)):
        settings.read(here)


def test_what_else_a_user_has_in_config_local_stays(small: Project, store: Store) -> None:
    small.run("dvc", "config", "--local", "cache.type", "hardlink")
    small.run("dvc", "remote", "modify", "--local", "models", "jobs", "3")
    remotes.write(store.settings, small.root)
    text = small.path(".dvc/config.local").read_text()
    assert "hardlink" in text
    assert "jobs = 3" in text
    assert stat.S_IMODE(small.path(".dvc/config.local").stat().st_mode) == 0o600
    assert remotes.agree(store.settings, small.root)


def test_the_tracked_configuration_has_three_verified_remotes_and_no_place_or_key() -> None:
    text = (ROOT / ".dvc/config").read_text()
    assert re.findall(r"\['remote \"(.+)\"'\]\n +url = s3://(.+)\n +verify = true", text) == [
        (name, name) for name in ("models", "plants-images", "data")
    ]
    assert not re.search(r"key|endpoint|http", text.replace("Endpoint and keys are this host's", ""))


def test_every_output_that_dvc_keeps_names_a_remote() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    for name, stage in stages.items():
        for output in [o for kind in ("outs", "metrics", "plots") for o in stage.get("do", stage).get(kind, [])]:
            [(path, options)] = output.items()
            assert options.get("cache") is False or options["remote"] in ("models", "${item.bucket}"), (name, path)


# The check

CHECKS = ["reachable", *checks(server_checks), *checks(object_checks)]  # each is run, none twice


def test_verify_is_all_green_after_a_push_and_leaves_nothing(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    small.run("git", "tag", "-a", "plants@v1.0.0", "-m", "first")
    before = {(b, s.key) for b in store.settings.buckets.values() for s in store.client.list_objects(b)}
    found = asked(small, "verify", "--deep")
    assert [check["name"] for check in found] == CHECKS
    assert [check["name"] for check in found if not check["ok"]] == []
    said = {check["name"]: check["said"] for check in found}
    assert "11 that dvc.lock and 1 versions need" in said["objects there"]
    assert "11 of 11 objects were read" in said["hashes"]
    assert {(b, s.key) for b in store.settings.buckets.values() for s in store.client.list_objects(b)} == before


def test_verify_judges_each_version_by_itself_and_so_does_its_deep_look(small: Project, store: Store) -> None:
    """Kind: a path taken for an identity. Versions have other files, of other sizes, under the same paths."""
    for seed, version in ((60, "plants@v1.0.0"), (700, "plants@v1.1.0")):
        small.edit("params.yaml", lambda p, seed=seed: p["lines"]["plants"].update(seed=seed))
        small.repro()
        small.commit(version)
        small.run("git", "tag", "-a", version, "-m", version)
    store.fill(small, "plants@v1.0.0", "plants@v1.1.0")
    for how in ((), ("--deep",)):
        found = {check["name"]: check for check in asked(small, "verify", *how)}
        assert [name for name, check in found.items() if not check["ok"]] == []
        assert "that dvc.lock and 2 versions need are there" in found["objects there"]["said"]


def test_every_public_function_of_the_checks_is_a_check_with_a_name_and_a_reason() -> None:
    """A check that was added can't be forgotten."""
    for module in (server_checks, object_checks):
        public = re.findall(r"^def ([a-z]\w*)", inspect.getsource(module), re.MULTILINE)
        assert [name.replace("_", " ") for name in public] == list(checks(module))
        assert all(check.__doc__ for check in checks(module).values())


def test_verify_finds_what_is_missing_damaged_or_misconfigured(small: Project, store: Store) -> None:
    from test_objects import flip, needed

    store.fill(small, "HEAD")
    small.run("git", "tag", "-a", "plants@v1.0.0", "-m", "first")
    small.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=9))
    small.repro()  # so that one is missing for dvc.lock, and another for the version
    small.run("dvc", "push")
    models = [next(o for o in needed(small, store, r) if o.path.endswith("plants/model.onnx")) for r in ("HEAD", None)]
    flip(store, next(o for o in needed(small, store, "HEAD") if o.path == "data/prepared/cultures/arrays.npy"))
    store.client.delete_objects(models[0].bucket, [model.key for model in models])
    local = small.path(".dvc/config.local")
    local.write_text(local.read_text().replace(store.settings.region, "elsewhere"))
    done = small.run("gaia", "storage", "verify", "--deep", ok=False)
    assert done.returncode == 1
    failed = dict(re.findall(r"^FAILED ([^:]+): (.*)", done.stdout, re.MULTILINE))
    assert set(failed) == {"dvc", "objects there", "hashes"}
    assert all(f"{m.bucket}/{m.key}" in failed["objects there"] for m in models)
    assert "data/prepared/cultures/arrays.npy (damaged" in failed["hashes"]
    assert f"error: 3 of {len(CHECKS)} checks failed: dvc, objects there, hashes." in done.stdout


def test_verify_without_a_server_or_with_wrong_keys_is_one_failed_check(small: Project, store: Store) -> None:
    for variables, said in (
        ({"S3_ENDPOINT": "http://127.0.0.1:9"}, "no server answers at http://127.0.0.1:9"),
        ({"S3_SECRET_KEY": "wrong" * 8}, "doesn't know this secret key"),
    ):
        project = Project(small.root)
        project.environment |= variables
        done = project.run("gaia", "storage", "verify", "--json", ok=False)
        assert done.returncode == 1
        [check] = json.loads(done.stdout.partition("error:")[0])
        assert (check["name"], check["ok"]) == ("reachable", False)
        assert said in check["said"]


# Keys in tracked files


@pytest.mark.parametrize(
    "text",
    [
        "AWS = 'AKIA" + "IOSFODNN7EXAMPLQ'",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        'secret_key = "' + 'a1b2c3d4e5f6a7b8c9d0"',
        "S3_SECRET_KEY=" + "0123456789abcdef0123",
        '"password": "' + 'hunter2hunter2hunter2"',
        "S3_ACCESS_KEY: {key}",
    ],
)
def test_a_key_in_a_tracked_file_fails_the_check_without_being_shown(
    drafted: Project, tmp_path: Path, text: str
) -> None:
    project = clone(drafted, tmp_path / "project")
    settings.make_keys(project.root)
    text = text.replace("{key}", settings.keys(project.root)[0])
    check = [sys.executable, "-m", "gaia.storage.leaks"]
    assert project.run(*check).stdout == ""
    project.path("notes.txt").write_text(f"first line\n{text}\n")
    assert project.run(*check).returncode == 0  # not tracked
    project.run("git", "add", "notes.txt")
    done = project.run(*check, ok=False)
    assert done.returncode == 1
    assert done.stdout.startswith("error: notes.txt:2 holds ")
    assert text not in done.stdout


def test_no_file_of_this_repository_holds_a_key() -> None:
    subprocess.run([sys.executable, "-m", "gaia.storage.leaks"], cwd=ROOT, check=True, env=Project(ROOT).environment)
