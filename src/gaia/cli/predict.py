"""`gaia results` and `gaia predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaia import paths
from gaia.cli.verb import FILES, print_json, verb
from gaia.errors import GaiaError, nearest

if TYPE_CHECKING:
    from gaia.runtime.answers import Answers


def add(verbs: Any) -> None:
    """Their parsers."""
    verb(
        verbs,
        "results",
        lambda asked: _results(asked.json),
        help="what the last `dvc repro` built: a row for each line",
    )
    predict = verb(
        verbs, "predict", lambda asked: _predict(asked.line, asked.inputs, asked.stage, asked.json, asked.here),
        help="answer with a line's artifact: `gaia predict plants photo.jpg`",
        description="Inputs: photos (plants, bags); a CSV or Parquet file, or one row as name=value ... (cultures).",
    )  # fmt: skip
    predict.add_argument("line")
    inputs = predict.add_argument("inputs", nargs="+", metavar="input")
    inputs.complete = FILES  # type: ignore[attr-defined]
    predict.add_argument("--stage", help="ask what is live there on this host (prod, ...), not what was built last")


def _results(as_json: bool) -> None:
    from gaia.evaluation.results import outdated, results, table

    found = results()
    _warn(outdated(row["line"] for row in found))
    if as_json:
        print_json(found)
    else:
        from gaia.console import console

        console.print(table(found))


def _predict(line: str, inputs: list[str], stage: str | None, as_json: bool, here: Path) -> None:
    from gaia.runtime import answers
    from gaia.runtime.load import load

    model = load(_built(line)) if stage is None else load(*_live(line, stage))
    if model.contract["input"]["kind"] == "photo":
        from gaia.inputs.pillow import return_freed_memory

        return_freed_memory()
        found = answers.of_photo_files(model, ((name, here / name) for name in inputs))
    elif len(inputs) == 1 and (here / inputs[0]).is_file():
        found = answers.of_table_file(model, here / inputs[0])
    else:
        found = answers.of_rows(model, {"row": _row(inputs)})
    _print(found, as_json)
    if found.problems:
        raise GaiaError.several(found.problems.values())


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
        print(f"warning: {sentence}", file=sys.stderr)


def _row(inputs: list[str]) -> dict[str, str]:
    """The one row that name=value pairs make."""
    pairs = [pair.partition("=")[::2] for pair in inputs]
    if not all("=" in pair for pair in inputs):
        raise GaiaError(
            f"{next(name for name in inputs if '=' not in name)} is no file",
            "a table line takes one CSV or Parquet file, or one row as name=value name=value ...",
        )
    for name, _ in pairs:
        if [other for other, _ in pairs].count(name) > 1:
            raise GaiaError(f"{name} is given twice", "give each feature one value")
    return dict(pairs)


def _print(found: Answers, as_json: bool) -> None:
    if as_json:
        refused = [{"input": name, "error": str(problem)} for name, problem in found.problems.items()]
        print_json([*found.answers, *refused])
        return
    width = max((len(answer["input"]) for answer in found.answers), default=0)
    for answer in found.answers:
        shares = "  ".join(f"{label} {share:.1%}" for label, share in answer["probabilities"].items())
        print(f"{answer['input']:<{width}}  {answer['answer']}  ({shares})")
