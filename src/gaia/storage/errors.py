"""What can go wrong with an S3 server, told apart: each is a sentence (GaiaError), and callers may treat them apart."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from gaia.errors import GaiaError, first_line

# Not `dvc push`: where a folder's listing is, DVC believes its files to be there, and whole.
STORE_ANEW = "`gaia storage verify --mend` stores it anew, in a clone that has it in its cache"
LOG = ".storage/log where it is the embedded server's"
RIGHTS = "docs/cli.md (storage up) says what each verb takes, and conf/storage has a policy for it"
_VERBS = {
    **dict.fromkeys(("GET", "ListObjectsV2"), "list"), "ListObjectVersions": "list the versions of",
    "ListBuckets": "see", "CreateBucket": "make", "DeleteObjects": "delete from",
    **dict.fromkeys(("DELETE", "DeleteObject"), "delete"),
    **dict.fromkeys(("PUT", "POST"), "write"),
}  # fmt: skip
NAMES = "S3_BUCKET_MODELS, S3_BUCKET_IMAGES and S3_BUCKET_DATA in .env name others"
_AWS = ".amazonaws.com"
MAX_SKEW = 300  # seconds; servers refuse requests whose clock is 15 minutes off


class StorageError(GaiaError):
    """The server could not do what was asked."""


class Unreachable(StorageError):
    """No server answers at the endpoint, or not in time."""


class Untrusted(Unreachable):
    """Somebody listens at the endpoint, but there is no safe way in: a certificate, or TLS on one side alone."""


class Refused(StorageError):
    """The server answers, and says no: wrong keys, missing rights, a wrong clock (HTTP 403)."""


class NotAllowed(Refused):
    """The keys are right, and may not do this: whoever made them didn't give them the right to it."""

    verb = ""  # what they may not: write, list


class Unreadable(Refused):
    """There is no such object, or the keys may not read it: only who may list the bucket is told which."""


class Missing(StorageError):
    """There is no such bucket or object (HTTP 404)."""


class Full(StorageError):
    """The server has no space left."""


class Corrupted(StorageError):
    """What came is not what was stored."""


def from_client_error(error: Any, endpoint: str, what: str, keys: str = "the keys") -> StorageError:
    """The typed error for botocore's ClientError on `what` (`models/files/md5/ab/cd`, or a bucket); `keys` says where
    those are from with which it was asked."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", "")).rstrip(".")
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode")
    skew = _skew(metadata.get("HTTPHeaders", {}))
    if code == "RequestTimeTooSkewed" or (status == 403 and abs(skew) > MAX_SKEW):
        return Refused(f"{endpoint} refuses requests from this clock, which is {_apart(skew)}", "set the clock")
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        wrong = "access key" if code == "InvalidAccessKeyId" else "secret key"
        return Refused(f"{endpoint} doesn't know this {wrong}", f"check {keys}")
    if code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
        return Refused(
            f"{endpoint} takes the session token no more ({code})",
            f"renew {keys}; keys of AWS's chain (S3_PROFILE) are renewed by themselves, those in .env are not",
        )
    if elsewhere := region(error.response):
        at_aws = f", and S3_ENDPOINT=https://s3.{elsewhere}.amazonaws.com" if _AWS in endpoint else ""
        return Refused(
            f"{endpoint} refuses S3_REGION for {what}: it is {elsewhere}", f"set S3_REGION={elsewhere} in .env{at_aws}"
        )
    if code == "BucketAlreadyExists":
        return Refused(f"the bucket {what} at {endpoint} is somebody else's", NAMES)
    if status == 403:
        asked = str(error.operation_name)  # or the method
        if "/" in what and asked in ("GET", "HEAD", "GetObject", "HeadObject"):
            return Unreadable(f"{what} is not at {endpoint}, or these keys may not read it", f"check {keys}; {RIGHTS}")
        others = f"; a name is given once for all of AWS: {NAMES}" if _AWS in endpoint and "/" not in what else ""
        verb = _VERBS.get(asked, f"ask for {asked} of")
        refusal = NotAllowed(
            f"these keys may not {verb} {what} at {endpoint}",
            f"check {keys} and what they are allowed{others}; {RIGHTS}",
        )
        refusal.verb = verb
        return refusal
    if code == "NoSuchBucket":
        return Missing(f"there is no bucket {what.split('/')[0]} at {endpoint}", "`gaia storage up` makes it")
    if status == 404:
        return Missing(f"there is no {what} at {endpoint}.")
    if code == "XMinioStorageFull" or status == 507:
        return Full(f"{endpoint} has no space left for {what}", "free some and repeat")
    if code == "400":  # to HEAD, which has no room for more
        return StorageError(f"{endpoint} failed on {what}: {message}", "see whether S3_REGION in .env is the server's")
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
    if kind == "SSLError":
        return Unreachable(f"there is no way by TLS to {endpoint}: {first_line(error)}.")
    if "imeout" in kind:
        return Unreachable(f"{endpoint} did not answer in time", "check the network and the server, and repeat")
    return Unreachable(f"no server answers at {endpoint}", "`make storage` starts one here, or check S3_ENDPOINT")


def region(response: dict[str, Any]) -> str:
    """Where what was asked for is, if the answer, as botocore's ClientError has it, is that it is elsewhere."""
    said, headers = response.get("Error", {}), response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if said.get("Code") not in ("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "301", "307"):
        return ""
    return str(said.get("Region") or headers.get("x-amz-bucket-region") or "")


def _skew(headers: dict[str, str]) -> float:
    """Seconds by which this machine's clock is ahead of the server's."""
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0


def _apart(skew: float) -> str:
    minutes = round(abs(skew) / 60)
    return f"{minutes} minutes {'ahead of' if skew > 0 else 'behind'} the server's" if minutes else "off"
