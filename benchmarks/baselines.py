"""Ours, by YAML alone, beside what two lines of others' code give on the same rows: writes baselines.md.

`pip install gaia-vision[benchmarks]`, which carries the tables, then
`python benchmarks/baselines.py [--seeds 5] [--only wine,fair] [--photos FOLDER]`; a folder holds one for each class.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from sklearn import datasets as sklearn_datasets

from gaia import paths
from gaia.data import dataset
from gaia.data.dataset import Dataset
from gaia.evaluation.metrics import score

ROOT = Path(__file__).resolve().parent.parent
MEASURES = {"log loss": "log_loss", "accuracy": "accuracy", "AUC": "roc_auc", "calibration error": "calibration_error"}


class Case(NamedTuple):
    """A table with its label in the column `label`, or a folder of photos; and what a line says of it in YAML."""

    name: str
    content: pd.DataFrame | Path
    entry: dict[str, Any]


Peer = Callable[[Dataset, int], np.ndarray]  # learns from train and validation; probabilities of the test rows


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--only", type=lambda names: names.split(","))
    asked.add_argument("--photos", type=Path)
    given = asked.parse_args()
    warnings.filterwarnings("ignore")
    page = HEAD.format(seeds=given.seeds, cores=os.cpu_count())
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder), given.photos):
            if not given.only or case.name in given.only:
                page += "\n\n" + table(case.name, *measured(case, range(given.seeds), Path(folder, case.name)))
                (ROOT / "benchmarks/baselines.md").write_text(f"{page}\n", encoding="utf-8")
    print(page)


HEAD = """# Beside plain peers

