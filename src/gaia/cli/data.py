"""`gaia pull` and `gaia push`: data and models between the storage and this clone."""

from __future__ import annotations

import argparse
import os
from typing import Any

from gaia.cli.verb import print_json, verb

WHAT = "a line, a path, or a version such as plants@v1.2.0; all that this commit pins if not given"


def add(verbs: Any) -> None:
    """The parsers of its verbs."""
    pull = verb(verbs, "pull", _pull, help="bring what this commit pins from the storage, and place it here")
    pull.add_argument("--force", action="store_true", help="replace what was changed here and is kept nowhere")
    push = verb(verbs, "push", _push, help="store what this commit pins, as far as the storage lacks it")
    for each in (pull, push):
        each.add_argument("what", nargs="*", help=WHAT)
        each.add_argument("--all", action="store_true", help="that of every version, too")


def _pull(asked: argparse.Namespace) -> None:
    from gaia.storage.pull import pull

    came, placed = pull(_words(asked), every_version=asked.all, force=asked.force)
    if asked.json:
        print_json({"objects": came, "placed": placed})
    else:
        print(f"{came} objects came, {len(placed)} outputs were placed" if came or placed else "all is here already")


def _push(asked: argparse.Namespace) -> None:
    from gaia.storage.push import push

    went = push(_words(asked), every_version=asked.all)
    if asked.json:
        print_json({"objects": went})
    else:
        print(f"{went} objects were stored" if went else "the storage has all of it already")


def _words(asked: argparse.Namespace) -> list[str]:
    """What was named; a path is meant from where the user stands."""
    paths = {
        word: os.path.normpath(asked.here / word) for word in asked.what if "/" in word or (asked.here / word).exists()
    }
    return [paths.get(word, word) for word in asked.what]
