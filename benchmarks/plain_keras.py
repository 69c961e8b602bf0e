"""The plain way: keras.utils.image_dataset_from_directory and fit, photos decoded at each epoch.

`python benchmarks/plain_keras.py FOLDER SIZE BATCH EPOCHS`, FOLDER with train/<class> and validation/<class>
"""

import json
import sys
import time

import keras
import tensorflow as tf


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def main(folder: str, size: int, batch: int, epochs: int) -> None:
    train, validation = (
        keras.utils.image_dataset_from_directory(
            f"{folder}/{split}", image_size=(size, size), batch_size=batch, verbose=False
        ).prefetch(tf.data.AUTOTUNE)
        for split in ("train", "validation")
    )
    photos = keras.Input((size, size, 3))
    base = keras.applications.EfficientNetB0(
        include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3)
    )
    answers = keras.layers.Dense(2, activation="softmax")(base(keras.layers.RandomFlip("horizontal")(photos)))
    network = keras.Model(photos, answers)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    network.fit(train, validation_data=validation, epochs=epochs, verbose=0, callbacks=[clock])
    n = sum(len(truth) for _, truth in train)
    print(json.dumps({"prepare": 0.0, "epochs": clock.seconds, "photos": n}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