Written by `python benchmarks/baselines.py`: medians over {seeds} seeds, each of which draws other splits. Ours are the
stages of `dvc repro` with the shipped options; measured is the sealed artifact. Peers learn from train and validation
together, with their defaults, and are measured on the same test items. The last column is the mean over seeds of their
log loss less that of the first row, with its standard error: above zero the first is better. CPU seconds are those of
all threads, ours with preparing, export and report, on {cores} cores that others used, too."""


def table(name: str, shape: str, rows: dict[str, list[dict[str, float]]]) -> str:
    """A heading and a table, a row for each of those compared."""
    titles = [*MEASURES, "CPU s", "log loss, beside"]
    lines = [f"## {name}: {shape}", f"| | {' | '.join(titles)} |", f"|---|{'---:|' * len(titles)}"]
    for who, runs in rows.items():
        medians = [statistics.median(run[key] for run in runs) for key in (*MEASURES.values(), "cpu")]
        behind = [run["log_loss"] - own["log_loss"] for run, own in zip(runs, rows["Gaia"], strict=True)]
        error = statistics.stdev(behind) / len(behind) ** 0.5 if len(behind) > 1 else float("nan")
        told = "" if who == "Gaia" else f"{statistics.mean(behind):+.3f} ± {error:.3f}"
        lines.append(f"| {who} | {' | '.join(f'{m:.3f}' for m in medians[:-1])} | {medians[-1]:.1f} | {told} |")
    return "\n".join([lines[0], "", *lines[1:]])


def measured(case: Case, seeds: range, folder: Path) -> tuple[str, dict[str, list[dict[str, float]]]]:
    """What each shows for each seed."""
    rows: dict[str, list[dict[str, float]]] = {}
    project(case, folder)
    for seed in seeds:
        with contextlib.chdir(folder):
            for name, words in (OURS if isinstance(case.content, pd.DataFrame) else {"Gaia": {}}).items():
                data, own = ours(seed, case.entry | words)
                rows.setdefault(name, []).append(own)
            for name, peer in (TABLE_PEERS if data.features else PHOTO_PEERS).items():
                start = time.process_time()
                probabilities = peer(data, seed)
                seconds = time.process_time() - start
                rows.setdefault(name, []).append(judged(data, probabilities) | {"cpu": seconds})
        print(case.name, seed, {who: round(runs[-1]["log_loss"], 4) for who, runs in rows.items()}, flush=True)
    n = int((data.truth >= 0).sum())
    what = f"{len(data.features)} columns" if data.features else "photos"
    return f"{n} items, {what}, {len(data.labels)} classes", rows


def judged(data: Dataset, probabilities: np.ndarray) -> dict[str, float]:
    truth = data.truth[data.rows("test")]
    return dict(score(truth, probabilities, probabilities.argmax(1), data.labels, len(data.labels) - 1))


def project(case: Case, folder: Path) -> None:
    """A project in a folder of its own, with this repository's options and code."""
    for name in ("conf", "dvc.yaml", "requirements.lock"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    raw = folder / "data/raw/case"
    if isinstance(case.content, Path):
        shutil.copytree(case.content, raw)
    else:
        raw.mkdir(parents=True)
        case.content.to_csv(raw / "case.csv", index=False)


OURS = {  # a table's line says one word otherwise, or two
    "Gaia": {},
    "Gaia, sklearn: hist_boosting": {"framework": "sklearn"},
    "Gaia, sklearn: logistic": {"framework": "sklearn", "model": "logistic"},
}


def ours(seed: int, entry: dict[str, Any]) -> tuple[Dataset, dict[str, float]]:
    """The stages of `dvc repro`, called one after another; the metrics that they write."""
    from gaia.runtime import artifact
    from gaia.stages import compose, evaluate, prepare, train, weights

    YAML().dump({"lines": {"case": {"raw": "case", "bucket": "data", "seed": seed, **entry}}}, Path("params.yaml"))
    start = time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        compose.compose()
        for stage in (weights.weights, prepare.prepare, train.train, evaluate.evaluate):
            stage("case")
    cpu = time.process_time() - start
    metrics = artifact.read_json(paths.reports("case") / "metrics.json")
    return dataset.load(paths.prepared("case")), metrics | {"cpu": cpu}


# -- peers ----------------------------------------------------------------------------------------------------------


def categories_of(data: Dataset) -> list[str]:
    return [feature["name"] for feature in data.features if feature["type"] == "category"]


def parts(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return data.joined().rows("train"), data.rows("test")


def catboost(data: Dataset, seed: int) -> np.ndarray:
    from catboost import CatBoostClassifier

    train, test = parts(data)
    model = CatBoostClassifier(
        cat_features=categories_of(data), random_seed=seed, verbose=False, allow_writing_files=False
    )
    return model.fit(data.take(train), data.truth[train]).predict_proba(data.take(test))


def boosting(data: Dataset, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    train, test = parts(data)
    kinds = {word: pd.CategoricalDtype(sorted(set(data.take(train)[word]))) for word in categories_of(data)}
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    model.fit(data.take(train).astype(kinds), data.truth[train])
    return model.predict_proba(data.take(test).astype(kinds))


def linear(data: Dataset, seed: int) -> np.ndarray:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, test = parts(data)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), categories_of(data)),
        remainder=make_pipeline(SimpleImputer(), StandardScaler()),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    return model.fit(data.take(train), data.truth[train]).predict_proba(data.take(test))


def tutorial(data: Dataset, seed: int) -> np.ndarray:
    """The loop of PyTorch's tutorial "Transfer Learning for Computer Vision", from scratch: ResNet18, SGD of 0.001
    with momentum, a tenth of it every 7 epochs, 25 epochs, batches of 4, crops, mirroring, best epoch on validation."""
    import torch
    import torchvision
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    size = data.inputs.shape[1]
    vary = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()])
    scale = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    )
    photos = {s: torch.from_numpy(data.take(data.rows(s))).permute(0, 3, 1, 2) for s in ("train", "validation", "test")}
    truth = {split: torch.from_numpy(data.truth[data.rows(split)]) for split in photos}
    network = torchvision.models.resnet18(num_classes=len(data.labels))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best, kept = -1.0, network.state_dict()
    for _ in range(25):
        network.train()
        for batch in torch.randperm(len(truth["train"])).split(4):
            if len(batch) > 1:
                optimizer.zero_grad()
                varied = torch.stack([scale(vary(photo)) for photo in photos["train"][batch]])
                torch.nn.functional.cross_entropy(network(varied), truth["train"][batch]).backward()
                optimizer.step()
        scheduler.step()
        network.eval()
        with torch.inference_mode():
            right = (network(scale(photos["validation"])).argmax(1) == truth["validation"]).float().mean().item()
        if right > best:
            best, kept = right, {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(kept)
    with torch.inference_mode():
        return network(scale(photos["test"])).softmax(1).numpy()


def pixels(data: Dataset, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = parts(data)
    flat = [data.take(rows).reshape(len(rows), -1) / 255 for rows in (train, test)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    return model.fit(flat[0], data.truth[train]).predict_proba(flat[1])


TABLE_PEERS: dict[str, Peer] = {
    "CatBoostClassifier()": catboost,
    "HistGradientBoostingClassifier()": boosting,
    "LogisticRegression()": linear,
}
PHOTO_PEERS: dict[str, Peer] = {"torchvision's tutorial": tutorial, "LogisticRegression() of the pixels": pixels}


# -- data -----------------------------------------------------------------------------------------------------------


def cases(folder: Path, photos: Path | None) -> Iterator[Case]:
    """Tables that packages carry, digits as photos, and a folder of photos if one is given."""
    for name, load in (("wine", sklearn_datasets.load_wine), ("cancer", sklearn_datasets.load_breast_cancer)):
        found = load(as_frame=True)
        yield of_table(name, found.data, found.target_names[found.target], [])
    statsmodels = files("statsmodels.datasets")
    fair = pd.read_csv(str(statsmodels / "fair/fair.csv"))
    affair = np.where(fair.pop("affairs") > 0, "yes", "no")
    yield of_table("fair", fair, affair, ["occupation", "occupation_husb"])
    anes = pd.read_csv(str(statsmodels / "anes96/anes96.csv"), sep="\t", quotechar="'")
    yield of_table("anes96", anes, np.where(anes.pop("vote") == 1, "Dole", "Clinton"), [])
    for name, label, positive, categories in (
        ("arrests", "released", "No", ["colour", "sex", "employed", "citizen"]),
        ("hearts", "target", 1, ["cp", "restecg", "slope", "thal"]),
        ("penguins", "sex", "male", ["species", "island"]),
    ):
        table = pd.read_csv(str(files("sklego") / f"data/{name}.zip"))
        table = table[table[label].notna()].reset_index(drop=True)
        yield of_table(name, table, np.where(table.pop(label) == positive, "yes", "no"), categories)
    small = {"use": "photos", "image_size": 32}
    yield Case("digits", digits(folder / "digits-photos"), {"framework": "pytorch", "data": small})
    if photos:
        yield Case("photos", photos, {"framework": "pytorch", "data": "small_photos"})


def of_table(name: str, features: pd.DataFrame, label: np.ndarray, categories: list[str]) -> Case:
    columns = {c: c.replace(" ", "_").replace("/", "_per_") for c in features}
    features = features.rename(columns=columns)
    words = [columns[column] for column in categories]
    numbers = {column: column for column in features if column not in words}
    data = {"use": "table", "label": "label", "categories": {word: word for word in words}, "numbers": numbers}
    content = features.assign(label=label)
    for word in words:  # 3.0 -> "3"
        if pd.api.types.is_float_dtype(content[word]):
            content[word] = content[word].astype(int)
    return Case(name, content, {"framework": "catboost", "data": data})


def digits(folder: Path) -> Path:
    from PIL import Image

    found = sklearn_datasets.load_digits()
    for i, (image, digit) in enumerate(zip(found.images, found.target, strict=True)):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((image * 255 / 16).astype(np.uint8))
        grey.resize((32, 32), Image.Resampling.NEAREST).convert("RGB").save(folder / str(digit) / f"{i:04d}.png")
    return folder


if __name__ == "__main__":
    main()
