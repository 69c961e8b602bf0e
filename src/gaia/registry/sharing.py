"""Tags made and shared: the remote has one before this clone has it, so a process that dies leaves no second truth.

What this clone has seen at the remote is remembered in `.git/gaia-shared`: a tag that was there and is there no longer
was removed on purpose, and one that never was there never got out of this clone.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gaia import files
from gaia.errors import GaiaError, warn
from gaia.registry import history, tags
from gaia.registry.git import git
from gaia.registry.git import remote as git_remote
from gaia.registry.tags import Foreign

if TYPE_CHECKING:
    from filelock import FileLock

PUSH = ("push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--no-recurse-submodules")
FETCH = ("fetch", "--quiet", "--no-prune", "--no-prune-tags", "--no-tags", "--no-recurse-submodules",
         "--no-write-fetch-head")  # fmt: skip


class TagTaken(GaiaError):
    """A tag of that name exists already, here or where tags are shared."""


class New(NamedTuple):
    """A tag to be made: a name of one of our four forms, the commit it stands on, and its message."""

    name: str
    commit: str
    message: str


class Compared(NamedTuple):
    """The tags of GTO's grammar in this clone and at its remote (None: it has none), each with its object."""

    remote: str | None
    here: dict[str, str]
    there: dict[str, str]


def create(name: str, commit: str, message: str, root: Path = Path()) -> None:
    """Make an annotated tag (signed, if Git is configured to sign): first at the remote, if this clone has one, then
    here. Its date is after that of every record of its line.

    Raises TagTaken if the name is taken here or there, and GaiaError if Git can't make or push it; none is made then.
    If the process ends in between, the remote has the tag, and the next `fetch` brings it.
    """
    create_all([New(name, commit, message)], root)


def create_all(new: list[New], root: Path = Path()) -> None:
    """Make several tags, each dated after the one before, as `create` makes one: all of them or none."""
    for each in new:
        if isinstance(tags.parse(each.name) or Foreign("", "", ""), Foreign):
            raise GaiaError(f"'{each.name}' can name neither a version nor a deployment.")
        if len(each.message) > tags.LARGEST:
            said = f"the message of {each.name} would have {len(each.message):,} characters"
            raise GaiaError(said, f"at most {tags.LARGEST:,} are read, so give a shorter reason")
    refs = [f"refs/tags/{each.name}" for each in new]
    if taken := git("for-each-ref", "--format=%(refname:strip=2)", *refs, root=root).split():
        raise TagTaken(f"there is a tag {taken[0]} already.")
    made = dict(zip(refs, _objects(new, root), strict=True))
    remote = git_remote(root)
    if remote:
        _push(remote, made, root)
    word = "update" if remote else "create"  # what the remote has taken is what holds
    try:
        git("update-ref", "--stdin", root=root, given="".join(f"{word} {ref} {oid}\n" for ref, oid in made.items()))
    except GaiaError as error:
        if "already exists" in str(error) or "cannot lock ref" in str(error):
            raise TagTaken(f"there is a tag {new[0].name} already.") from None
        raise


def fetch(root: Path = Path()) -> None:
    """Bring the tags that others have shared, and see to it that this clone's own are shared. Without a remote there is
    nothing to do.

    A tag of ours that never reached the remote (what made it died in between) is pushed, or dropped if another has its
    name by now; that, and any other tag of GTO's grammar that differs, is said on stderr. No other tag of this clone
    changes. Raises GaiaError if the remote can't be asked, or has another tag under a name that was given here by hand.
    """
    remote = git_remote(root)
    if remote is None:
        return
    memory = _Memory(remote, root)
    try:
        here, there = _here(root), _there(remote, root)
    except GaiaError as error:
        raise GaiaError(f"{remote} can't be asked for its tags: {error}") from None
    seen = memory.read()
    differing = {name for name in here.keys() & there.keys() if here[name] != there[name] and tags.parse(name)}
    dropped = _drop(differing, here, seen, remote, root)
    if missing := {*(there.keys() - here.keys()), *dropped}:
        asked = "".join(f"refs/tags/{name}:refs/tags/{name}\n" for name in sorted(missing))
        git(*FETCH, "--stdin", remote, root=root, given=asked)
    _share({name for name in here.keys() - there.keys() if tags.parse(name)}, here, seen, remote, root)
    gone = seen & {f"{oid} {name}" for name, oid in here.items()}  # which were there once, and have not been here alone
    memory.write(gone | {f"{oid} {name}" for name, oid in there.items() if tags.parse(name)})


