"""The model of a version, wherever it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaia import paths
from gaia.runtime.load import load
from gaia.runtime.predictor import Predictor
from gaia.storage import copies
from gaia.versions.record import of


@contextmanager
def opened(name: str, root: Path = Path()) -> Iterator[Predictor]:
    """The model of a version (`plants@v1.2.0`), every file verified and its golden answers replayed: from DVC's cache,
    or else the storage. Nothing of this host's deployments changes.

    Raises GaiaError if there is no such version, a file can't be had, or an answer is another than was sealed.
    """
    with tempfile.TemporaryDirectory(prefix="gaia-") as folder:
        record = of(name, root)
        copies.lay_out(record.artifact.md5, paths.model(record.line).as_posix(), record.commit, Path(folder), root)
        yield load(Path(folder), f"`gaia audit {name}` tells what is left of it")
