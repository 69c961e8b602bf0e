"""A CSV or Parquet table -> index and columns of numbers and categories."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gaia.config.schema import Table
from gaia.data import columns, hashed, moments
from gaia.data import index as indexes
from gaia.data.check import check
from gaia.data.dataset import write_description
from gaia.data.index import Items
from gaia.data.splits import digests
from gaia.data.told import splits_of
from gaia.errors import GaiaError
from gaia.inputs import tables
from gaia.inputs.tables import Rows

SUFFIXES = (".csv", ".parquet")
ROWS = 2**16  # read at once
_OTHERS = {  # what a table may be instead, by the end of its name
    ".xlsx": "save the sheet as CSV UTF-8 beside it",
    ".xls": "save the sheet as CSV UTF-8 beside it",
    ".ods": "save the sheet as CSV beside it",
    ".tsv": 'name it .csv, and set data.separator to "\\t"',
    ".csv.gz": "unpack it with gunzip",
    ".csv.zip": "unpack it",
}


def prepare(line: str, raw: Path, config: Table, seed: int, positive: str | None, out: Path) -> None:
    """Read the table under `raw` into `out`: index.csv, numbers.npy (float64 [rows, numbers], NaN where empty),
    categories.npy (int32 codes [rows, categories], -1 in quarantined rows), dataset.json.

    Its cells are held in memory some rows at a time, of each row some 300 bytes. Raises GaiaError
    if it, or its content, can't be trained on (see check.check).
    """
    files = _files(line, raw)
    wanted = columns.wanted(line, files[0], _header(line, raw, files, config), config)

    def read(some: Sequence[str] = wanted) -> Iterator[Rows]:
        return _parts(line, raw, files, config, some)

    next(read())  # whatever is wrong with its header is said first
    asked = columns.features(line, wanted, read, config)
    categories = [feature for feature in asked if feature.type == "category"]
    out.mkdir(parents=True, exist_ok=True)
    date = moments.reader(read, config.splits.by) if config.splits.by else None
    numbers = len(asked) - len(categories)
    with (out / "numbers.npy").open("wb") as stream:
        _write_header(stream, (0, numbers))
        held = _held(line, files[0], read(wanted), config, asked, date, stream)
        stream.seek(0)
        _write_header(stream, (len(held.codes), numbers))  # as long as before
    indexes.assign_splits(line, held.items, config, seed)
    table = held.items.table
    for i, feature in enumerate(categories):
        _quarantine_unseen(table, feature.column, held.codes[:, i], held.words[i])
    indexes.write(out, indexes.parts(held.items))
    names = check(line, table, config, positive)
    usable = (table["verdict"] == "ok").to_numpy()
    learned = usable & (table["split"] == "train").to_numpy()
    ranges = _ranges(out / "numbers.npy", learned)
    features: list[dict[str, Any]] = []
    for i, feature in enumerate(asked):  # the categories first
        described = feature.described()
        if feature.type == "category":
            described["categories"] = known = _settled(held.codes[:, i], held.words[i], usable)
            columns.say_alike(feature.column, known)
        elif ends := ranges[i - len(categories)]:
            described["range"] = [min(ends), max(ends)]
        features.append(described)
    np.save(out / "categories.npy", held.codes)
    write_description(out, names, features)


class _Held(NamedTuple):
    """What is kept of all rows."""

    items: Items
    codes: NDArray[np.int32]  # [rows, categories]: the place of each cell in `words`
    words: list[list[str]]  # of each category


def _held(
    line: str, file: Path, parts: Iterable[Rows], config: Table, asked: Sequence[columns.Column],
    date: moments.Reader | None, stream: BinaryIO,
) -> _Held:  # fmt: skip
    """Read all rows: what can't be used gets a reason. The numbers go to `stream`."""
    categories = [feature for feature in asked if feature.type == "category"]
    vocabularies: list[dict[str, int]] = [{} for _ in categories]
    texts: dict[str, str] = {}  # each label and reason once
    found: dict[str, list[Any]] = defaultdict(list)
    seen: Counter[bytes] = Counter()
    arrow = tables.arrow()
    for rows in parts:
        given = _labelled(rows, config, asked, found)
        told = _told(line, file, rows, config, date)
        contents = _contents(rows, config, seen)
        for key, column in told.items():
            found[key].append(column)
        found["sources"].append(arrow.array(rows.sources))
        found["hashes"].append(digests(contents))
        found["size"].append(np.fromiter(map(len, contents), np.int64, len(contents)))
        for key, words in (("label", given), ("reason", rows.reasons)):
            found[key].append(np.array([texts.setdefault(word, word) for word in words], dtype=object))
        cells = zip(categories, vocabularies, strict=True)
        codes = [[known.setdefault(cell, len(known)) for cell in rows.columns[each.column]] for each, known in cells]
        block = np.array(codes, dtype=np.int32).reshape(len(codes), len(rows.sources)).T
        found["codes"].append(np.ascontiguousarray(block))
        stream.write(found.pop("numbers")[0].tobytes())
    left_out, reasons = np.concatenate(found.pop("left_out")), np.concatenate(found.pop("reason"))
    verdict = np.full(len(reasons), "ok", dtype=object)
    verdict[reasons != ""] = "quarantined"
    verdict[left_out] = "left out"
    said = {"label": np.concatenate(found.pop("label")), "verdict": verdict, "reason": reasons}
    said["split"] = np.full(len(reasons), "", dtype=object)
    table = pd.DataFrame({key: pd.Series(column, dtype=object) for key, column in said.items()})
    table["source"] = pd.arrays.ArrowStringArray(arrow.chunked_array(found.pop("sources")))
    table["size"] = np.concatenate(found.pop("size"))
    told = {key: np.concatenate(found.pop(key)) for key in ("split", "group", "date") if key in found}
    items = Items(table, np.concatenate(found.pop("hashes")), told, labelled=True)
    return _Held(items, np.concatenate(found.pop("codes")), [list(known) for known in vocabularies])


