"""Tags that are versions (`plants@v1.2.0`) and deployments (`plants#prod#7`): names built and parsed, tags listed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from gaia.errors import GaiaError, nearest
from gaia.paths import NAME
from gaia.registry.git import git
from gaia.registry.git import remote as git_remote

if TYPE_CHECKING:
    from filelock import FileLock

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"({NAME.pattern})@v{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)
_DEPLOYMENT = re.compile(rf"({NAME.pattern})#({NAME.pattern})#([1-9][0-9]{{0,8}})", re.ASCII)


class Version(NamedTuple):
    """One version of a line. Versions of a line compare as their numbers do: v2.0.0 before v10.0.0."""

    line: str
    major: int
    minor: int
    patch: int

    @property
    def number(self) -> str:
        """`v1.2.0`"""
        return f"v{self.major}.{self.minor}.{self.patch}"

    def __str__(self) -> str:
        return f"{self.line}@{self.number}"


class Deployment(NamedTuple):
    """The counter-th decision about what is live on a stage of a line. Those of a stage compare as their counters."""

    line: str
    stage: str
    counter: int

    def __str__(self) -> str:
        return f"{self.line}#{self.stage}#{self.counter}"


Name = TypeVar("Name", Version, Deployment)


class Tag(NamedTuple, Generic[Name]):
    """A tag as Git keeps it. `date` is ISO 8601 with the offset of its place; `tagger` is `name <mail>`, or empty for
    a tag that is not annotated; `message` is without the signature."""

    name: Name
    commit: str
    date: str
    tagger: str
    message: str

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON object that stands under the message's first line; {} if there is none, as in a tag of others."""
        try:
            found = json.loads(self.message.partition("\n\n")[2])
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def message(headline: str, facts: dict[str, Any]) -> str:
    """A tag's message: a line for people, and facts for scripts, as `Tag.facts` reads them."""
    return f"{headline}\n\n{json.dumps(facts, ensure_ascii=False, allow_nan=False)}"


def version(name: str) -> Version:
    """The version that `plants@v1.2.0` names; str() gives the name back. Raises GaiaError for any other spelling."""
    found = _VERSION.fullmatch(name)
    if not found:
        raise GaiaError(f"'{name}' names no version", "a version is written line@v1.2.0, for example plants@v1.2.0")
    return Version(found[1], int(found[3]), int(found[4]), int(found[5]))


def deployment(name: str) -> Deployment:
    """The deployment that `plants#prod#7` names; str() gives the name back. Raises GaiaError for any other spelling."""
    found = _DEPLOYMENT.fullmatch(name)
    if not found:
        raise GaiaError(f"'{name}' names no deployment", "one is written line#stage#counter, for example plants#prod#7")
    return Deployment(found[1], found[3], int(found[5]))


def versions(line: str | None = None, root: Path = Path()) -> list[Tag[Version]]:
    """The versions of a line, or of every line: by line, the lowest number first. Tags of other kinds are left out.

    Raises GaiaError if `root` is not in a Git repository.
    """
    pattern = f"refs/tags/{line or '*'}@v*"
    return sorted(
        Tag(version(name), *rest) for name, *rest in _tags(pattern, root) if _VERSION.fullmatch(name)
    )  # fmt: skip


def deployments(line: str | None = None, root: Path = Path()) -> list[Tag[Deployment]]:
    """The deployments of a line, or of every line: by line and stage, the lowest counter (the oldest) first.

    Raises GaiaError if `root` is not in a Git repository.
    """
    pattern = f"refs/tags/{line or '*'}#*#*"
    return sorted(
        Tag(deployment(name), *rest) for name, *rest in _tags(pattern, root) if _DEPLOYMENT.fullmatch(name)
    )  # fmt: skip


def of_line(line: str, root: Path = Path()) -> list[Tag[Version]]:
    """The versions of a line, the lowest number first; never an empty list.

    Raises GaiaError if the line is not exactly one that has versions.
    """
    found = versions(line, root) if NAME.fullmatch(line) else []
    if not found:
        known = sorted({tag.name.line for tag in versions(root=root)})
        there = f"those of {', '.join(known)} are{nearest(line, known)}" if known else "none has been released yet"
        raise GaiaError(f"there is no version of a line '{line}'", f"{there}")
    return found


