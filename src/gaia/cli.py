"""The command `gaia`: each verb parses its arguments, calls one function, and prints what it gives."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.errors import GaiaError, exit_with_a_sentence, nearest

# Imports stand inside the verbs: `gaia predict` should answer before pandas would have been imported.


def main() -> None:
    """Entry point: exit code 0, or 1 and a sentence on stderr."""
    exit_with_a_sentence(run, sys.argv[1:])


def run(arguments: list[str]) -> None:
    """Carry out one command line, without the program's name. Raises GaiaError with the sentence to print."""
    parser = argparse.ArgumentParser(prog="gaia", description="From YAML to an evaluated, versioned classifier.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    results = verbs.add_parser("results", help="what the last `dvc repro` built: a row a line")
    results.set_defaults(run=lambda asked: _results(asked.json))
    predict = verbs.add_parser(
        "predict", help="answer with a line's artifact: `gaia predict plants photo.jpg`",
        description="Inputs: photos (plants, bags); a CSV file, or one row as name=value ... (cultures).",
    )  # fmt: skip
    predict.add_argument("line")
    predict.add_argument("inputs", nargs="+", metavar="input")
    predict.set_defaults(run=lambda asked: _predict(asked.line, asked.inputs, asked.json))
    for verb in (results, predict):
        verb.add_argument("--json", action="store_true", help="print JSON, for scripts")
    asked = parser.parse_args(arguments)
    asked.run(asked)


def _results(as_json: bool) -> None:
    from gaia.results import results, table

    found = results()
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        from gaia.console import console

        console.print(table(found))


def _predict(line: str, inputs: list[str], as_json: bool) -> None:
    from gaia.runtime import predictor

    built = sorted(p.parent.name for p in paths.model("").glob("*/manifest.json"))
    if line not in built:
        known = f"built are {', '.join(built)}{nearest(line, built)}" if built else "run `dvc repro` to build some"
        raise GaiaError(f"there is no artifact of a line '{line}' under {paths.model('')}; {known}.")
    model = predictor.load(paths.model(line))
    answers, problems = [], []
    if model.contract["input"]["kind"] == "photo":
        for name in inputs:
            try:
                read = model.read_photos([(Path(name).read_bytes(), name)])
            except OSError as error:
                problems.append(f"{name}: {error.strerror}.")
            except GaiaError as error:
                problems.append(f"{name}: {error}.")
            else:
                answers += _answers(model, read, [name])
    else:
        rows, names = _rows(inputs)
        answers = _answers(model, model.read_rows(rows), names)
    _print_answers(answers, as_json)
    if problems:
        raise GaiaError("\n".join(problems))


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


def _rows(inputs: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of a CSV file with a header, or the one row that name=value pairs make."""
    if all("=" in pair for pair in inputs):
        return [dict(pair.split("=", 1) for pair in inputs)], ["row"]
    if len(inputs) > 1:
        raise GaiaError("a table line takes one CSV file, or one row as name=value name=value ...")
    try:
        with open(inputs[0], encoding="utf-8-sig", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    except OSError as error:
        raise GaiaError(f"{inputs[0]}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise GaiaError(f"{inputs[0]} is not UTF-8; save it as UTF-8.") from None
    return rows, [f"{inputs[0]}:{number + 2}" for number in range(len(rows))]


def _print_answers(answers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
        return
    width = max((len(a["input"]) for a in answers), default=0)
    for answer in answers:
        shares = "  ".join(f"{label} {share:.1%}" for label, share in answer["probabilities"].items())
        print(f"{answer['input']:<{width}}  {answer['answer']}  ({shares})")
