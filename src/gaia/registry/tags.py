"""The tags of a repository: listed in the order of their numbers, with what is no record of ours set apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from gaia.errors import GaiaError, nearest, printable
from gaia.paths import NAME
from gaia.registry import grammar
from gaia.registry.git import git, remote
from gaia.registry.grammar import Deployment, Foreign, Undeployment, Version, Withdrawal, deployment, parse, version

__all__ = [
    "Deployment", "Foreign", "Stage", "Tag", "Tags", "Undeployment", "Version", "Withdrawal", "deployment",
    "deployments", "find", "message", "of_line", "parse", "read", "version", "versions",
]  # fmt: skip

LONGEST = 2_000  # characters of a reason
LARGEST = 65_536  # bytes of a message that are read; ours have a few thousand
EARLIEST, LATEST = datetime(2005, 4, 7, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)  # since Git is, and a sane end


Name = TypeVar("Name", Version, Withdrawal, Deployment, Undeployment, Deployment | Undeployment)


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
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def reason(self) -> str:
        """The reason among the facts, on one line and printable; empty if none was given."""
        return reason(self.facts)

    @property
    def moment(self) -> datetime:
        """The date as a point in time. Raises ValueError if there is none."""
        return datetime.fromisoformat(self.date)

    @property
    def day(self) -> str:
        """The date's day, in its own zone: `2026-11-24`."""
        return self.date[:10]


class Stage(NamedTuple):
    """What GTO and DVC read of one annotated tag about a stage, ours or not: the commit, whether it is put there or
    taken away, and when."""

    tag: str
    line: str
    stage: str
    commit: str
    put: bool
    date: datetime


class Tags(NamedTuple):
    """Every tag of GTO's grammar. `versions` by line and number, `decisions` by line, stage and counter."""

    versions: list[Tag[Version]]
    withdrawals: list[Tag[Withdrawal]]
    decisions: list[Tag[Deployment | Undeployment]]
    foreign: list[Foreign]
    stages: list[Stage]


def reason(facts: dict[str, Any]) -> str:
    """The reason among a tag's facts: on one line, printable, no longer than people read; empty if none was given."""
    said = facts.get("reason")
    text = printable(" ".join(said.split())) if isinstance(said, str) else ""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def message(headline: str, facts: dict[str, Any]) -> str:
    """A tag's message: a line for people, and facts for scripts, as `Tag.facts` reads them."""
    return f"{headline}\n\n{json.dumps(facts, ensure_ascii=False, allow_nan=False)}"


def read(line: str | None = None, root: Path = Path()) -> Tags:
    """The tags of a line, or of every line, by one call of Git.

    Raises GaiaError if `root` is not in a Git repository.
    """
    found = Tags([], [], [], [], [])
    order: dict[str, Any] = {}
    for name, commit, date, tagger, text, moment, flaw in _listed((f"{line or '*'}@*", f"{line or '*'}#*"), root):
        parsed = parse(name)
        if parsed is None or (line is not None and parsed.line != line):
            continue
        if moment and tagger and (about := grammar.stage(parsed)):  # GTO and DVC pass over tags that nobody signed for
            found.stages.append(Stage(name, parsed.line, about[0], commit, about[1], moment))
        if isinstance(parsed, Foreign):
            found.foreign.append(parsed)
        elif flaw or (not tagger and not isinstance(parsed, Version)):
            found.foreign.append(Foreign(name, parsed.line, flaw or "is not annotated: nobody, no date, no reason"))
        elif isinstance(parsed, Version):
            found.versions.append(Tag(parsed, commit, date, tagger, text))
        elif isinstance(parsed, Withdrawal):
            found.withdrawals.append(Tag(parsed, commit, date, tagger, text))
        else:
            order[name] = (*parsed, moment, isinstance(parsed, Undeployment))
            found.decisions.append(Tag(parsed, commit, date, tagger, text))
    found.versions.sort()
    found.decisions.sort(key=lambda tag: order[str(tag.name)])
    return found


def versions(line: str | None = None, root: Path = Path()) -> list[Tag[Version]]:
    """The versions of a line, or of every line: by line, the lowest number first. Tags of other kinds are left out.

    Raises GaiaError if `root` is not in a Git repository.
    """
    return read(line, root).versions


def deployments(line: str | None = None, root: Path = Path()) -> list[Tag[Deployment]]:
    """The deployments of a line, or of every line: by line and stage, the lowest counter (the oldest) first. Whether
    they hold, history.py says.

    Raises GaiaError if `root` is not in a Git repository.
    """
    decisions = read(line, root).decisions
    return [Tag(tag.name, *tag[1:]) for tag in decisions if isinstance(tag.name, Deployment)]


def of_line(line: str, root: Path = Path()) -> list[Tag[Version]]:
    """The versions of a line, the lowest number first; never an empty list.

    Raises GaiaError if the line is not exactly one that has versions.
    """
    found = versions(line, root) if NAME.fullmatch(line) else []
    if not found:
        known = sorted({tag.name.line for tag in versions(root=root)})
        makes = f"`gaia release {line}` makes one, and there are versions of {', '.join(known)}{nearest(line, known)}"
        there = makes if known else "none has been released yet"
        if not known and (shared := remote(root)):  # a clone may have come without tags
            there += f", or its tag was not fetched: `git fetch --tags {shared}`"
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


_FIELDS = ("refname:strip=2", "objecttype", "*objecttype", "objectname", "*objectname", "creatordate:iso-strict",
           "taggername", "taggeremail", "contents", "contents:signature")  # fmt: skip
_FORMAT = "%00".join(f"%({field})" for field in _FIELDS) + "%00%01"


def _listed(patterns: tuple[str, ...], root: Path) -> Iterator[tuple[str, str, str, str, str, datetime | None, str]]:
    """Name, commit, date, tagger, message and moment of each tag, and what makes it unreadable (then it has no moment):
    one call of Git, however many.

    What was written as no text is in it as U+FFFD; who tagged is printable.
    """
    said = git("for-each-ref", f"--format={_FORMAT}", *(f"refs/tags/{pattern}" for pattern in patterns), root=root)
    said = said.encode(errors="surrogateescape").decode(errors="replace")
    who = cache(printable)
    for record in said.split("\0\1\n")[:-1]:
        name, kind, tagged, itself, named, date, tagger, mail, message, signature = record.split("\0")
        annotated = kind == "tag"
        message = message.removesuffix(signature).strip() if annotated else ""
        moment = _moment(date)
        flaw = _flaw(tagged if annotated else kind, message) or ("" if moment else f"is dated {date or 'never'}")
        text = message if len(message) <= LARGEST else ""
        yield name, named or itself, date, who(f"{tagger} {mail}".strip()), text, None if flaw else moment, flaw


def _moment(date: str) -> datetime | None:
    """The date as a point in time, if it can be one at which somebody tagged."""
    try:
        found = datetime.fromisoformat(date)
    except ValueError:
        return None
    return found if EARLIEST < found < LATEST else None


def _flaw(kind: str, message: str) -> str:
    """Why a tag is no record of anything, or nothing."""
    if kind != "commit":
        return "names no commit"
    if len(message) > LARGEST:
        return f"has a message of {len(message):,} characters, and more than {LARGEST:,} are not read"
    if message.count("[") + message.count("{") > 500:  # ours have one for each gate
        try:
            json.loads(message.partition("\n\n")[2])
        except RecursionError:
            return "has a message nested too deep to be read"
        except ValueError:
            pass
    return ""
