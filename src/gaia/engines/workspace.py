"""A project's folder of its own at a snapshot, for one line or one experiment: on this machine it shares the cache with
the project, on another host it is filled from the Git remote and the store. It is kept, so that a training resumes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from gaia import files
from gaia.engines import snapshot
from gaia.engines.snapshot import Snapshot
from gaia.errors import GaiaError
from gaia.registry import git as registry
from gaia.registry.git import git
from gaia.storage import cache, dvc, remotes
from gaia.storage.s3 import settings

PATIENCE = 60  # seconds for one who is about to leave
TRIES = (2, 10, 30)  # seconds between them, while the store doesn't answer
BUILDS = "builds"  # in DVC's own folder for what is temporary; Git ignores it


class Origin(NamedTuple):
    """Where a workspace comes from, all that another process or host has to know. Its repr shows no key."""

    git: str  # an absolute path, or the address of a Git remote
    inside: str  # the project's folder in the repository
    snapshot: Snapshot
    folder: str | None  # where workspaces lie; None: below the home of who opens one
    config: Mapping[str, Any] | None  # DVC's own settings of this host, with the cache that is shared
    store: Mapping[str, str] | None  # the store's variables

    def __repr__(self) -> str:
        return f"Origin({self.git}, {self.snapshot.commit[:8]})"


def here(taken: Snapshot, root: Path = Path()) -> Origin:
    """Workspaces on this machine, which share the project's cache."""
    from dvc.config import Config

    top, inside = _place(root)
    config = Config(dvc_dir=str(root / ".dvc"))
    local: dict[str, Any] = config.load_one("local")
    local["cache"] = {"type": "reflink,hardlink,copy"} | dict(config.get("cache", {})) | local.get("cache", {})
    local["cache"]["dir"] = str(cache.folder(root).resolve())
    folder = (root / dvc.TMP / BUILDS).resolve()
    return Origin(top, inside, taken, str(folder), local, _store(root))


def abroad(taken: Snapshot, root: Path = Path()) -> Origin:
    """Workspaces on other hosts, which have nothing of this one but its Git remote, where the snapshot is put, and its
    store. Raises GaiaError if there is no such remote or store."""
    remote = registry.remote(root)
    if remote is None:
        raise GaiaError("this repository has no remote, from which other hosts could take the code",
                        "`git remote add origin <address>` names one")  # fmt: skip
    store = settings.variables(settings.read(root))
    git("push", "--quiet", "--force", remote, f"{taken.ref}:{taken.ref}", root=root)
    address = git("remote", "get-url", remote, root=root).strip()
    if (root / address).exists():
        address = str((root / address).resolve())
    return Origin(address, _place(root)[1], taken, None, None, store)


@contextmanager
def opened(origin: Origin, name: str) -> Iterator[Path]:
    """The project's folder in the workspace of this name, with the snapshot's files and nobody else in it.

    What Git ignores there stays from run to run: checkpoints, and outputs that DVC brought or made. Raises GaiaError
    if another process doesn't leave it in a minute.
    """
    folder = _folder(origin) / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=PATIENCE):
            try:
                _bring(origin, folder)
            except GaiaError:  # what a kill left of a repository; a new one says what is wrong otherwise
                shutil.rmtree(folder / ".git", ignore_errors=True)
                _bring(origin, folder)
            project = folder / origin.inside
            _configure(origin, project)
            yield project
    except Timeout:
        raise GaiaError(f"another process works in {folder}", "let it end, and repeat") from None


def fill(origin: Origin, project: Path, targets: Iterable[str], log: Path) -> None:
    """Bring outputs, named by path or by stage, as dvc.lock knows them: out of the cache that is shared, as far as it
    has them, and what is lacking DVC makes anew; or out of the store. Raises GaiaError if that hasn't all of them."""
    if not (wanted := list(targets)):
        return
    if origin.config:
        dvc.run("checkout", "--force", "--allow-missing", *wanted, root=project, log=log)
    else:
        patiently(lambda: not dvc.run("pull", "--force", *wanted, root=project, log=log), origin.store)


