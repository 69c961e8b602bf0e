"""Compose the configuration of every line: `python -m gaia.stages.compose`"""

import sys

from gaia import paths
from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.config.stored import dump
from gaia.data import hashed
from gaia.stages.process import run

HEADER = "Composed by `dvc repro` from params.yaml and conf/; edit those."


def compose() -> None:
    """Write data/config/<line>.yaml for each line of params.yaml, and remove those of lines that it has no more.

    Raises GaiaError, having touched none, if any line's configuration is wrong, or DVC would stop at what lies in its
    raw folder.
    """
    lines = compose_lines()
    hashed.check([*(each.raw for each in lines.values()), paths.WEIGHTS])
    for name, config in lines.items():
        yaml.write(paths.config(name), dump(config), HEADER)
    for left in paths.config("").parent.glob("*.yaml"):
        if left.stem not in lines:
            left.unlink()


if __name__ == "__main__":
    run(compose, *sys.argv[1:])
