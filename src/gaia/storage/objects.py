"""Which stored objects a revision needs, which of them the storage lacks, and fetching them by hash."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gaia import files
from gaia.errors import GaiaError
from gaia.errors import Problem as Fault
from gaia.storage import cache, dvc, settings
from gaia.storage.client import THREADS, Progress, S3Client
from gaia.storage.errors import STORE_ANEW, Corrupted, Missing

PUT_BACK = "`dvc commit --force` puts what the workspace has there, `dvc fetch` what the storage has"


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
    found: dict[tuple[str, str], Object] = {}
    with _outputs(revision, root) as (outputs, default):
        chosen = [o for o in outputs if o.use_cache and o.can_push and o.hash_info and o.hash_info.name == "md5"]
        for output in chosen:
            path = os.path.relpath(output.fspath, output.repo.root_dir).replace(os.sep, "/")
            if paths and path not in paths:
                continue
            bucket = _bucket(client, output.remote or default, path)
            md5 = output.hash_info.value
            top = Object(path, md5, output.meta.size, bucket, cache.key(md5))
            for needed in [top, *_files(top, client, root)]:
                found.setdefault((needed.path, needed.md5), needed)
    if missing := set(paths) - {o.path for o in found.values()}:
        raise GaiaError(f"{min(missing)} is no output that DVC keeps at {revision or 'the workspace'}.")
    return sorted(found.values())


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


def cure(found: Iterable[Problem], needed: Iterable[Object]) -> str:
    """The command that stores what a storage was found to lack of all that is `needed`: where a folder's listing is,
    DVC believes its files to be there, and whole."""
    problems = list(found)
    listings = {o.path for o in needed if o.folder} - {problem.needed.path for problem in problems}
    hidden = any(p.reason != "missing" or listings & set(map(str, Path(p.needed.path).parents)) for p in problems)
    return "gaia storage verify --mend" if hidden else "dvc push"


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
        return None if digest == o.md5.removesuffix(cache.DIR) else Problem(o, "damaged")

    once = {(o.bucket, o.key): o for o in needed}
    with ThreadPoolExecutor(THREADS) as pool:
        return [problem for problem in pool.map(check, once.values()) if problem]


def damaged_here(needed: Iterable[Object], root: Path = Path()) -> list[Problem]:
    """Those whose copy in the cache hasn't the hash that names it. DVC believes its cache, and would push them."""
    at = cache.folder(root)
    return [Problem(o, "damaged") for o in {o.key: o for o in needed}.values() if cache.fault(o.md5, at) == "damaged"]


def fetch(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> int:
    """Bring objects into DVC's cache, each verified by its hash; the number that had to come.

    A file of the cache is believed only after its content was hashed, too: a damaged one is fetched anew.
    Raises Missing or Corrupted naming the file, after all others have come.
    """
    once = {(o.bucket, o.key): o for o in needed}
    at = cache.folder(root)

    def bring(o: Object) -> bool | Fault:
        path = at / o.key
        if not cache.fault(o.md5, at):
            return False
        try:
            client.download_file(o.bucket, o.key, path, md5=o.md5.removesuffix(cache.DIR), progress=progress)
        except (Missing, Corrupted) as error:
            found, mend = error.problems[0]
            return Fault(f"{o.path}: {found.rstrip('.')}", mend or STORE_ANEW)
        path.chmod(0o444)  # as DVC leaves them: a linked file must not be edited in place
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(bring, once.values()))
    if failed := [each for each in done if not isinstance(each, bool)]:
        raise Corrupted.several(failed)
    return sum(came is True for came in done)


def push(needed: Iterable[Object], client: S3Client, root: Path = Path(), progress: Progress | None = None) -> None:
    """Store objects from DVC's cache, each hashed before; a folder's listing after its files, so that where a listing
    is, its files are.

    Raises GaiaError naming a file that the cache lacks or has damaged, before anything is stored.
    """
    once = {(o.bucket, o.key): o for o in needed}
    at = cache.folder(root)

    def check(o: Object) -> None:
        fault = cache.fault(o.md5, at)
        if fault == "missing":
            raise GaiaError(f"{o.path} is not in the cache", PUT_BACK)
        if fault:
            raise GaiaError(f"{o.path} is damaged in the cache ({at / o.key})", f"delete that file, and {PUT_BACK}")

    def send(o: Object) -> None:
        client.upload_file(at / o.key, o.bucket, o.key, progress=progress)

    files = [o for o in once.values() if not o.folder]
    listings = [o for o in once.values() if o.folder]
    with ThreadPoolExecutor(THREADS) as pool:
        for step, chosen in ((check, once.values()), (send, files), (send, listings)):
            for _ in pool.map(step, chosen):
                pass


