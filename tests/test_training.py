"""Training survives being killed, and what it exports answers as the network did."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from conftest import Project, merge
from gaia.config.schema import NeuralTrainer
from gaia.errors import GaiaError
from gaia.frameworks import loop
from gaia.frameworks.protocol import History
from test_pipeline import outputs

TRAINER = {
    "max_epochs": 10, "patience": 3, "class_weights": None, "device": "cpu", "batch_size": 8, "schedule": "cosine",
    "warmup_epochs": 2, "label_smoothing": 0.0, "average": None, "keep": "best", "precision": "float32",
}  # fmt: skip


def longer(project: Project, line: str) -> None:
    change: dict = {"trainer": {"max_epochs": {"plants": 40, "bags": 4, "cultures": 800}[line], "patience": None}}
    if line == "cultures":  # slow trees, so that there is time to be killed between two snapshots
        change["model"] = {"learning_rate": 0.001, "depth": 12}
    project.edit("params.yaml", lambda p: merge(p, {"lines": {line: change}}))


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_a_killed_training_resumes_and_ends_with_the_same_artifact(project: Project, line: str) -> None:
    longer(project, line)
    project.repro("compose")
    project.environment["SHELL"] = "/bin/sh"  # some of these stay between dvc and the stage, which bash doesn't
    started = subprocess.Popen(
        ["dvc", "repro", f"train@{line}"], cwd=project.root, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    checkpoints = project.path("data/checkpoints", line)
    finished = {"plants": "*/epoch", "bags": "*/epoch", "cultures": "*/snapshot"}[line]
    while started.poll() is None and not list(checkpoints.glob(finished)):
        time.sleep(0.05)
    assert started.poll() is None, "training ended before it could be killed"
    if line == "plants":
        started.kill()  # dvc alone: its child is to end by itself
    else:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    with FileLock(project.path(".dvc/tmp", f"gaia.stages.train-{line}.lock"), timeout=5):  # the stage has ended
        assert not project.path("data/training", line, "training.json").exists()
    resumed = project.run("dvc", "repro", f"evaluate@{line}").stdout
    assert "resumed" in resumed and "Traceback" not in resumed
    interrupted = outputs(project)
    project.repro("-f", "-s", f"train@{line}", f"evaluate@{line}")
    assert outputs(project) == interrupted
    assert not checkpoints.parent.exists(), "a finished training leaves no checkpoint behind"


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_a_checkpoint_that_was_cut_is_said_and_training_starts_over(project: Project, line: str) -> None:
    module = importlib.import_module("gaia.stages.train")
    before = outputs(project)
    with contextlib.chdir(project.root):
        name = module._fingerprint(module.load(line), line)
    cut = project.path("data/checkpoints", line, name, "snapshot" if line == "cultures" else "epoch")
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"PK")
    said = project.run("dvc", "repro", "-f", "-s", f"train@{line}").stdout
    assert "can't be read" in said and "training starts over" in said and "resumed" not in said
    assert outputs(project) == before


@pytest.mark.parametrize(
    ("line", "trainer", "sentence"),
    [
        ("cultures", {"device": "cuda"}, "trainer.device is cuda, which this machine lacks"),
        ("cultures", {"device": "mps"}, "trainer.device is mps, which CatBoost can't use"),
    ],
)
def test_what_can_never_ship_ends_before_training(project: Project, line: str, trainer: dict, sentence: str) -> None:
    project.edit("params.yaml", lambda p: merge(p, {"lines": {line: {"trainer": trainer}}}))
    done = project.run("dvc", "repro", f"train@{line}", ok=False)
    assert done.returncode != 0
    assert sentence in done.stdout and "Traceback" not in done.stdout


@pytest.mark.parametrize("line", ["plants", "bags", "cultures"])
def test_every_line_keeps_the_same_contract(built: Project, line: str) -> None:
    folder = built.path("data/models", line)
    manifest = json.loads((folder / "manifest.json").read_text())
    history = pd.read_csv(folder / "history.csv")
    best = history.iloc[manifest["best_epoch"] - 1]
    assert best["validation_loss"] == history["validation_loss"].min()
    assert manifest["validation_loss"] == pytest.approx(best["validation_loss"])
    assert manifest["total_epochs"] == len(history)
    assert manifest["classes"] == 2
    assert {f["name"] for f in manifest["files"]} == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert list(history.columns) == [
        "epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
    ]  # fmt: skip
    keys = [set(json.loads(p.read_text())) for p in built.path("data/reports").glob("*/metrics.json")]
    assert keys[0] == keys[1] == keys[2]


def test_evaluation_counts_test_items_that_training_never_saw(built: Project) -> None:
    for line in ("plants", "bags", "cultures"):
        index = pd.read_csv(built.path("data/prepared", line, "index.csv"), keep_default_na=False)
        predictions = pd.read_csv(built.path("data/reports", line, "predictions.csv"))
        metrics = json.loads(built.path("data/reports", line, "metrics.json").read_text())
        assert set(predictions["source"]) == set(index.loc[index["split"] == "test", "source"])
        seen = set(index.loc[index["split"] != "test", "sha256"])
        assert not seen & set(predictions["sha256"])
        assert metrics["n"] == len(predictions)
        assert metrics["accuracy"] == pytest.approx((predictions["label"] == predictions["predicted"]).mean(), abs=1e-6)


def history(losses: list[float]) -> History:
    return [{"epoch": i + 1, "validation_loss": loss} for i, loss in enumerate(losses)]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_training_stops_patience_epochs_after_the_best_and_not_before(losses: list[float]) -> None:
    trainer = NeuralTrainer.model_validate(TRAINER | {"max_epochs": 30})
    ran = next((n for n in range(1, len(losses) + 1) if loop.is_over(history(losses[:n]), trainer)), None)
    if ran is None:
        assert len(losses) - loop.best_epoch(history(losses)) < 3
    else:
        assert ran == 30 or ran - loop.best_epoch(history(losses[:ran])) == 3


def test_the_best_epoch_is_kept_or_the_last_as_the_trainer_says() -> None:
    losses = [0.9, 0.4, 0.6]
    for keep, epoch in (("best", 2), ("last", 3)):
        trainer = NeuralTrainer.model_validate(TRAINER | {"keep": keep})
        assert loop.kept_epoch(history(losses), trainer) == epoch


@given(st.floats(0, 10), st.sampled_from(["cosine", "constant"]), st.integers(0, 12))
def test_the_learning_rate_stays_within_its_bounds(moment: float, schedule: str, warmup: int) -> None:
    trainer = NeuralTrainer.model_validate(TRAINER | {"schedule": schedule, "warmup_epochs": warmup})
    assert 0 <= loop.learning_rate(trainer, 0.1, moment) <= 0.1


def test_the_learning_rate_climbs_then_falls() -> None:
    trainer = NeuralTrainer.model_validate(TRAINER)
    rates = [loop.learning_rate(trainer, 0.1, moment) for moment in np.linspace(0, 10, 101)]
    assert rates.index(max(rates)) == 20
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_trees_are_the_same_artifact_whatever_a_comment_in_the_code_says(project: Project) -> None:
    before = outputs(project)["data/models/cultures"]
    module = project.path("src/gaia/frameworks/catboost/fit.py")
    module.write_text(module.read_text() + "\n# a change\n")
    ran = project.repro("evaluate@cultures")
    assert {"compose", "train@cultures", "evaluate@cultures"} >= ran >= {"train@cultures"}
    assert outputs(project)["data/models/cultures"] == before


@pytest.mark.parametrize("float32", [True, False])
def test_a_diverged_training_is_told_to_use_float32_only_where_it_does_not(float32: bool) -> None:
    row = {"epoch": 3, "train_loss": float("nan"), "validation_loss": 1.0}
    with pytest.raises(GaiaError, match="epoch 3: the loss is no finite number any more; lower optimizer.lr") as said:
        loop.check_finite(row, 0.1, in_float32=float32)
    assert ("float32" in str(said.value)) is not float32


def test_a_missing_device_is_a_sentence(project: Project) -> None:
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"trainer": {"device": "mps"}}}}))
    done = project.run("dvc", "repro", "train@plants", ok=False)
    assert done.returncode != 0
    assert "trainer.device is mps, which this machine lacks" in done.stdout
    assert "Traceback" not in done.stdout
