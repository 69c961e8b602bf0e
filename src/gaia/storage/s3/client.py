"""An S3 client with sentences for errors: thin over botocore, which DVC brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gaia import files
from gaia.errors import GaiaError
from gaia.storage.errors import Missing, NotAllowed, Refused, StorageError, Untrusted
from gaia.storage.s3 import connection, streams
from gaia.storage.s3 import settings as at
from gaia.storage.s3.settings import Settings
from gaia.storage.s3.streams import Progress
from gaia.storage.s3.wire import THREADS, Stored, Wire

COPIED = 256 * 2**20  # bytes; a larger object is copied in parts: a request takes 5 GB at most, and is silent meanwhile


class S3Client:
    """The storage of the project, or the one that `settings` describe. Safe to share between threads.

    Every method raises StorageError or one of its kinds: Unreachable, Refused, Missing, Full, Corrupted.
    A request is repeated with back-off up to `attempts` times; `timeout` is the seconds of silence that end one.
    """

    def __init__(self, settings: Settings | None = None, *, timeout: float = 60, attempts: int = 4) -> None:
        self.settings = settings or at.read()
        self.endpoint = self.settings.endpoint
        self._timeout, self._attempts = timeout, attempts

    @cached_property
    def wire(self) -> Wire:
        """The connections that objects travel over."""
        return Wire(self.settings, timeout=self._timeout, attempts=self._attempts)

    @cached_property
    def _s3(self) -> Any:
        """botocore's client, for all but the objects' content: it takes longer to load than most transfers last."""
        return connection.connect(
            self.settings, timeout=self._timeout, attempts=self._attempts, connections=4 * THREADS
        )

    def may_list(self) -> bool:
        """Whether these keys may list the project's buckets; who may not may still read, or write. Raises Refused if
        the server doesn't take the keys, Unreachable if none answers."""
        try:
            for bucket in self.settings.buckets.values():
                self.bucket_exists(bucket)
        except NotAllowed:
            return False
        return True

    def ask(self, bucket: str, operation: str, asked: Mapping[str, Any] | None = None) -> Any:
        """The answer to an operation of S3 on a bucket, as botocore names it and what is `asked`."""
        with self._sentences(bucket):
            return getattr(self._s3, operation)(Bucket=bucket, **(asked or {}))

    def buckets(self) -> list[str]:
        """The names of the buckets that these keys may see."""
        with self._sentences("the list of buckets"):
            return [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]

    def create_bucket(self, bucket: str) -> bool:
        """Make a bucket; False if it was there already."""
        from botocore.exceptions import ClientError

        if self.bucket_exists(bucket):
            return False
        at = self.settings
        where = {} if at.region == "us-east-1" else {"LocationConstraint": at.region}  # the one that AWS won't be told
        with self._sentences(bucket):
            try:
                self._s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
            except ClientError as error:  # of a server that has no other region than its own
                if at.aws or error.response["Error"].get("Code") not in ("InvalidRegion", "InvalidLocationConstraint"):
                    raise
                self._s3.create_bucket(Bucket=bucket)
        return True

    def bucket_exists(self, bucket: str) -> bool:
        """Whether the bucket is there. Raises Refused if that is not for these keys to know."""
        try:
            with self._sentences(bucket):
                self._s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except Missing:
            return False
        return True

    def object_exists(self, bucket: str, key: str) -> bool:
        """Whether the object is there. Raises Refused if that is not for these keys to know."""
        try:
            self.get_object_metadata(bucket, key)
        except Missing:
            return False
        return True

    def get_object_metadata(self, bucket: str, key: str) -> dict[str, Any]:
        """`size` in bytes, `modified` (ISO 8601), `etag`, and the `metadata` given at the upload."""
        with self._sentences(f"{bucket}/{key}"):
            found = self._s3.head_object(Bucket=bucket, Key=key)
        return {
            "size": found["ContentLength"],
            "modified": found["LastModified"].isoformat(),
            "etag": found["ETag"].strip('"'),
            "metadata": found["Metadata"],
        }

    def list_objects(self, bucket: str, prefix: str = "") -> Iterator[Stored]:
        """Every object whose key begins with `prefix`, in the order of the keys, however many there are."""
        for page in self.wire.listed(bucket, prefix):
            yield from page

    def upload_file(
        self, path: Path | str, bucket: str, key: str, *, metadata: dict[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Store a file. The object appears whole or not at all, also where the connection breaks."""
        try:
            streams.upload(self.wire, Path(path), bucket, key, progress=progress, metadata=metadata)
        except OSError as error:
            raise GaiaError(f"{path} can't be read: {error.strerror}.") from None

    def download_file(
        self, bucket: str, key: str, path: Path | str, *, md5: str | None = None, progress: Progress | None = None
    ) -> None:
        """Fetch an object into a file, in pieces; `md5` is what its content has to have.

        The file is placed by a rename when it is whole and verified: there is never half a file at `path`, and one that
        was there before stays if anything fails. Raises Corrupted if the content is another one.
        """
        try:
            streams.download(self.wire, bucket, key, Path(path), md5, progress)
        except OSError as error:
            raise GaiaError(f"{path} can't be written: {error.strerror}.") from None

    def read(self, bucket: str, key: str, piece: Callable[[bytes], object], *, progress: Progress | None = None) -> str:
        """Stream an object's content through `piece`; the md5 of what passed. A broken connection is taken up again
        where it broke."""
        digest = files.digest()

        def both(chunk: bytes) -> None:
            digest.update(chunk)
            piece(chunk)

        streams.read(self.wire, bucket, key, both, progress)
        return digest.hexdigest()

    def copy_object(
        self, bucket: str, key: str, to_bucket: str, to_key: str, *, metadata: dict[str, str] | None = None
    ) -> None:
        """Copy an object within the server, without a transfer. The copy appears whole or not at all, with the
        `metadata` given, or else the object's own. Raises Missing if there is no such object."""
        found = self.get_object_metadata(bucket, key)
        said = found["metadata"] if metadata is None else metadata
        streams.copy(self.wire, f"{bucket}/{key}", to_bucket, to_key, found["size"], COPIED, said)

    def delete_object(self, bucket: str, key: str) -> bool:
        """Delete one object, by its exact key; False if there was none."""
        if not self.object_exists(bucket, key):
            return False
        with self._sentences(f"{bucket}/{key}"):
            self._s3.delete_object(Bucket=bucket, Key=key)
        return True

    def delete_objects(self, bucket: str, keys: Iterable[str | tuple[str, str]]) -> None:
        """Delete objects by their exact keys, or each version of them that is named by its key and id, a thousand a
        request; those that aren't there are no error."""
        wanted = [{"Key": key} if isinstance(key, str) else {"Key": key[0], "VersionId": key[1]} for key in keys]
        for start in range(0, len(wanted), 1000):
            asked = {"Objects": wanted[start : start + 1000], "Quiet": True}
            if failed := self.ask(bucket, "delete_objects", {"Delete": asked}).get("Errors"):
                what, message = f"{bucket}/{failed[0]['Key']}", failed[0].get("Message")
                if failed[0].get("Code") == "AccessDenied":
                    versions = "versions of " if "VersionId" in wanted[0] else ""
                    raise NotAllowed(f"these keys may not delete {versions}{what}.")
                raise StorageError(f"{what} can't be deleted: {message}.")

    def get_presigned_url(self, bucket: str, key: str, *, expires: int = 3600, filename: str | None = None) -> str:
        """A link that needs no keys, good for `expires` seconds (a week at most); the download is called `filename`.

        Raises Missing if there is no such object: a link to nothing would only fail elsewhere.
        """
        if not 1 <= expires <= 7 * 86400:
            raise GaiaError(f"a link can be good for 1 second to 7 days, not for {expires} seconds.")
        self.get_object_metadata(bucket, key)
        asked = {"Bucket": bucket, "Key": key}
        if filename:
            asked["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename)}"
        link: str = self._s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=expires)
        return link

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """botocore's exceptions as ours; `what` is the bucket, or bucket/key."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            cause = self._cause(what.split("/")[0]) if error.operation_name == "HeadObject" else None
            raise cause or connection.failed(error, self.settings, what) from None
        except BotoCoreError as error:
            raise connection.failed(error, self.settings, what) from None

    def _cause(self, bucket: str) -> StorageError | None:
        """Why HEAD failed, whose answer has no room to say: a missing bucket, or what is wrong with the keys; None if
        the bucket can be read, so that it was about the object."""
        from botocore.exceptions import ClientError

        try:
            self._s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except ClientError as error:
            found = connection.failed(error, self.settings, bucket)
            return None if isinstance(found, NotAllowed) else found
        return None


def answers(settings: Settings) -> bool:
    """Whether a server takes these keys at the endpoint. Raises Refused or Untrusted if one is there, and doesn't."""
    try:
        S3Client(settings, timeout=5, attempts=1).may_list()
    except (Refused, Untrusted):
        raise
    except StorageError:
        return False
    return True
