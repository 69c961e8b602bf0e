"""What an S3 server has to do for DVC and for us: each public function is a check, see `verify`."""

from __future__ import annotations

import random
import secrets
import statistics
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.storage.errors import NotAllowed, Refused, StorageError
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.streams import PART
from gaia.storage.s3.wire import THREADS
from gaia.storage.servers import buckets as made

KEYS = 1_001  # one more than a page of a listing


@dataclass(frozen=True)
class Scratch:
    """Where the checks may write: under a prefix of their own, and in a temporary folder."""

    client: S3Client
    bucket: str
    prefix: str
    folder: Path

    def put(self, name: str, content: bytes = b"x", bucket: str = "", **more: Any) -> str:
        """Store an object; its key. Raises NotAllowed where it couldn't be deleted again."""
        source, key, into = self.folder / secrets.token_hex(8), f"{self.prefix}{name}", bucket or self.bucket
        if into in self.locked:
            raise NotAllowed(f"{into} keeps all that is written (object lock), so nothing is written to try it.")
        source.write_bytes(content)
        self.client.upload_file(source, into, key, **more)
        return key

    @cached_property
    def locked(self) -> set[str]:
        """The buckets that let nothing be deleted for a while."""
        return {name for name in self.client.settings.buckets.values() if made.locked(self.client, name)}

    def delete(self) -> None:
        """Delete all that the checks have written into the buckets."""
        for bucket in self.client.settings.buckets.values():
            try:
                made.erase(self.client, bucket, self.prefix)
            except StorageError:  # a server without versions, or keys that may not see them
                there = self.client.list_objects(bucket, self.prefix)
                self.client.delete_objects(bucket, [found.key for found in there])


def wrong_keys(at: Scratch) -> str:
    """Wrong keys are refused."""
    known = settings.with_keys(at.client.settings)
    for wrong in (replace(known, secret_key=secrets.token_hex(20)), replace(known, access_key=secrets.token_hex(8))):
        try:
            S3Client(wrong, attempts=1).bucket_exists(at.bucket)
        except Refused:
            continue
        raise GaiaError(f"{at.client.endpoint} takes wrong keys, so anybody may read and write.")
    return "a wrong access key and a wrong secret key are refused"


def buckets(at: Scratch) -> str:
    """The buckets of all remotes are there."""
    for name in at.client.settings.buckets.values():
        for _ in at.client.list_objects(name, at.prefix):  # and not bucket_exists(): it says which is missing
            pass
    return ", ".join(at.client.settings.buckets.values())


def round_trip(at: Scratch) -> str:
    """What is written is read back, with its metadata, and is gone when it was deleted."""
    for bucket in at.client.settings.buckets.values():
        content, back = secrets.token_bytes(1000), at.folder / "back"
        key = at.put("round trip/ä+?", content, bucket, metadata={"by": "gaia"})
        at.client.download_file(bucket, key, back)
        found = at.client.get_object_metadata(bucket, key)
        gone = at.client.delete_object(bucket, key) and not at.client.object_exists(bucket, key)
        if (back.read_bytes(), found["size"], found["metadata"]) != (content, 1000, {"by": "gaia"}):
            raise GaiaError(f"{bucket} gives back something else than was written.")
        if not gone:
            raise GaiaError(f"{bucket} still has an object that was deleted.")
    return "what is written is read back and deleted, in each bucket"


def speed(at: Scratch) -> str:
    """A file that goes up in parts comes back as it was; how fast."""
    content, back = random.randbytes(3 * PART + 1), at.folder / "back"
    start = time.perf_counter()
    key = at.put("parts", content)
    middle = time.perf_counter()
    at.client.download_file(at.bucket, key, back)
    end = time.perf_counter()
    if back.read_bytes() != content:
        raise GaiaError("a file that went up in parts comes back as another one.")
    size = len(content) / 1e6
    return f"{size:.0f} MB in parts: {size / (middle - start):.0f} MB/s up, {size / (end - middle):.0f} MB/s down"


def listing(at: Scratch) -> str:
    """Listings go past a page."""
    first = at.put("many/0")  # where that is refused, so are the others
    with ThreadPoolExecutor(THREADS) as pool:
        names = [first, *pool.map(lambda number: at.put(f"many/{number}"), range(1, KEYS))]
    listed = [found.key for found in at.client.list_objects(at.bucket, f"{at.prefix}many/")]
    if sorted(listed) != sorted(names):
        raise GaiaError(f"of {KEYS} keys {len(listed)} are listed.")
    return f"{KEYS} keys are listed"


def latency(at: Scratch) -> str:
    """How long a request takes."""
    key, seconds = at.put("latency"), []
    for _ in range(60):
        start = time.perf_counter()
        at.client.get_object_metadata(at.bucket, key)
        seconds.append(time.perf_counter() - start)
    cuts = statistics.quantiles(seconds, n=20)
    return f"a request takes {cuts[9] * 1000:.1f} ms (p50), {cuts[18] * 1000:.1f} ms (p95)"


def links(at: Scratch) -> str:
    """A presigned link works, and ends."""
    link = at.client.get_presigned_url(at.bucket, at.put("link"), expires=2, filename="name.txt")
    if _status(link, at) != 200:
        raise GaiaError("a presigned link doesn't work", "check the clocks of this machine and the server")
    end = time.monotonic() + 10
    while _status(link, at) == 200:
        if time.monotonic() > end:
            raise GaiaError("a presigned link for two seconds still works after ten.")
        time.sleep(0.2)
    return "a link works, and no longer than it should"


def anonymous(at: Scratch) -> str:
    """Who has no keys is refused."""
    status = _status(f"{at.client.settings.bucket_url(at.bucket)}/{at.put('private')}", at)
    if status not in (401, 403):
        raise GaiaError(
            f"who has no keys is answered with HTTP {status} instead of being refused", f"make {at.bucket} private"
        )
    return "who has no keys is refused"


def refused_or_missing(at: Scratch) -> str:
    """A refused object (403) can be told from a missing one (404)."""
    absent = f"{at.prefix}absent"
    next(at.client.list_objects(at.bucket, absent), None)  # who may not list can't tell
    stranger = S3Client(replace(settings.with_keys(at.client.settings), secret_key=secrets.token_hex(20)), attempts=1)
    try:
        stranger.object_exists(at.bucket, absent)
    except Refused:
        if not at.client.object_exists(at.bucket, absent):
            return "a missing object (404) and a refused one (403) differ"
    raise GaiaError("a refused object can't be told from a missing one.")


def _status(link: str, at: Scratch) -> int:
    known = at.client.settings  # asked as the client asks
    ways = (urllib.request.ProxyHandler({} if known.here else None),
            urllib.request.HTTPSHandler(context=settings.trust(known)))  # fmt: skip
    try:
        with urllib.request.build_opener(*ways).open(link, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        raise GaiaError(f"a link can't be followed: {error}.") from None
