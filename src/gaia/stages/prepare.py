"""Turn a line's raw data into an index and arrays: `python -m gaia.stages.prepare plants`"""

import sys

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import Photos
from gaia.config.stored import load
from gaia.console import console
from gaia.data import photos, table
from gaia.data.kept import is_kept
from gaia.evaluation.timings import timed
from gaia.inputs import pillow
from gaia.stages.process import return_freed_memory, run


def prepare(line: str) -> None:
    """Write data/prepared/<line>/. Raises GaiaError if the data can't be trained on."""
    config = load(line)
    raw, out = paths.raw(config.raw), paths.prepared(line)
    out.mkdir(parents=True, exist_ok=True)
    if not is_kept(config.raw, yaml.read(paths.PARAMS).get("demo")):
        said = f"{line}: neither DVC nor Git keeps {raw}, so it can't be brought back; `dvc add {raw}` mends that"
        console.print(said, style="yellow", markup=False)
    return_freed_memory()
    with timed(line, "prepare"):
        if isinstance(config.data, Photos):
            pillow.return_freed_memory()
            photos.prepare(line, raw, config.data, config.seed, config.evaluation.positive, out)
        else:
            table.prepare(line, raw, config.data, config.seed, config.evaluation.positive, out)


if __name__ == "__main__":
    run(prepare, *sys.argv[1:])
