"""`gaia results` and `gaia predict`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gaia import paths
from gaia.cli.verb import FILES, print_json, verb
from gaia.errors import GaiaError, Problem, nearest, printable, warn

if TYPE_CHECKING:
    from gaia.runtime.answers import Answers
    from gaia.runtime.predictor import Predictor


def add(verbs: Any) -> None:
    """Their parsers."""
    verb(
        verbs,
        "results",
        lambda asked: _results(asked.json),
        help="what the last `dvc repro` built: a row for each line",
    )
    predict = verb(
        verbs, "predict", _predict,
        help="answer with a line's artifact: `gaia predict plants photo.jpg folder/`",
        description="Inputs: photos, folders of photos, patterns in quotes ('x/**/*.jpg') or - for standard input "
        "(plants, bags); CSV or Parquet files, - for CSV, or one row as name=value ... (cultures). The artifact is "
        "that of the workspace, of a stage, of a version, or the one in a folder, which no project needs to surround.",
    )  # fmt: skip
    predict.add_argument("line", metavar="line|folder")
    inputs = predict.add_argument("inputs", nargs="+", metavar="input")
    inputs.complete = FILES  # type: ignore[attr-defined]
    which = predict.add_mutually_exclusive_group()
    which.add_argument("--stage", help="ask what is live there on this host (prod, ...), not what was built last")
    which.add_argument("--version", metavar="VERSION", help="ask this version (v1.1.0), live or not")
    out = predict.add_argument("--out", metavar="FILE", help="write a row for each input: .csv, .jsonl or .parquet")
    out.complete = FILES  # type: ignore[attr-defined]
    predict.set_defaults(anywhere=lambda asked: _is_artifact(Path(asked.line)))


def _results(as_json: bool) -> None:
    from gaia.evaluation.results import outdated, results, table

    found = results()
    _warn(outdated(row["line"] for row in found))
    if as_json:
        print_json(found)
    else:
        from gaia.console import console

        console.print(table(found))


class _Asked(NamedTuple):
    """The model that answers, its version (None: of the workspace, or a folder's), and from where on it doubts."""

    model: Predictor
    version: str | None
    band: float


def _predict(asked: argparse.Namespace) -> None:
    from gaia.cli import given

    problems: list[Problem] = []
    printed: list[Any] = []
    rows = 0
    with _model(asked) as who:
        line, labels = who.model.contract["line"], who.model.labels
        with _writing(asked, labels) as write:
            batches = given.answers(who.model, asked.inputs, asked.here, who.band)
            for found in _counted(batches) if asked.out and sys.stderr.isatty() else batches:
                problems += found.problems.values()
                rows += len(found.answers) + len(found.problems)
                if write:
                    write(found, line, who.version)
                elif asked.json:
                    printed += [each | {"version": who.version} for each in found.answers]
                    printed += [{"input": name, "error": str(each)} for name, each in found.problems.items()]
                else:
                    _print(found)
    if asked.json:
        print_json({"out": asked.out, "rows": rows} if asked.out else printed)
    elif asked.out:
        print(f"{rows:,} rows in {asked.out}", file=sys.stderr)
    if problems:
        raise GaiaError.several(problems)


@contextmanager
def _writing(asked: argparse.Namespace, labels: list[str]) -> Iterator[Any]:
    """What writes answers, their line and version into the file that was asked for; None if none was."""
    if not asked.out:
        yield None
        return
    from gaia.cli import out

    with out.writing(asked.here / asked.out, labels) as write:
        yield lambda found, line, version: write(out.rows(found, line, version, labels))


def _counted(batches: Iterator[Answers]) -> Iterator[Answers]:
    """The same, with a count of what is done on a terminal."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch.answers) + len(batch.problems)
        print(f"\r{done:,} answered", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


@contextmanager
def _model(asked: argparse.Namespace) -> Iterator[_Asked]:
    from gaia.runtime.load import load
    from gaia.serving import settings

    if _is_artifact(asked.here / asked.line):
        if asked.stage or asked.version:
            raise GaiaError(f"{asked.line} is a folder", "--stage and --version go with a line")
        folder = asked.here / asked.line
        yield _Asked(load(folder, f"fetch it again, for example with `gaia fetch`, into {folder}"), None, 0)
        return
    band = settings.doubted(asked.line)
    if asked.version:
        from gaia.versions import model

        with model.opened(f"{asked.line}@{asked.version}") as found:
            yield _Asked(found, asked.version, band)
    elif asked.stage:
        folder, mend = _live(asked.line, asked.stage)
        yield _Asked(load(folder, mend), folder.name.partition("_")[0], band)
    else:
        yield _Asked(load(_built(asked.line)), None, band)


def _is_artifact(folder: Path) -> bool:
    """Whether a word names the folder of an artifact, not a line."""
    return (folder / "contract.json").is_file()


def _built(line: str) -> Path:
    from gaia.evaluation.results import outdated

    built = sorted(p.parent.name for p in paths.model("").glob("*/manifest.json"))
    if line not in built:
        known = f"built are {', '.join(built)}{nearest(line, built)}" if built else "run `dvc repro` to build some"
        raise GaiaError(f"there is no artifact of a line '{line}' under {paths.model('')}", f"{known}")
    _warn(outdated([line]))
    return paths.model(line)


def _live(line: str, stage: str) -> tuple[Path, str]:
    """The folder of what is live, and what would mend it."""
    from gaia.deployments import host

    here = {(name, at): folder for name in host.lines() for at, folder in host.live_here(name).items()}
    if (line, stage) not in here:
        known = ", ".join(f"{name} in {at}" for name, at in sorted(here)) or "nothing"
        raise GaiaError(
            f"'{line}' is not live in '{stage}' on this host", f"live is {known}, and `gaia sync` follows the tags"
        )
    folder = here[line, stage]
    return folder, f"remove {folder}, and `gaia sync {line}` brings it anew"


def _warn(sentences: list[str]) -> None:
    for sentence in sentences:
        warn(sentence)


def _print(found: Answers) -> None:
    width = max((len(answer["input"]) for answer in found.answers), default=0)
    for answer in found.answers:
        shares = "  ".join(f"{label} {share:.1%}" for label, share in answer["probabilities"].items())
        doubts = f"  uncertain: {'; '.join(answer['uncertain'])}" if answer["uncertain"] else ""
        print(printable(f"{answer['input']:<{width}}  {answer['answer']}  ({shares}){doubts}"), flush=True)
