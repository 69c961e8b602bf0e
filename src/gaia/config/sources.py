"""In which file, and under which key there, each value of a composed configuration was written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from gaia import paths
from gaia.config import yaml
from gaia.config.yaml import Keys


@dataclass(frozen=True)
class Sources:
    """The files of conf/, a line's entry in params.yaml, and what Hydra was asked for; to be used while Hydra is
    initialized."""

    conf: dict[str, dict[str, Any]]
    line: str
    choices: dict[str, str]
    values: dict[str, Any]

    @property
    def entry(self) -> dict[str, Any]:
        """Both as they stand in params.yaml, but for `use`."""
        return {**self.choices, **self.values}

    def overrides(self, *without: str) -> list[str]:
        """The choices, but for some groups', as Hydra is told of them."""
        return [f"{group}='{option}'" for group, option in self.choices.items() if group not in without]

    @cached_property
    def files(self) -> list[tuple[str, str]]:
        """The files of conf/ that Hydra merged, without their ending, and the dotted key that each is merged into:
        the last word first."""
        loader = GlobalHydra.instance().config_loader()
        merged = loader.compute_defaults_list("config", self.overrides(), RunMode.RUN).defaults
        files = [(part.config_path or "", part.package or "") for part in reversed(merged)]
        return [(name, package) for name, package in files if not name.startswith("hydra/")]

    def find(self, *keys: str | int) -> tuple[str, str]:
        """The file that sets a key, and what the key is called there. A key that no file sets belongs where what
        surrounds it was set, or to the option that was chosen for its group."""
        in_params = str(paths.PARAMS), yaml.dotted(("lines", self.line, *keys))
        if _holds(self.entry, keys):
            return in_params
        for end in range(len(keys), 0, -1):
            if end > 1 and _holds(self.entry, keys[:end]):
                return in_params
            for name, package in self.files:
                above = tuple(package.split(".")) if package else ()
                file, below = str(paths.CONF / f"{name}.yaml"), keys[len(above) :]
                if keys[: len(above)] == above and _holds(self.conf[file], keys[len(above) : end]):
                    return file, yaml.dotted(below or keys)
        return in_params

    def place(self, *keys: str | int) -> str:
        """`conf/trainer/default.yaml: patience`"""
        return ": ".join(self.find(*keys))


def _holds(node: Any, keys: Keys) -> bool:
    for key in keys:
        here = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list) else {}
        if key not in here:
            return False
        node = here[key]
    return True
