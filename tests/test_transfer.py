"""`gaia pull` and `gaia push` leave everything as DVC would, and believe nothing that they haven't hashed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Project, Store, until
from gaia.errors import GaiaError
from gaia.storage import cache, checkout, needed, objects, transfer
from gaia.storage.objects import Object
from gaia.storage.pull import pull
from gaia.storage.push import push
from gaia.storage.s3 import multipart, streams
from gaia.storage.s3.wire import Wire


def asked_of_dvc(project: Project, revision: str | None) -> list[tuple]:
    """What DVC itself says that it keeps and would push."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo, repo.switch(revision or "workspace"):
        outs = [o for o in repo.index.outs if o.use_cache and o.can_push and o.hash_info]
        return sorted(
            (os.path.relpath(o.fspath, repo.root_dir), o.hash_info.value, o.meta.size, o.remote or "")
            for o in outs
            if o.hash_info.name == "md5"
        )


ODD = """
vars:
  - more.json
  - flag: true
stages:
  plain:
    cmd: mkdir -p ${name} && echo 1 > ${name}/a && echo 2 > loose && echo 3 > told && echo 4 > alone && echo 5 > drawn
    outs:
      - ${name}
      - loose: {cache: false}
      - told: {push: false}
      - alone: {remote: data, persist: true}
    plots:
      - drawn: {remote: '${where}'}
  many:
    matrix: {letter: [a, b], number: [1, 2]}
    cmd: echo ${item.letter}${item.number} > ${key}
    outs: ['${key}']
  within:
    wdir: deeper
    cmd: echo within > file
    outs: [file]
"""


def test_what_a_revision_needs_is_read_as_dvc_reads_it(small: Project) -> None:
    small.path("dvc.yaml").write_text(ODD)
    small.path("more.json").write_text(json.dumps({"name": "folder", "where": "models"}))
    for folder in ("deeper", "sub/below", "__pycache__"):
        small.path(folder).mkdir(parents=True)
    small.path("sub/dvc.yaml").write_text("stages: {one: {cmd: echo 6 > six, outs: [six: {remote: data}]}}")
    small.repro()
    small.run("dvc", "repro", "sub/dvc.yaml")
    for path in ("sub/below/added.bin", "added with space.txt"):
        small.path(path).write_text(path)
        small.run("dvc", "add", path)
    small.run("dvc", "remote", "modify", "models", "verify", "true")
    small.commit("odd")
    for revision in (None, "HEAD", "HEAD~1"):
        for _ in "asked", "remembered":
            assert [tuple(o) for o in needed.outputs(revision, small.root)] == asked_of_dvc(small, revision)
    assert {o.remote for o in needed.outputs(None, small.root)} == {"", "data", "models"}
    small.path("more.json").write_text(json.dumps({"name": "folder", "where": "data"}))  # that `vars` alone names
    assert [tuple(o) for o in needed.outputs(None, small.root)] == asked_of_dvc(small, None)


def test_a_pipeline_that_is_none_is_a_sentence(small: Project) -> None:
    for text in ("stages: [", "stages: {a: 7}", "stages: {a: {foreach: '${none}', do: {cmd: x}}}", "- a list"):
        small.path("dvc.yaml").write_text(text)
        with pytest.raises(GaiaError, match=r"dvc\.yaml"):
            needed.outputs(None, small.root)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file's rights and content."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for path in found
    }


def forget(project: Project) -> None:
    shutil.rmtree(project.path(".dvc/cache"))
    shutil.rmtree(project.path("data"))


