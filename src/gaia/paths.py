"""Where things lie, relative to the project's root (the folder of dvc.yaml). dvc.yaml declares the same tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

# What lines and stages of deployment are called; such a name stands in tags and in paths.
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RAW = re.compile(r"^\w[\w. -]*(/\w[\w. -]*)*$")  # what lines name below data/raw
Bucket = Literal["models", "plants-images", "data"]  # DVC's remotes (.dvc/config), each a bucket of the storage
BUCKETS: tuple[str, ...] = get_args(Bucket)

WEIGHTS_FACTS = "weights.json"  # beside the file that a network starts from: null, or what that is
WEIGHTS = "weights"  # the folder below data/raw that holds no line's data, but what networks start from

NOTED = "history.jsonl"  # beside a training's checkpoint: its epochs so far

PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
CONF = Path("conf")


def root(here: Path) -> Path | None:
    """The project that a folder belongs to: the nearest one, itself or above, that holds dvc.yaml and params.yaml."""
    above = (folder for folder in (here, *here.parents) if (folder / PIPELINE).exists() and (folder / PARAMS).exists())
    return next(above, None)


def raw(name: str) -> Path:
    """The user's own data, or a generated demo folder."""
    return Path("data/raw") / name


def config(line: str) -> Path:
    """The composed configuration of a line."""
    return Path("data/config") / f"{line}.yaml"


def prepared(line: str) -> Path:
    """The index and the memory-mapped arrays."""
    return Path("data/prepared") / line


def training(line: str) -> Path:
    """What training made: the network and its history, before the artifact is sealed."""
    return Path("data/training") / line


def weights(line: str) -> Path:
    """What a line's training starts from, if not from scratch: one file, and weights.json, which says what it is."""
    return Path("data/weights") / line


def validation(line: str) -> Path:
    """What the model answered on the validation split before any refit, float32 [items, classes]: what calibrates, and
    chooses thresholds."""
    return training(line) / "validation.npy"


def checkpoints(line: str) -> Path:
    """Training state for resuming after an interruption; never shipped."""
    return Path("data/checkpoints") / line


def model(line: str) -> Path:
    """The artifact that ships."""
    return Path("data/models") / line


def reports(line: str) -> Path:
    """Metrics, plots and the report."""
    return Path("data/reports") / line


def sweep(name: str) -> Path:
    """A search's journal, page and logs."""
    return Path("data/sweeps") / name


def deployments(line: str) -> Path:
    """What is live on this host, and the versions that it can go back to."""
    return Path("deployments") / line
