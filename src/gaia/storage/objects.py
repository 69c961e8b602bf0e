"""Which stored objects a revision needs, which of them the storage lacks, and fetching them by hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError
from gaia.storage.client import THREADS, Progress, S3Client
from gaia.storage.errors import Corrupted, Missing


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
        return self.md5.endswith(".dir")


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
    found: dict[tuple[str, str], Object] = {}
    with _outputs(revision, root) as (outputs, default):
        chosen = [o for o in outputs if o.use_cache and o.can_push and o.hash_info and o.hash_info.name == "md5"]
        for output in chosen:
            path = os.path.relpath(output.fspath, output.repo.root_dir).replace(os.sep, "/")
            if paths and path not in paths:
                continue
            bucket = _bucket(client, output.remote or default, path)
            md5 = output.hash_info.value
            top = Object(path, md5, output.meta.size, bucket, key(md5))
            for needed in [top, *_files(top, client, root)]:
                found.setdefault((needed.path, needed.md5), needed)
    if missing := set(paths) - {o.path for o in found.values()}:
        raise GaiaError(f"{min(missing)} is no output that DVC keeps at {revision or 'the workspace'}.")
    return sorted(found.values())


def problems(needed: Iterable[Object], client: S3Client) -> list[Problem]:
    """Those that the storage lacks or has in another size, judged from listings: nothing is downloaded.

    Raises StorageError if the storage can't be asked; that is another matter than a missing object.
    """
    wanted = list(needed)
    there = sizes(wanted, client)
    found = []
    for o in wanted:
        size = there.get((o.bucket, o.key))
        if size is None:
            found.append(Problem(o, "missing"))
        elif not o.folder and o.size not in (None, size):
            found.append(Problem(o, f"{size} bytes instead of {o.size}"))
    for folder in (o for o in wanted if o.folder):  # dvc.lock knows no single file's size, but that of all together
        files = [o for o in wanted if o.path.startswith(f"{folder.path}/")]
        total = sum(there.get((o.bucket, o.key), 0) for o in files)
        if folder.size not in (None, total) and not any(p.needed in files or p.needed == folder for p in found):
            found.append(Problem(folder, f"its files have {total} bytes instead of {folder.size}"))
    return found


def sizes(needed: Iterable[Object], client: S3Client) -> dict[tuple[str, str], int]:
    """The bytes that the storage has of each, by bucket and key; what it lacks is left out.

    One listing for each two-digit folder of hashes: few requests, and short ones in a large storage.
    """
    wanted = {(o.bucket, o.key) for o in needed}
    folders = sorted({(bucket, f"{key.rpartition('/')[0]}/") for bucket, key in wanted})
    with ThreadPoolExecutor(THREADS) as pool:
        listed = pool.map(lambda folder: [(folder[0], *found) for found in client.list_objects(*folder)], folders)
        return {(bucket, key): size for page in listed for bucket, key, size, _ in page if (bucket, key) in wanted}


def damaged(needed: Iterable[Object], client: S3Client, progress: Progress | None = None) -> list[Problem]:
    """Those whose content, read from the storage, hasn't the hash that names it."""

    def check(o: Object) -> Problem | None:
        try:
            digest = client.read(o.bucket, o.key, lambda piece: None, progress=progress)
        except Missing:
            return Problem(o, "missing")
        return None if digest == o.md5.removesuffix(".dir") else Problem(o, "damaged")

    once = {(o.bucket, o.key): o for o in needed}
    with ThreadPoolExecutor(THREADS) as pool:
        return [problem for problem in pool.map(check, once.values()) if problem]


def damaged_here(needed: Iterable[Object], root: Path = Path()) -> list[Problem]:
    """Those whose copy in the cache hasn't the hash that names it. DVC believes its cache, and would push them."""
    folder = cache(root)

    def sound(o: Object) -> bool:
        return (digest := _md5(folder / o.key)) is None or digest == o.md5.removesuffix(".dir")

    return [Problem(o, "damaged") for o in {o.key: o for o in needed}.values() if not sound(o)]


