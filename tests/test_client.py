"""The S3 client keeps its promises against a real server; what goes wrong is a typed error in one sentence."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Store, until
from gaia.errors import GaiaError
from gaia.storage import S3Client
from gaia.storage.errors import Corrupted, Missing, Refused, Unreachable
from gaia.storage.s3.streams import PART


@pytest.fixture
def bucket(store: Store) -> str:
    store.empty()
    return store.settings.buckets["data"]


@pytest.fixture
def client(store: Store) -> S3Client:
    return store.client


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("key", ["plain", "a/b/c.bin", "with space+plus%41", "ümlaut/ß#?&=", "files/md5/ab/cd.dir"])
def test_a_file_comes_back_with_its_metadata(client: S3Client, bucket: str, key: str, tmp_path: Path) -> None:
    client.upload_file(write(tmp_path / "a", b"content"), bucket, key, metadata={"line": "plants"})
    client.download_file(bucket, key, tmp_path / "new folder/b", md5="9a0364b9e99bb480dd25e1f0284c8555")
    assert (tmp_path / "new folder/b").read_bytes() == b"content"
    found = client.get_object_metadata(bucket, key)
    assert (found["size"], found["metadata"]) == (7, {"line": "plants"})
    assert [stored.key for stored in client.list_objects(bucket)] == [key]
    assert client.object_exists(bucket, key)


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 5])
def test_files_of_every_size_come_back_and_progress_adds_up(
    client: S3Client, bucket: str, size: int, tmp_path: Path
) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    up: list[int] = []
    down: list[int] = []
    client.upload_file(write(tmp_path / "a", content), bucket, f"of {size}", progress=up.append)
    client.download_file(bucket, f"of {size}", tmp_path / "b", progress=down.append)
    assert (tmp_path / "b").read_bytes() == content
    assert (sum(up), sum(down)) == (size, size)


def test_an_existing_bucket_is_no_error_and_a_missing_one_is_false(client: S3Client, bucket: str) -> None:
    assert client.create_bucket(bucket) is False
    assert client.bucket_exists(bucket)
    assert not client.bucket_exists("gaia-test-no-such-bucket")
    assert bucket in client.buckets()


def test_listings_go_past_a_thousand_keys_in_order(client: S3Client, bucket: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"x")
    names = [f"many/{number:05}" for number in range(1_005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.upload_file(file, bucket, name), names))
    assert [stored.key for stored in client.list_objects(bucket, "many/")] == names
    client.delete_objects(bucket, names)
    assert list(client.list_objects(bucket, "many/")) == []


def test_deleting_takes_the_exact_key_alone(client: S3Client, bucket: str, tmp_path: Path) -> None:
    for key in ("v1", "v10", "v1.onnx"):
        client.upload_file(write(tmp_path / "a", b"x"), bucket, key)
    assert client.delete_object(bucket, "v1") is True
    assert client.delete_object(bucket, "1") is False
    assert [stored.key for stored in client.list_objects(bucket)] == ["v1.onnx", "v10"]


def test_a_link_works_without_keys_under_the_file_s_own_name_and_expires(
    client: S3Client, bucket: str, tmp_path: Path
) -> None:
    client.upload_file(write(tmp_path / "a", b"content"), bucket, "files/md5/ab/cd")
    link = client.get_presigned_url(bucket, "files/md5/ab/cd", expires=3, filename="mödel v1.onnx")
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"content"
        assert "filename*=UTF-8''m%C3%B6del%20v1.onnx" in answer.headers["Content-Disposition"]
    until(lambda: status(link) == 403, "the link to expire")
    for changed in (link.replace("ab/cd", "ab/ce"), link.partition("?")[0]):
        assert status(changed) == 403
    for wrong in (0, -1, 8 * 86400):
        with pytest.raises(GaiaError, match="1 second to 7 days"):
            client.get_presigned_url(bucket, "files/md5/ab/cd", expires=wrong)
    with pytest.raises(Missing):
        client.get_presigned_url(bucket, "absent")


def status(link: str) -> int:
    try:
        with urllib.request.urlopen(link) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_missing_and_refused_are_told_apart(store: Store, client: S3Client, bucket: str) -> None:
    stranger = S3Client(replace(store.settings, secret_key="0" * 40), attempts=1)
    unknown = S3Client(replace(store.settings, access_key="nobody-knows-me"), attempts=1)
    assert not client.object_exists(bucket, "absent")
    for who, said in ((stranger, "secret key"), (unknown, "access key")):
        for question in (
            lambda c: c.object_exists(bucket, "absent"),
            lambda c: c.bucket_exists(bucket),
            lambda c: list(c.list_objects(bucket)),
            lambda c: c.delete_object(bucket, "absent"),
            lambda c: c.buckets(),
        ):
            with pytest.raises(Refused, match=f"doesn't know this {said}; check S3_ACCESS_KEY and S3_SECRET_KEY"):
                question(who)


def test_a_missing_bucket_is_told_from_a_missing_object(client: S3Client, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(Missing, match=f"there is no {bucket}/absent at "):
        client.download_file(bucket, "absent", tmp_path / "b")
    for question in (
        lambda: client.download_file("gaia-test-none", "absent", tmp_path / "b"),
        lambda: client.upload_file(write(tmp_path / "a", b"x"), "gaia-test-none", "a"),
        lambda: client.get_object_metadata("gaia-test-none", "a"),
        lambda: list(client.list_objects("gaia-test-none")),
    ):
        with pytest.raises(Missing, match="there is no bucket gaia-test-none at .*; `gaia storage up` makes it"):
            question()
    assert not (tmp_path / "b").exists()


def test_a_download_that_fails_leaves_the_old_file_and_no_half_one(
    client: S3Client, bucket: str, tmp_path: Path
) -> None:
    client.upload_file(write(tmp_path / "a", b"content"), bucket, "a")
    old = write(tmp_path / "folder", b"") and tmp_path / "old"
    write(old, b"as it was")
    with pytest.raises(Corrupted, match=f"{bucket}/a at .* is damaged: its content has the md5 9a0364b9"):
        client.download_file(bucket, "a", old, md5="0" * 32)
    with pytest.raises(GaiaError, match="can't be written"):
        client.download_file(bucket, "a", tmp_path / "folder/b")
    assert old.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder", "old"]


def test_a_file_that_is_not_there_is_a_sentence(client: S3Client, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(GaiaError, match=r"absent can't be read: No such file or directory\.$"):
        client.upload_file(tmp_path / "absent", bucket, "a")
    assert list(client.list_objects(bucket)) == []


def test_an_unreachable_endpoint_is_a_sentence(store: Store) -> None:
    for endpoint in ("http://127.0.0.1:9", "http://no-such-host.invalid:9000"):
        client = S3Client(replace(store.settings, endpoint=endpoint), attempts=1)
        with pytest.raises(Unreachable, match=f"no server answers at {endpoint}; `make storage` starts one here"):
            client.bucket_exists("models")


def test_nothing_shows_a_key(store: Store) -> None:
    settings = store.settings
    for text in (repr(settings), str(settings), repr(store.client.__dict__)):
        assert settings.secret_key not in text
        assert settings.access_key not in text


def test_importing_gaia_stays_cheap_and_the_names_are_there() -> None:
    code = "import sys, gaia, gaia.storage; print(*sys.modules); gaia.ModelStorage, gaia.storage.S3Client"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dvc", "botocore", "s3fs", "hydra", "pydantic", "pandas", "numpy"} & set(loaded)


def test_a_copy_is_made_by_the_server_in_parts_where_it_is_large(
    client: S3Client, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * (11 * 2**12) + b"the end"
    client.upload_file(write(tmp_path / "a", content), bucket, "of ümlaut", metadata={"line": "plants"})
    for limit in (2**30, 5 * 2**20):  # as a whole; in three parts
        monkeypatch.setattr("gaia.storage.s3.client.COPIED", limit)
        for key, given in (("its own", None), ("a/new one+", {"version": "v1.2.0"})):
            client.copy_object(bucket, "of ümlaut", bucket, key, metadata=given)
            client.download_file(bucket, key, tmp_path / "b")
            assert (tmp_path / "b").read_bytes() == content
            assert client.get_object_metadata(bucket, key)["metadata"] == (given or {"line": "plants"})
            client.delete_object(bucket, key)
    with pytest.raises(Missing, match="there is no .*/nothing at"):
        client.copy_object(bucket, "nothing", bucket, "copy")
