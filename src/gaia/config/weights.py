"""What `model.weights` names, looked up without a framework: a word of the package, a file, a version of the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gaia import paths
from gaia.config.framework import Framework, framework
from gaia.config.schema import NeuralModel, PhotoLine, TableLine
from gaia.config.sources import Sources
from gaia.errors import Problem, nearest, shown

VERSION = re.compile(rf"({paths.NAME.pattern})@(v\d+\.\d+\.\d+)", re.ASCII)


def problems(root: Path, line: str, config: PhotoLine | TableLine, sources: Sources) -> list[Problem]:
    """What is wrong with the weights that a line names, or with how it moves them. Whether a version exists is the
    weights stage's to find out."""
    model, spec = config.model, framework(config.framework)
    if not isinstance(model, NeuralModel):
        return []
    folds = bool(config.evaluation.folds)
    found = [] if model.start is None else list(_word_problems(root, line, model, spec, sources, folds))
    if spec.one_rate and model.backbone_rate != 1:
        place = f"{sources.place('model', 'backbone_rate')} is {model.backbone_rate:g}"
        found.append(Problem(place, f"framework {spec.name} has one rate for all: set it to 1.0, or freeze a part"))
    return found


def _word_problems(
    root: Path, line: str, model: NeuralModel, spec: Framework, sources: Sources, folds: bool
) -> Iterator[Problem]:
    word, folder = str(model.start), paths.raw(paths.WEIGHTS)
    place = f"{sources.place('model', 'weights')} is {shown(word)}"
    known, files = list(spec.published(model.target)), _files(root / folder)
    if "@" in word:
        version = VERSION.fullmatch(word)
        if version is None or version[1] != line:
            yield Problem(place, f"a line starts from a version of its own, such as {line}@v1.0.0")
        elif folds:
            yield Problem(place, "it has learned from what evaluation.folds would test: set that to null")
    elif word in files and not word.endswith(spec.weights):
        yield Problem(place, f"framework {spec.name} reads files that end in {', '.join(spec.weights)}")
    elif word not in (*known, *files):
        has = f"{model.architecture} has {', '.join(known) or 'no published weights that are fetched'}"
        there = f"{folder} holds {', '.join(files) or 'no file yet'}"
        yield Problem(place, f"{has}, and {there}{nearest(word, [*known, *files])}")


def _files(folder: Path) -> list[str]:
    """The files that users put there, those included that DVC knows and hasn't brought yet."""
    shown = [path for path in folder.rglob("[!.]*") if path.is_file() and path.name != "README.md"]
    return sorted({path.relative_to(folder).as_posix().removesuffix(".dvc") for path in shown})
