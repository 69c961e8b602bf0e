"""Git, asked through its command: text out, or a sentence. What the user's own settings say changes none of it.

This is the one place that runs Git. Who commits, how one signs, where a remote lies and how it is reached stay the
user's (user.*, gpg.*, tag.gpgSign, url.*, http.*, credential.*); the rest of what could change an answer is fixed here.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from gaia.errors import GaiaError

_SETTINGS = {
    "advice.detachedHead": "false",
    **{f"color.{part}": "false" for part in ("ui", "branch", "diff", "grep", "push", "remote", "status", "transport")},
    "column.ui": "never",
    "core.commentChar": "#",
    "core.hooksPath": os.devnull,  # DVC's would push data before a tag; a tag is no place to decide that
    "core.quotePath": "false",
    "diff.noprefix": "false",
    "diff.orderFile": os.devnull,
    "diff.relative": "false",
    "diff.renames": "true",
    "fetch.fsckObjects": "false",  # one malformed tag of a stranger would keep all others out
    "fetch.prune": "false",
    "fetch.pruneTags": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",  # a clean-up in the background would outlive the command
    "grep.column": "false",
    "grep.fullName": "false",
    "grep.lineNumber": "false",
    "grep.patternType": "default",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.pushOption": "",
    "push.recurseSubmodules": "no",
    "status.aheadBehind": "true",
    "status.renames": "true",
    "status.showStash": "false",
    "status.showUntrackedFiles": "normal",
    "status.submoduleSummary": "false",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "false",
}
_FIXED = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
# Git sets these for its hooks: they would lead a command meant for another folder back to the hook's repository.
_OF_A_HOOK = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
)  # fmt: skip
_OF_A_USER = (
    "GIT_CONFIG", "GIT_DIFF_OPTS", "GIT_EXTERNAL_DIFF", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
)  # fmt: skip


def git(
    *arguments: str,
    root: Path = Path(),
    given: str | None = None,
    ok: tuple[int, ...] = (0,),
    variables: Mapping[str, str] | None = None,
) -> str:
    """What `git <arguments>` prints, run in `root` with `given` on its standard input and some more `variables`.

    Raises GaiaError with Git's own complaint if the exit code is none of `ok`, or Git is not installed.
    """
    text = None if given is None else given.encode(errors="surrogateescape")
    done = _run(*arguments, root=root, given=text, variables=variables)
    if done.returncode not in ok:
        raise _error(arguments, done)
    return done.stdout.decode(errors="surrogateescape")


def commit(revision: str, root: Path = Path()) -> str:
    """The full id of the commit that a tag, a branch or a shortened id names. Raises GaiaError if it names none."""
    done = _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", root=root)
    if done.returncode:
        git("rev-parse", "--git-dir", root=root)  # says so if this is no repository
        raise GaiaError(f"'{revision}' names no commit in this repository", "`git fetch --tags` brings those of others")
    return done.stdout.decode().strip()


def read(revision: str, path: str, root: Path = Path()) -> bytes | None:
    """A file's content as committed at a revision, its path relative to `root`; None if it isn't there.

    Raises GaiaError if the revision names no commit.
    """
    done = _run("cat-file", "blob", f"{commit(revision, root)}:./{path}", root=root)
    return None if done.returncode else done.stdout


def blobs(names: Iterable[str], root: Path = Path()) -> list[bytes | None]:
    """The content of each `<commit>:<path>`, in order; None where there is none. One call of Git, however many."""
    asked = list(names)
    done = _run("cat-file", "--batch", root=root, given="".join(f"{name}\n" for name in asked).encode())
    if done.returncode:
        git("rev-parse", "--git-dir", root=root)  # says so if this is no repository
    found: list[bytes | None] = []
    out, at = done.stdout, 0
    while len(found) < len(asked):
        end = out.index(b"\n", at)
        head = out[at:end].split(b" ")
        if head[-2:-1] == [b"blob"]:
            size = int(head[-1])
            found.append(out[end + 1 : end + 1 + size])
            at = end + size + 2
        else:
            found.append(None)
            at = end + 1 + (int(head[-1]) + 1 if head[-1].isdigit() else 0)  # a folder's content is passed over
    return found


def remote(root: Path = Path()) -> str | None:
    """Where tags are shared: the remote of the current branch, or else `origin`, or else the only one there is.

    A remote is one that has an address; settings alone (`remote.origin.prune` in ~/.gitconfig) make none.
    """
    branch = git("branch", "--show-current", root=root).strip()
    said = git("config", "-z", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$", root=root, ok=(0, 1))
    settings = dict(entry.split("\n", 1) for entry in said.split("\0") if "\n" in entry)
    known = [key[len("remote.") : -len(".url")] for key in settings if key.endswith(".url")]
    of_branch = settings.get(f"branch.{branch}.remote")
    if of_branch in known:
        return of_branch
    return "origin" if "origin" in known else known[0] if len(known) == 1 else None


def _run(
    *arguments: str, root: Path, given: bytes | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # the index that a hook was given holds what is about to be committed, which is what a look from there is about
    here = root.resolve() == Path.cwd()
    dropped = {*_OF_A_HOOK, *_OF_A_USER} - ({"GIT_INDEX_FILE"} if here else set())
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    environment |= {"LC_ALL": "C", **(variables or {})}
    try:
        return subprocess.run(
            ["git", *_FIXED, *arguments], cwd=root, input=given, capture_output=True, env=environment
        )  # fmt: skip
    except FileNotFoundError:
        raise GaiaError("git is not installed, and versions are kept in Git", "install it") from None


def _error(arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> GaiaError:
    """Git's complaint as a sentence, without what it hints."""
    words = list(arguments)
    while words[0] == "-c":
        words = words[2:]
    verb, said = words[0], done.stderr.decode(errors="replace").strip().splitlines()
    said = [line for line in said if line.strip() and not line.startswith("hint:")] or [f"exit code {done.returncode}"]
    if place := next((line.partition("in repository at ")[2] for line in said if "dubious ownership" in line), ""):
        place = place.strip("'")
        return GaiaError(
            f"git {verb}: {place} belongs to another account, and Git reads no such repository",
            f"if you trust it, `git config --global --add safe.directory {shlex.quote(place)}`",
        )
    return GaiaError(f"git {verb}: {' '.join(line.removeprefix('fatal: ') for line in said)}.")