def _labelled(rows: Rows, config: Table, asked: Sequence[columns.Column], found: dict[str, list[Any]]) -> list[str]:
    """The labels of some rows; their numbers, and which rows are left out, go to `found`."""
    for i, reason in enumerate(rows.reasons):
        if reason:  # whatever stands there
            rows.columns[config.label][i] = ""
    numbers = [columns.numbers(rows, feature) for feature in asked if feature.type == "number"]
    found["numbers"].append(np.stack(numbers, axis=1) if numbers else np.zeros((len(rows.sources), 0)))
    named = config.classes or []
    cells = rows.columns[config.label]
    columns.note(rows, config.label, "is empty", [i for i, cell in enumerate(cells) if not cell])
    unsaid = [cell.lower() in tables.EMPTY and cell not in named for cell in cells]
    unknown = "is unknown, or a class to be named in data.classes: '{cell}'"
    columns.note(rows, config.label, unknown, np.flatnonzero(unsaid))
    labels = ["" if nothing else indexes.printable(cell) for cell, nothing in zip(cells, unsaid, strict=True)]
    left_out = [bool(named) and label not in named and not r for label, r in zip(labels, rows.reasons, strict=True)]
    columns.note(rows, config.label, "is none of data.classes: '{cell}'", np.flatnonzero(left_out))
    found["left_out"].append(np.array(left_out))
    return labels


def _settled(codes: NDArray[np.int32], words: list[str], usable: NDArray[np.bool_]) -> list[str]:
    """The categories of usable rows, in order; their places in it replace `codes`, -1 those of other rows."""
    used = np.unique(codes[usable])
    known = sorted(words[code] for code in used.tolist())
    place = {word: at for at, word in enumerate(known)}
    settled = np.array([place.get(word, -1) for word in words] or [-1], dtype=np.int32)
    codes[:] = np.where(usable, settled[codes], -1)
    return known


def _write_header(stream: BinaryIO, shape: tuple[int, int]) -> None:
    """What stands before the numbers in a .npy file; with room for any number of rows, so that it may be known last."""
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _ranges(file: Path, learned: NDArray[np.bool_]) -> list[list[float]]:
    """Of each column some numbers, the least and the greatest that training sees among them; none if it sees none."""
    with file.open("rb") as stream:
        np.lib.format.read_magic(stream)
        (count, width), _, _ = np.lib.format.read_array_header_1_0(stream)
        ends: list[list[float]] = [[] for _ in range(width)]
        for start in range(0, count if width else 0, ROWS):
            block = np.fromfile(stream, dtype="<f8", count=ROWS * width).reshape(-1, width)
            for seen, found in zip(block[learned[start : start + ROWS]].T, ends, strict=True):
                if len(seen := seen[~np.isnan(seen)]):
                    found += [float(seen[np.argmin(seen)]), float(seen[np.argmax(seen)])]
    return ends


def _parts(line: str, raw: Path, files: list[Path], config: Table, wanted: Sequence[str]) -> Iterator[Rows]:
    """The table some rows at a time. Of one in several files, folders such as `year=2026` are a column, too."""
    for file in files:
        folders = _folders(raw, file)
        name = file.name if len(files) == 1 else file.relative_to(raw).as_posix()
        plain = {column: column for column in wanted if column not in folders}
        for rows in tables.parts(line, file, plain, config.separator, config.decimal, config.encoding, ROWS, name):
            for column in wanted:
                if column in folders:
                    rows.columns[column] = [folders[column]] * len(rows.sources)
            yield rows


