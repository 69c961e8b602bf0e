"""How a line is trained with PyTorch.

A plain loop rather than Lightning: it is shorter than the callbacks that byte-equal resuming would need there, and
starts a second sooner. How several processes share it: processes.py.
"""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gaia.config.schema import NeuralTrainer, PhotoLine
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks import loop
from gaia.frameworks.loop import Batch
from gaia.frameworks.protocol import Fit, History, Show
from gaia.frameworks.pytorch.network import Served, build, pixels
from gaia.frameworks.pytorch.processes import ALONE, World, launch, take
from gaia.frameworks.pytorch.weights import groups, training

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products differ from run to run


def fit(config: PhotoLine, data: Dataset, checkpoint: Path, show: Show, exactly: int | None = None) -> Fit:
    """Train from the last finished epoch found in `checkpoint` (or from scratch) to the end; keep the epoch
    that `trainer.keep` names, or the last of `exactly` so many.

    The same inputs give the same weights on the same machine, interrupted or not. Raises GaiaError if the device is
    missing, the weights don't fit, the loss is no number, or one of several processes ended before the others.
    """
    if config.trainer.processes > 1:  # which leave the finished training in `checkpoint`
        launch(_train, config, data, checkpoint, show, exactly)
    return _train(config, data, checkpoint, show, exactly, ALONE)


def _train(config: PhotoLine, data: Dataset, checkpoint: Path, show: Show, exactly: int | None, world: World) -> Fit:
    """`fit`, alone or as one of several processes."""
    trainer, seed = config.trainer, config.seed
    setup = _begin(config, len(data.labels), world)
    network, optimizer, scaler = setup.network, setup.optimizer, setup.scaler
    average = AveragedModel(network, avg_fn=partial(_follow, trainer), use_buffers=True)
    history: History = []
    kept: dict[str, torch.Tensor] = {}
    load = partial(torch.load, map_location=setup.device, weights_only=True)
    aloud = world.rank == 0 and world.size == trainer.processes
    if state := loop.load_checkpoint(checkpoint, load, aloud=aloud):
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        average.load_state_dict(state["average"])
        history, kept = state["history"], state["kept"]
    batches = loop.batches_an_epoch(data, trainer)
    while not loop.is_over(history, trainer, exactly):
        epoch = len(history)
        torch.manual_seed(seed + epoch + (world.rank << 32))  # dropout depends on the epoch alone, and whose part it is
        training(network)
        seen, loss_sum, right = 0.0, 0.0, 0.0
        for i, batch in enumerate(loop.epoch_batches(data, trainer, config.augmentation, seed, epoch, world.rank)):
            rate = loop.learning_rate(trainer, config.optimizer.lr, epoch + i / batches)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            loss, batch_right = _loss(setup, batch, trainer.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss * batch.share).backward()  # type: ignore[no-untyped-call]
            world.add([weight.grad for weight in network.parameters() if weight.grad is not None])
            scaler.step(optimizer)
            scaler.update()
            average.update_parameters(network)
            seen += len(batch.truth)
            loss_sum += loss.item() * len(batch.truth)
            right += batch_right
            show(epoch + (i + 1) / batches, None)
        world.share([*network.buffers(), *average.buffers()])
        seen, loss_sum, right = world.sums(seen, loss_sum, right, device=setup.device)
        validation = _measure(setup._replace(network=average.module), data, trainer.batch_size, world)
        row = {"epoch": epoch + 1, "learning_rate": rate, "train_loss": loss_sum / seen, "train_accuracy": right / seen}
        history.append(row | validation)
        loop.check_finite(history[-1], config.optimizer.lr, in_float32=setup.precision is torch.float32)
        if newly_kept := loop.kept_epoch(history, trainer, exactly) == epoch + 1:
            kept = average.module.state_dict()  # the average's own tensors, which torch.save writes once
        state = {
            "network": network.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
            "average": average.state_dict(), "history": history, "kept": kept,
        }  # fmt: skip
        if world.rank == 0:
            loop.save_checkpoint(checkpoint, partial(torch.save, state))
        if newly_kept and trainer.keep == "best":
            kept = copy.deepcopy(kept)  # the average moves on
        show(epoch + 1, history[-1])
    network.load_state_dict(kept)
    return Fit(network.cpu().eval(), history, loop.kept_epoch(history, trainer, exactly))


def refit(config: PhotoLine, data: Dataset, first: Fit, checkpoint: Path, show: Show) -> Fit:
    """The training of as many epochs as `first` kept, on the photos of both splits."""
    return fit(config, data, checkpoint, show, first.kept_epoch)