def store(lacking: Iterable[Problem], client: S3Client, root: Path = Path(), what: str = "") -> None:
    """See to it that the storage holds what it was found to lack: pushed, under a bar called `what`, and looked for.

    Raises GaiaError as `push` does, and naming an object that the storage has not taken.
    """
    from gaia.console import megabytes

    wanted = [problem.needed for problem in lacking]
    with megabytes(what, sum(o.size or 0 for o in wanted if not o.folder)) as passed:
        push(wanted, client, root, passed)
    there, at = sizes(wanted, client), cache.folder(root)
    if left := [o for o in wanted if there.get((o.bucket, o.key)) != (at / o.key).stat().st_size]:
        raise GaiaError(f"the storage still lacks {left[0].path}", "`gaia storage verify` looks closer")


def content(md5: str, path: str, revision: str, root: Path = Path()) -> bytes:
    """An object's content, from the cache, or else the storage; it is of the output `path` at a revision.

    Raises GaiaError if neither has it sound.
    """
    at = cache.folder(root)
    found = cache.read(md5, at)
    if found is None:
        client = S3Client(settings.read(root))
        needed = of_revision(revision, [path], client=client, root=root)
        fetch([o for o in needed if o.md5 == md5], client, root)
        found = cache.read(md5, at)
    if found is None:
        raise GaiaError(f"{path}: {md5} is neither in DVC's cache nor in the storage.")
    return found


def lay_out(md5: str, path: str, revision: str, into: Path, root: Path = Path()) -> None:
    """Copy the files of a folder that DVC keeps, the output `path` at a revision, into an empty folder: each verified
    by its hash, from the cache, or from the storage where the cache has one not or damaged.

    Copies, not links: what is damaged in one place is whole in the other. Raises GaiaError, or the kind of StorageError
    that it came from, naming the file that can't be had whole.
    """
    from gaia.console import megabytes

    at = cache.folder(root)
    lack = _copied(md5, at, into)
    if not lack:
        return
    try:
        client = S3Client(settings.read(root))
        needed = of_revision(revision, [path], client=client, root=root)
        with megabytes(f"fetching {path}", sum(o.size or 0 for o in needed if o.folder)) as passed:
            fetch(needed, client, root, passed)
    except GaiaError as error:
        first = error.problems[0]
        raise type(error)(f"{lack}, and the storage can't help: {first.found}", first.mend) from None
    if lack := _copied(md5, at, into):
        raise GaiaError(f"{lack}, although it was fetched.")


def _copied(md5: str, at: Path, into: Path) -> str:
    """Copy what a folder's listing names and isn't there yet; what is wrong with the first file that can't be."""
    if fault := cache.fault(md5, at):
        return f"{at / cache.key(md5)} is {fault}"
    for name, wanted in cache.listed((at / cache.key(md5)).read_bytes()).items():
        source, copy = at / cache.key(wanted), into / name
        if not copy.resolve().is_relative_to(into.resolve()):
            return f"{at / cache.key(md5)} names {name}, which is no file of the folder"
        if files.md5(copy) == wanted:
            continue
        if not source.is_file():
            return f"{source} is missing ({name})"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        if files.md5(copy) != wanted:  # hashed where it will be read, so that nothing is hashed twice
            return f"{source} is damaged ({name})"
    return ""


@contextmanager
def _outputs(revision: str | None, root: Path) -> Iterator[tuple[list[Any], str | None]]:
    """DVC's outputs at a revision and the default remote: DVC alone knows its templates and .dvc files."""
    from gaia.registry.git import commit

    wanted = commit(revision, root) if revision else "workspace"
    with dvc.repo(root, revision or "the workspace") as repo, repo.switch(wanted):
        yield list(repo.index.outs), repo.config["core"].get("remote")


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
    at = cache.folder(root)
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
