"""Objects from the storage into DVC's cache, and from there into the storage: many at a time, hashed as they pass."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gaia.errors import GaiaError
from gaia.errors import Problem as Fault
from gaia.storage import cache, dvc, objects
from gaia.storage.errors import STORE_ANEW, Corrupted, Missing
from gaia.storage.objects import PUT_BACK, Object, Problem
from gaia.storage.s3 import streams
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.streams import Progress
from gaia.storage.s3.wire import THREADS

PARTS = dvc.TMP / "gaia-parts"  # of large objects that are on their way


def fetch(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> int:
    """Bring objects into DVC's cache, each verified by its hash; the number that had to come.

    A file of the cache is believed only after its content was hashed, too: a damaged one is fetched anew. What has come
    when this ends early, and the parts of large ones, needn't come again.
    Raises Missing or Corrupted naming the file, after all others have come.
    """
    once = {(o.bucket, o.key): o for o in needed}
    at = cache.folder(root)

    def bring(o: Object) -> bool | Fault:
        path, md5 = at / o.key, o.md5.removesuffix(cache.DIR)
        if not cache.fault(o.md5, at):
            return False
        try:
            streams.download(client.wire, o.bucket, o.key, path, md5, progress, root / PARTS / md5)
        except (Missing, Corrupted) as error:
            found, mend = error.problems[0]
            return Fault(f"{o.path}: {found.rstrip('.')}", mend or STORE_ANEW)
        except OSError as error:
            raise GaiaError(f"{path} can't be written: {error.strerror}.") from None
        path.chmod(0o444)  # as DVC leaves them: a linked file must not be edited in place
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(bring, once.values()))
    if failed := [each for each in done if not isinstance(each, bool)]:
        raise Corrupted.several(failed)
    return sum(came is True for came in done)


def push(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> None:
    """Store objects from DVC's cache, each hashed as it goes; a folder's listing after its files and only with them, so
    that where a listing is, its files are.

    Raises GaiaError for what the cache lacks or has damaged, after all else has gone.
    """
    once = {(o.bucket, o.key): o for o in needed}
    at = cache.folder(root)

    def send(o: Object) -> str:
        """What is wrong with it in the cache."""
        path, md5 = at / o.key, o.md5.removesuffix(cache.DIR)
        try:
            noted = root / PARTS / f"{md5}.upload"
            streams.upload(client.wire, path, o.bucket, o.key, md5, progress, noted=noted)
        except FileNotFoundError:
            return "missing from"
        except Corrupted:
            return "damaged in"
        except OSError as error:
            raise GaiaError(f"{path} can't be read: {error.strerror}.") from None
        return ""

    def whole(listing: Object) -> bool:
        return faulty.isdisjoint(cache.listed(cache.read(listing.md5, at) or b"[]").values())

    with ThreadPoolExecutor(THREADS) as pool:
        files = [o for o in once.values() if not o.folder]
        faults = list(zip(files, pool.map(send, files), strict=True))
        faulty = {o.md5 for o, fault in faults if fault}
        listings = [o for o in once.values() if o.folder and whole(o)]
        faults += zip(listings, pool.map(send, listings), strict=True)
    if wrong := [(o, fault) for o, fault in faults if fault]:
        first, fault = wrong[0]
        more = f", and {len(wrong) - 1} objects more" if wrong[1:] else ""
        mend = PUT_BACK if fault.startswith("missing") else f"delete that file, and {PUT_BACK}"
        raise GaiaError(f"{first.path} is {fault} this clone's cache ({at / first.key}){more}", mend)


def store(lacking: Iterable[Problem], client: S3Client, root: Path = Path(), what: str = "") -> None:
    """See to it that the storage holds what it was found to lack: pushed, under a bar called `what`, and looked for.

    Raises GaiaError as `push` does, and naming an object that the storage has not taken.
    """
    from gaia.console import megabytes

    wanted = [problem.needed for problem in lacking]
    with megabytes(what, sum(o.size or 0 for o in wanted if not o.folder)) as passed:
        push(wanted, client, root, passed)
    there, at = objects.sizes(wanted, client), cache.folder(root)
    if left := [o for o in wanted if there.get((o.bucket, o.key)) != (at / o.key).stat().st_size]:
        raise GaiaError(f"the storage still lacks {left[0].path}", "`gaia storage verify` looks closer")
