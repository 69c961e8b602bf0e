"""Whatever breaks on the way to the storage: a sentence, an exit code, nothing half there; the next run completes."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import GIVEN, Project, Store, until
from gaia.files import md5
from gaia.paths import BUCKETS
from gaia.storage import objects, remotes, transfer
from gaia.storage.errors import Refused, StorageError, Unreachable
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import docker
from servers import Foreign
from test_objects import flip, needed

LARGE = 80_000_000


def hashes_of(project: Project) -> dict[str, str | None]:
    """Each file of the cache, with the hash that its content has."""
    files = [
        p for p in project.path(".dvc/cache/files").rglob("*") if p.is_file() and len(p.name.removesuffix(".dir")) == 30
    ]
    return {p.parent.name + p.name.removesuffix(".dir"): md5(p) for p in files}


# Damage


def test_a_flipped_byte_in_the_store_is_refused_at_pull_and_named_by_verify(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    flip(store, next(o for o in needed(small, store) if o.path == "data/models/plants/model.onnx"))
    shutil.rmtree(small.path(".dvc/cache"))
    shutil.rmtree(small.path("data"))
    done = small.run("dvc", "pull", ok=False)
    assert done.returncode != 0
    assert "data/models/plants" in done.stdout
    assert not small.path("data/models/plants/model.onnx").exists()
    assert all(name == digest for name, digest in hashes_of(small).items())
    done = small.run("gaia", "storage", "verify", "--deep", ok=False)
    assert (done.returncode, "data/models/plants/model.onnx (damaged" in done.stdout) == (1, True)


def test_a_flipped_byte_in_the_cache_is_named_by_verify_and_mended_by_fetching(small: Project, store: Store) -> None:
    store.fill(small, "HEAD")
    bad = next(o for o in needed(small, store) if o.path == "data/models/plants/model.onnx")
    cached = small.path(".dvc/cache", bad.key)
    content = cached.read_bytes()
    cached.chmod(0o644)
    cached.write_bytes(b"x" + content[1:])
    cached.chmod(0o444)
    done = small.run("gaia", "storage", "verify", "--deep", ok=False)
    assert done.returncode == 1
    assert "FAILED copies here: data/models/plants/model.onnx (damaged" in done.stdout
    assert transfer.fetch([bad], store.client, small.root) == 1
    assert cached.read_bytes() == content


# A server that dies


@pytest.fixture(params=["embedded", "minio"])
def mortal(
    request: pytest.FixtureRequest, drafted: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Project, Store]]:
    """A project with one large file, and a server of its own, which a test may kill, whatever else runs here."""
    monkeypatch.setattr(docker, "available", lambda: False)
    (tmp_path / "store").mkdir()
    store = Store(tmp_path / "store") if request.param == "embedded" else Foreign(tmp_path / "store", request.param)
    shutil.copytree(drafted.root, tmp_path / "project", symlinks=True)
    project = store.connect(Project(tmp_path / "project"))
    project.path("large.bin").write_bytes(random.Random(1).randbytes(LARGE))
    project.run("dvc", "add", "large.bin")
    project.commit("large")
    yield project, store
    store.end()


def size_of(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def killed_meanwhile(project: Project, store: Store, folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command, and kill the server once a part of the large file has arrived in `folder`."""
    before = size_of(folder)
    running = subprocess.Popen(
        command, cwd=project.root, env=project.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    until(lambda: size_of(folder) - before > LARGE // 8 or running.poll() is not None, "a part to arrive")
    store.kill()
    output, _ = running.communicate(timeout=120)
    return subprocess.CompletedProcess(command, running.returncode, output)


def test_a_server_killed_in_the_middle_loses_nothing_and_the_next_run_completes(mortal: tuple[Project, Store]) -> None:
    project, store = mortal
    done = killed_meanwhile(project, store, store.data, "dvc", "push")
    assert done.returncode != 0, "it was over before the server died"
    store.start()
    client = S3Client(store.settings)
    there = {s.key: s.size for b in store.settings.buckets.values() for s in client.list_objects(b)}
    everything = objects.of_revision("HEAD", client=client, root=project.root)
    assert all(o.size in (None, there.get(o.key, o.size)) for o in everything if not o.folder), (
        "half an object is there"
    )
    project.run("dvc", "push")
    assert objects.problems(everything, client) == objects.damaged(everything, client) == []

    shutil.rmtree(project.path(".dvc/cache"))
    project.path("large.bin").unlink()
    done = killed_meanwhile(project, store, project.path(".dvc"), "dvc", "pull")
    assert done.returncode != 0
    assert all(name == digest for name, digest in hashes_of(project).items()), "half a file is in the cache"
    store.start()
    project.run("dvc", "pull")
    assert project.path("large.bin").read_bytes() == random.Random(1).randbytes(LARGE)
    assert project.repro() == set()


def test_what_was_acknowledged_outlives_the_server_s_death(mortal: tuple[Project, Store], tmp_path: Path) -> None:
    _, store = mortal
    bucket = store.settings.buckets["data"]
    (tmp_path / "file").write_bytes(random.randbytes(100_000))
    for number in range(20):
        store.client.upload_file(tmp_path / "file", bucket, f"file-{number}")
    store.kill()
    store.start()
    for number in range(20):
        store.client.download_file(bucket, f"file-{number}", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


# Connections that break, stall or never answer


@contextmanager
def between(store: Store, limit: int | None, times: int) -> Iterator[str]:
    """The endpoint of a proxy to the store. Its first `times` connections end after `limit` bytes of answers; if it is
    None, they stay open, and nothing passes."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = times

    def pass_on(source: socket.socket, target: socket.socket, most: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(65536):
                if most is not None and (passed := passed + len(piece)) > most:
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        nonlocal left
        held = []
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            broken, left = left > 0, left - 1
            if broken and limit is None:
                held.append(client)
                continue
            server = socket.create_connection(store.settings.address)
            threading.Thread(target=pass_on, args=(client, server, None), daemon=True).start()
            most = limit if broken else None
            threading.Thread(target=pass_on, args=(server, client, most), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def stored(store: Store, tmp_path: Path) -> Path:
    """A file of 3 MB that the store has as data/file."""
    (tmp_path / "file").write_bytes(random.randbytes(3_000_000))
    store.client.upload_file(tmp_path / "file", store.settings.buckets["data"], "file")
    return tmp_path / "file"


def test_a_download_is_taken_up_where_the_connection_broke(store: Store, stored: Path, tmp_path: Path) -> None:
    bucket, passed = store.settings.buckets["data"], []
    with between(store, 1_000_000, times=2) as endpoint:
        client = S3Client(replace(store.settings, endpoint=endpoint))
        client.download_file(bucket, "file", tmp_path / "back", progress=passed.append)
    assert (tmp_path / "back").read_bytes() == stored.read_bytes()
    assert sum(passed) == 3_000_000


@pytest.mark.parametrize("breaks", [3, 1000])
def test_a_connection_that_ends_early_without_a_word_is_no_end_of_the_object(breaks: int, tmp_path: Path) -> None:
    """Behind MinIO, or a proxy, one that breaks ends as one that is done."""
    content, left = random.randbytes(400_000), [breaks]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            rest = content[int(asked[1]) if asked else 0 :]
            left[0] -= 1
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest if left[0] < 0 else rest[:50_000])

        def log_message(self, *words: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    names = dict.fromkeys(BUCKETS, "data")
    at = settings.Settings(f"http://127.0.0.1:{listening.server_address[1]}", "us-east-1", names, "me", "secret")
    try:
        if breaks == 3:
            S3Client(at).download_file("data", "file", tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == content
        else:
            with pytest.raises(Unreachable):
                S3Client(at).download_file("data", "file", tmp_path / "back")
            assert not list(tmp_path.iterdir())
    finally:
        listening.shutdown()
        listening.server_close()


def test_a_connection_that_always_breaks_ends_in_a_sentence_and_no_file(
    store: Store, stored: Path, tmp_path: Path
) -> None:
    with between(store, 100_000, times=1000) as endpoint:
        client = S3Client(replace(store.settings, endpoint=endpoint), attempts=1)
        with pytest.raises(Unreachable):
            client.download_file(store.settings.buckets["data"], "file", tmp_path / "back")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_endpoint_that_never_answers_is_given_up(store: Store) -> None:
    with between(store, None, times=1000) as endpoint:
        client = S3Client(replace(store.settings, endpoint=endpoint), timeout=0.5, attempts=2)
        with pytest.raises(Unreachable, match=f"{endpoint} did not answer in time"):
            client.buckets()


def test_a_request_is_repeated_where_the_first_got_no_answer(store: Store) -> None:
    with between(store, 0, times=1) as endpoint:
        assert S3Client(replace(store.settings, endpoint=endpoint), timeout=5).buckets()


def test_a_clock_that_is_wrong_is_said_to_be_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    from gaia.storage import errors

    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **asked: now(**asked) + timedelta(hours=2))

    class Ahead(errors.datetime):
        @classmethod
        def now(cls, *zone: object) -> errors.datetime:
            return super().now(*zone) + timedelta(hours=2)

    monkeypatch.setattr(errors, "datetime", Ahead)
    for question in (lambda c: c.buckets(), lambda c: c.object_exists(store.settings.buckets["data"], "file")):
        with pytest.raises(
            Refused, match="refuses requests from this clock, which is 120 minutes ahead of the server's"
        ):
            question(S3Client(store.settings, attempts=1))


@pytest.mark.skipif(bool(GIVEN) or os.geteuid() != 0, reason="only root can mount a small file system for a server")
def test_a_full_server_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "small disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = Store(folder)
        try:
            bucket = store.settings.buckets["data"]
            (tmp_path / "file").write_bytes(random.randbytes(10_000_000))
            store.client.upload_file(tmp_path / "file", bucket, "first")
            client = S3Client(store.settings, attempts=1)
            with pytest.raises(StorageError, match=r"failed on \S+; its log .* says why, and whether its disk is full"):
                for number in range(8):
                    client.upload_file(tmp_path / "file", bucket, f"file-{number}")
            store.client.download_file(bucket, "first", tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
            assert f"file-{number}" not in [s.key for s in client.list_objects(bucket)]
        finally:
            store.end()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


# DVC's own commands


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secret_key": "wrong" * 8}, "Forbidden"),
        ({"buckets": dict.fromkeys(BUCKETS, "gaia-test-no-such")}, "The specified bucket does not exist"),
        ({"endpoint": "http://127.0.0.1:9"}, "Could not connect to the endpoint"),
    ],
    ids=["wrong keys", "missing bucket", "unreachable"],
)  # fmt: skip
def test_dvc_push_fails_with_an_exit_code_and_loses_nothing(
    small: Project, store: Store, change: dict, said: str
) -> None:
    before = hashes_of(small)
    store.empty()
    remotes.write(replace(store.settings, **change), small.root)
    done = small.run("dvc", "push", ok=False)
    assert (done.returncode != 0, said in done.stdout, "Traceback" in done.stdout) == (True, True, False), done.stdout
    remotes.write(store.settings, small.root)
    small.run("dvc", "push")
    assert objects.problems(needed(small, store), store.client) == []
    assert hashes_of(small) == before


def test_two_clones_that_push_at_once_both_succeed(small: Project, store: Store, tmp_path: Path) -> None:
    """Twice in one clone, one waits for DVC's lock; where the other takes longer than DVC waits, it says so."""
    store.empty()
    shutil.copytree(small.root, tmp_path / "other", symlinks=True)
    other = Project(tmp_path / "other")
    other.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=99))
    other.repro()
    other.commit("another seed")
    pushing = [
        subprocess.Popen(
            ["dvc", "push"],
            cwd=one.root,
            env=one.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for one in (other, small, small)
    ]
    complaints = [push.communicate()[1] for push in pushing]
    assert pushing[0].returncode == 0, complaints[0]
    assert 0 in [push.returncode for push in pushing[1:]], complaints
    for push, complaint in zip(pushing, complaints, strict=True):
        assert push.returncode == 0 or "Unable to acquire lock" in complaint
    for one in (small, other):
        everything = needed(one, store)
        assert objects.problems(everything, store.client) == objects.damaged(everything, store.client) == []
