"""The command `gaia`: each verb parses its arguments, calls one function, and prints what it gives."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gaia import paths
from gaia.cli import config, deployments, predict, storage, versions
from gaia.errors import GaiaError, exit_with_a_sentence

# Imports stand inside the verbs: `gaia predict` should answer before pandas would have been imported.


def main() -> None:
    """Entry point: exit code 0, or 1 and a sentence on stderr."""
    exit_with_a_sentence(run, sys.argv[1:])


def run(arguments: list[str]) -> None:
    """Carry out one command line, without the program's name. Raises GaiaError with the sentence to print."""
    parser = argparse.ArgumentParser(prog="gaia", description="From YAML to an evaluated, versioned classifier.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    for module in (config, predict, storage, versions, deployments):
        module.add(verbs)
    asked = parser.parse_args(arguments)
    _check_place()
    asked.run(asked)


def _check_place() -> None:
    """Raise GaiaError inside a project, but below its root: paths are relative to that."""
    here = Path.cwd()
    above = (f for f in (here, *here.parents) if (f / "dvc.yaml").exists() and (f / paths.PARAMS).exists())
    root = next(above, here)
    if root != here:
        raise GaiaError("this is a folder inside the project", f"`cd {os.path.relpath(root)}` and ask again")
