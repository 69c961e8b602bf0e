"""An S3 client with sentences for errors: thin over botocore, which DVC brings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from gaia import files
from gaia.errors import GaiaError
from gaia.storage import settings as at
from gaia.storage.errors import (
    STORE_ANEW,
    Corrupted,
    Missing,
    NotAllowed,
    Refused,
    StorageError,
    from_client_error,
    from_connection,
)
from gaia.storage.settings import Settings

PART = 16 * 2**20  # bytes; a larger file goes up in parts of this size
THREADS = 8
Progress = Callable[[int], object]  # called with the number of bytes that have just passed


class Stored(NamedTuple):
    """An object as a listing shows it: `size` in bytes, `modified` in ISO 8601."""

    key: str
    size: int
    modified: str


class S3Client:
    """The storage of the project, or the one that `settings` describe. Safe to share between threads.

    Every method raises StorageError or one of its kinds: Unreachable, Refused, Missing, Full, Corrupted.
    A request is repeated with back-off up to `attempts` times; `timeout` is the seconds of silence that end one.
    """

    def __init__(self, settings: Settings | None = None, *, timeout: float = 60, attempts: int = 4) -> None:
        import botocore.session
        from botocore.config import Config
        from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as known

        self.settings = settings or at.read()
        self.endpoint = self.settings.endpoint
        # only what is said here decides: no variable, profile or file that this host has for other services
        deaf = {name: (None, None, default, cast) for name, (_, _, default, cast) in known.items()}
        deaf |= dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
        deaf["ca_bundle"] = known["ca_bundle"]  # but the authority that a company's proxy to elsewhere needs
        session = botocore.session.Session(session_vars=deaf)
        self._s3 = session.create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.settings.region,
            aws_access_key_id=self.settings.access_key,
            aws_secret_access_key=self.settings.secret_key,
            config=Config(
                signature_version="s3v4",
                connect_timeout=min(timeout, 5),
                read_timeout=timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=4 * THREADS,
                proxies={} if self.settings.here else None,  # no proxy leads to this very machine
                s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"},
                defaults_mode="legacy",
                # of S3's servers only the newer know the other checksums
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
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

    def ask(self, what: str, operation: str, **asked: Any) -> Any:
        """The answer to an operation of S3, as botocore names it, on `what` (a bucket, or bucket/key)."""
        with self._sentences(what):
            return getattr(self._s3, operation)(**asked)

    def buckets(self) -> list[str]:
        """The names of the buckets that these keys may see."""
        with self._sentences("the list of buckets"):
            return [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]

    def create_bucket(self, bucket: str) -> bool:
        """Make a bucket; False if it was there already."""
        if self.bucket_exists(bucket):
            return False
        with self._sentences(bucket):
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
        with self._sentences(bucket):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield Stored(found["Key"], found["Size"], found["LastModified"].isoformat())

    def upload_file(
        self, path: Path | str, bucket: str, key: str, *, metadata: dict[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Store a file. The object appears whole or not at all, also where the connection breaks."""
        path, told, where = Path(path), progress or (lambda passed: None), {"Bucket": bucket, "Key": key}
        try:
            size = path.stat().st_size
            with self._sentences(f"{bucket}/{key}"):
                if size > PART:
                    self._upload_parts(path, size, where, metadata or {}, told)
                else:
                    self._s3.put_object(**where, Body=path.read_bytes(), Metadata=metadata or {})
                    told(size)
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
            with files.replaced(Path(path)) as beside:
                with beside.open("wb") as file:
                    digest = self.read(bucket, key, file.write, progress=progress)
                if md5 and digest != md5:
                    raise Corrupted(
                        f"{bucket}/{key} at {self.endpoint} is damaged: its content has the md5 {digest}", STORE_ANEW
                    )
        except OSError as error:
            raise GaiaError(f"{path} can't be written: {error.strerror}.") from None

    def read(self, bucket: str, key: str, piece: Callable[[bytes], object], *, progress: Progress | None = None) -> str:
        """Stream an object's content through `piece`; the md5 of what passed. A broken connection is taken up again
        where it broke."""
        from botocore.exceptions import ConnectionError, HTTPClientError, IncompleteReadError, ReadTimeoutError

        digest, passed, tries = hashlib.md5(usedforsecurity=False), 0, 0
        while True:
            with self._sentences(f"{bucket}/{key}"):
                asked = {"Range": f"bytes={passed}-"} if passed else {}
                found = self._s3.get_object(Bucket=bucket, Key=key, **asked)
                whole = passed + found["ContentLength"]
                try:
                    for chunk in found["Body"].iter_chunks(2**20):
                        piece(chunk)
                        digest.update(chunk)
                        passed += len(chunk)
                        if progress:
                            progress(len(chunk))
                except (ConnectionError, HTTPClientError, IncompleteReadError, ReadTimeoutError):
                    tries += 1
                    if tries > 3:
                        raise
                    continue
            if passed == whole:
                return digest.hexdigest()

    def delete_object(self, bucket: str, key: str) -> bool:
        """Delete one object, by its exact key; False if there was none."""
        if not self.object_exists(bucket, key):
            return False
        with self._sentences(f"{bucket}/{key}"):
            self._s3.delete_object(Bucket=bucket, Key=key)
        return True

    def delete_objects(self, bucket: str, keys: Iterable[str]) -> None:
        """Delete objects by their exact keys, a thousand a request; those that aren't there are no error."""
        wanted = [{"Key": key} for key in keys]
        for start in range(0, len(wanted), 1000):
            asked = {"Objects": wanted[start : start + 1000], "Quiet": True}
            with self._sentences(bucket):
                failed = self._s3.delete_objects(Bucket=bucket, Delete=asked).get("Errors", [])
            if failed:
                raise StorageError(f"{bucket}/{failed[0]['Key']} can't be deleted: {failed[0].get('Message')}.")

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

    def _upload_parts(
        self, path: Path, size: int, where: dict[str, str], metadata: dict[str, str], told: Progress
    ) -> None:
        length = max(PART, -(-size // 10_000))  # S3 takes 10,000 parts
        upload = where | {"UploadId": self._s3.create_multipart_upload(**where, Metadata=metadata)["UploadId"]}

        def send(number: int) -> dict[str, Any]:
            with path.open("rb") as file:
                file.seek((number - 1) * length)
                piece = file.read(length)
            tag = self._s3.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]
            told(len(piece))
            return {"PartNumber": number, "ETag": tag}

        try:
            with ThreadPoolExecutor(THREADS) as pool:
                parts = list(pool.map(send, range(1, -(-size // length) + 1)))
            self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(Exception):
                self._s3.abort_multipart_upload(**upload)
            raise

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """botocore's exceptions as ours; `what` is the bucket, or bucket/key."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            cause = self._cause(what.split("/")[0]) if error.operation_name == "HeadObject" else None
            raise cause or from_client_error(error, self.endpoint, what) from None
        except BotoCoreError as error:
            raise from_connection(error, self.endpoint) from None

    def _cause(self, bucket: str) -> StorageError | None:
        """Why HEAD failed, whose answer has no room to say: a missing bucket, or what is wrong with the keys; None if
        the bucket can be read, so that it was about the object."""
        from botocore.exceptions import ClientError

        try:
            self._s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except ClientError as error:
            found = from_client_error(error, self.endpoint, bucket)
            return None if isinstance(found, NotAllowed) else found
        return None


def answers(settings: Settings) -> bool:
    """Whether a server takes these keys at the endpoint. Raises Refused if one answers and doesn't."""
    try:
        S3Client(settings, timeout=5, attempts=1).may_list()
    except Refused:
        raise
    except StorageError:
        return False
    return True