def rehearse(config: PhotoLine, data: Dataset) -> Fit:
    """One step on two photos, with a network of its own: training itself then begins as if nothing had been.

    Raises GaiaError if the optimizer can't take the step, and whatever the network raises.
    """
    setup = _begin(config, len(data.labels))
    training(setup.network)
    loss, _ = _loss(setup, loop.first_batch(data), config.trainer.label_smoothing)
    setup.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    with loop.stepping(config.optimizer.target):
        setup.scaler.step(setup.optimizer)
    return Fit(setup.network.cpu().eval(), [], 0)


def answers(fitted: Fit, photos: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's own probabilities [n, classes]: what the exported file has to reproduce."""
    with torch.inference_mode():
        return Served(fitted.network).eval()(torch.from_numpy(photos)).numpy()


def _follow(trainer: NeuralTrainer, average: torch.Tensor, now: torch.Tensor, batch: int) -> torch.Tensor:
    """The running average of a weight or statistic after one more batch; counters are taken over as they are."""
    return torch.lerp(average, now, 1 - loop.kept_share(trainer, batch)) if now.is_floating_point() else now


class _Setup(NamedTuple):
    """A network, what trains it, and where and how precisely that is computed."""

    device: torch.device
    precision: torch.dtype
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler

    def answers(self, photos: NDArray[np.uint8]) -> torch.Tensor:
        """The network's scores float32 [n, classes] for photos uint8 [n, size, size, 3]."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not torch.float32):
            return self.network(pixels(torch.from_numpy(photos).to(self.device), self.network)).float()


def _begin(config: PhotoLine, classes: int, world: World = ALONE) -> _Setup:
    """The untrained network, and what the configuration trains it with."""
    take(config.trainer.threads, world)
    device = world.device(_device(config.trainer.device))
    precision = _precision(config.trainer.precision, device)
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    torch.manual_seed(config.seed)
    network = build(config.model, config.data.image_size, classes).to(device).to(memory_format=torch.channels_last)
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    return _Setup(device, precision, network, _optimizer(config, network, device), scaler)


def _loss(setup: _Setup, batch: Batch, label_smoothing: float) -> tuple[torch.Tensor, int]:
    """The mean loss of a batch, each photo by its weight, and how many answers are right."""
    truth = torch.from_numpy(batch.truth).to(setup.device)
    answers = setup.answers(batch.photos)
    losses = nn.functional.cross_entropy(answers, truth, reduction="none", label_smoothing=label_smoothing)
    loss = (losses * torch.from_numpy(batch.weights).to(setup.device)).mean()
    return loss, int((answers.argmax(1) == truth).sum())


def _device(wanted: str) -> torch.device:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if not there[wanted]:
        raise GaiaError(f"trainer.device is {wanted}, which this machine lacks", "set it to auto or cpu")
    return torch.device(wanted)


def _precision(wanted: str, device: torch.device) -> torch.dtype:
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def _optimizer(config: PhotoLine, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    name = config.optimizer.target.rpartition(".")[2]
    arguments = config.optimizer.arguments()
    constructor = getattr(torch.optim, name)
    try:
        if name in ("Adam", "AdamW", "SGD") and device.type in ("cpu", "cuda"):
            arguments.setdefault("fused", True)  # one pass over the weights instead of several
        return constructor(groups(network, config.model), lr=config.optimizer.lr, **arguments)
    except (TypeError, ValueError) as error:
        raise GaiaError(f"optimizer: {config.optimizer.target} refuses its arguments: {error}.") from None


def _measure(setup: _Setup, data: Dataset, batch_size: int, world: World) -> dict[str, float]:
    """Loss and accuracy on the validation split, shared by the processes; nothing where there is none."""
    setup.network.eval()
    rows = data.rows("validation")
    if not len(rows):
        return {}
    loss, right = 0.0, 0.0
    with torch.inference_mode():
        for start in range(0, len(rows), 4 * batch_size):
            chosen = np.array_split(rows[start : start + 4 * batch_size], world.size)[world.rank]
            if not len(chosen):
                continue
            truth = torch.from_numpy(data.truth[chosen]).to(setup.device)
            scores = setup.answers(np.asarray(data.inputs[chosen]))
            loss += float(nn.functional.cross_entropy(scores, truth, reduction="sum"))
            right += int((scores.argmax(1) == truth).sum())
    loss, right = world.sums(loss, right, device=setup.device)
    return {"validation_loss": loss / len(rows), "validation_accuracy": right / len(rows)}