def next_date(line: str, root: Path = Path()) -> int:
    """The date of the next record of a line, in seconds of Unix: now, or a second after the newest record's, if that is
    later. GTO and DVC order by date, we by counter: so both orders are one, whatever the clocks say."""
    found = history.look(line, root)
    dates = [tag.moment for tag in found.versions] + [tag.moment for tag in found.withdrawn.values()]
    dates += [event.tag.moment for event in found.events]
    return max([int(time.time()), *(int(date.timestamp()) + 1 for date in dates)])


def compare(root: Path = Path()) -> Compared:
    """The tags of GTO's grammar here and at the remote. Raises GaiaError if that can't be asked."""
    remote = git_remote(root)
    here = {name: oid for name, oid in _here(root).items() if tags.parse(name)}
    there = {name: oid for name, oid in _there(remote, root).items() if tags.parse(name)} if remote else here
    return Compared(remote, here, there)


def one_at_a_time(root: Path = Path()) -> FileLock:
    """A lock of this clone, to be held from reading the tags to creating one."""
    from filelock import FileLock

    return FileLock(_common(root) / "gaia-tags.lock")


def _objects(new: list[New], root: Path) -> list[str]:
    """The tag objects, which no name of this repository leads to yet.

    `git tag` makes and signs them as the user has configured it, in an empty repository that shares this one's objects.
    """
    said = git("config", "-z", "--get-regexp", r"^(user|author|committer|gpg|tag)\.", root=root, ok=(0, 1))
    entries = [entry for entry in said.split("\0")[:-1] if not entry.startswith("tag.sort")]
    settings = [word for entry in entries for word in ("-c", entry.replace("\n", "=", 1))]
    store = (root / git("rev-parse", "--git-path", "objects", root=root).strip()).resolve()
    lines = {each.name: parsed.line for each in new if (parsed := tags.parse(each.name))}
    dates = {line: next_date(line, root) for line in set(lines.values())}
    zone = datetime.now().astimezone().strftime("%z")
    made = []
    with tempfile.TemporaryDirectory(prefix="gaia-tag-") as folder:
        for part in ("objects", "refs/tags"):
            (Path(folder) / part).mkdir(parents=True)
        (Path(folder) / "HEAD").write_text("ref: refs/heads/none\n")
        for name, commit, message in new:
            itself = git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}", root=root).strip()
            variables = {
                "GIT_DIR": folder,
                "GIT_OBJECT_DIRECTORY": str(store),
                "GIT_COMMITTER_DATE": f"{dates[lines[name]]} {zone}",
                "GIT_CONFIG_GLOBAL": os.devnull,  # no setting but those that are given
                "GIT_CONFIG_NOSYSTEM": "1",
            }
            words = ("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, itself)
            git(*settings, *words, root=root, given=f"{message}\n", variables=variables)
            dates[lines[name]] += 1
            made.append((Path(folder) / "refs/tags" / name).read_text().strip())
    return made


def _push(remote: str, made: dict[str, str], root: Path) -> None:
    """Give objects their names at the remote, all or none. Raises TagTaken if one is taken."""
    several = ("--atomic",) if len(made) > 1 else ()
    unmirrored = ("-c", f"remote.{remote}.mirror=false")
    try:
        said = git(*unmirrored, *PUSH, *several, remote, *(f"{oid}:{ref}" for ref, oid in made.items()), root=root)
        if same := [line.split(":")[-1].split("\t")[0] for line in said.splitlines() if line.startswith("=")]:
            # somebody of the same name decided the same within the same second: they were first
            raise TagTaken(f"there is a tag {same[0].removeprefix('refs/tags/')} at {remote} already.")
    except TagTaken:
        raise
    except GaiaError as error:
        try:
            there = {f"refs/tags/{name}": oid for name, oid in _there(remote, root, made).items()}
        except GaiaError:
            there = {}
        if there == made:  # the answer was lost on its way, the tags were not
            return
        name = next(iter(there or made)).removeprefix("refs/tags/")
        if there:
            raise TagTaken(f"there is a tag {name} at {remote} already.") from None
        raise GaiaError(f"{name} was not made, since it can't be pushed to {remote}: {error}") from None


def _drop(differing: set[str], here: dict[str, str], seen: set[str], remote: str, root: Path) -> set[str]:
    """Drop tags of ours that never reached the remote, which has others of their names; which ones.

    Of a tag that was the same at the remote once, and was moved there, the one that this clone has stays; that is said
    on stderr. Raises GaiaError for any other that differs.
    """
    ours = _ours(differing, here, seen, root)
    for name in sorted(differing - ours):
        take = f"git tag -d '{name}' && git fetch {remote} tag '{name}'"
        if f"{here[name]} {name}" not in seen:
            raise GaiaError(f"{name} here is not the one at {remote}", f"`{take}` takes that one")
        warn(f"{name} was moved at {remote}, and stays here as it was; `{take}` takes the other one.", root.resolve())
    for name in sorted(ours):
        git("update-ref", "-d", f"refs/tags/{name}", here[name], root=root)
        mine = f"{name} as it was made here ({here[name][:8]})"
        warn(f"{mine} never reached {remote}, which has another one by now; the one here is dropped.", root.resolve())
    return ours


def _share(alone: set[str], here: dict[str, str], seen: set[str], remote: str, root: Path) -> None:
    """Push what is ours and was never shared; say what else is in this clone alone."""
    ours = _ours(alone, here, seen, root)
    few = f"{', '.join(sorted(ours)[:3])}{' ...' if len(ours) > 3 else ''}"
    try:
        if ours:
            _push(remote, {f"refs/tags/{name}": here[name] for name in sorted(ours)}, root)
            warn(f"{few} never reached {remote}; now it is there.", root.resolve())
    except GaiaError as error:
        warn(f"{few} can't be shared: {error}", root.resolve())
    for name in sorted(alone - ours)[:3]:
        share = f"git push --no-verify {remote} 'refs/tags/{name}'"
        warn(f"{name} is in this clone alone; `{share}` shares it, `git tag -d '{name}'` drops it.", root.resolve())


def _ours(names: set[str], here: dict[str, str], seen: set[str], root: Path) -> set[str]:
    """Which of the tags were made by whoever works in this clone, with a verb of ours, and never seen at the remote."""
    if not names:
        return set()
    found = history.look(root=root)
    me = git("var", "GIT_COMMITTER_IDENT", root=root, ok=(0, 128)).rsplit(" ", 2)[0]  # a host may be nobody
    records: list[Any] = [*found.versions, *found.withdrawn.values(), *(event.tag for event in found.events)]
    ours = {str(tag.name) for tag in records if tag.tagger == me and tag.facts.get("line") == tag.name.line}
    return {name for name in names & ours if f"{here[name]} {name}" not in seen}


def _here(root: Path) -> dict[str, str]:
    return _ids(git("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", root=root))


def _there(remote: str, root: Path, refs: Iterable[str] = ()) -> dict[str, str]:
    return _ids(git("ls-remote", "--tags", "--refs", remote, *refs, root=root))


def _ids(listing: str) -> dict[str, str]:
    """The object of each tag, in what for-each-ref and ls-remote print."""
    pairs = (line.split(maxsplit=1) for line in listing.split("\n") if line)
    return {name.removeprefix("refs/tags/"): oid for oid, name in pairs}


def _common(root: Path) -> Path:
    return root / git("rev-parse", "--git-common-dir", root=root).strip()


class _Memory:
    """The tags that were at a remote whenever it was asked, `<object> <name>`, as far as they are there or here still:
    a file of this clone, under the remote's address."""

    def __init__(self, remote: str, root: Path) -> None:
        self.file = _common(root) / "gaia-shared"
        self.address = git("ls-remote", "--get-url", remote, root=root).strip()

    def read(self) -> set[str]:
        """Those of this remote; none if another was asked last."""
        try:
            address, *seen = self.file.read_text(errors="surrogateescape").split("\n")
        except OSError:
            return set()
        return set(seen) if address == self.address else set()

    def write(self, seen: set[str]) -> None:
        """Replace the file, if it says otherwise."""
        text = "\n".join([self.address, *sorted(seen)])
        if not self.file.exists() or self.file.read_text(errors="surrogateescape") != text:
            with files.replaced(self.file) as beside:
                beside.write_text(text, errors="surrogateescape")
