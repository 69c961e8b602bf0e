"""The whole check of the storage: the server as DVC needs it, then every object that dvc.lock and the versions need."""

from __future__ import annotations

import random
import secrets
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.registry import tags
from gaia.storage import objects, remotes, settings
from gaia.storage.client import PART, THREADS, S3Client
from gaia.storage.errors import Refused
from gaia.storage.objects import Object, Problem

KEYS = 1_001  # one more than a page of a listing
SAMPLE = 20  # objects hashed where not all are asked for


class Check(NamedTuple):
    """What was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    said: str


class Scratch(NamedTuple):
    """Where the checks may write: under a prefix of their own, and in a temporary folder."""

    client: S3Client
    bucket: str
    prefix: str
    folder: Path


def verify(root: Path = Path(), *, deep: bool = False) -> Iterator[Check]:
    """Each check as it is done. Where the server can't be reached with the keys, the others are not tried.

    `deep` hashes every object instead of a sample. What the checks write is deleted. Raises GaiaError if there are no
    settings.
    """
    client = S3Client(settings.read(root))
    first = _checked("reachable", _reachable, client)
    yield first
    if not first.ok:
        return
    scratch_bucket = client.settings.buckets["models"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Scratch(client, scratch_bucket, f"gaia-verify/{secrets.token_hex(8)}/", Path(folder))
        try:
            for name, check in _SERVER.items():
                yield _checked(name, check, scratch)
        finally:
            with suppress(GaiaError):
                _delete(scratch)
    yield _checked("DVC", _dvc, client, root)
    needed: list[Object] = []
    yield _checked("objects", _objects, client, root, needed)
    if needed:
        once = list({(o.bucket, o.key): o for o in needed}.values())
        chosen = once if deep else random.sample(once, min(SAMPLE, len(once)))
        yield _checked("hashes", _hashes, client, chosen, len(once))
        yield _checked("cache", _cache, chosen, root)


def _checked(name: str, check: Callable[..., str], *arguments: object) -> Check:
    try:
        return Check(name, True, check(*arguments))
    except GaiaError as error:
        return Check(name, False, str(error))


def _reachable(client: S3Client) -> str:
    return f"{client.endpoint} takes the keys and shows {len(client.buckets())} buckets"


def _wrong_keys(at: Scratch) -> str:
    known = at.client.settings
    for wrong in (replace(known, secret_key=secrets.token_hex(20)), replace(known, access_key=secrets.token_hex(8))):
        try:
            S3Client(wrong, attempts=1).buckets()
        except Refused:
            continue
        raise GaiaError(f"{at.client.endpoint} takes wrong keys, so anybody may read and write.")
    return "a wrong access key and a wrong secret key are refused"


def _buckets(at: Scratch) -> str:
    names = at.client.settings.buckets.values()
    if missing := [name for name in names if not at.client.bucket_exists(name)]:
        raise GaiaError(f"there is no bucket {', '.join(missing)}", "`gaia storage up` makes it")
    return ", ".join(names)


def _round_trip(at: Scratch) -> str:
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


def _parts(at: Scratch) -> str:
    size, key = 3 * PART + 1, f"{at.prefix}parts"
    source, back = at.folder / "source", at.folder / "back"
    source.write_bytes(random.randbytes(size))
    start = time.perf_counter()
    at.client.upload_file(source, at.bucket, key)
    middle = time.perf_counter()
    at.client.download_file(at.bucket, key, back)
    end = time.perf_counter()
    if back.read_bytes() != source.read_bytes():
        raise GaiaError("a file that went up in parts comes back as another one.")
    up, down = size / 1e6 / (middle - start), size / 1e6 / (end - middle)
    return f"{size / 1e6:.0f} MB in parts: {up:.0f} MB/s up, {down:.0f} MB/s down"


def _many_keys(at: Scratch) -> str:
    (at.folder / "source").write_bytes(b"x")
    names = [f"{at.prefix}many/{number}" for number in range(KEYS)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: at.client.upload_file(at.folder / "source", at.bucket, name), names))
    listed = [found.key for found in at.client.list_objects(at.bucket, f"{at.prefix}many/")]
    if sorted(listed) != sorted(names):
        raise GaiaError(f"of {KEYS} keys {len(listed)} are listed.")
    return f"{KEYS} keys are listed"


def _latency(at: Scratch) -> str:
    seconds = []
    for number in range(60):
        start = time.perf_counter()
        at.client.get_object_metadata(at.bucket, f"{at.prefix}many/{number}")
        seconds.append(time.perf_counter() - start)
    cuts = statistics.quantiles(seconds, n=20)
    return f"a request takes {cuts[9] * 1000:.1f} ms (p50), {cuts[18] * 1000:.1f} ms (p95)"


def _presigned(at: Scratch) -> str:
    key = f"{at.prefix}many/0"
    link = at.client.get_presigned_url(at.bucket, key, expires=2, filename="name.txt")
    if _status(link) != 200:
        raise GaiaError("a presigned link doesn't work", "check the clocks of this machine and the server")
    end = time.monotonic() + 10
    while _status(link) == 200:
        if time.monotonic() > end:
            raise GaiaError("a presigned link for two seconds still works after ten.")
        time.sleep(0.2)
    return "a link works, and no longer than it should"


def _anonymous(at: Scratch) -> str:
    status = _status(f"{at.client.endpoint}/{at.bucket}/{at.prefix}many/0")
    if status not in (401, 403):
        raise GaiaError(
            f"who has no keys is answered with HTTP {status} instead of being refused", f"make {at.bucket} private"
        )
    return "who has no keys is refused"


def _refused_is_not_missing(at: Scratch) -> str:
    absent = f"{at.prefix}absent"
    stranger = S3Client(replace(at.client.settings, secret_key=secrets.token_hex(20)), attempts=1)
    try:
        stranger.object_exists(at.bucket, absent)
    except Refused:
        if not at.client.object_exists(at.bucket, absent):
            return "a missing object (404) and a refused one (403) differ"
    raise GaiaError("a refused object can't be told from a missing one.")


def _dvc(client: S3Client, root: Path) -> str:
    if not remotes.agree(client.settings, root):
        raise GaiaError(
            f"{remotes.LOCAL} names another server or other keys than .env", "`gaia storage up` writes it anew"
        )
    return "its remotes are these buckets, with these keys"


def _objects(client: S3Client, root: Path, needed: list[Object]) -> str:
    """Fill `needed` with what the workspace and all versions need; complain about what is not there."""
    revisions = {"dvc.lock": None, **{str(tag.name): tag.commit for tag in tags.versions(root=root)}}
    for revision in dict.fromkeys(revisions.values()):
        needed += objects.of_revision(revision, client=client, root=root)
    if not needed:
        return "nothing is built yet"
    _complain(objects.problems(dict.fromkeys(needed), client), "`dvc push` brings what is missing")
    count = len({(o.bucket, o.key) for o in needed})
    return f"all {count} that dvc.lock and {len(revisions) - 1} versions need are there, in the right size"


def _hashes(client: S3Client, chosen: list[Object], of: int) -> str:
    _complain(objects.damaged(chosen, client), "delete it there and `dvc push` from a clone that has it")
    return f"{len(chosen)} of {of} objects were read, and each has the hash that names it"


def _cache(chosen: list[Object], root: Path) -> str:
    problems = objects.damaged_here(chosen, root)
    _complain(problems, f"delete it from {objects.cache(root)} and `dvc pull`, or `dvc repro`")
    return "as far as they are here, their copies are sound, too"


def _complain(problems: list[Problem], cure: str) -> None:
    if problems:
        named = ", ".join(f"{p.needed.path} ({p.reason}, {p.needed.bucket}/{p.needed.key})" for p in problems[:5])
        more = f" and {len(problems) - 5} more" if problems[5:] else ""
        raise GaiaError(f"{named}{more}", f"{cure}")


def _status(link: str) -> int:
    try:
        with urllib.request.urlopen(link, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        raise GaiaError(f"a link can't be followed: {error}.") from None


def _delete(at: Scratch) -> None:
    for bucket in at.client.settings.buckets.values():
        at.client.delete_objects(bucket, [found.key for found in at.client.list_objects(bucket, at.prefix)])


_SERVER: dict[str, Callable[[Scratch], str]] = {
    "wrong keys": _wrong_keys,
    "buckets": _buckets,
    "write, read, delete": _round_trip,
    "speed": _parts,
    "listing": _many_keys,
    "latency": _latency,
    "links": _presigned,
    "anonymous": _anonymous,
    "403 and 404": _refused_is_not_missing,
}
