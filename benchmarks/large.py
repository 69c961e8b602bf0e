"""Prepare at a size that no list of Python objects fits: 10,000,000 rows, 200,000 photos. `python benchmarks/large.py`

In a folder of its own; the peak of memory is that of a process of its own. Less: `--rows 1000000 --photos 0`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 500_000
DRAWN = 4_000  # photos that differ by more than a pixel


def rows(folder: Path, count: int) -> Path:
    """A Parquet file of cultures, each row another: no two CO2 values are the same."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, writer = folder / "cultures.parquet", None
    for start in range(0, count, CHUNK):
        rng, n = np.random.default_rng([1, start]), min(CHUNK, count - start)
        columns = {
            "species": np.array(["oyster", "shiitake", "reishi", "lion's mane"])[rng.integers(0, 4, n)],
            "substrate": np.array(["straw", "sawdust", "grain"])[rng.integers(0, 3, n)],
            "days": rng.integers(1, 60, n),
            "humidity": rng.uniform(40, 99, n).round(1),
            "co2": rng.uniform(300, 5000, n),
        }
        risk = columns["humidity"] / 100 + columns["days"] / 100 + rng.normal(0, 0.3, n)
        table = pa.table(columns | {"contaminated": np.where(risk > 1.2, "yes", "no")})
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()
    return file


def photos(folder: Path, count: int) -> Path:
    """A folder of PNGs of 64 px in two classes, hardly any of them like another."""
    from PIL import Image

    rng = np.random.default_rng(2)
    for number in range(count):
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC)
        place = folder / ("light" if number % 2 else "dark") / f"{number // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{number:07d}.jpg", quality=85)
    return folder


def prepare(kind: str, raw: Path, out: Path) -> dict[str, Any]:
    """Seconds and peak megabytes of a prepare in this process."""
    from gaia.config.schema import Photos, Splits, Table
    from gaia.data import photos, table
    from gaia.inputs import pillow
    from gaia.stages.process import return_freed_memory

    splits = {
        "splits": Splits(validation=0.15, test=0.15),
        "classes": None,
        "min_per_class": 20,
        "max_quarantined": 0.1,
    }
    return_freed_memory()
    begin = time.perf_counter()
    if kind == "rows":
        numbers = {name: name for name in ("days", "humidity", "co2")}
        config = Table(
            kind="table", label="contaminated", categories={name: name for name in ("species", "substrate")},
            numbers=numbers, separator=",", decimal=".", encoding="utf-8", **splits,
        )  # fmt: skip
        table.prepare("large", raw, config, 1, None, out)
    else:
        pillow.return_freed_memory()
        how = {"image_size": 64, "framing": "crop", "near_duplicates": True, "max_megapixels": 100.0, "min_side": 8}
        photos.prepare("large", raw, Photos(kind="photos", **how, **splits), 1, None, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(time.perf_counter() - begin, 1), "megabytes": round(peak), "load": os.getloadavg()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument("--prepare", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.prepare:
        kind, raw, out = asked.prepare
        print(json.dumps(prepare(kind, Path(raw), Path(out))))
        return
    for kind, make, count in (("rows", rows, asked.rows), ("photos", photos, asked.photos)):
        if count:
            with tempfile.TemporaryDirectory() as beside:
                raw, out = Path(beside, "raw"), Path(beside, "out")
                raw.mkdir()
                out.mkdir()
                begin = time.perf_counter()
                made = make(raw, count)
                drawn = time.perf_counter() - begin
                command = [sys.executable, __file__, "--prepare", kind, str(made), str(out)]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                *screen, found = said.strip().splitlines()
                result = json.loads(found)
                print("\n".join(screen))
                rate = round(count / result["seconds"])
                print(f"{count} {kind}: made in {drawn:.0f} s; {result}, {rate} a second", flush=True)


if __name__ == "__main__":
    main()