@pytest.mark.parametrize("links", ["", "copy", "hardlink", "symlink"])
def test_cache_workspace_and_notes_are_as_dvc_leaves_them(
    small: Project, store: Store, links: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fill(small, "HEAD")
    if links:
        small.run("dvc", "config", "--local", "cache.type", links)
    forget(small)
    small.run("dvc", "pull")
    theirs = tree(small.path(".dvc/cache/files")), tree(small.path("data"))
    forget(small)
    said = small.run("gaia", "pull").stdout
    assert said.endswith("11 objects came, 4 outputs were placed\n")
    assert (tree(small.path(".dvc/cache/files")), tree(small.path("data"))) == theirs
    assert small.path("data/models/plants/model.onnx").is_symlink() is (links == "symlink")
    from dvc.repo import Repo
    from dvc_data.hashfile import hash as by_dvc

    hashed: list[str] = []
    really = by_dvc._hash_file
    monkeypatch.setattr(by_dvc, "_hash_file", lambda path, *a, **k: (hashed.append(path), really(path, *a, **k))[1])

    with Repo(str(small.root)) as repo:
        assert repo.status() == {}
    assert not [path for path in hashed if "/data/" in path]  # DVC had nothing to hash again
    assert small.run("gaia", "pull").stdout == "all is here already\n"


def test_a_line_a_path_and_a_version_are_what_they_say(small: Project, store: Store) -> None:
    small.run("git", "tag", "-a", "-m", "{}", "plants@v1.0.0")
    small.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=7))
    small.repro()
    small.commit("another seed")
    store.fill(small, "HEAD", "HEAD~1")
    forget(small)
    asked = lambda *words: json.loads(small.run("gaia", "pull", *words, "--json").stdout)  # noqa: E731
    assert asked("plants")["placed"] == ["data/models/plants", "data/prepared/plants"]
    assert asked("data/models/") == {"objects": 2, "placed": ["data/models/cultures"]}  # the contracts are the same
    assert not small.path("data/prepared/cultures").exists()
    before = tree(small.path("data"))
    version = asked("plants@v1.0.0")
    assert (version["placed"], tree(small.path("data"))) == ([], before)
    assert asked()["placed"] == ["data/prepared/cultures"]
    small.run("git", "checkout", "--quiet", "HEAD~1")
    store.empty()
    assert asked()["placed"] == ["data/models/plants", "data/prepared/plants"]  # from the cache
    assert small.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    done = small.run("gaia", "pull", "plant", ok=False)
    assert done.stdout.startswith("error: 'plant' is neither a line nor a path") and "plants" in done.stdout


