"""Which stored objects a revision needs, and which of them the storage lacks, or has otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.storage import cache
from gaia.storage.errors import STORE_ANEW, Corrupted, Missing, Refused
from gaia.storage.needed import Output, outputs
from gaia.storage.s3.client import S3Client
from gaia.storage.s3.streams import Progress
from gaia.storage.s3.wire import THREADS, Stored

PUT_BACK = "`dvc commit --force` puts what the workspace has there, `gaia pull` what the storage has"


class Object(NamedTuple):
    """A file of a revision, and the object that holds its content.

    `path` is the file's; a folder has one object more, the listing of its files, under the folder's path. `size` in
    bytes is None where neither dvc.lock nor the cache knows it; of a folder it is that of all its files.
    """

    path: str
    md5: str
    size: int | None
    bucket: str
    key: str

    @property
    def folder(self) -> bool:
        """Whether this is a folder's listing."""
        return self.md5.endswith(cache.DIR)


class Problem(NamedTuple):
    """An object that the storage lacks, or has otherwise."""

    needed: Object
    reason: str  # "missing", "1024 bytes instead of 2048", "damaged"


def of_revision(
    revision: str | None, paths: Iterable[str] = (), *, client: S3Client, root: Path = Path()
) -> list[Object]:
    """The objects that `dvc pull` would need at a revision (None: in the workspace as it is), by path.

    `paths` narrows them down to some outputs, such as data/models/plants. Folders are expanded from the cache, or from
    the storage where the cache lacks their listing. If both lack it, only the folder's own object is there to give.
    Raises GaiaError if the revision names no commit, or none of its outputs has such a path, or dvc.yaml can't be read.
    """
    chosen = [output for output in outputs(revision, root) if not paths or output.path in paths]
    if missing := set(paths) - {output.path for output in chosen}:
        raise GaiaError(f"{min(missing)} is no output that DVC keeps at {revision or 'the workspace'}.")
    every = [o for some in by_output(tops(chosen, client, root), client, root).values() for o in some]
    return sorted({(o.path, o.md5): o for o in every}.values())


def tops(outputs: Iterable[Output], client: S3Client, root: Path = Path()) -> dict[Output, Object]:
    """The object of each output itself: a file's content, or a folder's listing."""
    default = _default(root)

    def top(path: str, md5: str, size: int | None, remote: str) -> Object:
        return Object(path, md5, size, _bucket(client, remote or default, path), cache.key(md5))

    return {output: top(*output) for output in outputs}


def by_output(tops: Mapping[Output, Object], client: S3Client, root: Path = Path()) -> dict[Output, list[Object]]:
    """All objects of each output: its own one, then those of a folder's files."""
    at = cache.folder(root)
    return {output: [top, *_files(top, client, at)] for output, top in tops.items()}


def problems(needed: Iterable[Object], client: S3Client) -> list[Problem]:
    """Those of one revision that the storage lacks or has in another size, judged from listings: nothing is downloaded.

    Raises StorageError if the storage can't be asked; that is another matter than a missing object.
    """
    wanted = list(needed)
    return judged(wanted, sizes(wanted, client))


def judged(needed: Iterable[Object], there: Mapping[tuple[str, str], int]) -> list[Problem]:
    """`problems` of one revision's objects where the storage has these `sizes`; an object that two files share counts
    once, under the first one's name. Of several revisions each has to be judged by itself: they have the same paths,
    and not the same files."""
    wanted = list(needed)
    found: dict[tuple[str, str], Problem] = {}
    for o in wanted:
        size = there.get((o.bucket, o.key))
        if size is None:
            found.setdefault((o.bucket, o.key), Problem(o, "missing"))
        elif not o.folder and o.size not in (None, size):
            found.setdefault((o.bucket, o.key), Problem(o, f"{size} bytes instead of {o.size}"))
    for folder in (o for o in wanted if o.folder):  # dvc.lock knows no single file's size, but that of all together
        files = [o for o in wanted if o.path.startswith(f"{folder.path}/")]
        total = sum(there.get((o.bucket, o.key), 0) for o in files)
        if folder.size not in (None, total) and not any((o.bucket, o.key) in found for o in (folder, *files)):
            found[folder.bucket, folder.key] = Problem(folder, f"its files have {total} bytes instead of {folder.size}")
    return list(found.values())


