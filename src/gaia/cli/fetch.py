"""`gaia fetch`: a version for a host that has neither Git nor a project."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.cli.verb import print_json, verb


def add(verbs: Any) -> None:
    """Its parser."""
    fetch = verb(
        verbs, "fetch", _fetch,
        help="bring a version to a host without Git: `gaia fetch plants@v1.2.0 plants`",
        description="Brings the artifact of a version from its folder in the storage, every file verified, outside of "
        "any project: what it needs are S3_ENDPOINT and a key that may read, in the environment or in ./.env.",
    )  # fmt: skip
    fetch.add_argument("version", help="such as plants@v1.2.0")
    fetch.add_argument("folder", help="appears when it is whole")
    fetch.set_defaults(anywhere=lambda asked: paths.root(Path.cwd()) is None)


def _fetch(asked: argparse.Namespace) -> None:
    from gaia.versions.fetch import fetch

    found = fetch(asked.version, asked.here / asked.folder)
    if asked.json:
        print_json(found)
        return
    there, size = "is" if found["new"] else "is already", f"{found['bytes'] / 1e6:.3g} MB"
    print(f"{found['version']} {there} in {found['folder']}: {found['files']} files, {size}, each verified")
