"""What a revision needs of the storage is known from its files, and is believed only after it was looked at."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.storage import objects, transfer
from gaia.storage.errors import Corrupted, Unreachable


@pytest.fixture
def pushed(small: Project, store: Store) -> Project:
    store.fill(small, "HEAD")
    return small


def needed(project: Project, store: Store, revision: str | None = "HEAD", *paths: str) -> list[objects.Object]:
    return objects.of_revision(revision, paths, client=store.client, root=project.root)


def test_each_file_is_named_with_hash_size_bucket_and_key(pushed: Project, store: Store) -> None:
    found = {o.path: o for o in needed(pushed, store)}
    files = {"prepared": ("", "/index.csv", "/arrays.npy"), "models": ("", "/model.onnx", "/contract.json")}
    assert set(found) == {f"data/{k}/{line}{f}" for line in ("plants", "cultures") for k in files for f in files[k]}
    model = found["data/models/plants/model.onnx"]
    content = pushed.path(model.path).read_bytes()
    assert (model.md5, model.size) == (hashlib.md5(content).hexdigest(), 100_000)
    assert model.key == f"files/md5/{model.md5[:2]}/{model.md5[2:]}"
    buckets = store.settings.buckets
    assert model.bucket == buckets["models"]
    assert found["data/prepared/plants/arrays.npy"].bucket == buckets["plants-images"]
    assert found["data/prepared/cultures/arrays.npy"].bucket == buckets["data"]
    assert found["data/models/plants"].md5.endswith(".dir")


def test_it_is_what_dvc_pushes_and_no_more(small: Project, store: Store) -> None:
    store.empty()
    small.run("dvc", "push")
    there = {(b, s.key) for b in store.settings.buckets.values() for s in store.client.list_objects(b, "files/md5/")}
    assert {(o.bucket, o.key) for o in needed(small, store)} == there
    assert objects.problems(needed(small, store), store.client) == []


def test_a_revision_is_read_without_touching_the_workspace(pushed: Project, store: Store) -> None:
    first = needed(pushed, store)
    pushed.run("git", "tag", "plants@v1.0.0")
    pushed.edit("params.yaml", lambda p: p["lines"]["plants"].update(seed=7, bucket="models"))
    pushed.repro()
    assert needed(pushed, store, "plants@v1.0.0") == needed(pushed, store, "HEAD") == first
    pushed.commit("another seed, and another bucket")
    second = {o.path: o for o in needed(pushed, store)}
    assert second["data/prepared/plants/index.csv"].bucket == store.settings.buckets["models"]
    assert needed(pushed, store, None) == list(second.values())
    changed = {o.path for o in first} - {o.path for o in set(first) & set(second.values())}
    assert all(path.split("/")[2] == "plants" for path in changed)


def test_data_that_somebody_added_is_needed_too(pushed: Project, store: Store) -> None:
    pushed.path("data/raw").mkdir()
    pushed.path("data/raw/table.csv").write_text("a,b\n1,2\n")
    pushed.run("dvc", "add", "data/raw/table.csv")
    pushed.commit("data")
    [added] = needed(pushed, store, "HEAD", "data/raw/table.csv")
    assert (added.size, added.bucket) == (8, store.settings.buckets["plants-images"])
    assert [p.reason for p in objects.problems([added], store.client)] == ["missing"]


def test_folders_are_expanded_from_the_storage_where_the_cache_is_empty(pushed: Project, store: Store) -> None:
    before = needed(pushed, store)
    shutil.rmtree(pushed.path(".dvc/cache"))
    after = needed(pushed, store)
    assert [(o.path, o.md5, o.bucket, o.key) for o in after] == [(o.path, o.md5, o.bucket, o.key) for o in before]
    assert objects.problems(after, store.client) == []


def test_a_listing_that_nobody_has_is_the_missing_object(pushed: Project, store: Store) -> None:
    shutil.rmtree(pushed.path(".dvc/cache"))
    store.empty()
    found = needed(pushed, store, "HEAD", "data/models/plants")
    assert [o.path for o in found] == ["data/models/plants"]
    assert [p.reason for p in objects.problems(found, store.client)] == ["missing"]


def test_a_damaged_listing_in_the_storage_is_refused(pushed: Project, store: Store) -> None:
    [listing] = [o for o in needed(pushed, store) if o.path == "data/models/plants"]
    shutil.rmtree(pushed.path(".dvc/cache"))
    store.client._s3.put_object(Bucket=listing.bucket, Key=listing.key, Body=b"[]")
    with pytest.raises(Corrupted, match="the listing of data/models/plants"):
        needed(pushed, store)


def test_missing_and_shortened_objects_are_named(pushed: Project, store: Store) -> None:
    by_path = {o.path: o for o in needed(pushed, store)}
    gone, short = by_path["data/models/plants/model.onnx"], by_path["data/prepared/cultures/arrays.npy"]
    store.client.delete_object(gone.bucket, gone.key)
    store.client._s3.put_object(Bucket=short.bucket, Key=short.key, Body=b"half")
    found = {p.needed.path: p.reason for p in objects.problems(by_path.values(), store.client)}
    assert found == {gone.path: "missing", short.path: "4 bytes instead of 300000"}


def test_a_shortened_object_is_noticed_where_the_cache_is_empty(pushed: Project, store: Store) -> None:
    [short] = [o for o in needed(pushed, store) if o.path == "data/prepared/plants/arrays.npy"]
    store.client._s3.put_object(Bucket=short.bucket, Key=short.key, Body=b"half")
    shutil.rmtree(pushed.path(".dvc/cache"))
    found = {p.needed.path: p.reason for p in objects.problems(needed(pushed, store), store.client)}
    assert found == {"data/prepared/plants": "its files have 9 bytes instead of 300005"}


def test_a_damaged_object_is_found_by_reading_it(pushed: Project, store: Store) -> None:
    [whole] = [o for o in needed(pushed, store) if o.path == "data/models/plants/model.onnx"]
    flip(store, whole)
    assert objects.problems(needed(pushed, store), store.client) == []  # same size
    found = {p.needed.path: p.reason for p in objects.damaged(needed(pushed, store), store.client)}
    assert found == {"data/models/plants/model.onnx": "damaged"}


def test_fetching_fills_the_cache_as_dvc_would(pushed: Project, store: Store) -> None:
    everything = needed(pushed, store)
    cached = {p: p.read_bytes() for p in pushed.path(".dvc/cache").rglob("*") if p.is_file() and "runs" not in p.parts}
    shutil.rmtree(pushed.path(".dvc/cache"))
    shutil.rmtree(pushed.path("data/models"))
    passed: list[int] = []
    assert transfer.fetch(everything, store.client, pushed.root, progress=passed.append) == len(cached)
    assert {p: p.read_bytes() for p in pushed.path(".dvc/cache").rglob("*") if p.is_file()} == cached
    assert sum(passed) == sum(map(len, cached.values()))
    assert transfer.fetch(everything, store.client, pushed.root) == 0
    pushed.run("dvc", "checkout")
    assert pushed.repro() == set()


def test_a_damaged_object_never_reaches_the_cache_and_the_others_do(pushed: Project, store: Store) -> None:
    everything = needed(pushed, store)
    bad = next(o for o in everything if o.path == "data/models/plants/model.onnx")
    flip(store, bad)
    shutil.rmtree(pushed.path(".dvc/cache"))
    with pytest.raises(Corrupted, match=r"^data/models/plants/model.onnx: .* is damaged"):
        transfer.fetch(everything, store.client, pushed.root)
    files = [p for p in pushed.path(".dvc/cache").rglob("*") if p.is_file()]
    assert len(files) == len({o.key for o in everything}) - 1
    assert not pushed.path(".dvc/cache", bad.key).exists()


def test_a_damaged_file_of_the_cache_is_fetched_anew(pushed: Project, store: Store) -> None:
    everything = needed(pushed, store)
    bad = pushed.path(".dvc/cache", everything[-1].key)
    whole = bad.read_bytes()
    bad.chmod(0o644)
    bad.write_bytes(b"x" + whole[1:])
    assert transfer.fetch(everything, store.client, pushed.root) == 1
    assert bad.read_bytes() == whole


def test_a_cache_elsewhere_is_used(pushed: Project, store: Store, tmp_path: Path) -> None:
    pushed.run("dvc", "cache", "dir", "--local", str(tmp_path / "shared cache"))
    transfer.fetch(needed(pushed, store), store.client, pushed.root)
    assert len(list((tmp_path / "shared cache").rglob("*.dir"))) == 4


@pytest.mark.parametrize(
    ("revision", "paths", "said"),
    [
        ("plants@v9.0.0", (), "names no commit"),
        ("HEAD", ("data/models/nothing",), "data/models/nothing is no output that DVC keeps at HEAD"),
    ],
)
def test_a_wrong_question_is_a_sentence(small: Project, store: Store, revision: str, paths: tuple, said: str) -> None:
    with pytest.raises(GaiaError, match=said):
        needed(small, store, revision, *paths)


def test_an_unreachable_storage_is_no_missing_object(small: Project, store: Store) -> None:
    from dataclasses import replace

    from gaia.storage.s3.client import S3Client

    nowhere = S3Client(replace(store.settings, endpoint="http://127.0.0.1:9"), attempts=1)
    with pytest.raises(Unreachable, match="no server answers at http://127.0.0.1:9"):
        objects.problems(needed(small, store), nowhere)


def flip(store: Store, o: objects.Object) -> None:
    """Change one byte of a stored object."""
    pieces: list[bytes] = []
    store.client.read(o.bucket, o.key, pieces.append)
    content = bytearray(b"".join(pieces))
    content[len(content) // 2] ^= 1
    store.client._s3.put_object(Bucket=o.bucket, Key=o.key, Body=bytes(content))