def sizes(needed: Iterable[Object], client: S3Client) -> dict[tuple[str, str], int]:
    """The bytes that the storage has of each, by bucket and key; what it lacks is left out.

    Judged from listings: of a whole bucket, a thousand objects a request, or of each two-digit folder of hashes that is
    needed, where the bucket has many more. Keys that may not list are asked for each object.
    """
    wanted = {(o.bucket, o.key) for o in needed}

    def listed(bucket: str) -> Iterator[tuple[str, str, int]]:
        try:
            for found in _listed(bucket, {key for at, key in wanted if at == bucket}, client):
                yield bucket, found.key, found.size
        except Refused as refusal:
            yield from _asked([place for place in wanted if place[0] == bucket], client, refusal)

    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda bucket: list(listed(bucket)), {bucket for bucket, _ in wanted})
        return {(bucket, key): size for some in found for bucket, key, size in some if (bucket, key) in wanted}


def _listed(bucket: str, keys: set[str], client: S3Client) -> Iterator[Stored]:
    """The objects of a bucket, those with the keys among them."""
    left = sorted({f"{key.rpartition('/')[0]}/" for key in keys})
    if worth := len(left) // 4:  # a page takes as long as some four short listings, side by side
        for number, page in enumerate(client.wire.listed(bucket, f"{cache.OBJECTS}/")):
            if number == worth:
                break
            yield from page
            left = [folder for folder in left if page and f"{folder}~" > page[-1].key]
        else:
            return
    with ThreadPoolExecutor(THREADS) as pool:
        for some in pool.map(lambda folder: [o for page in client.wire.listed(bucket, folder) for o in page], left):
            yield from some


def _asked(places: list[tuple[str, str]], client: S3Client, refusal: Refused) -> Iterator[tuple[str, str, int]]:
    """Each object's size, asked for one by one. To keys that may not list, a missing object is a refused one: where not
    one may be seen, it is they who are refused."""

    def ask(place: tuple[str, str]) -> int | None:
        try:
            return int(client.wire.head(*place)["Content-Length"])
        except (Missing, Refused):
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, places))
    if set(found) == {None}:
        raise refusal
    for place, size in zip(places, found, strict=True):
        if size is not None:
            yield *place, size


def damaged(needed: Iterable[Object], client: S3Client, progress: Progress | None = None) -> list[Problem]:
    """Those whose content, read from the storage, hasn't the hash that names it."""

    def check(o: Object) -> Problem | None:
        try:
            digest = client.read(o.bucket, o.key, lambda piece: None, progress=progress)
        except Missing:
            return Problem(o, "missing")
        return None if digest == o.md5.removesuffix(cache.DIR) else Problem(o, "damaged")

    once = {(o.bucket, o.key): o for o in needed}
    with ThreadPoolExecutor(THREADS) as pool:
        return [problem for problem in pool.map(check, once.values()) if problem]


def damaged_here(needed: Iterable[Object], root: Path = Path()) -> list[Problem]:
    """Those whose copy in the cache hasn't the hash that names it. DVC believes its cache, and would push them."""
    at = cache.folder(root)
    return [Problem(o, "damaged") for o in {o.key: o for o in needed}.values() if cache.fault(o.md5, at) == "damaged"]


def _default(root: Path) -> str | None:
    remote: str | None = cache.settings(root).get("core", {}).get("remote")
    return remote


def _bucket(client: S3Client, remote: str | None, path: str) -> str:
    try:
        return client.settings.buckets[remote or ""]
    except KeyError:
        known = ", ".join(client.settings.buckets)
        raise GaiaError(f"{path} names the remote '{remote}', which is none of the storage's: {known}.") from None


def _files(folder: Object, client: S3Client, at: Path) -> list[Object]:
    """What a folder's listing names, from the cache or else the storage."""
    if not folder.folder:
        return []
    listing = cache.read(folder.md5, at)
    if listing is None:
        pieces: list[bytes] = []
        try:
            if client.read(folder.bucket, folder.key, pieces.append) != folder.md5.removesuffix(cache.DIR):
                raise Corrupted(f"the listing of {folder.path} ({folder.bucket}/{folder.key}) is damaged", STORE_ANEW)
        except Missing:
            return []
        listing = b"".join(pieces)
    found = []
    for name, md5 in cache.listed(listing).items():
        place = at / cache.key(md5)
        size = place.stat().st_size if place.exists() else None
        found.append(Object(f"{folder.path}/{name}", md5, size, folder.bucket, cache.key(md5)))
    return found
