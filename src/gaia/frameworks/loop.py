"""What the frameworks share in training: batches, the learning rate, when an epoch is the best or the last, and
checkpoints."""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaia import files, paths
from gaia.config.schema import Augmentation, NeuralTrainer, Trainer, balanced, weighed
from gaia.console import console
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError, errors_as, first_line, nearest
from gaia.frameworks.augmentation import CORES, varied
from gaia.frameworks.protocol import History

State = TypeVar("State")  # what a framework keeps of a finished epoch


class Batch(NamedTuple):
    """Photos uint8 [b, size, size, 3], truth int64 [b] and the weight of each item float32 [b]; of what share of a
    batch, where several processes share it."""

    photos: NDArray[np.uint8]
    truth: NDArray[np.int64]
    weights: NDArray[np.float32]
    share: float = 1.0


def best_epoch(history: History) -> int:
    """The epoch (from 1) with the lowest validation loss; the first of equals."""
    return 1 + min(range(len(history)), key=lambda i: history[i]["validation_loss"])


def kept_epoch(history: History, trainer: NeuralTrainer, exactly: int | None = None) -> int:
    """The epoch (from 1) whose weights the artifact holds, if training ended now. `exactly`: see is_over."""
    return best_epoch(history) if trainer.keep == "best" and exactly is None else len(history)


def is_over(history: History, trainer: NeuralTrainer, exactly: int | None = None) -> bool:
    """Whether training ends here: all epochs done, or none better for `patience` epochs. `exactly`: of a refit, which
    has no validation split to tell by."""
    if exactly is not None or len(history) >= trainer.max_epochs:
        return len(history) >= (exactly or trainer.max_epochs)
    return bool(history and trainer.patience and len(history) - best_epoch(history) >= trainer.patience)


def learning_rate(trainer: NeuralTrainer, lr: float, epoch: float) -> float:
    """The rate at a moment of training (epochs done, with fractions): linear warm-up, then constant or half a cosine
    (Loshchilov and Hutter, "SGDR", 2017). It depends on the moment alone, so a resumed run follows the same curve.
    """
    warm = min(trainer.warmup_epochs, trainer.max_epochs - 1)
    if epoch < warm:
        return lr * max(epoch, 1e-3) / warm
    if trainer.schedule == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * (epoch - warm) / (trainer.max_epochs - warm)))


def kept_share(trainer: NeuralTrainer, batch: int) -> float:
    """How much of the weights' running average stays at this batch (counted from 0 over the whole training).

    Less at the beginning, so that the average of a short training isn't its start: min(average, (1 + n) / (10 + n)), as
    TensorFlow's ExponentialMovingAverage does with `num_updates`.
    """
    return min(trainer.average or 0.0, (1 + batch) / (10 + batch))


def check_finite(row: dict[str, float], lr: float, *, in_float32: bool) -> None:
    """Raise GaiaError if a loss of the finished epoch is infinite or no number."""
    if not math.isfinite(row["train_loss"] + row.get("validation_loss", 0.0)):
        otherwise = "" if in_float32 else " or set trainer.precision: float32"
        raise GaiaError(
            f"epoch {row['epoch']}: the loss is no finite number any more",
            f"lower optimizer.lr (now {lr:g}){otherwise}",
        )


def class_weights(data: Dataset, trainer: Trainer) -> NDArray[np.float32]:
    """A weight for each class, float32 [classes]: inversely proportional to its share in training if they are to be
    balanced; else what `class_weights` says of it by name, or 1.

    Raises GaiaError for a name that is no class.
    """
    if balanced(trainer):
        counts = np.bincount(data.truth[data.rows("train")], minlength=len(data.labels))
        return (counts.sum() / (len(counts) * counts)).astype(np.float32)
    named = weighed(trainer)
    if strange := [name for name in named if name not in data.labels]:
        known = f"the classes are {', '.join(data.labels)}{nearest(strange[0], data.labels)}"
        raise GaiaError(f"trainer.class_weights names '{strange[0]}', which is no class", known)
    return np.array([named.get(label, 1) for label in data.labels], dtype=np.float32)


