"""How a bucket is made: it keeps what was overwritten or deleted for the days that conf/storage/lifecycle.json says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.storage import cache
from gaia.storage.errors import NotAllowed, StorageError
from gaia.storage.s3.client import S3Client

FOLDER = Path("conf/storage")  # the compose file mounts it
_KINDS = ("Versions", "DeleteMarkers")
LIFECYCLE = FOLDER / "lifecycle.json"  # as S3's API and `mc ilm import` take it


def prepare(client: S3Client, root: Path = Path(), *, ours: bool = False) -> list[str]:
    """Make the buckets that are missing, and let them keep old versions for a while; what the server wouldn't do, a
    sentence each.

    A bucket that was there is left as it is, its owner's, unless the server is `ours`, one that was started from here.
    """
    notes = []
    for bucket in client.settings.buckets.values():
        try:
            if client.create_bucket(bucket) or ours:
                _keep(client, bucket, root)
        except NotAllowed as error:
            if client.may_list():  # or else the keys are for reading what others made
                notes.append(error.problems[0].found)
        except StorageError as error:
            if not client.bucket_exists(bucket):
                raise
            notes.append(f"{bucket} keeps no old versions: {error.problems[0].found.rstrip('.')}")
    return notes


def _keep(client: S3Client, bucket: str, root: Path) -> None:
    """First what ends old versions, then what begins them: else a server that takes no rules would fill up."""
    try:
        rules = json.loads((root / LIFECYCLE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError as error:
        raise GaiaError(f"{LIFECYCLE} is no JSON: {error}.") from None
    client.ask(bucket, "put_bucket_lifecycle_configuration", {"LifecycleConfiguration": rules})
    client.ask(bucket, "put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}})


def days(client: S3Client, bucket: str) -> int | None:
    """For how many days the bucket keeps what was deleted: 0, nothing is kept; None, for ever, or nobody can say."""
    try:
        if client.ask(bucket, "get_bucket_versioning").get("Status") is None:
            return 0
        rules = client.ask(bucket, "get_bucket_lifecycle_configuration")["Rules"]
    except StorageError:
        return None
    ends = [rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in rules if _holds(rule)]
    return min(filter(None, ends), default=None)


def locked(client: S3Client, bucket: str) -> bool:
    """Whether what is written into the bucket can't be deleted for a while (a default retention of object lock)."""
    try:
        found = client.ask(bucket, "get_object_lock_configuration")
    except StorageError:  # most servers' way to say no
        return False
    return bool(found.get("ObjectLockConfiguration", {}).get("Rule"))


def erase(client: S3Client, bucket: str, prefix: str) -> None:
    """Delete every object below a prefix with all its versions and delete markers, so that nothing is left."""
    pages = list(_pages(client, bucket, prefix))  # before the first goes: not every server goes on after one that went
    every = [entry for page in pages for kind in _KINDS for entry in page.get(kind, ())]
    client.delete_objects(bucket, [(entry["Key"], entry["VersionId"]) for entry in every])


def restore(client: S3Client, bucket: str, prefix: str = f"{cache.OBJECTS}/") -> int:
    """Bring back each object below a prefix that was deleted, and whose content the bucket still keeps; how many. Of
    DVC's objects each is named by its hash, so that none can come back as another one."""
    pages = list(_pages(client, bucket, prefix))
    kept = {entry["Key"] for page in pages for entry in page.get("Versions", ())}
    marks = [mark for page in pages for mark in page.get("DeleteMarkers", ()) if mark["IsLatest"]]
    wanted = [(mark["Key"], mark["VersionId"]) for mark in marks if mark["Key"] in kept]
    client.delete_objects(bucket, wanted)
    return len(wanted)


def _pages(client: S3Client, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    asked: dict[str, Any] = {"Prefix": prefix}
    more = True
    while more:
        page = client.ask(bucket, "list_object_versions", asked)
        yield page
        more = page.get("IsTruncated", False)
        asked |= {"KeyMarker": page.get("NextKeyMarker", ""), "VersionIdMarker": page.get("NextVersionIdMarker", "")}


def _holds(rule: dict[str, Any]) -> bool:
    """Whether a rule is on, and about every object of the bucket."""
    scope = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    return rule.get("Status") == "Enabled" and not scope and not rule.get("Filter", {}).keys() - {"Prefix"}
