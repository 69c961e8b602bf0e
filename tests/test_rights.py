"""Keys that may do little: who has which rights, what each verb needs; and what buckets keep of what was deleted."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ROOT, Project, Store, until
from gaia.deployments import servers
from gaia.errors import GaiaError
from gaia.status import status
from gaia.storage import cache, remotes
from gaia.storage.checks.verify import Check, verify
from gaia.storage.errors import NotAllowed, Unreachable, Unreadable
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.settings import Settings
from gaia.storage.servers import buckets, server, users
from released import clone, share
from served import set_serving
from servers import Foreign, as_aws, binary
from test_hosts import objects_of

WRITES = {"round trip", "speed", "listing", "latency", "links", "anonymous"}


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """A MinIO with the buckets and the three users."""
    binary("mc")
    running = Foreign(tmp_path_factory.mktemp("minio"))
    try:
        server.up(running.root, roles=True)
        yield running
    finally:
        running.end()


@pytest.fixture
def mine(drafted: Project, minio: Foreign, tmp_path: Path) -> Project:
    """A small project whose objects the MinIO has."""
    shutil.copytree(drafted.root, tmp_path / "mine", symlinks=True)
    project = minio.connect(Project(tmp_path / "mine"))
    for bucket in minio.settings.buckets.values():
        buckets.erase(minio.client, bucket, "")
    minio.fill(project, "HEAD")
    return project


def become(project: Project, minio: Foreign, role: str) -> Settings:
    """Let a project have the keys of a role, as whoever gets the file does."""
    shutil.copy(minio.root / f".env.{role}", project.path(".env"))
    assert json.loads(project.run("gaia", "storage", "up", "--json").stdout)["server"] == "elsewhere"
    return settings.read(project.root)


def left(store: Store) -> list[str]:
    """All that the checks have written and is there in any form."""
    found = []
    for bucket in store.settings.buckets.values():
        for page in buckets._pages(store.client, bucket, "gaia-verify/"):
            found += [entry["Key"] for kind in ("Versions", "DeleteMarkers") for entry in page.get(kind, ())]
        found += store.client.ask(bucket, "list_multipart_uploads").get("Uploads", [])
    return found


def states(found: Iterator[Check]) -> dict[str, set[str]]:
    by_state: dict[str, set[str]] = {"ok": set(), "failed": set(), "skipped": set()}
    for check in found:
        by_state[check.state].add(check.name)
    return by_state


# Users


def test_users_are_made_once_and_their_keys_are_shown_to_nobody(minio: Foreign, tmp_path: Path) -> None:
    files = [minio.root / f".env.{role}" for role in users.ROLES]
    before = [file.read_text() for file in files]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
    for name in ("dvc.yaml", "params.yaml"):
        (minio.root / name).touch()
    done = Project(minio.root).run("gaia", "storage", "up", "--users")
    assert [file.read_text() for file in files] == before
    keys = {line.partition("=")[2] for text in before for line in text.splitlines() if "_KEY=" in line}
    assert len(keys) == 6
    assert not [key for key in keys if key in done.stdout]
    assert "keys to hand over" in done.stdout
    assert subprocess.run(["git", "check-ignore", "--quiet", ".env.host"], cwd=ROOT).returncode == 0


def test_a_policy_names_the_buckets_and_nothing_else_changes(minio: Foreign) -> None:
    """What MinIO has is the file, with the names put in."""
    mc = {"MC_CONFIG_DIR": str(minio.root / "mc")}
    at = minio.settings
    run = Project(minio.root)
    run.environment |= mc
    run.run("mc", "alias", "set", "store", at.endpoint, at.access_key, at.secret_key)
    for role in users.ROLES:
        wanted = (ROOT / f"conf/storage/{role}.json").read_text()
        for name, value in settings.variables(at).items():
            wanted = wanted.replace(f"${{{name}}}", value)
        said = run.run("mc", "--json", "admin", "policy", "info", "store", f"gaia-{at.buckets['models']}-{role}").stdout
        made = json.loads(said)["policyInfo"]["Policy"]
        assert sorted(map(_sorted, made["Statement"])) == sorted(map(_sorted, json.loads(wanted)["Statement"]))


def _sorted(statement: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    return sorted([statement["Effect"], *statement["Action"]]), sorted(statement["Resource"])


def test_where_no_users_can_be_made_a_sentence_says_what_to_do(
    minio: Foreign, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "conf/storage", tmp_path / "conf/storage")
    with pytest.raises(GaiaError, match=r"makes no users by conf/storage/users.sh: .*; that is for MinIO"):
        users.make(store.settings, tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GaiaError, match="there is no `mc` of MinIO on PATH"):
        users.make(minio.settings, tmp_path)


# What each role may


def test_the_writer_pushes_and_verifies_and_leaves_nothing(mine: Project, minio: Foreign) -> None:
    at = become(mine, minio, "writer")
    minio.empty()
    mine.run("dvc", "push")
    found = states(verify(mine.root, deep=True))
    assert found["failed"] == found["skipped"] == set()
    assert left(minio) == []
    with pytest.raises(NotAllowed):
        S3Client(at).ask("gaia-other", "create_bucket")


def test_the_reader_is_told_what_was_skipped(mine: Project, minio: Foreign) -> None:
    at = become(mine, minio, "reader")
    found = states(verify(mine.root, deep=True))
    assert (found["failed"], found["skipped"]) == (set(), WRITES)
    done = json.loads(mine.run("gaia", "storage", "verify", "--json").stdout)
    skipped = {check["name"]: check for check in done if check["state"] == "skipped"}
    assert set(skipped) == WRITES
    assert all(check["said"] == "these keys may not write" and check["ok"] for check in skipped.values())
    assert left(minio) == []
    with pytest.raises(NotAllowed, match=r"these keys may not write \S+/x at http\S+; check S3_ACCESS_KEY and "):
        S3Client(at).upload_file(mine.path("dvc.lock"), at.buckets["models"], "x")
    assert not S3Client(at).object_exists(at.buckets["models"], "missing")


def test_the_host_judges_by_each_object_and_names_what_is_missing_or_refused(mine: Project, minio: Foreign) -> None:
    become(mine, minio, "host")
    with as_aws(minio) as endpoint:
        mine.path(".env").write_text(mine.path(".env").read_text().replace(minio.settings.endpoint, endpoint))
        at = settings.read(mine.root)
        remotes.write(at, mine.root)
        found = states(verify(mine.root, deep=True))
        assert (found["failed"], found["skipped"]) == (set(), {*WRITES, "buckets", "refused or missing"})
        assert [check.mend for check in status(mine.root) if check.part == "storage"] == [""]
        models = at.buckets["models"]
        with pytest.raises(Unreadable, match=rf"{models}/gone is not at http\S+, or these keys may not read it"):
            S3Client(at).object_exists(models, "gone")
        minio.client.delete_objects(models, [next(minio.client.list_objects(models)).key])
        found = states(verify(mine.root))
        assert found["failed"] == {"objects there"}
        assert [check.part for check in status(mine.root) if check.mend] == ["storage"]
        assert server.status(mine.root)["answers"] is True


def test_a_host_with_keys_to_read_serves_predicts_syncs_and_rolls_back(
    released: Project, minio: Foreign, tmp_path: Path
) -> None:
    minio.connect(released)
    minio.fill(released, *(f"spores@v1.{minor}.0" for minor in range(3)))
    share(released)
    for version in ("v1.0.0", "v1.1.0"):
        released.run("gaia", "deploy", f"spores@{version}", "--yes")
    host = clone(released, tmp_path / "host")
    become(host, minio, "host")
    shutil.copytree(ROOT / "conf/serving", host.path("conf/serving"))
    set_serving(host.root, lambda said: said.update(inspect=None, follow=1))
    serving = subprocess.Popen(
        ["gaia", "serve", "--port", "0", "--follow"], cwd=host.root, env=host.environment, stderr=subprocess.DEVNULL
    )
    try:
        until(
            lambda: any("spores@v1.1.0 in prod" in each.answers for each in servers.running(host.root)), "it to serve"
        )
    finally:
        serving.terminate()
        serving.wait(20)
    folder = host.path("deployments/spores/current")
    assert folder.resolve().name.startswith("v1.1.0")
    (tmp_path / "new.csv").write_text("species,days\noyster,30\n")
    for how in (("--stage", "prod"), ("--version", "v1.2.0")):  # what is here, and what the storage has
        assert '"answer"' in host.run("gaia", "predict", "spores", *how, str(tmp_path / "new.csv"), "--json").stdout
    for verb in (
        ("storage", "ls", "spores"),
        ("storage", "url", "spores@v1.1.0"),
        ("pull", "spores@v1.2.0"),
        ("sync",),
    ):
        host.run("gaia", *verb)
    host.run("gaia", "rollback", "spores", "--reason", "a test", "--yes")
    assert folder.resolve().name.startswith("v1.0.0")
    said = json.loads(host.run("gaia", "status", "--json", ok=False).stdout.partition("error:")[0])
    assert {check["part"] for check in said if check["mend"]} <= {"git", "lock", "cache"}  # it has no data: who serves


# Buckets that keep old versions


@pytest.mark.parametrize("kind", ["embedded", "minio", "versitygw"])
def test_a_bucket_is_made_to_keep_old_versions_for_a_while_where_the_server_can_end_them(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "conf/storage", tmp_path / "conf/storage")
    store = Store(tmp_path) if kind == "embedded" else Foreign(tmp_path, kind)
    try:
        bucket = store.settings.buckets["models"]
        assert buckets.days(store.client, bucket) == (0 if kind == "versitygw" else 30)
        said = capfd.readouterr().err
        assert (f"{bucket} keeps no old versions: " in said) is (kind == "versitygw")
        store.client.ask(bucket, "put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}})
        checks = [check for check in verify(tmp_path) if check.name in {*WRITES, "reachable"}]
        assert {check.state for check in checks} == {"ok"}, checks
        assert left(store) == []

        key = "files/md5/ab/cd"
        for content in (b"first", b"second"):
            (tmp_path / "file").write_bytes(content)
            store.client.upload_file(tmp_path / "file", bucket, key)
        store.client.upload_file(tmp_path / "file", bucket, "others/key")
        store.client.delete_objects(bucket, [key, "others/key", "files/md5/never/there"])
        assert buckets.restore(store.client, bucket) == 1
        assert [found.key for found in store.client.list_objects(bucket)] == [key]
        assert store.client.get_object_metadata(bucket, key)["size"] == len(b"second")
        assert buckets.restore(store.client, bucket) == 0
    finally:
        store.end()


def test_cleanup_says_what_is_not_freed_yet_and_what_undoes_it(mine: Project, minio: Foreign) -> None:
    """The writer may delete, and what was deleted comes back by the keys of who may end old versions."""
    become(mine, minio, "writer")
    mine.run("git", "tag", "-a", "plants@v1.0.0", "-m", "first")
    mine.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=9))
    mine.repro()
    mine.run("dvc", "push")
    before = objects_of(minio)
    mine.run("git", "reset", "--quiet", "--hard")
    said = mine.run("gaia", "cleanup", "plants", "--remote", "--yes").stdout
    models = minio.settings.buckets["models"]
    kept = f"{models} keeps what is deleted for 30 days: no space is free before, and `gaia storage restore` undoes it"
    assert kept in said, said
    gone = before - objects_of(minio)
    assert len(gone) > 2
    refused = mine.run("gaia", "storage", "restore", ok=False)
    assert refused.returncode == 1
    assert "error: these keys may not delete versions of " in refused.stdout
    minio.connect(mine)
    done = json.loads(mine.run("gaia", "storage", "restore", "--json").stdout)
    assert sum(done["restored"].values()) == len(gone)
    assert objects_of(minio) == before


def test_a_bucket_that_was_there_stays_as_its_owner_made_it(minio: Foreign, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf/storage", tmp_path / "conf/storage")
    theirs = replace(minio.settings, buckets=dict.fromkeys(minio.settings.buckets, "theirs"))
    client = S3Client(theirs)
    client.create_bucket("theirs")
    assert buckets.prepare(client, tmp_path) == []
    assert buckets.days(client, "theirs") == 0
    assert buckets.prepare(client, tmp_path, ours=True) == []
    assert buckets.days(client, "theirs") == 30


def test_a_bucket_under_object_lock_is_not_written_to(minio: Foreign, tmp_path: Path) -> None:
    """What is written there could not be deleted, not even by root."""
    locked = replace(minio.settings, buckets=dict.fromkeys(minio.settings.buckets, "locked"))
    client = S3Client(locked)
    client.ask("locked", "create_bucket", {"ObjectLockEnabledForBucket": True})
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    held = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.ask("locked", "put_object_lock_configuration", {"ObjectLockConfiguration": held})
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.variables(locked).items()))
    found = {check.name: check for check in verify(tmp_path)}
    assert {name for name, check in found.items() if check.state == "skipped"} >= WRITES
    assert "object lock" in found["listing"].said
    assert list(client.list_objects("locked")) == []


# The check


def test_each_cause_is_named_once(mine: Project, minio: Foreign) -> None:
    """Kind: the first cause that comes to mind. A missing bucket made every check fail, each in its own words."""
    remotes.write(minio.settings, mine.root)
    gone = replace(minio.settings, buckets=minio.settings.buckets | {"models": "gaia-test-no-such"})
    lines = [f"{name}={value}\n" for name, value in settings.variables(gone).items()]
    mine.path(".env").write_text("".join(lines))
    remotes.write(gone, mine.root)
    found = list(verify(mine.root))
    assert [check.name for check in found if check.state == "failed"] == ["buckets"]
    assert {check.said for check in found if check.state == "skipped"} == {"for what buckets found"}


def test_what_is_missing_is_named_once_with_its_version_and_a_cure_that_cures(mine: Project, minio: Foreign) -> None:
    mine.run("git", "tag", "-a", "plants@v1.0.0", "-m", "first")
    mine.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=9))
    mine.repro()
    mine.commit("another seed")
    mine.run("git", "tag", "-a", "plants@v1.1.0", "-m", "second")
    minio.empty()
    failed = {check.name: check.said for check in verify(mine.root, deep=True) if check.state == "failed"}
    assert set(failed) == {"objects there"}
    assert failed["objects there"].endswith("`gaia push --all` stores it, in a clone that has it in its cache.")
    minio.fill(mine, "plants@v1.1.0")
    [said] = [check.said for check in verify(mine.root) if check.state == "failed"]
    assert " of plants@v1.0.0 (missing, " in said
    assert "delete" not in said
    mine.run("gaia", "push", "--all")
    assert states(verify(mine.root, deep=True))["failed"] == set()

    harmed = mine.path(".dvc/cache", cache.key(re.search(r"files/md5/(..)/(\S+)\)", said).expand(r"\1\2")))
    content = harmed.read_bytes()
    harmed.chmod(0o644)
    harmed.write_bytes(b"x" + content[1:])
    [said] = [check.said for check in verify(mine.root, deep=True) if check.state == "failed"]
    assert said.endswith(f"; delete it from {mine.path('.dvc/cache')}, and `gaia pull --all` brings it whole.")
    harmed.unlink()
    mine.run("gaia", "pull", "--all")
    assert harmed.read_bytes() == content
    assert states(verify(mine.root, deep=True))["failed"] == set()


def test_a_server_that_is_gone_is_not_reached(minio: Foreign) -> None:
    with pytest.raises(Unreachable):
        S3Client(replace(minio.settings, endpoint="http://127.0.0.1:9"), attempts=1).may_list()
