"""One training in several processes of this host: torchrun's launcher starts them, each takes its part of every batch.

Gradients are added in one message that is always laid out alike, rather than in DistributedDataParallel's buckets:
those are arranged anew after the first step, and with three processes or more the order of a sum depends on where in a
bucket a number lies. A training that is resumed would end with other bytes.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from gaia.config.schema import PhotoLine, schema_of
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError, first_line
from gaia.frameworks.augmentation import end_with_parent
from gaia.frameworks.protocol import Fit, Show

Train = Callable[..., Fit]  # (config, data, checkpoint, show, exactly, world), in a module that a process can import
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)  # which the launcher takes for itself


class World(NamedTuple):
    """Which of how many processes this is. Of one alone, all that follows does nothing."""

    rank: int = 0
    size: int = 1

    def device(self, kind: torch.device) -> torch.device:
        """The device of this process. Raises GaiaError if there isn't one for each."""
        if self.size == 1 or kind.type == "cpu":
            return kind
        there = torch.cuda.device_count() if kind.type == "cuda" else 1
        if there < self.size:
            found = f"trainer.processes is {self.size}, and this machine has {there} of trainer.device {kind.type}"
            raise GaiaError(found, "lower it, or set trainer.device to cpu")
        torch.cuda.set_device(self.rank)
        return torch.device(kind.type, self.rank)

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each by its sum over the processes."""
        if self.size > 1:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            dist.all_reduce(flat)
            for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def share(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each by that of the first process."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def sums(self, *values: float, device: torch.device) -> Sequence[float]:
        """The sum of each over the processes."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return [float(value) for value in total]


ALONE = World()


def take(threads: int | None, world: World) -> None:
    """Let this process take so many cores, or, where nothing is said, its share of all."""
    if threads is None and world.size > 1:
        threads = max(1, torch.get_num_threads() // world.size)
    if threads:
        torch.set_num_threads(threads)


def launch(train: Train, config: PhotoLine, data: Dataset, checkpoint: Path, show: Show, exactly: int | None) -> None:
    """Let trainer.processes processes train, which leave the finished training in `checkpoint`.

    Whichever of them, or this one, is killed, the others end. Raises GaiaError as `train` does, and if one has ended.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("torch.distributed", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what they say is said below
    size = config.trainer.processes
    if len(data.rows("train")) < 2 * size:
        raise GaiaError(f"trainer.processes is {size}, which needs {2 * size} items to train on", "lower it")
    inputs = Path(str(data.inputs.filename)) if isinstance(data.inputs, np.memmap) else data.inputs
    # a class made for its framework, and mapped photos, travel as what they are made of
    given = (
        config.framework,
        config.model_dump(by_alias=True),
        data._replace(table=data.table[["split"]], inputs=inputs),
    )
    heard, told = multiprocessing.get_context("spawn").Pipe(duplex=False)
    over, errors = threading.Event(), []

    def listen() -> None:
        while heard.poll(0.1) or not over.is_set():
            if heard.poll():
                said = heard.recv()
                errors.append(said) if isinstance(said, GaiaError) else show(*said)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with tempfile.TemporaryDirectory() as logs:
        how = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=size, run_id=str(os.getpid()), max_restarts=0,
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost", start_method="spawn",
            monitor_interval=0.1, logs_specs=DefaultLogsSpecs(log_dir=logs),
        )  # fmt: skip
        try:
            elastic_launch(how, _one)(train, *given, checkpoint, exactly, told)
        except SignalException as error:
            raise KeyboardInterrupt if error.sigval == signal.SIGINT else SystemExit(128 + error.sigval) from None
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            why = f"by signal {-failure.exitcode}" if failure.exitcode < 0 else first_line(Exception(_said(failure)))
            found = f"one of the {size} processes of this training has ended ({why})"
            raise GaiaError(found, "repeat the command: it goes on from the last finished epoch") from error
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            over.set()
            listener.join(1)  # one that was killed may have left half a message
    if errors:
        raise errors[0]


def _one(
    train: Train, framework: str, content: dict[str, Any], data: Dataset, checkpoint: Path, exactly: int | None,
    told: Connection,
) -> None:  # fmt: skip
    """What each of the processes does."""
    end_with_parent()
    config: Any = schema_of(framework).model_validate(content)
    if isinstance(data.inputs, Path):
        data = data._replace(inputs=np.load(data.inputs, mmap_mode="r"))
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    say: Callable[[Any], None] = told.send if world.rank == 0 else lambda said: None
    on_cpu = config.trainer.device == "cpu" or not torch.cuda.is_available()
    dist.init_process_group("gloo" if on_cpu else "nccl")
    try:
        train(config, data, checkpoint, lambda *said: say(said), exactly, world)
        dist.barrier()
    except GaiaError as error:  # each process has the same
        say(error)
    dist.destroy_process_group()


def _said(failure: Any) -> str:
    """The last line of a traceback, wherever the launcher put it."""
    message = failure.message.get("message", "") if isinstance(failure.message, dict) else failure.message
    return str(message).strip().rpartition("\n")[2]
