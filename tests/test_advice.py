"""What a sentence of the storage says would do, does: each advice is followed to the letter.

Kind: advice that nobody has tried, or that names the first cure that comes to mind.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.storage import cache, objects, remotes, transfer
from gaia.storage.checks import object_checks
from gaia.storage.checks.object_checks import Wanted
from gaia.storage.checks.verify import Check, checked, verify
from gaia.storage.errors import STORE_ANEW
from gaia.storage.objects import Object
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from test_objects import flip, needed


def model(project: Project, store: Store) -> Object:
    return next(o for o in needed(project, store) if o.path == "data/models/plants/model.onnx")


def shorten(store: Store, o: Object) -> None:
    store.client._s3.put_object(Bucket=o.bucket, Key=o.key, Body=b"half")


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])


def commands(sentence: str) -> list[list[str]]:
    return [command.split() for command in re.findall("`([^`]+)`", sentence)]


def failed(project: Project) -> list[Check]:
    """What the checks of objects find."""
    at = Wanted(S3Client(settings.read(project.root)), project.root, deep=True)
    return [check for check in checked(object_checks, at) if not check.ok]


@pytest.fixture
def pushed(small: Project, store: Store) -> Project:
    store.fill(small, "HEAD")
    return small


@pytest.mark.parametrize("harm", [flip, shorten, lambda store, o: store.client.delete_object(o.bucket, o.key)])
def test_what_is_missing_or_damaged_in_the_storage_is_stored_anew(
    pushed: Project, store: Store, tmp_path: Path, harm: Callable[[Store, Object], None]
) -> None:
    bad = model(pushed, store)
    harm(store, bad)
    other = Project(tmp_path / "other")
    shutil.copytree(pushed.root, other.root, symlinks=True)
    shutil.rmtree(other.path(".dvc/cache"))
    with pytest.raises(GaiaError) as caught:
        transfer.fetch([bad], store.client, other.root)
    said = {caught.value.problems[0].mend, *(check.said.partition("; ")[2] for check in failed(pushed))}
    assert {one.rstrip(".") for one in said} <= {STORE_ANEW, object_checks.STORE}
    assert other.run("gaia", "storage", "verify", "--mend", ok=False).returncode == 1, "it has nothing to mend it with"
    assert "mended: 1 objects were stored anew" in pushed.run("gaia", "storage", "verify", "--mend").stdout
    assert failed(pushed) == []
    assert transfer.fetch([bad], store.client, other.root) == 1


def test_dvc_push_would_not_have_mended_it(pushed: Project, store: Store) -> None:
    """Why the advice is another one: when this fails, DVC looks closer, and `dvc push` may be advised."""
    bad = model(pushed, store)
    store.client.delete_object(bad.bucket, bad.key)
    pushed.run("dvc", "push")
    assert not store.client.object_exists(bad.bucket, bad.key)


@pytest.mark.parametrize("advice", commands(objects.PUT_BACK))
@pytest.mark.parametrize("harm", [spoil, Path.unlink])
def test_what_the_cache_lacks_or_has_damaged_comes_back(
    pushed: Project, store: Store, advice: list[str], harm: Callable[[Path], None]
) -> None:
    """From the workspace, or from the storage, whichever has it."""
    bad = model(pushed, store)
    path = cache.folder(pushed.root) / bad.key
    harm(path)
    if advice == ["gaia", "pull"]:
        shutil.rmtree(pushed.path("data"))
    else:
        store.empty()
    with pytest.raises(GaiaError, match="is missing from this|is damaged in this") as caught:
        transfer.push([bad], store.client, pushed.root)
    found, mend = caught.value.problems[0]
    assert mend.endswith(objects.PUT_BACK)
    if "damaged" in found:
        assert mend.startswith("delete that file, and ")
        path.unlink()
    pushed.run(*advice)
    transfer.push([bad], store.client, pushed.root)
    assert not cache.fault(bad.md5, cache.folder(pushed.root))


def test_what_is_damaged_in_the_cache_is_named_by_the_check_and_comes_back(pushed: Project, store: Store) -> None:
    path = cache.folder(pushed.root) / model(pushed, store).key
    spoil(path)
    (found,) = failed(pushed)
    assert found.name == "copies here"
    assert f"delete it from {cache.folder(pushed.root)}, and `gaia pull --all` brings it whole" in found.said
    path.unlink()
    pushed.run("gaia", "pull", "--all")
    assert failed(pushed) == []


def test_up_makes_a_bucket_that_is_missing_and_tells_dvc(pushed: Project, store: Store) -> None:
    mine = f"{store.settings.buckets['data']}-other"
    env = pushed.path(".env")
    env.write_text(re.sub("S3_BUCKET_DATA=.*", f"S3_BUCKET_DATA={mine}", env.read_text()))
    said = {check.name: check.said for check in verify(pushed.root) if not check.ok}
    assert f"there is no bucket {mine} at {store.settings.endpoint}; `gaia storage up` makes it." in said["buckets"]
    assert f"{remotes.LOCAL} is not what .env asks for now; `gaia storage up`" in said["dvc"]
    try:
        pushed.run("gaia", "storage", "up")
        pushed.run("dvc", "push")
        assert failed(pushed) == []
    finally:
        at = settings.read(pushed.root).buckets["data"]
        store.client.delete_objects(at, [found.key for found in store.client.list_objects(at)])
        store.client._s3.delete_bucket(Bucket=at)