def find(name: str, root: Path = Path()) -> Tag[Version]:
    """The tag of a version. Raises GaiaError if the name is not exactly that of a version that exists."""
    wanted = version(name)
    known = versions(wanted.line, root)
    for tag in known:
        if tag.name == wanted:
            return tag
    there = [str(tag.name) for tag in known]
    if not there:
        raise GaiaError(
            f"there is no version {name}, nor another of '{wanted.line}'", "`git fetch --tags` may bring it"
        )
    raise GaiaError(f"there is no version {name}", f"the newest are {', '.join(there[:-6:-1])}{nearest(name, there)}")


class TagTaken(GaiaError):
    """A tag of that name exists already, here or where tags are shared."""


def create(name: str, commit: str, message: str, root: Path = Path()) -> None:
    """Make an annotated tag (signed, if Git is configured to sign) and push it, if this clone has a remote.

    Raises TagTaken if the name is taken here or there, and GaiaError if Git can't make or push it. No tag of this call
    is left then: what this clone has, others have.
    """
    if not _VERSION.fullmatch(name) and not _DEPLOYMENT.fullmatch(name):
        raise GaiaError(f"'{name}' can name neither a version nor a deployment.")
    ref = f"refs/tags/{name}"
    try:
        git("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, commit, root=root, given=f"{message}\n")
    except GaiaError as error:
        if "already exists" in str(error) or "cannot lock ref" in str(error):
            raise TagTaken(f"there is a tag {name} already.") from None
        raise
    remote = git_remote(root)
    if remote is None:
        return
    itself = git("rev-parse", ref, root=root).strip()
    try:  # DVC's hook would push data first; that is not for a tag to decide
        git("push", "--quiet", "--no-verify", remote, ref, root=root)
    except GaiaError as error:
        try:
            there = git("ls-remote", remote, ref, root=root).split()
        except GaiaError:
            there = []
        if there[:1] == [itself]:  # the answer was lost on its way, the tag was not
            return
        git("update-ref", "-d", ref, itself, root=root)
        if there:
            raise TagTaken(f"there is a tag {name} at {remote} already.") from None
        raise GaiaError(f"{name} was not made, since it can't be pushed to {remote}: {error}") from None


def fetch(root: Path = Path()) -> None:
    """Bring the tags that others have shared. Without a remote there are none to bring.

    Raises GaiaError if the remote can't be asked, or has another tag under a name that exists here.
    """
    remote = git_remote(root)
    if remote is None:
        return
    try:
        git("fetch", "--no-recurse-submodules", remote, "refs/tags/*:refs/tags/*", root=root)
    except GaiaError as error:
        if "would clobber existing tag" in str(error):
            raise GaiaError(
                f"a tag here is not the one of that name at {remote}",
                f"compare them (`git ls-remote --tags {remote}`), and drop the one here (`git tag -d <name>`)",
            ) from None
        raise


def one_at_a_time(root: Path = Path()) -> FileLock:
    """A lock of this clone, to be held from reading the tags to creating one."""
    from filelock import FileLock

    folder = git("rev-parse", "--git-common-dir", root=root).strip()
    return FileLock(root / folder / "gaia-tags.lock")


_FIELDS = ("refname:strip=2", "objectname", "*objectname", "creatordate:iso-strict", "taggername", "taggeremail",
           "contents", "contents:signature")  # fmt: skip
_FORMAT = "%00".join(f"%({field})" for field in _FIELDS) + "%00%01"


def _tags(pattern: str, root: Path) -> Iterable[tuple[str, str, str, str, str]]:
    """Name, commit, date, tagger and message of each tag: one call of Git, however many there are."""
    for record in git("for-each-ref", f"--format={_FORMAT}", pattern, root=root).split("\0\1\n")[:-1]:
        name, itself, tagged, date, tagger, mail, message, signature = record.split("\0")
        message = message.removesuffix(signature).strip() if tagged else ""
        yield name, tagged or itself, date, f"{tagger} {mail}".strip(), message