def fetch(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> int:
    """Bring objects into DVC's cache, each verified by its hash; the number that had to come.

    A file of the cache is believed only after its content was hashed, too: a damaged one is fetched anew.
    Raises Missing or Corrupted naming the file, after all others have come.
    """
    once = {(o.bucket, o.key): o for o in needed}
    folder = cache(root)

    def bring(o: Object) -> bool | str:
        path, md5 = folder / o.key, o.md5.removesuffix(".dir")
        if _md5(path) == md5:
            return False
        try:
            client.download_file(o.bucket, o.key, path, md5=md5, progress=progress)
        except (Missing, Corrupted) as error:
            return f"{o.path}: {error}"
        path.chmod(0o444)  # as DVC leaves them: a linked file must not be edited in place
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(bring, once.values()))
    if failed := [sentence for sentence in done if isinstance(sentence, str)]:
        raise Corrupted("\n".join(failed))
    return sum(came is True for came in done)


def push(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> None:
    """Store objects from DVC's cache, each hashed before; a folder's listing after its files, so that where a listing
    is, its files are.

    Raises GaiaError naming a file that the cache lacks or has damaged, before anything is stored.
    """
    once = {(o.bucket, o.key): o for o in needed}
    folder = cache(root)

    def check(o: Object) -> None:
        digest = _md5(folder / o.key)
        if digest is None:
            raise GaiaError(f"{o.path} is not in the cache", "`dvc repro` or `dvc commit` puts it there")
        if digest != o.md5.removesuffix(".dir"):
            raise GaiaError(f"{o.path} is damaged in the cache ({folder / o.key})", "delete that file and `dvc repro`")

    def send(o: Object) -> None:
        client.upload_file(folder / o.key, o.bucket, o.key, progress=progress)

    files = [o for o in once.values() if not o.folder]
    listings = [o for o in once.values() if o.folder]
    with ThreadPoolExecutor(THREADS) as pool:
        for step, chosen in ((check, once.values()), (send, files), (send, listings)):
            for _ in pool.map(step, chosen):
                pass


def key(md5: str) -> str:
    """The object's key, the same as its path in the cache: `files/md5/ab/cdef…`"""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def cache(root: Path = Path()) -> Path:
    """The folder of DVC's cache, in which `key` says where an object lies."""
    from dvc.config import Config

    return Path(Config(dvc_dir=str(root / ".dvc")).get("cache", {}).get("dir") or root / ".dvc/cache")


def _md5(file: Path) -> str | None:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _outputs(revision: str | None, root: Path) -> Iterator[tuple[list[Any], str | None]]:
    """DVC's outputs at a revision and the default remote: DVC alone knows its templates and .dvc files."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from gaia.registry.git import commit

    wanted = commit(revision, root) if revision else "workspace"
    try:
        with Repo(str(root)) as repo, repo.switch(wanted):
            yield list(repo.index.outs), repo.config["core"].get("remote")
    except DvcException as error:
        raise GaiaError(f"{revision or 'the workspace'}: {error}.") from None


def _bucket(client: S3Client, remote: str | None, path: str) -> str:
    try:
        return client.settings.buckets[remote or ""]
    except KeyError:
        known = ", ".join(client.settings.buckets)
        raise GaiaError(f"{path} names the remote '{remote}', which is none of the storage's: {known}.") from None


def _files(folder: Object, client: S3Client, root: Path) -> list[Object]:
    """What a folder's listing names, from the cache or else the storage."""
    if not folder.folder:
        return []
    where = cache(root)
    try:
        listing = (where / folder.key).read_bytes()
    except FileNotFoundError:
        listing = b""
    md5 = folder.md5.removesuffix(".dir")
    if hashlib.md5(listing, usedforsecurity=False).hexdigest() != md5:
        pieces: list[bytes] = []
        try:
            if client.read(folder.bucket, folder.key, pieces.append) != md5:
                raise Corrupted(
                    f"the listing of {folder.path} ({folder.bucket}/{folder.key}) is damaged", "push it anew"
                )
        except Missing:
            return []
        listing = b"".join(pieces)
    files = []
    for entry in json.loads(listing):
        place = where / key(entry["md5"])
        size = place.stat().st_size if place.exists() else None
        files.append(Object(f"{folder.path}/{entry['relpath']}", entry["md5"], size, folder.bucket, key(entry["md5"])))
    return files
