"""`gaia results` and `gaia predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.cli.verb import FILES, print_json, verb
from gaia.errors import GaiaError, nearest


def add(verbs: Any) -> None:
    """Their parsers."""
    verb(verbs, "results", lambda asked: _results(asked.json), help="what the last `dvc repro` built: a row a line")
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
    from gaia.runtime import predictor

    model = predictor.load(_built(line) if stage is None else _live(line, stage))
    answers: list[dict[str, Any]] = []
    if model.contract["input"]["kind"] == "photo":
        for name in inputs:
            try:
                read = model.read_photos([((here / name).read_bytes(), name)])
            except IsADirectoryError:
                problem = f"{name} is a folder; give photos, for example {Path(name) / '*.jpg'}."
            except OSError as error:
                problem = f"{name}: {error.strerror}."
            except GaiaError as error:
                problem = f"{name}: {error}."
            else:
                answers += _answers(model, read, [name])
                continue
            answers.append({"input": name, "error": problem})
    else:
        read, names = _read_table(model, inputs, here)
        answers = _answers(model, read, names)
    _print_answers(answers, as_json)
    if problems := [answer["error"] for answer in answers if "error" in answer]:
        raise GaiaError("\n".join(problems))


def _built(line: str) -> Path:
    from gaia.evaluation.results import outdated

    built = sorted(p.parent.name for p in paths.model("").glob("*/manifest.json"))
    if line not in built:
        known = f"built are {', '.join(built)}{nearest(line, built)}" if built else "run `dvc repro` to build some"
        raise GaiaError(f"there is no artifact of a line '{line}' under {paths.model('')}", f"{known}")
    _warn(outdated([line]))
    return paths.model(line)


def _live(line: str, stage: str) -> Path:
    from gaia.deployments import host

    here = {(name, at): folder for name in host.lines() for at, folder in host.live_here(name).items()}
    if (line, stage) not in here:
        known = ", ".join(f"{name} in {at}" for name, at in sorted(here)) or "nothing"
        raise GaiaError(
            f"'{line}' is not live in '{stage}' on this host", f"live is {known}, and `gaia sync` follows the tags"
        )
    return here[line, stage]


def _warn(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"warning: {sentence}", file=sys.stderr)


def _answers(model: Any, read: Any, names: list[str]) -> list[dict[str, Any]]:
    probabilities = model.probabilities(read)
    return [
        {
            "input": name,
            "answer": model.labels[decided],
            "probabilities": {label: round(float(p), 6) for label, p in zip(model.labels, row, strict=True)},
        }
        for name, row, decided in zip(names, probabilities, model.decide(probabilities), strict=True)
    ]


def _read_table(model: Any, inputs: list[str], here: Path) -> tuple[Any, list[str]]:
    """The rows of a table's file, or the one row that name=value pairs make; and what each is called."""
    if len(inputs) == 1 and (here / inputs[0]).is_file():
        return model.read_table(here / inputs[0])
    pairs = [pair.partition("=")[::2] for pair in inputs]
    if not all("=" in pair for pair in inputs):
        raise GaiaError(
            f"{next(name for name in inputs if '=' not in name)} is no file",
            "a table line takes one CSV or Parquet file, or one row as name=value name=value ...",
        )
    for name, _ in pairs:
        if [other for other, _ in pairs].count(name) > 1:
            raise GaiaError(f"{name} is given twice", "give each feature one value")
    return model.read_rows([dict(pairs)]), ["row"]


def _print_answers(answers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(answers)
        return
    answers = [answer for answer in answers if "answer" in answer]
    width = max((len(a["input"]) for a in answers), default=0)
    for answer in answers:
        shares = "  ".join(f"{label} {share:.1%}" for label, share in answer["probabilities"].items())
        print(f"{answer['input']:<{width}}  {answer['answer']}  ({shares})")