def keep(origin: Origin, project: Path, targets: Iterable[str], log: Path) -> None:
    """See to it that what these stages have made is where it comes from: in the cache that is shared it is already,
    the store gets it. Raises GaiaError if it can't."""
    if not origin.config:
        patiently(lambda: not dvc.run("push", *targets, root=project, log=log), origin.store)


def publish(origin: Origin, project: Path, paths: Iterable[str], ref: str, message: str) -> str:
    """A commit of the workspace's files `paths` (from its project's folder; ignored ones, too) on the snapshot, put
    where it comes from under `ref`; its id. What is not there is not in it."""
    index = {"GIT_INDEX_FILE": str(_gitdir(project) / "published")}
    git("read-tree", origin.snapshot.commit, root=project, variables=index)
    if there := [path for path in paths if (project / path).exists()]:
        git("add", "--force", "--", *there, root=project, variables=index)
    tree = git("write-tree", root=project, variables=index).strip()
    commit = snapshot.commit_of(tree, origin.snapshot.commit, message, project)
    git("push", "--quiet", "--force", origin.git, f"{commit}:{ref}", root=project)
    return commit


def patiently(ask: Callable[[], bool], store: Mapping[str, str] | None) -> None:
    """Ask the store, which may be away for a moment, until `ask` says that it did. Raises GaiaError at last."""
    for pause in (*TRIES, None):
        if ask():
            return
        if pause is not None:
            time.sleep(pause)
    place = (store or {}).get("S3_ENDPOINT", "that .env names")
    found = f"the store {place} failed {len(TRIES) + 1} times in {sum(TRIES)} s, asked from {platform.node()}"
    raise GaiaError(found, "see that this host reaches it; `gaia storage verify` says more")


def _folder(origin: Origin) -> Path:
    """Where the workspaces of this origin lie on this host."""
    if origin.folder:
        return Path(origin.folder)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gaia" / hashlib.sha256(origin.git.encode()).hexdigest()[:16]


def _place(root: Path) -> tuple[str, str]:
    """The repository's top folder, and the project's in it."""
    top = git("rev-parse", "--show-toplevel", root=root).strip()
    return top, git("rev-parse", "--show-prefix", root=root).strip()


def _gitdir(project: Path) -> Path:
    return Path(git("rev-parse", "--absolute-git-dir", root=project).strip())


def _store(root: Path) -> Mapping[str, str] | None:
    given = settings.read(root, keyless=True)
    return settings.variables(given) if given.known else None


def _bring(origin: Origin, folder: Path) -> None:
    """The snapshot's files, with the tags, by which an earlier version's weights are found."""
    if not (folder / ".git").is_dir():
        git("init", "--quiet", str(folder), root=folder.parent)
    for lock in (folder / ".git").rglob("*.lock"):
        lock.unlink()  # a kill left it: nobody else is here
    wanted = (f"+{origin.snapshot.ref}:{origin.snapshot.ref}", "+refs/tags/*:refs/tags/*")
    git("fetch", "--quiet", "--no-tags", "--force", origin.git, *wanted, root=folder)
    git("checkout", "--quiet", "--force", "--detach", origin.snapshot.commit, root=folder)
    git("clean", "-ffdq", root=folder)


def _configure(origin: Origin, project: Path) -> None:
    """DVC's settings, and the way to the store."""
    from dvc.config import Config

    (project / dvc.TMP).mkdir(parents=True, exist_ok=True)
    if origin.store:
        with files.replaced(project / settings.ENV, mode=0o600) as beside:
            beside.write_text("".join(f"{key}={value}\n" for key, value in origin.store.items()), encoding="utf-8")
    if not origin.config and origin.store:
        remotes.write(settings.read(project), project)
    with Config(dvc_dir=str(project / ".dvc")).edit("local", validate=False) as local:
        local.update(origin.config or {"cache": {"dir": str(_folder(origin) / "cache")}})
    (project / remotes.LOCAL).chmod(0o600)