def _folders(raw: Path, file: Path) -> dict[str, str]:
    if not raw.is_dir():
        return {}
    return dict(part.split("=", 1) for part in file.relative_to(raw).parts[:-1] if "=" in part)


def _header(line: str, raw: Path, files: list[Path], config: Table) -> list[str]:
    """The columns. Raises GaiaError if a file has others than the first."""
    first, *others = (
        [*tables.header(line, file, config.separator, config.encoding), *_folders(raw, file)] for file in files
    )
    for file, header in zip(files[1:], others, strict=True):
        if set(header) != set(first):
            odd = ", ".join(sorted(set(header) ^ set(first)))
            raise GaiaError(
                f"{line}: {file} has other columns than {files[0].name} ({odd})", "give all parts of a table the same"
            )
    return first


def _files(line: str, raw: Path) -> list[Path]:
    """The one table, or the Parquet files that are its parts. Raises GaiaError with what lies there instead."""
    found = hashed.look(raw)
    if found.problems:
        raise GaiaError.several(found.problems)
    if raw.is_file():
        return [raw]
    parts = [raw / file for file in found.files if file.suffix.lower() in SUFFIXES]
    files = [file for file in parts if file.parent == raw]
    if len(files) == 1:
        return files
    if parts and all(file.suffix.lower() == ".parquet" for file in parts):
        return parts
    asked = f"{line}: {raw} should hold one .csv or .parquet file, found"
    if files:
        names = ", ".join(file.name for file in files)
        raise GaiaError(f"{asked} {len(files)} ({names})", f"name the one that is meant in lines.{line}.raw")
    for file, reason in found.left_out.items():
        if file.suffix.lower() in SUFFIXES:
            raise GaiaError(f"{asked} none", f"{indexes.printable(str(file))} is {reason}")
    for suffix, mend in _OTHERS.items():
        for name in sorted({file.parts[0] for file in found.files}):
            if name.lower().endswith(suffix):
                raise GaiaError(f"{asked} {indexes.printable(name)}", mend)
    raise GaiaError(f"{asked} none", f"name the one that is meant in lines.{line}.raw")


def _contents(rows: Rows, config: Table, seen: Counter[bytes]) -> list[str]:
    """Each row as one text, but for its label and split: the same for 1, 1.0 and 1e0, for any order of columns, and
    whichever are features. Where equal rows are no duplicates (data.duplicates), each has its number among those `seen`
    so far."""
    parts = []
    for column in sorted(set(rows.columns) - {config.label, config.splits.column}):
        values = tables.numbers(rows.columns[column], rows.decimal)[0].tolist()
        pairs = zip(rows.columns[column], values, strict=True)
        parts.append([repr(value + 0.0) if value == value else cell for cell, value in pairs])
    found = ["\x1f".join(cells) for cells in zip(*parts, strict=True)]
    if not config.duplicates:
        for i, text in enumerate(map("\x1f".join, zip(found, rows.columns[config.label], strict=True))):
            key = hashlib.sha256(text.encode()).digest()[:16]
            seen[key] += 1
            found[i] += f"\x1f{seen[key]}" if seen[key] > 1 else ""
    return found


def _told(line: str, file: Path, rows: Rows, config: Table, date: moments.Reader | None) -> dict[str, NDArray[Any]]:
    """What each row tells of its split, group and date; a row without one that it needs gets a reason."""
    splits, by, group = config.splits.column, config.splits.by, config.group
    found: dict[str, NDArray[Any]] = {}
    if group:
        columns.note(rows, group, "is empty", [i for i, cell in enumerate(rows.columns[group]) if not cell])
        found["group"] = np.array(rows.columns[group], dtype=object)
    if by and date:
        dates, undated = moments.read(rows.columns[by], date)
        for i in np.flatnonzero(undated).tolist():
            columns.note(rows, by, f"is no date: {moments.hint(rows.columns[by][i])}", [i])
        found["date"] = np.array(dates)
    if splits:
        said = zip(rows.columns[splits], rows.reasons, strict=True)
        words = splits_of(line, f"{file}: {splits}", ["train" if reason else cell for cell, reason in said])
        found["split"] = np.array(words, dtype=object)
    return found


def _quarantine_unseen(table: pd.DataFrame, column: str, codes: NDArray[np.int32], words: list[str]) -> None:
    """Rows with a category that no training row has: a model's answer to those would be a guess, so it refuses them."""
    split = table["split"].to_numpy()
    unseen = np.flatnonzero((split != "") & ~np.isin(codes, np.unique(codes[split == "train"])))
    cells = [words[code] for code in codes[unseen].tolist()]
    said = [f"occurs in no training row: '{cell[:40]}'" if cell else "is empty in no training row" for cell in cells]
    indexes.quarantine(table, unseen, [indexes.printable(f"{column} {why}") for why in said])
