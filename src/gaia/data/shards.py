"""Photos in tar shards (WebDataset's layout) or in Parquet with their bytes, instead of a million files: which lie
there, by the names that they would have in a folder, and where."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gaia.errors import GaiaError, errors_as, printable
from gaia.inputs import photos as images
from gaia.inputs import tables

SUFFIXES = (".tar", ".parquet")
_PHOTOS = frozenset().union(*images.SUFFIXES.values())
_BYTES, _LABELS, _NAMES = ("image", "bytes", "jpg", "png"), ("label", "cls"), ("file", "path", "key", "__key__")


class Place(NamedTuple):
    """Where a photo's bytes lie, and the label that stands beside them, '' if none does. The order of places is that in
    which they are best read."""

    shard: Path
    begin: int  # the byte; in Parquet the group of rows
    size: int  # in bytes; in Parquet the row in its group
    label: str

    def read(self) -> bytes:
        """The photo's bytes."""
        if self.shard.suffix.lower() == ".parquet":
            return _group(self.shard, self.begin)[self.size]
        with self.shard.open("rb") as stream:
            stream.seek(self.begin)
            return stream.read(self.size)


def look(line: str, raw: Path, files: Iterable[Path]) -> tuple[dict[Path, Place], dict[Path, str]]:
    """The photos in shards, if all `files` below `raw` are some, in the order of their names; and what else lies there,
    with the reason why it is left out.

    Raises GaiaError if a shard can't be read, or two photos have one name.
    """
    shards = list(files)
    if not shards or any(file.suffix.lower() not in SUFFIXES for file in shards):
        return {}, {}
    found: dict[Path, Place] = {}
    left_out: dict[Path, str] = {}
    for file in shards:
        inside = _in_tar if file.suffix.lower() == ".tar" else _in_parquet
        with errors_as(f"{line}: {raw / file} can't be read: {{}}", "make the shard anew"):
            for name, place in inside(raw / file):
                path = file.parent / name
                if place is None:
                    left_out[path] = "no photos by their names"
                elif (twin := found.setdefault(path, place)) is not place:
                    both = f"{twin.shard} and {place.shard}" if twin.shard != place.shard else str(place.shard)
                    raise GaiaError(
                        f"{line}: two photos are called {printable(str(path))}, in {both}",
                        "give each a name of its own",
                    )
    return dict(sorted(found.items(), key=lambda item: item[0].as_posix())), left_out


def _in_tar(shard: Path) -> Iterator[tuple[str, Place | None]]:
    """The photos of a tar: key.jpg, and beside it key.cls, or key.json with a `label`."""
    labels: dict[str, str] = {}
    photos: list[tuple[str, int, int]] = []
    with tarfile.open(shard, "r:") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if not member.isfile() or any(part.startswith(".") for part in Path(name).parts):
                continue
            suffix = Path(name).suffix.lower()
            if suffix in _PHOTOS:
                photos.append((name, member.offset_data, member.size))
            elif suffix in (".cls", ".json"):
                stream = tar.extractfile(member)
                assert stream  # of a file there is one
                said = stream.read().decode("utf-8")
                label = _of_json(said) if suffix == ".json" else said.strip()
                labels[_key(name)] = label or labels.get(_key(name), "")
            else:
                yield name, None
    for name, at, size in photos:
        yield name, Place(shard, at, size, labels.get(_key(name), ""))


def _key(name: str) -> str:
    """WebDataset's key: up to the first point of the last part of a name."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}"


def _of_json(text: str) -> str:
    content: Any = json.loads(text)
    label = content.get("label") if isinstance(content, dict) else None
    return "" if label is None else str(label).strip()


def _in_parquet(shard: Path) -> Iterator[tuple[str, Place | None]]:
    """The photos of a Parquet file: a column of bytes (or of `bytes` and `path`, as Hugging Face's datasets write), and
    beside it their labels and their names."""
    with tables.arrow("give tar shards").parquet.ParquetFile(shard) as parquet:
        there = parquet.schema_arrow.names
        column = _column(shard, there)
        label, name = (next((word for word in words if word in there), None) for words in (_LABELS, _NAMES))
        inner = f"{column}.path"
        paths = any(str(each.path) == inner for each in parquet.schema)
        asked = [word for word in (label, name) if word] + ([inner] if paths and not name else [])
        row = 0
        for group in range(parquet.num_row_groups):
            few = parquet.read_row_group(group, columns=asked)
            labels = few[label].to_pylist() if label else [""] * parquet.metadata.row_group(group).num_rows
            names = few[name].to_pylist() if name else [None] * len(labels)
            if paths and not name:
                names = [struct and struct["path"] for struct in few[column].to_pylist()]
            for at, (said, called) in enumerate(zip(labels, names, strict=True)):
                row += 1
                word = "" if said is None else str(said).strip()
                yield called or f"{shard.stem}/{row}", Place(shard, group, at, word)


def _column(shard: Path, there: list[str]) -> str:
    found = next((name for name in _BYTES if name in there), None)
    if found is None:
        known = f"name it one of {', '.join(_BYTES)}"
        raise GaiaError(f"{shard} has no column of photos; its columns are {', '.join(there)}", known)
    return found


@lru_cache(4)  # photos are read in the order in which they lie
def _group(shard: Path, group: int) -> list[bytes]:
    with tables.arrow("give tar shards").parquet.ParquetFile(shard) as parquet:
        column = _column(shard, parquet.schema_arrow.names)
        cells = parquet.read_row_group(group, columns=[column])[column].to_pylist()
    return [(cell["bytes"] if isinstance(cell, dict) else cell) or b"" for cell in cells]
