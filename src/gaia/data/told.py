"""What photos' names, or a file beside them, tell: label, split and group of each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gaia.config.schema import Photos
from gaia.data import moments
from gaia.errors import GaiaError, nearest, printable
from gaia.inputs import tables

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class Told(NamedTuple):
    """What is told of an item: '' where nothing is."""

    label: str = ""
    split: str = ""
    group: str = ""
    date: float = 0.0  # larger is later
    reason: str = ""  # why the item can't be used


def split_named(word: str) -> str | None:
    """The split that a word means, in any case; None if it means none."""
    return WORDS.get(word.strip().casefold())


def splits_of(line: str, place: str, words: Iterable[str]) -> list[str]:
    """The splits that words mean. Raises GaiaError with the first that means none."""
    found = []
    for word in words:
        split = split_named(word)
        if split is None:
            said = f"'{printable(word[:40])}'" if word else "empty"
            raise GaiaError(f"{line}: {place} is {said} in a row", f"a split is one of {', '.join(WORDS)}")
        found.append(split)
    return found


def of_photos(
    line: str, raw: Path, files: list[Path], config: Photos, labels: Mapping[Path, str] | None = None
) -> dict[Path, Told]:
    """What is told of each photo below `raw`, and of those that the file in `data.labels` names though they aren't
    there. `labels` stand beside photos in shards, and go before the folders' names.

    Raises GaiaError if that file can't be read, lacks a column or has a word that is no split; if folders are splits
    and classes at once, or don't hold the same classes.
    """
    if config.labels:
        return _in_file(line, raw, files, config)
    folders = _split_folders(line, raw, files, config.classes or [])
    found = {file: _in_name(file, folders, config, (labels or {}).get(file, "")) for file in files}
    if folders and not config.label and not config.classes:
        _check_classes(line, raw, folders, found)
    return found


def _in_name(file: Path, folders: dict[str, str], config: Photos, label: str) -> Told:
    path = file.as_posix()
    split = folders.get(file.parts[0], "") if len(file.parts) > 1 else ""
    if config.label:
        if not (match := re.search(config.label, path)) or not match[1]:
            return Told(split=split, reason=f"no label: data.label doesn't match '{printable(path)}'")
        label = match[1]
    elif not label:
        above = file.parts[1 if split else 0 : -1]
        if not above:
            return Told(split=split, reason="stray file: stands in no class folder")
        label = above[0]
    group = ""
    if config.group:
        if not (match := re.search(config.group, path)) or not match[1]:
            return Told(_plain(label), split, reason=f"no group: data.group doesn't match '{printable(path)}'")
        group = match[1]
    return Told(_plain(label), split, _plain(group))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", printable(name))  # macOS writes é as two characters


def _split_folders(line: str, raw: Path, files: list[Path], classes: list[str]) -> dict[str, str]:
    """The folders that are splits: train beside val or test, unless these are named as classes."""
    tops = sorted({file.parts[0] for file in files if len(file.parts) > 1})
    splits = {top: split for top in tops if top not in classes and (split := split_named(top))}
    if "train" not in splits.values() or len(set(splits.values())) == 1:
        return {}
    said = f"{line}: {raw} holds {', '.join(splits)}, which are splits"
    if others := [top for top in tops if top not in splits]:
        mend = "move them apart, or name all in data.classes if they are classes"
        raise GaiaError(f"{said}, beside {', '.join(map(printable, others[:5]))}", mend)
    if len(set(splits.values())) < len(splits):
        raise GaiaError(f"{said}, two of them the same", "keep one folder for each split")
    return splits


def _check_classes(line: str, raw: Path, folders: dict[str, str], found: dict[Path, Told]) -> None:
    """Raise GaiaError if one split's folder has a class that another's lacks."""
    held = {top: {told.label for file, told in found.items() if file.parts[0] == top} - {""} for top in folders}
    for top, mine in held.items():
        for other, theirs in held.items():
            if lacking := sorted(theirs - mine):
                raise GaiaError(
                    f"{line}: {raw / other} has the class '{lacking[0]}', which {raw / top} lacks"
                    f"{nearest(lacking[0], mine)}",
                    "give each split's folder the same classes, or name those that are meant in data.classes",
                )


def _in_file(line: str, raw: Path, files: list[Path], config: Photos) -> dict[Path, Told]:
    """What the file in `data.labels` tells: its columns file and label, and split and group if it has them."""
    table = raw / str(config.labels)
    if Path(str(config.labels)) not in files:
        raise GaiaError(f"{line}: {table}, named in data.labels, is not there", f"put it into {raw}")
    there = tables.header(line, table, ",", "utf-8")
    optional = {"split": config.splits.column, "group": config.group}
    columns = {"file": "file", "label": "label"}
    columns |= {key: name or key for key, name in optional.items() if name or key in there}
    if config.splits.by:
        columns = {key: name for key, name in columns.items() if key != "split"} | {"date": config.splits.by}
    rows = tables.read(line, table, {name: key for key, name in columns.items()}, ",", ".", "utf-8")
    cells = rows.columns
    told: dict[Path, Told] = {}
    by_name = {unicodedata.normalize("NFC", file.as_posix()): file for file in files}
    splits = (
        splits_of(line, f"{table}: {columns['split']}", cells["split"])
        if "split" in cells
        else [""] * len(cells["file"])
    )
    dates, undated = moments.read(cells["date"]) if "date" in cells else ([0.0] * len(splits), [False] * len(splits))
    groups = cells.get("group", [""] * len(splits))
    for i, name in enumerate(cells["file"]):
        path = unicodedata.normalize("NFC", name.replace("\\", "/"))
        file = by_name.get(path, Path(path))
        reason = rows.reasons[i]
        if not reason and path not in by_name:
            reason = f"named in {table.name}, and not there: see {rows.sources[i]}"
        elif not reason and not cells["label"][i]:
            reason = f"no label: {rows.sources[i]}"
        elif not reason and "group" in cells and not groups[i]:
            reason = f"no group: {rows.sources[i]}"
        elif not reason and undated[i]:
            reason = f"{config.splits.by} is no date: {moments.hint(cells['date'][i])}"
        now = Told(_plain(cells["label"][i]), splits[i], _plain(groups[i]), dates[i], reason)
        if told.setdefault(file, now) != now:
            told[file] = now._replace(reason=f"told twice, in two ways: see {rows.sources[i]}")
    missing = Told(reason=f"in no row of {table.name}")
    photos = {file for file in files if raw / file != table}
    return {file: told.get(file, missing) for file in sorted(photos | set(told), key=Path.as_posix)}
