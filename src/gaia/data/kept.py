"""Whether anything keeps a line's raw data, so that a version of the project can bring them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gaia import paths
from gaia.registry.git import git


def is_kept(raw: str, demo: Any, root: Path = Path()) -> bool:
    """Whether DVC (as a demo folder, by `dvc add` or `dvc import`) or Git keeps these data, so that a version of the
    project can bring them back."""
    path = paths.raw(raw)
    if Path(raw).parts[0] in (demo or {}) or any((root / path).glob("*.dvc")):
        return True
    added = any((root / f"{place}.dvc").exists() for place in (path, *path.parents))
    return added or bool(git("ls-files", "--", str(path), root=root, ok=(0, 128)))  # 128: this is no repository
