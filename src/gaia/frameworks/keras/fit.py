"""How a line is trained with Keras: by its own `fit`, with one callback for what YAML promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from gaia.config.schema import NeuralTrainer, PhotoLine
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.frameworks import loop
from gaia.frameworks.keras.backend import keras, take, tf
from gaia.frameworks.keras.network import build
from gaia.frameworks.protocol import Fit, History, Show


def fit(config: PhotoLine, data: Dataset, checkpoint: Path, show: Show, exactly: int | None = None) -> Fit:
    """Train from the last finished epoch found in `checkpoint` (or from scratch) to the end; keep the epoch
    that `trainer.keep` names, or the last of `exactly` so many.

    The same inputs give the same weights on the same machine, interrupted or not. Raises GaiaError if the device is
    missing, the weights can't be downloaded, or the loss is no number.
    """
    trainer, classes = config.trainer, len(data.labels)
    network = _begin(config, classes)
    epochs = _Epochs(config, data, checkpoint, show, exactly)
    epochs.resume(network)
    if not loop.is_over(epochs.history, trainer, exactly):
        network.fit(
            _batches(config, data, epochs.history),
            initial_epoch=len(epochs.history), epochs=trainer.max_epochs, callbacks=[epochs], verbose=0, shuffle=False,
        )  # fmt: skip
    network.set_weights(epochs.kept)
    kept = loop.kept_epoch(epochs.history, trainer, exactly)
    return Fit(_in_float32(network, config, classes), epochs.history, kept)


def refit(config: PhotoLine, data: Dataset, first: Fit, checkpoint: Path, show: Show) -> Fit:
    """The training of as many epochs as `first` kept, on the photos of both splits."""
    return fit(config, data, checkpoint, show, first.kept_epoch)


def rehearse(config: PhotoLine, data: Dataset) -> Fit:
    """One step on two photos, with a network of its own: training itself then begins as if nothing had been.

    Raises GaiaError if the optimizer can't take the step, and whatever the network raises.
    """
    classes = len(data.labels)
    network = _begin(config, classes)
    batch = loop.first_batch(data)
    with tf.GradientTape() as tape:  # not traced, which would take 10 s
        scores = network(batch.photos, training=True)
        truth = _one_hot(batch.truth, classes)
        loss = network.optimizer.scale_loss(network.compute_loss(x=batch.photos, y=truth, y_pred=scores))
    gradients = tape.gradient(loss, network.trainable_weights)
    with loop.stepping(config.optimizer.target):
        network.optimizer.apply(gradients, network.trainable_weights)
    return Fit(_in_float32(network, config, classes), [], 0)


def answers(fitted: Fit, photos: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's own probabilities [n, classes]: what the exported file has to reproduce."""
    return np.asarray(fitted.network(photos, training=False), dtype=np.float32)


def _begin(config: PhotoLine, classes: int) -> keras.Model:
    """The untrained network, compiled. All randomness begins anew, and so do the numbers in layers' names."""
    if config.trainer.threads:
        take(config.trainer.threads)
    keras.utils.clear_session()
    _choose_device(config.trainer.device)
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_dtype_policy(_policy(config.trainer))
    network = build(config.model, config.data.image_size, classes)
    network.compile(
        optimizer=_optimizer(config),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.trainer.label_smoothing),
        metrics=["accuracy"],
    )
    return network


