"""Which of DVC's outputs a command line speaks of: of a line, a version, a path, or of all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gaia.errors import GaiaError, nearest
from gaia.registry import tags
from gaia.registry.pins import Pins, overlap
from gaia.storage import dvc, pipeline
from gaia.storage.needed import Output, outputs
from gaia.storage.pipeline import Entries

Revision = str | None  # None: the workspace


def chosen(words: Iterable[str], root: Path = Path(), *, every_version: bool = False) -> dict[Revision, list[Output]]:
    """The outputs by revision: of the workspace those that a line is made of and makes, or at, in or above a path, or
    all if nothing is named; of a version that is named its line's; of `every_version` all.

    Raises GaiaError if a word names nothing that DVC keeps.
    """
    found: dict[Revision, list[Output]] = {}
    for word in list(words) or [""]:
        if "@" in word:
            tag = tags.find(word, root)
            found[tag.commit] = _of(tag.name.line, Pins(word, tag.commit, root).stages, outputs(tag.commit, root))
        else:
            found[None] = list(dict.fromkeys([*found.get(None, []), *_here(word, root)]))
    if every_version:
        found |= {tag.commit: outputs(tag.commit, root) for tag in tags.versions(root=root)}
    return found


def _here(word: str, root: Path) -> list[Output]:
    known = outputs(None, root)
    if not word:
        return known
    file = root / dvc.LOCK
    stages = pipeline.entries(file.read_text(encoding="utf-8")) if file.exists() else {}
    some = _of(word, stages, known) or [o for o in known if overlap(o.path, word.rstrip("/"))]
    if not some:
        lines = {name.partition("@")[2] for name in stages if "@" in name}
        raise GaiaError(
            f"'{word}' is neither a line nor a path of which DVC keeps anything{nearest(word, lines)}",
            "name a line, a path such as data/models, or a version such as plants@v1.2.0",
        )
    return some


def _of(line: str, stages: Entries, known: Iterable[Output]) -> list[Output]:
    """What a line's stages read and make."""
    own = [stage for name, stage in stages.items() if name.partition("@")[2] == line]
    places = {entry["path"] for stage in own for kind in ("deps", "outs") for entry in stage.get(kind, ())}
    return [o for o in known if any(overlap(o.path, place) for place in places)]