def batches_an_epoch(data: Dataset, trainer: NeuralTrainer) -> int:
    """How many batches `epoch_batches` yields. A last batch of one is left out, or of one for a process: batch
    normalisation needs two."""
    n = len(data.rows("train"))
    return max(1, n // trainer.batch_size + (n % trainer.batch_size >= 2 * trainer.processes))


def epoch_batches(
    data: Dataset, trainer: NeuralTrainer, augmentation: Augmentation, seed: int, epoch: int, rank: int = 0
) -> Iterator[Batch]:
    """The training photos in this epoch's order, varied, a batch at a time, prepared ahead by the other cores; of each
    batch the part of process `rank` of trainer.processes.

    Order and variation depend on (seed, epoch) alone, so epoch 7 is the same in a run that began at epoch 7, and a
    batch the same photos however many processes share it.
    """
    rows = np.random.default_rng([seed, epoch]).permutation(data.rows("train"))
    weights = class_weights(data, trainer)
    cores = trainer.threads or max(1, CORES // trainer.processes)

    def produce() -> Iterator[Batch]:
        for i in range(batches_an_epoch(data, trainer)):
            batch = rows[i * trainer.batch_size : (i + 1) * trainer.batch_size]
            chosen = np.array_split(batch, trainer.processes)[rank]
            truth, share = data.truth[chosen], len(chosen) / len(batch)
            yield Batch(varied(data.inputs, chosen, augmentation, seed, epoch, cores), truth, weights[truth], share)

    yield from _ahead(produce(), 2)


def first_batch(data: Dataset) -> Batch:
    """Two photos of the training split as they are: enough to try a network, since batch normalisation needs two."""
    rows = data.rows("train")[:2]
    return Batch(np.asarray(data.inputs[rows]), data.truth[rows], np.ones(2, dtype=np.float32))


def _ahead(items: Iterator[Batch], depth: int) -> Iterator[Batch]:
    """The same items, up to `depth` of them made ahead by a thread of its own."""
    made: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(None)
        except Exception as error:
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def unbuilt(target: str, size: int, error: Exception) -> GaiaError:
    """The error of a model that can't even be built, for the reason that it gives itself."""
    return GaiaError(
        f"model: {target} can't be built for photos of {size} px: {first_line(error)}",
        "choose another model, other arguments, or another data.image_size",
    )


def stepping(target: str) -> AbstractContextManager[None]:
    """Around an optimizer's first step: any exception becomes a GaiaError that names it."""
    return errors_as(f"optimizer: {target} can't take a step: {{}}", "choose another optimizer")


def save_checkpoint(folder: Path, write: Callable[[Path], None]) -> None:
    """Keep one finished epoch for resuming: a kill or a power cut leaves the old one or the new one, whole."""
    with files.replaced(folder / "epoch", durable=True) as beside:
        write(beside)


def load_checkpoint(folder: Path, read: Callable[[Path], State], *, aloud: bool = True) -> State | None:
    """The last finished epoch of an interrupted training of these very inputs, as `read` makes it of the file.

    None if there is none, or if it can't be read: training then starts over. Both are said `aloud`. The folder is
    <line>/<inputs>.
    """
    path = folder / "epoch"
    if not path.exists():
        return None
    try:
        state = read(path)
    except Exception as error:  # whatever the frameworks' readers find wrong
        if aloud:
            say_unreadable(folder, first_line(error))
        return None
    if aloud:
        say_resumed(folder)
    return state


def note(folder: Path, row: dict[str, float]) -> None:
    """Add an epoch to what others may read of a training while it runs: <checkpoint>/history.jsonl, a line for each
    epoch that is shown. Epochs that a kill undid stand there twice, the later line counts."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / paths.NOTED).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(row)}\n")


def say_resumed(folder: Path) -> None:
    """Say that training goes on from the checkpoint in <line>/<inputs>."""
    console.print(f"{folder.parent.name}: an interrupted training of the same inputs is resumed")


def say_unreadable(folder: Path, reason: str) -> None:
    """Say that the checkpoint in <line>/<inputs> is of no use."""
    text = f"{folder.parent.name}: a checkpoint can't be read ({reason}); training starts over"
    console.print(text, markup=False, style="yellow")
