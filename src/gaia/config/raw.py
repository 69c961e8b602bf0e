"""What a line's raw data tell at a look, without being read: that they are there, their classes, who keeps them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from gaia import paths
from gaia.config.schema import PhotoLine, TableLine
from gaia.errors import nearest, shown
from gaia.git import git


def problems(root: Path, line: str, config: PhotoLine | TableLine, demo: Any) -> list[str]:
    """What there is instead of the raw data that a line names, or of its positive class: a sentence each."""
    return _place_problems(root, line, config.raw, demo) or _positive_problems(root, line, config)


def is_kept(raw: str, demo: Any, root: Path = Path()) -> bool:
    """Whether DVC (as a demo folder, by `dvc add` or `dvc import`) or Git keeps these data, so that a version of the
    project can bring them back."""
    path = paths.raw(raw)
    if Path(raw).parts[0] in (demo or {}) or any((root / path).glob("*.dvc")):
        return True
    added = any((root / f"{place}.dvc").exists() for place in (path, *path.parents))
    return added or bool(git("ls-files", "--", str(path), root=root, ok=(0, 128)))  # 128: this is no repository


def _place_problems(root: Path, line: str, raw: str, demo: Any) -> list[str]:
    """What there is instead of a line's raw data; nothing if they are there, or DVC knows how they come: DVC itself
    would stop at a path that doesn't exist."""
    folder, made = paths.raw(""), demo if isinstance(demo, dict) else {}
    for part in Path(raw).parts:
        if not (root / folder / part).exists():
            known = sorted({file.name.removesuffix(".dvc") for file in (root / folder).glob("[!.]*")} | set(made))
            if part in known:
                return []
            holds = f"{', '.join(known[:20]) or 'nothing'}{', ...' if len(known) > 20 else ''}"
            place = f"params.yaml: lines.{line}.raw is {shown(raw)}"
            return [f"{place}; {folder} holds {holds}{nearest(part, known)}."]
        folder, made = folder / part, {}
    return []


def _positive_problems(root: Path, line: str, config: PhotoLine | TableLine) -> list[str]:
    """Where the folders are the classes, whether the positive one is there: `dvc repro` would find out last of all."""
    folder, positive = root / paths.raw(config.raw), config.evaluation.positive
    if positive is None or config.data.classes or not isinstance(config, PhotoLine) or not folder.is_dir():
        return []
    known = sorted(unicodedata.normalize("NFC", f.name) for f in folder.glob("[!.]*") if f.is_dir())
    if positive in known or not known:
        return []
    place, suggestion = f"params.yaml: lines.{line}.evaluation.positive", nearest(positive, known)
    return [f"{place} is {shown(positive)}; the classes in {paths.raw(config.raw)} are {', '.join(known)}{suggestion}."]
