"""GTO's grammar of tags (gto.org): the forms that are records of ours, built and parsed, and all others told apart.

plants@v1.2.0      a version             plants@v1.2.0!    its withdrawal (GTO: deregister)
plants#prod#7      a deployment          plants#prod!#8    its end (GTO: unassign)

All else that GTO knows (`plants@v1.3.0-rc.1`, `plants#canary`, `plants@deprecated`) is recognised, and not followed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gaia.errors import GaiaError
from gaia.paths import NAME

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_COUNTER = r"([1-9][0-9]{0,8})"
_VERSION = re.compile(rf"({NAME.pattern})@v{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)
_WITHDRAWAL = re.compile(rf"({_VERSION.pattern})!(#{_COUNTER})?", re.ASCII)
_DEPLOYMENT = re.compile(rf"({NAME.pattern})#({NAME.pattern})#{_COUNTER}", re.ASCII)
_UNDEPLOYMENT = re.compile(rf"({NAME.pattern})#({NAME.pattern})!#{_COUNTER}", re.ASCII)
# GTO's own grammar, for names of lines: gto.tag.parse_name says the same of each name (a test compares), and takes half
# a second to be imported.
_WORD = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_PRE, _BUILD = rf"-{_WORD}(?:\.{_WORD})*", r"\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*"
_GTO = re.compile(
    rf"(?P<line>{NAME.pattern})"
    rf"(?:@v(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?P<more>(?:{_PRE})?(?:{_BUILD})?)!?"
    r"|@(?P<word>deprecated|created)|#(?P<stage>[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?)(?P<end>!?))"
    r"(?:#(?P<counter>[0-9]+))?",
    re.ASCII,
)


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


class Withdrawal(NamedTuple):
    """That a version is not to go live any more. GTO may count these, too; a counter says nothing."""

    version: Version
    counter: int | None = None

    @property
    def line(self) -> str:
        """The version's."""
        return self.version.line

    def __str__(self) -> str:
        return f"{self.version}!" + (f"#{self.counter}" if self.counter else "")


class Deployment(NamedTuple):
    """The counter-th decision about what is live on a stage of a line. Those of a stage compare as their counters."""

    line: str
    stage: str
    counter: int

    def __str__(self) -> str:
        return f"{self.line}#{self.stage}#{self.counter}"


class Undeployment(NamedTuple):
    """The counter-th decision about a stage of a line: the version on the tag's commit is live there no longer."""

    line: str
    stage: str
    counter: int

    def __str__(self) -> str:
        return f"{self.line}#{self.stage}!#{self.counter}"


class Foreign(NamedTuple):
    """A tag of GTO's grammar that is left out, and why. `wrong`: it claims something that can't hold, and should go;
    else it is of a form that isn't followed, and harms nothing."""

    tag: str
    line: str
    why: str
    wrong: bool = True

    def mend(self, remote: str | None) -> str:
        """What removes it, here and where tags are shared."""
        return removal(self.tag, remote)


def stage(name: Version | Withdrawal | Deployment | Undeployment | Foreign) -> tuple[str, bool] | None:
    """The stage that a name is about for GTO, and whether it puts something there (else it takes it away)."""
    if isinstance(name, Deployment | Undeployment):
        return name.stage, isinstance(name, Deployment)
    found = _GTO.fullmatch(name.tag) if isinstance(name, Foreign) else None
    return (found["stage"], not found["end"]) if found and found["stage"] else None


def removal(tag: str, remote: str | None) -> str:
    """The commands that remove a tag, here and where tags are shared."""
    there = f" && git push --no-verify {remote} ':refs/tags/{tag}'" if remote else ""
    return f"`git tag -d '{tag}'{there}` removes it"


def version(name: str) -> Version:
    """The version that `plants@v1.2.0` names; str() gives the name back. Raises GaiaError for any other spelling."""
    found = _VERSION.fullmatch(name)
    if not found:
        raise GaiaError(f"'{name}' names no version", "a version is written line@v1.2.0, for example plants@v1.2.0")
    return Version(found[1], int(found[3]), int(found[4]), int(found[5]))


def withdrawal(name: str) -> Withdrawal:
    """The withdrawal that `plants@v1.2.0!` names; str() gives the name back. Raises GaiaError for another spelling."""
    found = _WITHDRAWAL.fullmatch(name)
    if not found:
        raise GaiaError(f"'{name}' names no withdrawal", "one is written line@v1.2.0!, for example plants@v1.2.0!")
    return Withdrawal(version(found[1]), int(found[8]) if found[8] else None)


def deployment(name: str) -> Deployment:
    """The deployment that `plants#prod#7` names; str() gives the name back. Raises GaiaError for any other spelling."""
    found = _DEPLOYMENT.fullmatch(name)
    if not found:
        raise GaiaError(f"'{name}' names no deployment", "one is written line#stage#counter, for example plants#prod#7")
    return Deployment(found[1], found[3], int(found[5]))


def undeployment(name: str) -> Undeployment:
    """The end of a deployment that `plants#prod!#8` names; str() gives the name back. Raises GaiaError for any other
    spelling."""
    found = _UNDEPLOYMENT.fullmatch(name)
    if not found:
        raise GaiaError(
            f"'{name}' ends no deployment", "one is written line#stage!#counter, for example plants#prod!#8"
        )
    return Undeployment(found[1], found[3], int(found[5]))


def parse(name: str) -> Version | Withdrawal | Deployment | Undeployment | Foreign | None:
    """What a tag's name says in GTO's grammar: one of our four forms, or another (Foreign); None if it is no such name,
    or that of something that can't be a line."""
    for form, read in _FORMS:
        if form.fullmatch(name):
            return read(name)
    found = _GTO.fullmatch(name)
    if not found:
        return None
    line, stage, why = found["line"], found["stage"], "is of another form than Gaia's"
    if found["more"]:
        return Foreign(name, line, "is a pre-release or a build, which isn't followed", wrong=False)
    if found["word"]:
        return Foreign(name, line, "speaks of the line as a whole, which isn't followed", wrong=False)
    if not stage:
        why = "counts a version, or has a number beyond nine digits, which isn't followed"
        return Foreign(name, line, why, wrong=False)
    if not NAME.fullmatch(stage):
        return Foreign(name, line, f"is of a stage '{stage}', whose name takes lower-case letters, digits and dashes")
    if not found["counter"]:
        return Foreign(name, line, "has no counter, which isn't followed", wrong=False)
    return Foreign(name, line, f"has the counter {found['counter'][:20]}, which is none from 1 to 999999999")


_FORMS = ((_DEPLOYMENT, deployment), (_VERSION, version), (_UNDEPLOYMENT, undeployment), (_WITHDRAWAL, withdrawal))
