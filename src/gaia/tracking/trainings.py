"""What a project has trained: its versions and DVC's experiments, each with its settings, figures and curves."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from gaia import paths
from gaia.config import yaml
from gaia.errors import GaiaError
from gaia.registry.git import blobs, git
from gaia.registry.history import History
from gaia.versions.record import Record

POINTS = 200  # of a curve, at most: more cannot be seen
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")  # below it DVC keeps more than these


class Training(NamedTuple):
    """One training of a line. `name` is the version's, `plants@v1.2.0`, or the experiment's; `by` has no address."""

    name: str
    record: Record
    moment: datetime
    by: str


def versions(known: History, root: Path = Path()) -> list[Training]:
    """Every version, the lowest number of a line first."""
    return [
        Training(str(tag.name), Record(tag.name.line, tag.commit, tag, root), tag.moment, tag.tagger.partition(" <")[0])
        for tag in known.versions
    ]


def experiments(lines: Iterable[str], root: Path = Path()) -> list[Training]:
    """Every experiment of DVC that is here, the oldest first, for each line whose settings or figures it changed."""
    fields = "%(refname)%00%(objectname)%00%(authordate:iso-strict)%00%(authorname)"
    listed = git("for-each-ref", "--sort=authordate", f"--format={fields}", "refs/exps", root=root)
    rows = [line.split("\0") for line in listed.splitlines()]
    there = [(found[3], found[1] + found[2], rest) for ref, *rest in rows if (found := _EXPERIMENT.fullmatch(ref))]
    places = {line: (paths.config(line), paths.reports(line) / "metrics.json") for line in lines}

    def names(commit: str, line: str) -> list[str]:
        return [f"{commit}:./{file.as_posix()}" for file in places[line]]

    commits = dict.fromkeys(commit for _, base, (own, *_) in there for commit in (base, own))
    wanted = [name for commit in commits for line in places for name in names(commit, line)]
    content = dict(zip(wanted, blobs(wanted, root), strict=True))
    return [
        Training(name, Record(line, commit, root=root), datetime.fromisoformat(date), by)
        for name, base, (commit, date, by) in there
        for line in places
        if (told := [content[each] for each in names(commit, line)]) != [content[each] for each in names(base, line)]
        and None not in told
    ]


def settings(record: Record) -> dict[str, str]:
    """The settings that the line's stages read, by their dotted key: texts as they are, all else as JSON."""
    found = yaml.values(record.settings)
    return {yaml.dotted(keys): v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for keys, v in found}


def figures(record: Record) -> dict[str, float]:
    """The finite numbers of metrics.json, by their dotted key."""
    found = {yaml.dotted(keys): value for keys, value in yaml.values(record.metrics)}
    return {key: value for key, value in found.items() if _is_number(value)}


def curves(record: Record) -> Iterator[tuple[str, int, float]]:
    """How the training went: figure, epoch, value. Nothing, if neither cache nor storage has it any more."""
    try:
        text = record.read((paths.model(record.line) / "history.csv").as_posix()).decode()
    except GaiaError:
        return
    rows = list(csv.DictReader(text.splitlines()))
    for row in rows[:: max(1, -(-len(rows) // POINTS))]:
        for name, cell in row.items():
            if name != "epoch" and cell and _is_number(value := float(cell)):
                yield name, int(float(row["epoch"])), value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
