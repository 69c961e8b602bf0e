"""Training on a GPU: `python benchmarks/gpu.py [--photos N]`, where there is one; writes gpu.md here.

The line `plants` with `trainer: gpu` at 256 px, in the GPU's bfloat16, against `plain_pytorch.py` on the same GPU, in
float32 and with a worker for each core; both over the same photos. The network that the GPU trained has to answer on
the CPU, exported to ONNX, as it does on the GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gaia import files, paths
from gaia.config import yaml
from gaia.config.stored import load
from gaia.data import dataset
from gaia.demo import plants, write_photos
from gaia.frameworks.pytorch import export, fit
from gaia.frameworks.pytorch.network import Served
from gaia.runtime import contract
from gaia.runtime.load import open_model
from gaia.stages.compose import compose
from gaia.stages.prepare import prepare

ROOT = Path(__file__).parent.parent
SIZE, BATCH, EPOCHS = 256, 256, 6
TRAINER = {"use": "gpu", "max_epochs": EPOCHS, "patience": None}
ENTRY = {"raw": "photos", "bucket": "plants-images", "framework": "pytorch", "model": "resnet18",
         "data": {"use": "photos", "image_size": SIZE}}  # fmt: skip
LINES = {"gaia": ENTRY | {"trainer": TRAINER}, "float32": ENTRY | {"trainer": TRAINER | {"precision": "float32"}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2400)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no GPU that PyTorch can use")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "conf").symlink_to(ROOT / "conf")
        os.chdir(folder)
        text = page(measure(asked.photos))
    (ROOT / "benchmarks/gpu.md").write_text(text, encoding="utf-8")
    print(text)


def measure(photos: int) -> dict[str, Any]:
    """All of it, in the working directory."""
    write_photos(paths.raw("photos"), plants.draw, plants.LABELS, photos, SIZE, 1, 0.0)
    yaml.write(paths.PARAMS, {"lines": LINES}, "of a benchmark")
    compose()
    start = time.perf_counter()
    prepare("gaia")
    found: dict[str, Any] = {"photos": photos, "gpu": torch.cuda.get_device_name(), "cores": os.cpu_count()}
    found["prepare_s"] = round(time.perf_counter() - start, 1)
    for line in LINES:
        found[line] = trained(line)
    found["again"] = trained("gaia")["sha256"] == found["gaia"]["sha256"]
    found["plain"] = plain()
    return found


def trained(line: str) -> dict[str, Any]:
    """Photos a second over whole epochs (the first left out), and how far the exported file's answers on the CPU are
    from the network's on the GPU."""
    config, data = load(line), dataset.load(paths.prepared("gaia"))
    marks = [time.perf_counter()]
    fitted = fit.fit(config, data, paths.checkpoints(line), lambda _, row: marks.append(time.perf_counter()) if row else None)  # fmt: skip  # noqa: E501
    for file in paths.checkpoints(line).iterdir():
        file.unlink()
    out = paths.training(line)
    out.mkdir(parents=True, exist_ok=True)
    promised = contract.make(line, config, data.labels, data.features, export.export(fitted, data, out))
    few = data.take(data.rows("test")[:256])
    with torch.inference_mode():
        there = Served(fitted.network.cuda()).eval()(torch.from_numpy(few).cuda()).cpu().numpy()
    here = open_model(out, promised).probabilities(few)
    seconds = statistics.median(after - before for before, after in list(pairwise(marks))[1:])
    return {
        "per_second": round(len(data.rows("train")) / seconds),
        "difference": float(np.abs(here - there).max()),
        "accuracy": float((here.argmax(1) == data.truth[data.rows("test")[:256]]).mean()),
        "sha256": files.sha256(out / promised["model"]),
    }


def plain() -> int:
    """Photos a second of the plain loop."""
    index = pd.read_csv(paths.prepared("gaia") / "index.csv", keep_default_na=False)
    for row in index[index["split"].isin(["train", "validation"])].itertuples():
        target = Path("plain") / str(row.split) / str(row.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(paths.raw("photos") / str(row.source))
    command = [sys.executable, str(ROOT / "benchmarks/plain_pytorch.py"), "plain", str(SIZE), str(BATCH), str(EPOCHS)]
    times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return round(times["photos"] / statistics.median(times["epochs"][1:]))


def page(found: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    ours, exact, plain = found["gaia"], found["float32"], found["plain"]
    same = "the same bytes" if found["again"] else "other bytes"
    return f"""# Training on a GPU

{(__doc__ or "").strip()}

{found["gpu"]}, {found["cores"]} cores; {found["photos"]} photos of {SIZE} px, batches of {BATCH}, {EPOCHS} epochs.

| photos a second | | of the plain loop |
|---|---:|---:|
| `trainer: gpu` (bfloat16) | {ours["per_second"]} | {ours["per_second"] / plain:.2f} |
| `precision: float32` | {exact["per_second"]} | {exact["per_second"] / plain:.2f} |
| plain loop | {plain} | 1 |

Preparing took {found["prepare_s"]} s, once. The exported network's answers on the CPU differ from the GPU's by
{ours["difference"]:.1e} at most ({exact["difference"]:.1e} after training in float32); of 256 test photos it tells
{ours["accuracy"]:.3f} right ({exact["accuracy"]:.3f}). A second training with the same inputs gave {same}.

Not run: `bags` (Keras on a GPU), more than one GPU.
"""


if __name__ == "__main__":
    main()
