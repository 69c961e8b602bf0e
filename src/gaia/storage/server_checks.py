"""What an S3 server has to do for DVC and for us: each public function is a check, see `verify`."""

from __future__ import annotations

import random
import secrets
import statistics
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.storage import settings
from gaia.storage.client import S3Client
from gaia.storage.errors import Refused
from gaia.storage.streams import PART
from gaia.storage.wire import THREADS

KEYS = 1_001  # one more than a page of a listing


class Scratch(NamedTuple):
    """Where the checks may write: under a prefix of their own, and in a temporary folder."""

    client: S3Client
    bucket: str
    prefix: str
    folder: Path

    def put(self, name: str, content: bytes = b"x") -> str:
        """Store an object; its key."""
        source, key = self.folder / secrets.token_hex(8), f"{self.prefix}{name}"
        source.write_bytes(content)
        self.client.upload_file(source, self.bucket, key)
        return key

    def delete(self) -> None:
        """Delete all that the checks have written into the buckets."""
        for bucket in self.client.settings.buckets.values():
            self.client.delete_objects(bucket, [found.key for found in self.client.list_objects(bucket, self.prefix)])


def wrong_keys(at: Scratch) -> str:
    """Wrong keys are refused."""
    known = settings.with_keys(at.client.settings)
    for wrong in (replace(known, secret_key=secrets.token_hex(20)), replace(known, access_key=secrets.token_hex(8))):
        try:
            S3Client(wrong, attempts=1).buckets()
        except Refused:
            continue
        raise GaiaError(f"{at.client.endpoint} takes wrong keys, so anybody may read and write.")
    return "a wrong access key and a wrong secret key are refused"


def buckets(at: Scratch) -> str:
    """The buckets of all remotes are there."""
    names = at.client.settings.buckets.values()
    if missing := [name for name in names if not at.client.bucket_exists(name)]:
        raise GaiaError(f"there is no bucket {', '.join(missing)}", "`gaia storage up` makes it")
    return ", ".join(names)


def round_trip(at: Scratch) -> str:
    """What is written is read back, with its metadata, and is gone when it was deleted."""
    for bucket in at.client.settings.buckets.values():
        key = f"{at.prefix}round trip/ä+?"
        source, back = at.folder / "source", at.folder / "back"
        source.write_bytes(secrets.token_bytes(1000))
        at.client.upload_file(source, bucket, key, metadata={"by": "gaia"})
        at.client.download_file(bucket, key, back)
        found = at.client.get_object_metadata(bucket, key)
        gone = at.client.delete_object(bucket, key) and not at.client.object_exists(bucket, key)
        if (back.read_bytes(), found["size"], found["metadata"]) != (source.read_bytes(), 1000, {"by": "gaia"}):
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
    with ThreadPoolExecutor(THREADS) as pool:
        names = list(pool.map(lambda number: at.put(f"many/{number}"), range(KEYS)))
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
