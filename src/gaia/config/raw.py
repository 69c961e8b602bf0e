"""What a line's raw data tell at a look, without being read: that they are there, and their classes."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.config.schema import PhotoLine, TableLine
from gaia.errors import Problem, nearest, shown


def problems(root: Path, line: str, config: PhotoLine | TableLine, demo: Any) -> list[Problem]:
    """What there is instead of the raw data that a line names, or of its positive class."""
    lacking = _place_problems(root, line, config.raw, demo) or _positive_problems(root, line, config)
    return [*lacking, *_threshold_problems(root, line, config)]


def _place_problems(root: Path, line: str, raw: str, demo: Any) -> list[Problem]:
    """What there is instead of a line's raw data; nothing if they are there, or DVC knows how they come: DVC itself
    would stop at a path that doesn't exist."""
    folder, made = paths.raw(""), demo if isinstance(demo, dict) else {}
    for part in Path(raw).parts:
        if not (root / folder / part).exists():
            there = {file.name.removesuffix(".dvc") for file in (root / folder).glob("[!.]*")} - {paths.WEIGHTS}
            known = sorted(there | set(made))
            if part in known:
                return []
            holds = f"{', '.join(known[:20]) or 'nothing'}{', ...' if len(known) > 20 else ''}"
            place = f"params.yaml: lines.{line}.raw is {shown(raw)}"
            return [Problem(place, f"{folder} holds {holds}{nearest(part, known)}")]
        folder, made = folder / part, {}
    return []


def _positive_problems(root: Path, line: str, config: PhotoLine | TableLine) -> list[Problem]:
    """Where the folders are the classes, whether the positive one is there: `dvc repro` would find out last of all."""
    positive, known = config.evaluation.positive, _folders(root, config)
    if positive is None or config.data.classes or positive in known or not known:
        return []
    found = f"params.yaml: lines.{line}.evaluation.positive is {shown(positive)}"
    if len(known) == 1:
        return [Problem(f"{paths.raw(config.raw)} has one class, {known[0]}", "a line tells two or more apart")]
    classes = f"the classes in {paths.raw(config.raw)} are {', '.join(known)}{nearest(positive, known)}"
    return [Problem(found, classes)]


def _threshold_problems(root: Path, line: str, config: PhotoLine | TableLine) -> list[Problem]:
    """A threshold where there are more than two classes; 0.5 says nothing."""
    classes = config.data.classes or _folders(root, config)
    if len(classes) <= 2 or config.evaluation.threshold == 0.5:
        return []
    found = f"params.yaml: lines.{line}.evaluation.threshold is set, and there are {len(classes)} classes"
    return [Problem(found, "with more than two the most probable is the answer, so remove it")]


def _folders(root: Path, config: PhotoLine | TableLine) -> list[str]:
    """The sub-folders of the raw data of a photo line, which are its classes; none where those stand in names, in a
    file, or below splits."""
    folder = root / paths.raw(config.raw)
    if not isinstance(config, PhotoLine) or config.data.label or config.data.labels or not folder.is_dir():
        return []
    known = sorted(unicodedata.normalize("NFC", f.name) for f in folder.glob("[!.]*") if f.is_dir())
    return [] if any(name.casefold().startswith("train") for name in known) else known
