"""What a framework promises to the rest of the house, and the one way to ask: nothing else knows a framework by name.

Each folder gaia/frameworks/<name>/ is one: spec.py holds what stands here, fit.py and export.py what
gaia/frameworks/protocol.py asks for. To add one takes such a folder and its YAML in conf/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

from gaia.errors import GaiaError, nearest

FOLDER = Path(__file__).parent.parent / "frameworks"


@dataclass(frozen=True)
class Framework:
    """A framework's promises; its folder holds them as SPEC in spec.py, which imports nothing heavy."""

    name: str  # as conf/framework/<name>.yaml says it; the folder's, too
    kind: Literal["photos", "table"]  # of the data that its lines learn from
    # Group of conf/ (model, optimizer) -> what its `_target_` may be: a package, and one pattern of the names in it; or
    # several such
    allowed: dict[str, str | tuple[str, ...]]
    reader: str  # module with open_model(file, contract, threads), which answers from the file that `export` wrote
    packages: tuple[str, ...]  # whose versions decide about the bytes: the manifest names them
    # What `trainer.max_epochs` counts, in the plural; None: the fit is one step, and takes no trainer
    unit: str | None = None
    # Package -> arguments of its classes that the fit gives itself, so that YAML may not -> the key that decides them;
    # None: the fit does
    given: dict[str, dict[str, str | None]] = field(default_factory=dict)
    # Argument -> the least and the most that it may be: what would be refused, or diverge, only in training. The least
    # is whole where the argument is.
    ranges: dict[str, tuple[int | float, float]] = field(default_factory=dict)
    # Arguments that may be `auto`: left to what the package chooses by itself
    auto: tuple[str, ...] = ()
    # Package -> the decorator that tells what it makes from the helpers beside it
    marks: dict[str, str] = field(default_factory=dict)
    # Targets that fit the pattern and are not taken: others are derived from them, or fit and export don't know them
    refused: tuple[str, ...] = ()
    # Argument of a target -> the names that it may be, which a function finds
    names: dict[tuple[str, str], Callable[[], Iterable[str]]] = field(default_factory=dict)
    # A model's target -> the words by which weights for it are published; `published.py` says where
    published: Callable[[str], Iterable[str]] = lambda target: ()
    weights: tuple[str, ...] = ()  # endings of the files that its networks can start from
    one_rate: bool = False  # its optimizers move all weights by the same rate
    processes: bool = False  # it knows how to divide a batch among several (trainer.processes)

    def patterns(self, group: str) -> tuple[str, ...]:
        """What a `_target_` of the group may be."""
        allowed = self.allowed[group]
        return (allowed,) if isinstance(allowed, str) else allowed

    @property
    def unused(self) -> tuple[str, ...]:
        """The groups of conf/ that its lines have no use for."""
        used = {
            "optimizer": "optimizer" in self.allowed,
            "augmentation": self.kind == "photos",
            "trainer": self.unit is not None,
        }
        return tuple(group for group, is_used in used.items() if not is_used)


def names() -> list[str]:
    """The frameworks that there are: the folders with a spec.py."""
    return sorted(spec.parent.name for spec in FOLDER.glob("*/spec.py"))


@cache
def framework(name: str) -> Framework:
    """What the framework of this name promises. Raises GaiaError if there is none."""
    known = names()
    if name not in known:
        raise GaiaError(f"'{name}' is no framework", f"it should be one of {', '.join(known)}{nearest(name, known)}")
    spec: Framework = import_module(f"gaia.frameworks.{name}.spec").SPEC
    return spec
