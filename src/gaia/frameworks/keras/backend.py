"""Keras and TensorFlow, set up before their first import: everything of this folder takes them from here."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a missing GPU is no news
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from gaia.console import without_native_chatter

with without_native_chatter():
    import keras
    import tensorflow as tf

__all__ = ["keras", "take", "tf"]

# which ~/.keras/keras.json may say otherwise
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")

tf.get_logger().setLevel("ERROR")  # nor is a function that is traced again

# Going back through a network, two chains run at once (of the weights and of what flows through): half the processors
# for each. TensorFlow's own setting, all for every operation, took a tenth longer a step on two.
tf.config.threading.set_inter_op_parallelism_threads(2)
tf.config.threading.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // 2))


def take(threads: int) -> None:
    """Let TensorFlow take so many cores, in the same way. Before it computes anything; later only the same number."""
    tf.config.threading.set_inter_op_parallelism_threads(min(2, threads))
    tf.config.threading.set_intra_op_parallelism_threads(max(1, threads // 2))
