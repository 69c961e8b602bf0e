"""Outputs from DVC's cache into the workspace: where nothing stands yet at once, elsewhere by DVC, which knows what may
be overwritten. DVC's notes of the files are as it would have left them, so that it hashes nothing again.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaia import files
from gaia.errors import GaiaError
from gaia.storage import cache, dvc, memo
from gaia.storage.needed import Output

State = Any  # dvc_data's, which is typed in parts

UNSAVED = "`dvc commit --force` keeps what was changed there, `gaia pull --force` replaces it"
_OF_DVC = "DVC_SITE_CACHE_DIR"  # a variable that moves them


def absent(outputs: Iterable[Output], root: Path = Path()) -> list[Output]:
    """The outputs where nothing stands."""
    return [output for output in outputs if not os.path.lexists(root / output.path)]


def place(outputs: Sequence[Output], root: Path = Path(), *, all_of_them: bool, force: bool = False) -> list[str]:
    """Bring outputs into the workspace, all of whose objects the cache has sound; the paths of those that changed.

    Where these are `all_of_them`, what DVC had placed for another commit goes. Raises GaiaError for what was changed
    there and is kept nowhere, unless `force` gives it up; then nothing of it is touched.
    """
    at, settings = cache.folder(root).absolute(), cache.settings(root)
    with _alone(root, settings), _noted(root, settings) as state:
        new = absent(outputs, root)
        for output in new:
            _lay_out(output, at, settings, root.absolute() / output.path)
            _note(output, at, state, root.absolute() / output.path)
        known = {output.path for output in new}
        other = [o.path for o in outputs if o.path not in known and not _as_pinned(o, at, state, root)]
        used = [str(root.absolute() / output.path) for output in outputs]
        left = state.get_unused_links(used, _here()) if all_of_them else []
    if other or left:
        _by_dvc(None if all_of_them else other, root, force)
    return sorted({*known, *other, *left})


def load() -> None:
    """Load what `place` works with, for who has to wait for objects meanwhile."""
    from dvc.lock import make_lock  # noqa: F401
    from dvc_data.hashfile.state import State  # noqa: F401
    from dvc_objects.fs.generic import test_links  # noqa: F401


@contextmanager
def _alone(root: Path, settings: dict[str, Any]) -> Iterator[None]:
    """No DVC that changes the workspace meanwhile."""
    from dvc.lock import make_lock

    (root / dvc.TMP).mkdir(exist_ok=True)
    hard = settings.get("core", {}).get("hardlink_lock", False)
    with (
        dvc.complaints("dvc checkout", root),
        make_lock(str(root / dvc.TMP / "lock"), tmp_dir=str(root / dvc.TMP), hardlink_lock=hard, friendly=True),
    ):
        yield


@contextmanager
def _noted(root: Path, settings: dict[str, Any]) -> Iterator[State]:
    """What DVC has noted of this workspace's files."""
    from importlib.metadata import version

    from dvc_data.hashfile import state as notes

    moved = [os.environ.get(_OF_DVC), settings.get("core", {}).get("site_cache_dir")]
    asked = [str(root.absolute()), root.stat().st_ino, getpass.getuser(), version("dvc"), *moved]
    place = memo.recall("notes", asked, root)  # to ask DVC where they are takes longer than most pulls
    if not (place and Path(place).is_dir()):
        with dvc.repo(root, "dvc checkout") as repo:
            place = repo.site_cache_dir
        memo.keep("notes", asked, place, root)
    state: State = notes.State(str(root.absolute()), place)
    try:
        yield state
    finally:
        state.close()


def _here() -> Any:
    from dvc_objects.fs.local import localfs

    return localfs


def _lay_out(output: Output, at: Path, settings: dict[str, Any], place: Path) -> None:
    """Make an output where nothing stands, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    link = _link(at, settings, place.parent)
    if not output.md5.endswith(cache.DIR):
        with files.replaced(place) as beside:
            link(str(at / cache.key(output.md5)), str(beside))
        return
    with files.replaced_folder(place) as beside:
        inside = _listed(output, at)
        for folder in {name.rpartition("/")[0] for name in inside}:
            (beside / folder).mkdir(parents=True, exist_ok=True)
        for name, md5 in inside.items():
            link(f"{at}/{cache.key(md5)}", f"{beside}/{name}")


def _link(at: Path, settings: dict[str, Any], folder: Path) -> Callable[[str, str], Any]:
    """How a file comes from the cache into a folder: the first of DVC's `cache.type` that works between the two."""
    from dvc_objects.fs.generic import test_links

    asked = settings.get("cache", {}).get("type") or ["reflink", "copy"]
    works = test_links(list(asked), _here(), str(at), _here(), str(folder / "file"))
    if not works:
        raise GaiaError(f"no kind of link that cache.type names works from {at} to {folder}", "add `copy` to it")
    ways = {"copy": shutil.copyfile, "hardlink": os.link, "symlink": os.symlink, "reflink": _here().reflink}
    return ways[works[0]]


def _note(output: Output, at: Path, state: State, place: Path) -> None:
    """Tell DVC what it would have noted of files that it had placed itself."""
    from dvc_data.hashfile.hash_info import HashInfo

    made = ((f"{place}/{name}" if name else str(place), md5) for name, md5 in _listed(output, at).items())
    state.save_many(((path, HashInfo("md5", md5), None) for path, md5 in made), _here())
    state.save_link(str(place), _here())


def _listed(output: Output, at: Path) -> dict[str, str]:
    """An output's files, `relative path -> md5`; of a single one the path is empty."""
    if not output.md5.endswith(cache.DIR):
        return {"": output.md5}
    return cache.listed((at / cache.key(output.md5)).read_bytes())


def _as_pinned(output: Output, at: Path, state: State, root: Path) -> bool:
    """Whether an output stands there as pinned, by what DVC has noted of its files; not if it has noted nothing."""
    place = str(root.absolute() / output.path)
    try:
        wanted = {f"{place}/{name}" if name else place: md5 for name, md5 in _listed(output, at).items()}
    except FileNotFoundError:
        return False
    if output.md5.endswith(cache.DIR):
        there = {f"{folder}/{name}" for folder, _, names in os.walk(place) for name in names}
        if there != wanted.keys():
            return False
    return all(found and found.value == wanted[path] for path, _, found in state.get_many(wanted, _here(), {}))


def _by_dvc(paths: list[str] | None, root: Path, force: bool) -> None:
    from dvc.exceptions import DvcException

    with dvc.repo(root, "dvc checkout") as repo:
        try:
            repo.checkout(targets=paths and [str(root.absolute() / path) for path in paths], force=force)
        except DvcException as error:
            said, *named = str(error).splitlines()
            if "unsaved files" not in said:
                raise
            names = ", ".join(os.path.relpath(name, root.absolute()) for name in named[:3])
            raise GaiaError(f"{names}{', ...' if named[3:] else ''} lies here as nothing keeps it", UNSAVED) from None
