"""One training in several processes, each with its threads: the same bytes each time, whoever is killed meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from conftest import ROOT, until
from edited import complaint, param
from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.config.schema import Augmentation, NeuralTrainer, schema_of
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks import loop

EPOCHS = 3


def config(**trainer: Any) -> Any:
    content = yaml.read(ROOT / "data/config/plants.yaml")
    content["model"]["_target_"] = "torchvision.models.mobilenet_v3_small"
    content["data"]["image_size"] = 32
    content["trainer"] |= {"max_epochs": EPOCHS, "batch_size": 16, "device": "cpu", "keep": "last", **trainer}
    return schema_of("pytorch").model_validate(content)


def photos(folder: Path) -> Dataset:
    """71 to train on: a last batch of seven, which two processes share unequally."""
    rng = np.random.default_rng(1)
    np.save(folder / "images.npy", rng.integers(0, 256, (91, 32, 32, 3), dtype=np.uint8))
    table = pd.DataFrame({"split": ["train"] * 71 + ["validation"] * 20})
    return Dataset(table, ["a", "b"], np.load(folder / "images.npy", mmap_mode="r"), [], rng.integers(0, 2, 91))


def trained(folder: Path, **trainer: Any) -> str:
    """The hash of all weights and of the history."""
    from gaia.frameworks.pytorch.fit import fit

    found = fit(config(**trainer), photos(folder), folder / "line" / "inputs", lambda done, row: None)
    content = [repr(found.history), *(repr(tensor.tolist()) for tensor in found.network.state_dict().values())]
    return hashlib.sha256("".join(content).encode()).hexdigest()


def start(folder: Path, **trainer: Any) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    code = f"import test_processes as t\nif __name__ == '__main__': print(t.trained(t.Path('.'), **{trainer}))"
    (folder / "train.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "train.py"], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The hash that it printed last, and all that it said on stderr."""
    out, err = process.communicate(timeout=300)
    return (out.splitlines() or [""])[-1], err


def helpers(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """The processes that train, in the order of their start; the first of those started serves multiprocessing."""
    found: list[psutil.Process] = []

    def there() -> bool:
        children = psutil.Process(process.pid).children(recursive=True)
        found[:] = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return len(found) == count

    until(there, "the processes", 120)
    return found


def test_two_processes_train_to_the_same_bytes_whoever_is_killed(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    expected, said = ended(start(whole, processes=2, threads=1))
    assert len(expected) == 64, said
    checkpoint = parted / "line/inputs/epoch"

    one = start(parted, processes=2, threads=1)
    until(checkpoint.exists, "the first epoch", 120)
    first = helpers(one, 2)
    first[1].kill()
    assert "one of the 2 processes of this training has ended (by signal 9); repeat the command" in ended(one)[1]
    _, alive = psutil.wait_procs(first, 20)
    assert not alive

    epoch = checkpoint.stat().st_mtime_ns
    two = start(parted, processes=2, threads=1)
    until(lambda: checkpoint.stat().st_mtime_ns != epoch, "the next epoch", 120)
    second = helpers(two, 2)
    two.send_signal(signal.SIGKILL)
    ended(two)
    _, alive = psutil.wait_procs(second, 20)
    assert not alive

    three = start(parted, processes=2, threads=1)
    found, said = ended(three)
    assert found == expected, said
    assert [path.name for path in checkpoint.parent.iterdir()] == ["epoch"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2, reason="needs two cores to lend")
def test_a_network_is_the_same_on_one_core_and_on_two_where_threads_are_said(tmp_path: Path) -> None:
    found = []
    for cores in ([0], [0, 1]):
        folder = tmp_path / str(len(cores))
        process = start(folder, threads=1)
        os.sched_setaffinity(process.pid, cores)
        found.append(ended(process))
    assert len(found[0][0]) == 64, found
    assert found[0][0] == found[1][0]


def test_processes_share_each_batch_whatever_their_number(tmp_path: Path) -> None:
    data, as_is = photos(tmp_path), Augmentation(flip=True, rotate=10, zoom=0.3, light=0.2, colour=0.1, erase=0.5)
    trainer = NeuralTrainer.model_validate(config().trainer.model_dump())
    alone = list(loop.epoch_batches(data, trainer, as_is, 7, 3))
    three = trainer.model_copy(update={"processes": 3})
    parts = [list(loop.epoch_batches(data, three, as_is, 7, 3, rank)) for rank in range(3)]
    assert len(alone) == loop.batches_an_epoch(data, three) == 5
    for whole, *shared in zip(alone, *parts, strict=True):
        assert np.array_equal(whole.photos, np.concatenate([part.photos for part in shared]))
        assert np.array_equal(whole.truth, np.concatenate([part.truth for part in shared]))
        assert min(len(part.truth) for part in shared) >= 2
        assert sum(part.share for part in shared) == pytest.approx(1)


def test_a_mistake_that_each_process_finds_is_one_sentence(tmp_path: Path) -> None:
    from gaia.frameworks.pytorch import processes

    with pytest.raises(GaiaError, match=r"^nothing to be seen; look elsewhere\.$"):
        processes.launch(blind, config(processes=2), photos(tmp_path), tmp_path, lambda done, row: None, None)
    few = photos(tmp_path)
    few = few._replace(table=few.table.iloc[-23:])
    with pytest.raises(GaiaError, match="trainer.processes is 2, which needs 4 items to train on"):
        processes.launch(blind, config(processes=2), few, tmp_path, lambda done, row: None, None)


def blind(*given: object) -> None:
    raise GaiaError("nothing to be seen", "look elsewhere")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "trainer", "said"),
    [
        ("plants", {"processes": 5, "batch_size": 8}, "needs two items of a batch: let batch_size be at least 10"),
        ("plants", {"processes": 0}, "lines.plants.trainer.processes is 0"),
        ("plants", {"threads": 0}, "lines.plants.trainer.threads is 0"),
        ("bags", {"processes": 2}, "lines.bags.trainer.processes is 2, and framework keras trains in one; set it to 1"),
        ("cultures", {"processes": 2}, "lines.cultures.trainer.processes is an unknown key; known are"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_refused_before_anything_trains(line: str, trainer: dict[str, int], said: str) -> None:
    for key, value in trainer.items():
        param(f"{line}.trainer.{key}", value)
    assert said in complaint()


@pytest.mark.usefixtures("here")
def test_threads_and_processes_are_settings_of_every_line() -> None:
    lines = compose_lines()
    assert {line.trainer.threads for line in lines.values() if line.trainer} == {None}
    param("plants.trainer.processes", 2)
    for line in lines:
        param(f"{line}.trainer.threads", 1)
    lines = compose_lines()
    assert lines["plants"].trainer.processes == 2 and lines["bags"].trainer.processes == 1
    assert {line.trainer.threads for line in lines.values() if line.trainer} == {1}
