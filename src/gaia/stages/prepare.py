"""Turn a line's raw data into an index and arrays: `python -m gaia.stages.prepare plants`"""

import sys

from gaia import paths
from gaia.config.compose import load
from gaia.config.schema import Photos
from gaia.data import photos, table
from gaia.errors import exit_with_a_sentence
from gaia.timings import timed


def prepare(line: str) -> None:
    """Write data/prepared/<line>/. Raises GaiaError if the data can't be trained on."""
    config = load(line)
    raw, out = paths.raw(config.raw), paths.prepared(line)
    out.mkdir(parents=True, exist_ok=True)
    with timed(line, "prepare"):
        if isinstance(config.data, Photos):
            photos.prepare(line, raw, config.data, config.seed, config.evaluation.positive, out)
        else:
            table.prepare(line, raw, config.data, config.seed, config.evaluation.positive, out)


if __name__ == "__main__":
    exit_with_a_sentence(prepare, *sys.argv[1:])