def _in_float32(network: keras.Model, config: PhotoLine, classes: int) -> keras.Model:
    """The same network as it ships: in ONNX, operations of mixed precision don't fit together."""
    if keras.config.dtype_policy().name == "float32":
        return network
    keras.utils.clear_session()
    keras.mixed_precision.set_dtype_policy("float32")
    copy = build(config.model, config.data.image_size, classes)
    copy.set_weights(network.get_weights())
    copy(np.zeros((1, *copy.input_shape[1:]), dtype=np.uint8))  # Keras exports only what was called once
    return copy


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Keras calls an object, so this is one: learning rate, validation, kept epoch, checkpoint, early stop."""

    def __init__(self, config: PhotoLine, data: Dataset, checkpoint: Path, show: Show, exactly: int | None) -> None:
        super().__init__()
        self.exactly = exactly
        self.config, self.data, self.checkpoint, self.show = config, data, checkpoint, show
        self.history: History = []
        self.kept: list[NDArray[Any]] = []
        self.average: list[tf.Variable] = []
        self.batches = loop.batches_an_epoch(data, config.trainer)
        self.rate = 0.0

    def resume(self, network: keras.Model) -> None:
        """Take up the last finished epoch, if there is one."""
        network.optimizer.build(network.trainable_variables)
        self.average = [tf.Variable(variable.value, trainable=False) for variable in network.weights]
        if found := loop.load_checkpoint(self.checkpoint, _read):
            arrays, history = found
            for name, variables in (("state", _state(network)), ("average", self.average)):
                for i, variable in enumerate(variables):
                    variable.assign(arrays[f"{name}_{i}"])
            self.kept = [arrays[f"kept_{i}"] for i in range(len(network.weights))]
            self.history += history

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        moment = len(self.history) + batch / self.batches
        self.rate = loop.learning_rate(self.config.trainer, self.config.optimizer.lr, moment)
        self.model.optimizer.learning_rate = self.rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = len(self.history) * self.batches + batch
        self._follow(tf.constant(loop.kept_share(self.config.trainer, done), tf.float32))
        self.show(len(self.history) + (batch + 1) / self.batches, None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {
            "epoch": epoch + 1, "learning_rate": self.rate,
            "train_loss": float(logs["loss"]), "train_accuracy": float(logs["accuracy"]),
        }  # fmt: skip
        reached = self.model.get_weights()
        self.model.set_weights([variable.numpy() for variable in self.average])
        row |= _measure(self.model, self.data, self.config.trainer.batch_size)
        self.history.append(row)
        in_float32 = keras.config.dtype_policy().name == "float32"
        loop.check_finite(row, self.config.optimizer.lr, in_float32=in_float32)
        if loop.kept_epoch(self.history, self.config.trainer, self.exactly) == epoch + 1:
            self.kept = self.model.get_weights()
        self.model.set_weights(reached)
        loop.save_checkpoint(self.checkpoint, self._write)
        self.show(epoch + 1, row)
        self.model.stop_training = loop.is_over(self.history, self.config.trainer, self.exactly)

    @tf.function  # type: ignore[untyped-decorator]
    def _follow(self, kept: tf.Tensor) -> None:
        """Move the running average of the weights and statistics by one batch; all the way if nothing is kept."""
        for average, variable in zip(self.average, self.model.weights, strict=True):
            value = variable.value
            if average.dtype.is_integer:
                average.assign(value)
            else:  # average -= (1 - kept) * (average - value), in as few passes as it takes
                tf.raw_ops.ResourceApplyGradientDescent(var=average.handle, alpha=1 - kept, delta=average - value)

    def _write(self, path: Path) -> None:
        kept = {"state": _state(self.model), "average": self.average, "kept": self.kept}
        arrays = {f"{name}_{i}": np.asarray(v) for name, values in kept.items() for i, v in enumerate(values)}
        save_file(arrays, path, metadata={"history": json.dumps(self.history)})


def _read(checkpoint: Path) -> tuple[dict[str, NDArray[Any]], History]:
    with safe_open(checkpoint, framework="numpy") as state:
        arrays = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118
        return arrays, json.loads(state.metadata()["history"])


def _state(network: keras.Model) -> list[Any]:
    """All that the next epoch depends on: weights, statistics, states of random layers, the optimizer's moments."""
    return [*network.variables, *network.optimizer.variables]


def _batches(config: PhotoLine, data: Dataset, history: History) -> tf.data.Dataset:
    size, classes = config.data.image_size, len(data.labels)

    def epoch() -> Iterator[tuple[Any, ...]]:
        number = len(history)  # Keras asks anew at the beginning of each epoch
        for batch in loop.epoch_batches(data, config.trainer, config.augmentation, config.seed, number):
            yield batch.photos, _one_hot(batch.truth, classes), batch.weights

    signature = (
        tf.TensorSpec((None, size, size, 3), tf.uint8),
        tf.TensorSpec((None, classes), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    )
    batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    # Keras would find out how many there are by running out of them, and warn
    return batches.apply(tf.data.experimental.assert_cardinality(loop.batches_an_epoch(data, config.trainer)))


def _one_hot(truth: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[truth]


def _measure(network: keras.Model, data: Dataset, batch_size: int) -> dict[str, float]:
    """Loss and accuracy on the validation split; nothing where there is none."""
    rows = data.rows("validation")
    if not len(rows):
        return {}
    pieces = [rows[i : i + 4 * batch_size] for i in range(0, len(rows), 4 * batch_size)]
    scores = np.concatenate([network.predict_on_batch(np.asarray(data.inputs[piece])) for piece in pieces])
    of_truth = scores[np.arange(len(rows)), data.truth[rows]]
    return {
        "validation_loss": float(-np.log(np.maximum(of_truth, 1e-7)).mean()),
        "validation_accuracy": float((scores.argmax(axis=1) == data.truth[rows]).mean()),
    }


def _optimizer(config: PhotoLine) -> keras.optimizers.Optimizer:
    target = config.optimizer.target
    constructor = getattr(keras.optimizers, target.rpartition(".")[2])
    try:
        return constructor(learning_rate=config.optimizer.lr, **config.optimizer.arguments())
    except (TypeError, ValueError) as error:
        raise GaiaError(f"optimizer: {target} refuses its arguments: {error}.") from None


def _policy(trainer: NeuralTrainer) -> str:
    if trainer.precision == "auto":  # on CPUs TensorFlow's bfloat16 is slower than float32 (benchmarks/)
        return "mixed_float16" if tf.config.list_physical_devices("GPU") and trainer.device != "cpu" else "float32"
    return "float32" if trainer.precision == "float32" else f"mixed_{trainer.precision}"


def _choose_device(wanted: str) -> None:
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif wanted != "auto" and not tf.config.list_physical_devices("GPU"):
        raise GaiaError(f"trainer.device is {wanted}, which this machine lacks", "set it to auto or cpu")
