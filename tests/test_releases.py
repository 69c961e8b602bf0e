"""`releases/<line>/<version>/`: each version under its own names, as its tag says, fetched with GetObject alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gaia
from conftest import Project, Store, free_ports, until
from gaia.deployments import cleanup
from gaia.errors import GaiaError
from gaia.paths import BUCKETS
from gaia.registry import tags
from gaia.storage import models, objects, releases
from gaia.storage.errors import Corrupted, Missing, Refused
from gaia.storage.s3.client import S3Client, answers
from gaia.storage.s3.settings import Settings
from gaia.versions import folder, record, release, withdraw
from gaia.versions.audit import Audit, audit
from gaia.versions.fetch import fetch

V0, V1, V2 = (f"spores@v1.{minor}.0" for minor in range(3))
FILES = {"card.md", "contract.json", "golden.json", "manifest.json", "model.cbm"}


@pytest.fixture
def world(released: Project, store: Store) -> Project:
    """Five versions, all stored, of which one of spores has its folder."""
    store.connect(released)
    store.fill(released, V0, V1, V2, "cultures@v1.0.0", "cultures@v1.1.0")
    folder.completed(V1, released.root)
    return released


def bucket(store: Store) -> str:
    return store.settings.buckets["models"]


def listed(store: Store, below: str = "") -> dict[str, str]:
    return {each.key: each.modified for each in store.client.list_objects(bucket(store), f"releases/{below}")}


def wrong(found: list[Audit]) -> dict[str, str]:
    return {each.version: each.folder for each in found if each.folder}


def content(store: Store, key: str) -> bytes:
    pieces: list[bytes] = []
    store.client.read(bucket(store), key, pieces.append)
    return b"".join(pieces)


def put(store: Store, tmp_path: Path, key: str, content: bytes, metadata: dict[str, str] | None = None) -> None:
    (tmp_path / "put").write_bytes(content)
    store.client.upload_file(tmp_path / "put", bucket(store), key, metadata=metadata)


def test_a_folder_holds_the_version_by_its_names_and_says_whose_it_is(world: Project, store: Store) -> None:
    before = listed(store)
    assert set(before) == {f"releases/spores/v1.1.0/{name}" for name in FILES}
    tag = tags.find(V1, world.root)
    commit = tag.commit
    for entry in json.loads(content(store, "releases/spores/v1.1.0/manifest.json"))["files"]:
        said = store.client.get_object_metadata(bucket(store), f"releases/spores/v1.1.0/{entry['name']}")["metadata"]
        asked = {key: entry[key] for key in ("sha256", "md5")}
        assert said == {"line": "spores", "version": "v1.1.0", "commit": commit, **asked}
    card = content(store, "releases/spores/v1.1.0/card.md").decode()
    assert "# spores@v1.1.0" in card and "Live" not in card
    assert folder.completed(V1, world.root) == f"{bucket(store)}/releases/spores/v1.1.0"
    assert listed(store) == before, "once more, nothing is copied"


def test_versions_of_before_get_their_folders_by_one_command(world: Project, store: Store) -> None:
    done = world.run("gaia", "audit")
    assert done.stdout.count("; its folder in releases/: missing") == 4
    world.run("bash", "-ec", done.stdout.strip().splitlines()[-1].split("`")[1])
    assert len(listed(store)) == 5 * len(FILES)


def test_what_needs_no_more_objects_leaves_the_folders(world: Project, store: Store) -> None:
    """`gaia cleanup --remote` is `dvc gc --cloud`: it takes the objects of a version whose tag is gone, no folder."""
    before, objects = listed(store), {each.key for each in store.client.list_objects(bucket(store), "files/")}
    world.run("git", "tag", "-d", V1, "cultures@v1.1.0")  # of one commit
    assert cleanup.unused(remove=True, root=world.root)
    assert objects > {each.key for each in store.client.list_objects(bucket(store), "files/")}
    assert listed(store) == before
    assert wrong(audit(world.root))[V1] == "no tag names it"
    assert (
        "1 folders of releases/ are not what the tags say: spores@v1.1.0" in world.run("gaia", "audit", ok=False).stdout
    )
    assert V1 not in wrong(audit(world.root, mend=True))
    assert listed(store, "spores/v1.1.0") == {}


def test_a_folder_of_a_commit_that_this_clone_does_not_have_stays(world: Project, store: Store, tmp_path: Path) -> None:
    put(store, tmp_path, "releases/spores/v7.0.0/model.cbm", b"x", {"commit": "1" * 40})
    put(store, tmp_path, "releases/read me.txt", b"of a person, and none of ours")
    assert "that this clone hasn't: it stays" in wrong(audit(world.root, mend=True))["spores@v7.0.0"]
    assert {"releases/spores/v7.0.0/model.cbm", "releases/read me.txt"} < set(listed(store))


def test_a_folder_that_is_not_the_version_is_named_and_made_anew(world: Project, store: Store, tmp_path: Path) -> None:
    at, tag = "releases/spores/v1.1.0/", tags.find(V1, world.root)
    needed = objects.of_revision(V1, ["data/models/spores"], client=store.client, root=world.root)
    own, sizes = releases.of(tag.name, tag.commit, needed), objects.sizes(needed, store.client)

    def fault() -> str:
        return releases.fault(own, releases.listed(store.client).get(tag.name, {}), sizes, store.client, deep=True)

    harms: dict[str, Callable[[], object]] = {
        "missing": lambda: releases.remove(tag.name, store.client),
        "lacks card.md": lambda: store.client.delete_object(bucket(store), f"{at}card.md"),
        "lacks manifest.json": lambda: store.client.delete_object(bucket(store), f"{at}manifest.json"),
        "holds model.onnx, which is no file of the version": lambda: put(store, tmp_path, f"{at}model.onnx", b""),
        "has model.cbm in another size": lambda: put(store, tmp_path, f"{at}model.cbm", b"x"),
        "has model.cbm damaged": lambda: flip(store, f"{at}model.cbm", tmp_path),
        "is of another commit (22222222)": lambda: put(
            store, tmp_path, f"{at}manifest.json", content(store, f"{at}manifest.json"), {"commit": "2" * 40}
        ),
    }
    for found, harm in harms.items():
        assert fault() == ""
        harm()
        assert fault() == found
        folder.make(record.of(V1, world.root), own, store.client)
    flip(store, f"{at}model.cbm", tmp_path)
    assert audit(world.root, deep=True)[3].folder == "has model.cbm damaged"
    assert audit(world.root, deep=True, mend=True)[3].folder == ""


def flip(store: Store, key: str, tmp_path: Path) -> None:
    said = store.client.get_object_metadata(bucket(store), key)["metadata"]
    put(store, tmp_path, key, bytes([content(store, key)[0] ^ 1]) + content(store, key)[1:], said)


def test_a_host_without_git_fetches_and_predicts(world: Project, tmp_path: Path) -> None:
    host = Project(tmp_path / "host")
    host.root.mkdir()
    assert "; set S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY" in host.run("gaia", "fetch", V1, "it", ok=False).stdout
    shutil.copy(world.path(".env"), host.path(".env"))
    (tmp_path / "bin").mkdir()
    for name in ("gaia", "python"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name, path=host.environment["PATH"])))
    host.environment["PATH"] = str(tmp_path / "bin")  # no git
    assert "spores@v1.1.0 is in it: 4 files, " in host.run("gaia", "fetch", V1, "it").stdout
    answer = json.loads(host.run("gaia", "predict", "it", "species=oyster", "days=29", "--json").stdout)
    assert answer[0]["answer"] == "contaminated"
    again = json.loads(host.run("gaia", "fetch", V1, "it", "--json").stdout)
    assert (again["new"], again["commit"]) == (False, tags.find(V1, world.root).commit)
    host.path("it/model.cbm").write_bytes(b"x")
    assert (
        "model.cbm is not the file that manifest.json names; remove it, and fetch it again"
        in host.run("gaia", "fetch", V1, "it", ok=False).stdout
    )


def test_what_is_fetched_is_whole_or_not_there(world: Project, store: Store, tmp_path: Path) -> None:
    at, copies = "releases/spores/v1.1.0/", "releases/spores/v1.2.0/"
    folder.completed(V2, world.root)
    manifest, said = f"{at}manifest.json", store.client.get_object_metadata(bucket(store), f"{at}manifest.json")
    outside = content(store, manifest).replace(b'"model.cbm"', b'"../model.cbm"')
    sha256 = {"sha256": hashlib.sha256(outside).hexdigest()}
    harms: dict[str, Callable[[], object]] = {  # each on top of the last
        "there is no .*/model.cbm at": lambda: store.client.delete_object(bucket(store), f"{at}model.cbm"),
        "model.cbm at .* is damaged; `gaia audit --deep --mend`": lambda: put(store, tmp_path, f"{at}model.cbm", b"x"),
        r"manifest.json names '\.\./model.cbm', which is no file of a folder": lambda: put(
            store, tmp_path, manifest, outside, said["metadata"] | sha256
        ),
        "manifest.json at .* has not the sha256": lambda: flip(store, manifest, tmp_path),
        "manifest.json at .* is that of spores@v1.2.0": lambda: [
            store.client.copy_object(bucket(store), copies + name, bucket(store), at + name) for name in FILES
        ],
        r"there is no .*/spores/v1.1.0/manifest.json at .*; if there is such a version, `gaia audit --mend`": lambda: (
            releases.remove(tags.version(V1), store.client)
        ),
    }
    for found, harm in harms.items():
        harm()
        with pytest.raises((Missing, Corrupted), match=found):
            fetch(V1, tmp_path / "host/it", world.root)
        assert not list(tmp_path.glob("host/*")), found
    with pytest.raises(GaiaError, match="exists already, and is not spores@v1.2.0; name a folder that doesn't"):
        fetch(V2, tmp_path, world.root)


@pytest.fixture
def minio(tmp_path: Path) -> Iterator[S3Client]:
    """A MinIO of the test's own, with a user `host-1` who may do no more than read what lies below releases/spores."""
    server, mc = shutil.which("minio"), shutil.which("mc")
    if not (server and mc):
        pytest.skip("there is no `minio`, or no `mc`, on PATH")
    port, keys = free_ports(), {"MINIO_ROOT_USER": "of-the-test", "MINIO_ROOT_PASSWORD": "of-the-test"}
    asked = [server, "server", tmp_path / "minio", "--address", f"127.0.0.1:{port}", "--quiet"]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(asked, env={**os.environ, **keys}, stdout=log, stderr=log)
    try:
        at = Settings(f"http://127.0.0.1:{port}", "us-east-1", {name: name for name in BUCKETS}, *keys.values())
        until(lambda: answers(at), "MinIO")
        client = S3Client(at)
        client.create_bucket("models")
        allowed = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::models/releases/spores/*"]}
        (tmp_path / "policy").write_text(json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
        variables = {"MC_HOST_it": f"http://of-the-test:of-the-test@127.0.0.1:{port}", "MC_CONFIG_DIR": tmp_path / "mc"}
        for words in (
            ("policy", "create", "it", "reads", tmp_path / "policy"),
            ("user", "add", "it", "host-1", "secret-of-host-1"),
            ("policy", "attach", "it", "reads", "--user", "host-1"),
        ):
            subprocess.run([mc, "admin", *words], env={**os.environ, **variables}, check=True, capture_output=True)
        yield client
    finally:
        running.kill()
        running.wait()


def test_a_key_that_may_get_objects_alone_is_enough(
    world: Project, store: Store, minio: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in listed(store):
        (tmp_path / "put").write_bytes(content(store, key))
        said = store.client.get_object_metadata(bucket(store), key)["metadata"]
        minio.upload_file(tmp_path / "put", "models", key, metadata=said)
    (tmp_path / "host").mkdir()
    (tmp_path / "host/.env").write_text(
        f"S3_ENDPOINT={minio.endpoint}\nS3_ACCESS_KEY=host-1\nS3_SECRET_KEY=secret-of-host-1\n"
    )
    monkeypatch.chdir(tmp_path / "host")
    assert fetch(V1, Path("it"))["files"] == 4
    with pytest.raises(Refused, match=r"models/releases/cult.* is not at .*, or these keys may not read it"):
        fetch("cultures@v1.1.0", Path("other"))
    with pytest.raises(Refused):
        releases.listed(S3Client())


def test_a_link_leads_into_the_folder_and_to_the_object_where_there_is_none(world: Project, store: Store) -> None:
    for version, place in ((V1, "/releases/spores/v1.1.0/model.cbm?"), (V0, "/files/md5/")):
        link = models.url(version, root=world.root)
        assert place in link
        with urllib.request.urlopen(link) as answer:
            assert (len(answer.read()) > 1000, "model.cbm" in answer.headers["Content-Disposition"]) == (True, True)
    assert "/v1.1.0/card.md?" in models.url(V1, "card.md", root=world.root)
    with pytest.raises(GaiaError, match="v1.0.0 has no card.md in the storage; `gaia audit --mend` makes it"):
        models.url(V0, "card.md", root=world.root)
    at = "releases/spores/v1.0.0/model.cbm"
    store.client.copy_object(bucket(store), "releases/spores/v1.1.0/model.cbm", bucket(store), at)
    assert "/files/md5/" in models.url(V0, root=world.root), "it is another version's"


def test_a_withdrawn_version_keeps_its_folder_unless_that_is_asked(world: Project, store: Store) -> None:
    before = listed(store)
    plan = withdraw.withdraw(V1, "wrong labels", world.root)
    assert (withdraw.carry_out(plan, world.root)["removed"], listed(store)) == (False, before)
    asked = ("gaia", "withdraw", V1, "--reason", "x", "--remove")
    assert "nobody can be asked, so nothing was changed" in world.run(*asked, ok=False).stdout
    assert "its folder in the storage is removed" in world.run(*asked, "--yes").stdout
    assert "its folder in the storage was not there" in world.run(*asked, "--yes").stdout
    assert listed(store) == {}
    assert V1 not in wrong(audit(world.root, mend=True))
    assert listed(store, "spores/v1.1.0") == {}


def test_a_deleted_version_s_folder_goes_with_it(world: Project, store: Store) -> None:
    storage = gaia.ModelStorage(world.root)
    plan = storage.delete_model_version(V1)
    assert plan["folder"] == f"{bucket(store)}/releases/spores/v1.1.0"
    assert storage.delete_model_version(V0)["folder"] is None
    assert listed(store)
    storage.delete_model_version(V1, confirm=plan["confirm"])
    assert listed(store) == {}


def test_a_version_is_made_where_its_folder_can_not_be(
    world: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S3_BUCKET_MODELS", "gaia-test-of-nobody")
    assert release._folder(tags.find(V2, world.root).name, world.root) is None
    assert "spores@v1.2.0 is a version, and has no folder in the storage: there is no bucket" in capsys.readouterr().err
