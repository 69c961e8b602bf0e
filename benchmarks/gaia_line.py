"""Our way: photos prepared once, then trained from memory-mapped arrays. Run in a project's folder.

`python benchmarks/gaia_line.py LINE`, composed in data/config
"""

import json
import shutil
import sys
import time
from itertools import pairwise

from gaia import paths
from gaia.config.stored import load
from gaia.data import dataset
from gaia.frameworks.protocol import fitting
from gaia.stages.prepare import prepare


def main(line: str) -> None:
    config = load(line)
    start = time.perf_counter()
    prepare(line)
    prepared = time.perf_counter() - start
    data = dataset.load(paths.prepared(line))
    shutil.rmtree(paths.checkpoints(line), ignore_errors=True)
    marks = [time.perf_counter()]
    fitting(config).fit(
        config, data, paths.checkpoints(line), lambda _, row: marks.append(time.perf_counter()) if row else None
    )
    seconds = [after - before for before, after in pairwise(marks)]
    print(json.dumps({"prepare": prepared, "epochs": seconds, "photos": len(data.rows("train"))}))


if __name__ == "__main__":
    main(sys.argv[1])
