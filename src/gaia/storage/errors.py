"""What can go wrong with an S3 server, told apart: each is a sentence (GaiaError), and callers may treat them apart."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from gaia.errors import GaiaError

# Not `dvc push`: where a folder's listing is, DVC believes its files to be there, and whole.
STORE_ANEW = "`gaia storage verify --mend` stores it anew, in a clone that has it in its cache"
LOG = ".storage/log where it is the embedded server's"
RIGHTS = "check what the keys in .env are allowed: conf/storage has three policies, and docs/cli.md what each is for"
_VERBS = {
    "ListObjectsV2": "list", "ListObjectVersions": "list the versions of", "ListBuckets": "see",
    "DeleteObject": "delete", "DeleteObjects": "delete from", "CreateBucket": "make",
    **dict.fromkeys(("PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart"), "write"),
}  # fmt: skip
MAX_SKEW = 300  # seconds; servers refuse requests whose clock is 15 minutes off


class StorageError(GaiaError):
    """The server could not do what was asked."""


class Unreachable(StorageError):
    """No server answers at the endpoint, or not in time."""


class Refused(StorageError):
    """The server answers, and says no: wrong keys, missing rights, a wrong clock (HTTP 403)."""


class NotAllowed(Refused):
    """The keys are right, and may not do this: whoever made them didn't give them the right to it."""


class Unreadable(Refused):
    """There is no such object, or the keys may not read it: only who may list the bucket is told which."""


class Missing(StorageError):
    """There is no such bucket or object (HTTP 404)."""


class Full(StorageError):
    """The server has no space left."""


class Corrupted(StorageError):
    """What came is not what was stored."""


def from_client_error(error: Any, endpoint: str, what: str) -> StorageError:
    """The typed error for botocore's ClientError on `what` (`models/files/md5/ab/cd`, or a bucket)."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", "")).rstrip(".")
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode")
    skew = _skew(metadata.get("HTTPHeaders", {}))
    if code == "RequestTimeTooSkewed" or (status == 403 and abs(skew) > MAX_SKEW):
        return Refused(f"{endpoint} refuses requests from this clock, which is {_apart(skew)}", "set the clock")
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        wrong = "access key" if code == "InvalidAccessKeyId" else "secret key"
        return Refused(f"{endpoint} doesn't know this {wrong}", "check S3_ACCESS_KEY and S3_SECRET_KEY in .env")
    if status == 403:
        asked = str(error.operation_name)
        if asked in ("GetObject", "HeadObject"):
            return Unreadable(f"{what} is not at {endpoint}, or these keys may not read it", RIGHTS)
        return NotAllowed(f"these keys may not {_VERBS.get(asked, f'ask for {asked} of')} {what} at {endpoint}", RIGHTS)
    if code == "NoSuchBucket":
        return Missing(f"there is no bucket {what.split('/')[0]} at {endpoint}", "`gaia storage up` makes it")
    if status == 404:
        return Missing(f"there is no {what} at {endpoint}.")
    if code == "XMinioStorageFull" or status == 507:
        return Full(f"{endpoint} has no space left for {what}", "free some and repeat")
    if status and status >= 500:  # what SeaweedFS says of a full disk, too
        return StorageError(f"{endpoint} failed on {what}", f"its log ({LOG}) says why, and whether its disk is full")
    return StorageError(f"{endpoint} failed on {what}: {message or code or status}.")


def from_connection(error: Exception, endpoint: str) -> Unreachable:
    """The typed error for botocore's exceptions without an answer."""
    kind = type(error).__name__
    if kind == "ProxyConnectionError":
        host, proxy = endpoint.partition("://")[2], getattr(error, "kwargs", {}).get("proxy_url")
        return Unreachable(
            f"{endpoint} can't be reached through the proxy {proxy}, which a variable names",
            f"set HTTP_PROXY or HTTPS_PROXY right, or NO_PROXY={host} to pass by it",
        )
    if kind == "SSLError" or "certificate" in str(error).lower():
        return Unreachable(
            f"{endpoint} has no certificate that is trusted here", "AWS_CA_BUNDLE=<file> names the authorities to trust"
        )
    if "imeout" in kind:
        return Unreachable(f"{endpoint} did not answer in time", "check the network and the server, and repeat")
    return Unreachable(f"no server answers at {endpoint}", "`make storage` starts one here, or check S3_ENDPOINT")


def _skew(headers: dict[str, str]) -> float:
    """Seconds by which this machine's clock is ahead of the server's."""
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0


def _apart(skew: float) -> str:
    minutes = round(abs(skew) / 60)
    return f"{minutes} minutes {'ahead of' if skew > 0 else 'behind'} the server's" if minutes else "off"