def test_nothing_is_pulled_over_what_is_kept_nowhere(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    model = small.path("data/models/plants/model.onnx")
    model.unlink()
    model.write_bytes(b"mine")
    shutil.rmtree(small.path("data/prepared"))
    done = small.run("gaia", "pull", ok=False)
    assert done.returncode == 1 and "data/models/plants/model.onnx lies here as nothing keeps it" in done.stdout
    assert model.read_bytes() == b"mine" and small.path("data/prepared/cultures").is_dir()
    small.run("gaia", "pull", "--force")
    assert model.stat().st_size == 100_000


def test_what_another_commit_had_placed_goes_with_it(small: Project, store: Store) -> None:
    small.edit("params.yaml", lambda p: p["lines"].update(bags={"bucket": "data", "seed": 5}))
    small.repro()
    small.commit("a line more")
    store.fill(small, "HEAD", "HEAD~1")
    forget(small)
    pull(root=small.root)
    assert small.path("data/models/bags").is_dir()
    small.run("git", "checkout", "--quiet", "HEAD~1")
    pull(root=small.root)
    assert not small.path("data/models/bags").exists()


def test_what_is_missing_is_named_after_all_else_has_been_placed(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    lost = next(o for o in needed.outputs(None, small.root) if o.path == "data/prepared/cultures")
    store.client.delete_object(store.settings.buckets["data"], cache.key(lost.md5))
    forget(small)
    done = small.run("gaia", "pull", ok=False)
    assert done.returncode == 1 and "data/prepared/cultures" in done.stdout
    assert sorted(path.name for path in small.path("data/models").iterdir()) == ["cultures", "plants"]
    assert not small.path("data/prepared/cultures").exists()


def test_a_cache_is_hashed_before_it_is_laid_out_and_before_it_is_stored(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    model = small.path("data/models/plants/model.onnx")
    content = model.read_bytes()
    folder = next(o for o in needed.outputs(None, small.root) if o.path == "data/models/plants")
    at = cache.folder(small.root)
    cached = at / cache.key(cache.listed((at / cache.key(folder.md5)).read_bytes())["model.onnx"])

    def damage() -> None:
        cached.chmod(0o644)
        cached.write_bytes(b"x" + content[1:])

    damage()
    shutil.rmtree(small.path("data"))
    pull(root=small.root)
    assert model.read_bytes() == cached.read_bytes() == content
    damage()
    store.empty()
    with pytest.raises(GaiaError, match=r"data/models/plants/model.onnx is damaged in this clone's cache"):
        push(root=small.root)
    there = {found.key for found in store.client.list_objects(store.settings.buckets["models"])}
    assert len(there) == 3  # neither the damaged one, nor the listing that names it: DVC would believe that one
    assert cache.key(folder.md5) not in there
    cached.unlink()
    with pytest.raises(GaiaError, match=r"data/models/plants/model.onnx is missing from this clone's cache"):
        push(root=small.root)


def test_pushed_is_what_was_lacking(small: Project, store: Store) -> None:
    store.empty()
    asked = lambda: json.loads(small.run("gaia", "push", "--json").stdout)  # noqa: E731
    assert (asked(), asked()) == ({"objects": 11}, {"objects": 0})
    assert "Everything is up to date" in small.run("dvc", "push").stdout
    small.run("git", "tag", "-a", "-m", "{}", "plants@v1.0.0")
    small.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=7))
    small.repro()
    store.empty()
    assert asked() == {"objects": 11}
    assert push(root=small.root, every_version=True) == 5  # what the version has otherwise


@pytest.fixture
def large(store: Store, tmp_path: Path) -> tuple[Object, Path]:
    """An object of many parts, in the store; and a project's folder without it."""
    content = random.Random(1).randbytes(5 * streams.PART + 7)
    (tmp_path / "large").write_bytes(content)
    (tmp_path / "project/.dvc").mkdir(parents=True)
    md5 = hashlib.md5(content).hexdigest()
    bucket = store.settings.buckets["models"]
    store.client.upload_file(tmp_path / "large", bucket, cache.key(md5))
    return Object("large", md5, len(content), bucket, cache.key(md5)), tmp_path / "project"


KILLED = """
import os, sys
from pathlib import Path
from gaia.storage.s3 import settings
from gaia.storage import transfer
from gaia.storage.s3.client import S3Client
from gaia.storage.objects import Object
passed = 0
def progress(count):
    global passed
    passed += count
    if passed > float(parts) * 2**24:
        os.kill(os.getpid(), 9)
parts, way, root, path, md5, size, bucket, key = sys.argv[1:]
wanted, client = Object(path, md5, int(size), bucket, key), S3Client(settings.read(Path(root)))
getattr(transfer, way)([wanted], client, Path(), progress)
"""


def begun(way: str, large: tuple[Object, Path], store: Store, parts: float = 3.5) -> subprocess.Popen[bytes]:
    """A process that fetches or pushes the object, and is killed when so many of its parts have passed."""
    wanted, root = large
    words = (parts, way, store.root, *wanted)
    return subprocess.Popen([sys.executable, "-c", KILLED, *map(str, words)], cwd=root)


def test_parts_that_came_before_a_kill_need_not_come_again(
    large: tuple[Object, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, root = large
    assert begun("fetch", large, store).wait(60) == -signal.SIGKILL
    assert not (root / ".dvc/cache" / wanted.key).exists()
    came: list[int] = []
    get = Wire.get

    def counted(self: Wire, bucket: str, key: str, start: int = 0, stop: int | None = None) -> object:
        came.append(0 if stop is None else stop - start)
        return get(self, bucket, key, start, stop)

    monkeypatch.setattr(Wire, "get", counted)
    assert transfer.fetch([wanted], store.client, root) == 1
    assert cache.fault(wanted.md5, root / ".dvc/cache") == ""
    assert 0 < sum(came) < wanted.size
    assert [path.name for path in (root / transfer.PARTS).iterdir()] in ([], [f"{wanted.md5}.lock"])


@pytest.fixture
def unsent(large: tuple[Object, Path], store: Store) -> tuple[Object, Path]:
    """An object of many parts in a project's cache, of which a push that was killed had sent the first ones."""
    wanted, root = large
    store.empty()
    place = root / ".dvc/cache" / wanted.key
    place.parent.mkdir(parents=True)
    place.write_bytes((root.parent / "large").read_bytes())
    assert begun("push", large, store).wait(60) == -signal.SIGKILL
    assert not store.client.object_exists(wanted.bucket, wanted.key)
    return large


def open_uploads(store: Store, bucket: str) -> list[dict[str, object]]:
    return store.client.ask(bucket, "list_multipart_uploads").get("Uploads", [])


def test_parts_that_went_before_a_kill_need_not_go_again(
    unsent: tuple[Object, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, root = unsent
    went: list[int] = []
    put = Wire.put

    def counted(self: Wire, bucket: str, key: str, content: bytes, *more: object, **query: str) -> str:
        went.append(len(content))
        return put(self, bucket, key, content, *more, **query)

    monkeypatch.setattr(Wire, "put", counted)
    passed: list[int] = []
    transfer.push([wanted], store.client, root, passed.append)
    assert sum(went) < sum(passed) == wanted.size
    assert objects.damaged([wanted], store.client) == open_uploads(store, wanted.bucket) == []
    assert [path.name for path in (root / transfer.PARTS).iterdir()] in ([], [f"{wanted.md5}.upload.lock"])


@pytest.mark.parametrize("harm", ["given up there", "of another server", "unreadable"])
def test_an_upload_that_cannot_be_gone_on_with_begins_anew(
    unsent: tuple[Object, Path], store: Store, harm: str
) -> None:
    wanted, root = unsent
    noted = root / transfer.PARTS / f"{wanted.md5}.upload"
    mark, upload = json.loads(noted.read_text())
    if harm == "given up there":
        store.client.wire.delete(wanted.bucket, wanted.key, uploadId=upload)
    else:
        noted.write_text(json.dumps([["http://elsewhere", *mark[1:]], upload]) if "other" in harm else "[")
    transfer.push([wanted], store.client, root)
    assert objects.damaged([wanted], store.client) == []
    for left in open_uploads(store, wanted.bucket):  # by the bucket's rule, after seven days
        store.client.wire.delete(wanted.bucket, wanted.key, uploadId=str(left["UploadId"]))


def test_an_upload_that_the_server_cannot_complete_is_not_gone_on_with_for_ever(
    unsent: tuple[Object, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose parts it has lost, of which it says that they are there."""
    wanted, root = unsent
    content = (root / ".dvc/cache" / wanted.key).read_bytes()
    pieces = [content[start:stop] for start, stop in multipart.spans(wanted.size, streams.PART)]
    told = {number: hashlib.md5(piece).hexdigest() for number, piece in enumerate(pieces, 1)}
    noted = root / transfer.PARTS / f"{wanted.md5}.upload"
    mark, upload = json.loads(noted.read_text())
    store.client.wire.delete(wanted.bucket, wanted.key, uploadId=upload)
    empty = store.client.wire.post(wanted.bucket, wanted.key, uploads="").findtext("UploadId")
    noted.write_text(json.dumps([mark, empty]))
    with monkeypatch.context() as patched:
        patched.setattr(Wire, "parts", lambda *_: told)
        with pytest.raises(GaiaError):
            transfer.push([wanted], store.client, root)
    assert not noted.exists()
    transfer.push([wanted], store.client, root)
    assert objects.damaged([wanted], store.client) == open_uploads(store, wanted.bucket) == []


def test_what_is_damaged_since_its_upload_began_is_given_up(unsent: tuple[Object, Path], store: Store) -> None:
    wanted, root = unsent
    with (root / ".dvc/cache" / wanted.key).open("rb+") as cached:
        cached.write(b"x")
    with pytest.raises(GaiaError, match="large is damaged in this clone's cache"):
        transfer.push([wanted], store.client, root)
    assert open_uploads(store, wanted.bucket) == []
    assert not store.client.object_exists(wanted.bucket, wanted.key)


def test_two_that_send_the_same_large_object_both_end_well(unsent: tuple[Object, Path], store: Store) -> None:
    wanted, _ = unsent
    assert [process.wait(60) for process in [begun("push", unsent, store, parts=99) for _ in range(2)]] == [0, 0]
    assert objects.damaged([wanted], store.client) == open_uploads(store, wanted.bucket) == []


def test_a_damaged_part_is_not_gone_on_with_for_ever(large: tuple[Object, Path], store: Store) -> None:
    wanted, root = large
    parts = root / transfer.PARTS / wanted.md5
    parts.parent.mkdir(parents=True)
    parts.write_bytes(bytes(wanted.size))
    parts.with_name(f"{parts.name}.done").write_bytes(b"\1" * 6)
    with pytest.raises(GaiaError, match="is damaged"):
        transfer.fetch([wanted], store.client, root)
    assert transfer.fetch([wanted], store.client, root) == 1


def test_two_that_want_the_same_large_object_fetch_it_once(large: tuple[Object, Path], store: Store) -> None:
    wanted, root = large
    assert [process.wait(60) for process in [begun("fetch", large, store, parts=99) for _ in range(2)]] == [0, 0]
    assert cache.fault(wanted.md5, root / ".dvc/cache") == ""


def test_a_checkout_waits_for_a_dvc_that_is_running(small: Project, store: Store) -> None:
    from dvc.repo import Repo

    store.fill(small, "HEAD")
    shutil.rmtree(small.path("data"))
    with Repo(str(small.root)) as repo, repo.lock:
        process = subprocess.Popen(["gaia", "pull"], cwd=small.root, env=small.environment)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert not small.path("data").exists()
    until(lambda: process.poll() == 0, "the pull")
    assert checkout.absent(needed.outputs(None, small.root), small.root) == []
