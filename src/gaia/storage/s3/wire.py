"""S3's requests for whole objects, many and fast: signed and carried by botocore, without its model of the service,
which takes longer to load than most transfers last."""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree
from xml.etree.ElementTree import ParseError

from gaia.storage.errors import StorageError, region
from gaia.storage.s3 import connection, settings, tls
from gaia.storage.s3.settings import Settings

THREADS = 8  # connections that stay open, and requests at a time
_AGAIN = {408, 429, 500, 502, 503, 504}  # what a server may answer otherwise the next time


class _Unsigned:
    """For botocore's signer: what is sent isn't hashed once more, since its md5 is signed, and the server compares."""

    s3: ClassVar = {"payload_signing_enabled": False}


class Stored(NamedTuple):
    """An object as a listing shows it: `size` in bytes, `modified` in ISO 8601."""

    key: str
    size: int
    modified: str


class Wire:
    """Connections to an S3 server, safe to share between threads. Every method raises StorageError or a kind of it.

    A request is repeated with back-off up to `attempts` times; `timeout` is the seconds of silence that end one.
    """

    def __init__(self, at: Settings, *, timeout: float = 60, attempts: int = 4) -> None:
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        self._at, self._attempts, self.endpoint, self._region = at, attempts, at.endpoint, at.region
        proxies = {} if at.here else get_environ_proxies(at.endpoint)  # no proxy leads to this very machine
        self._session = URLLib3Session(
            verify=at.authorities or True,
            proxies=proxies,
            timeout=(min(timeout, 5), timeout),
            max_pool_connections=4 * THREADS,
        )

    def get(self, bucket: str, key: str, start: int = 0, stop: int | None = None) -> Any:
        """An object, or its bytes from `start` until before `stop`: urllib3's answer, of which nothing is read yet."""
        part = start or stop is not None
        asked = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if part else {}
        return self._ask("GET", bucket, key, headers=asked, stream=True).raw

    def head(self, bucket: str, key: str) -> Mapping[str, str]:
        """What the server says of an object without sending it."""
        headers: Mapping[str, str] = self._ask("HEAD", bucket, key).headers
        return headers

    def put(
        self, bucket: str, key: str, content: bytes, md5: bytes = b"", headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> str:  # fmt: skip
        """Store an object, or a part of one; its etag. The server compares what comes with the md5 (16 bytes), if it is
        known, or else with a sha256, which is made faster."""
        said = ({"Content-MD5": b64encode(md5).decode()} if md5 else {}) | dict(headers or {})
        return str(self._ask("PUT", bucket, key, query, content, said).headers["ETag"])

    def post(
        self, bucket: str, key: str, content: bytes = b"", headers: Mapping[str, str] | None = None, **query: str
    ) -> Any:
        """Begin an upload in parts, or complete one: the answer's XML. Raises StorageError if that tells an error."""
        return self._told(self._ask("POST", bucket, key, query, content, headers), bucket, key)

    def copy(self, bucket: str, key: str, source: str, headers: Mapping[str, str], **query: str) -> str:
        """Let the server copy an object, the `source` as bucket/key, or make a part of one from it; the etag of that.
        Raises StorageError if the answer tells an error."""
        said = {"x-amz-copy-source": quote(source), **headers}
        return str(self._told(self._ask("PUT", bucket, key, query, headers=said), bucket, key).findtext("ETag"))

    def parts(self, bucket: str, key: str, upload: str) -> dict[int, str]:
        """The etags of the parts that an upload has so far, by number."""
        query: dict[str, str] = {"uploadId": upload}
        found: dict[int, str] = {}
        while True:
            page = _parsed(self._ask("GET", bucket, key, query).content)
            found |= {int(each.findtext("PartNumber")): each.findtext("ETag") for each in page.iter("Part")}
            if page.findtext("IsTruncated") != "true":
                return found
            query["part-number-marker"] = page.findtext("NextPartNumberMarker")

    def delete(self, bucket: str, key: str, **query: str) -> None:
        """Delete an object, or give up an upload in parts."""
        self._ask("DELETE", bucket, key, query)

    def listed(self, bucket: str, prefix: str = "") -> Iterator[list[Stored]]:
        """The objects whose key begins with `prefix`, a page at a time, in the order of the keys."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        while True:
            page = _parsed(self._ask("GET", bucket, "", query).content)
            yield [
                _stored(*(each.findtext(name) for name in ("Key", "Size", "LastModified")))
                for each in page.iter("Contents")
            ]
            if page.findtext("IsTruncated") != "true":
                return
            query["continuation-token"] = page.findtext("NextContinuationToken")

    def _told(self, answer: Any, bucket: str, key: str) -> Any:
        found = _parsed(answer.content)
        if found.tag == "Error":  # which a server may say after it has begun to say that all is well
            raise StorageError(f"{self.endpoint} failed on {bucket}/{key}: {found.findtext('Message')}.")
        return found

    def _ask(
        self, method: str, bucket: str, key: str, query: Mapping[str, str] | None = None, content: bytes = b"",
        headers: Mapping[str, str] | None = None, stream: bool = False,
    ) -> Any:  # fmt: skip
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError, ClientError

        at, what = self._at, f"{bucket}/{key}" if key else bucket
        url = f"{at.bucket_url(bucket)}/{quote(key)}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        for attempt in range(1, self._attempts + 1):
            request = AWSRequest(method, url, dict(headers or {}), content, stream_output=stream)
            if "Content-MD5" in request.headers or not content:
                request.context["client_config"] = _Unsigned
            S3SigV4Auth(Credentials(*settings.credentials(at)), "s3", self._region).add_auth(request)
            try:
                answer = self._session.send(request.prepare())
            except BotoCoreError as error:
                if attempt == self._attempts or not _transient(error):
                    raise connection.failed(error, at, what) from None
            else:
                if answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
                    return answer
                tls.refuse_redirect(at, answer.headers)
                if answer.status_code == HTTPStatus.BAD_REQUEST and self._follows(_error(answer), method, bucket):
                    return self._ask(method, bucket, key, query, content, headers, stream)
                if attempt == self._attempts or answer.status_code not in _AGAIN:
                    raise connection.failed(ClientError(_error(answer), method), at, what)
            time.sleep(random.uniform(0.5, 1) * min(0.2 * 2**attempt, 5))
        raise AssertionError("the last attempt ends it")

    def _follows(self, error: dict[str, Any], method: str, bucket: str) -> bool:
        """Whether it turned out that the server wants requests signed for another region than the settings say, as
        botocore's client would find out: once, and not at AWS, where other regions have other endpoints."""
        if self._region != self._at.region or self._at.aws:
            return False
        if method == "HEAD":  # whose answer has no room to say
            with suppress(StorageError):
                self._ask("GET", bucket, "", {"list-type": "2", "max-keys": "1"})
        else:
            self._region = region(error) or self._region
        return self._region != self._at.region


def _stored(key: str, size: str, modified: str) -> Stored:
    return Stored(unquote_plus(key), int(size), datetime.fromisoformat(modified).isoformat())


def _transient(error: Exception) -> bool:
    """Whether a connection failed as it may not the next time."""
    from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError
    from botocore.exceptions import ReadTimeoutError as Silence

    return isinstance(error, (ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, Silence))


def _error(answer: Any) -> dict[str, Any]:
    """What an answer says went wrong, as botocore's ClientError keeps it; HEAD's says no more than a number."""
    try:
        said = _parsed(answer.content)
        told = {name: said.findtext(name) or "" for name in ("Code", "Message", "Region")}
    except ParseError:
        told = {"Code": str(answer.status_code), "Message": ""}
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {"Error": told, "ResponseMetadata": {"HTTPStatusCode": answer.status_code, "HTTPHeaders": headers}}


def _parsed(content: bytes) -> Any:
    """An answer's XML, its names without the namespace, of which not every server has the same."""
    tree = ElementTree.fromstring(content)
    for each in tree.iter():
        each.tag = each.tag.rpartition("}")[2]
    return tree
