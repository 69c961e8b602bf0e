"""The command `gaia`: each verb parses its arguments, calls one function, and prints what it gives."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from gaia import paths
from gaia.cli import build, config, data, deployments, fetch, predict, serving, storage, sweeps, tracking, versions
from gaia.cli.verb import Parser, WrongArguments, one_document, print_error
from gaia.errors import GaiaError, errors_as, exit_with_a_sentence, full_disk, missing_extra

# Imports stand inside the verbs: `gaia predict` should answer before pandas would have been imported.


def main() -> None:
    """Entry point: exit code 0; 1 and a sentence on stderr; or 2, if the arguments are wrong."""
    exit_with_a_sentence(run, sys.argv[1:])


def parser() -> Parser:
    """Everything that can be asked: what the help, the shells' completion and the documentation are made of."""
    tree = Parser(prog="gaia", description="From YAML to an evaluated, versioned classifier.")
    tree.add_argument("--version", action="store_true", help="show the version of Gaia itself")
    tree.add_argument(
        "--print-completion", choices=("bash", "zsh"), help='for that shell: `eval "$(gaia --print-completion bash)"`'
    )
    verbs = tree.add_subparsers(dest="verb", metavar="verb")
    for module in (config, build, sweeps, predict, data, fetch, storage, versions, deployments, tracking, serving):
        module.add(verbs)
    about = verbs.add_parser("help", help="how a verb is asked: `gaia help deploy`")
    about.add_argument("words", nargs="*", metavar="verb")
    return tree


def run(arguments: list[str]) -> None:
    """Carry out one command line, without the program's name, from whatever folder of a project it is given in.

    Raises GaiaError with the sentence to print; with --json, it has been printed as JSON already.
    """
    tree = parser()
    if arguments[:1] == ["--json"]:  # before the verb as after it
        end = arguments.index("--") if "--" in arguments else len(arguments)
        arguments = [*arguments[1:end], "--json", *arguments[end:]]
    try:
        asked = tree.parse_args(arguments)
        if asked.verb is None:
            _answer(tree, asked)
            return
        if asked.verb == "help":
            tree.parse_args([*asked.words, "--help"])
    except WrongArguments as error:
        if "--json" in arguments:
            print_error(error)
        raise
    with one_document() if asked.json else nullcontext():
        _carry_out(asked)


def _answer(tree: Parser, asked: argparse.Namespace) -> None:
    """What is asked of the program itself, without a verb."""
    if asked.version:
        from importlib.metadata import version

        with errors_as("gaia-vision is not installed, so it has no version ({})"):
            print(f"gaia {version('gaia-vision')}")
    elif asked.print_completion:
        import shtab

        print(shtab.complete(tree, asked.print_completion))
    else:
        tree.error("no verb is given")


def _carry_out(asked: argparse.Namespace) -> None:
    """Run the verb at the project's root, since every path is relative to that. `asked.here` is where the user stands,
    seen from there: a path that the user gives is `asked.here / path`."""
    outside = getattr(asked, "anywhere", lambda asked: False)(asked)
    root = Path.cwd() if outside else _root()
    asked.here = Path.cwd().relative_to(root)
    os.chdir(root)
    try:
        with full_disk(), missing_extra():
            asked.run(asked)
    except GaiaError as error:
        if asked.here.parts:
            up = Path(*[".."] * len(asked.here.parts))
            error.add_note(f"commands, and paths that you didn't give, are meant from {up}, the project's root")
        raise


def _root() -> Path:
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise GaiaError("the folder that this is asked in has been removed", "`cd` to one that is there") from None
    if root := paths.root(here):
        return root
    raise GaiaError(
        "this is not inside a Gaia project",
        f"`cd` into one: a folder with {paths.PIPELINE} and {paths.PARAMS}, or one below it",
    )
