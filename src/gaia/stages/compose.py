"""Compose one line's configuration, having checked all: `python -m gaia.stages.compose plants`"""

import sys

from gaia import paths
from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.config.stored import dump
from gaia.data import hashed
from gaia.errors import GaiaError
from gaia.stages.process import run


def compose(line: str) -> None:
    """Write data/config/<line>.yaml. Raises GaiaError if any line's configuration is wrong, or DVC would stop at what
    lies in its raw folder."""
    lines = compose_lines()
    if line not in lines:
        raise GaiaError(f"params.yaml has no line '{line}'", f"its lines are {', '.join(lines)}")
    hashed.check([*(each.raw for each in lines.values()), paths.WEIGHTS])
    header = "Composed by `dvc repro` from params.yaml and conf/; edit those."
    yaml.write(paths.config(line), dump(lines[line]), header)


if __name__ == "__main__":
    run(compose, *sys.argv[1:])
