"""The layers of a Keras application, in operations that export well and train fast on processors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gaia.frameworks.keras.backend import keras, tf


def rebuilt(base: keras.Model, from_scratch: bool) -> keras.Model:
    """The same model, its layers replaced by those below, and Normalization by Rescaling: exported, the constants of
    the former would become inputs.

    `from_scratch`: batch normalisation follows its batches faster than Keras's default.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, keras.layers.Normalization):
            mean, variance = (np.asarray(values).reshape(-1) for values in (layer.mean, layer.variance))
            scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
            return keras.layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=layer.name)
        if isinstance(layer, keras.layers.BatchNormalization) and from_scratch:
            settings["momentum"] = 0.9  # 0.99 would need thousands of batches until validation sees what training sees
        return FASTER.get(type(layer), type(layer)).from_config(settings)

    copy = keras.models.clone_model(base, clone_function=clone)
    for layer in base.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def preprocessed(photos: Any, preprocess: Callable[[Any], Any]) -> Any:
    """What the application's own `preprocess_input` makes of RGB photos [n, size, size, 3] in 0..255: an order of the
    channels, then a scale and an offset for each. Its own operations hold arrays that, exported, would become inputs.
    """
    black_red_green_blue = np.vstack([np.zeros(3), np.eye(3)]).reshape(4, 1, 1, 3)
    offset, *rows = preprocess(black_red_green_blue.copy()).reshape(4, 3)
    matrix = np.array(rows) - offset  # [of which channel, to which channel]
    order = abs(matrix).argmax(axis=0).tolist()
    scale = matrix[order, range(3)]
    if order == [2, 1, 0]:
        photos = photos[..., ::-1]
    if (scale != 1).any() or offset.any():
        photos = keras.layers.Rescaling(scale.tolist(), offset.tolist())(photos)
    return photos


# Their names are Keras's too, so that the weights' file fits its own application.


class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's layer, with TensorFlow's one operation for what Keras computes in eight passes over the photos."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Normalise over the batch in training; as Keras does otherwise, and in other precision than float32."""
        if not (training and self.trainable and self.scale and self.center and self.compute_dtype == "float32"):
            return super().call(inputs, training=training, mask=mask)
        normal, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma.value, offset=self.beta.value, mean=[], variance=[], epsilon=self.epsilon
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return normal


class Conv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """Keras's layer, with a product of matrices where the kernel is 1 x 1, whose gradients are products too."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same outputs as Keras's."""
        if self.kernel_size != (1, 1) or self.strides != (1, 1) or self.groups != 1 or not _on_processor(self):
            return super().call(inputs)
        height, width, channels = inputs.shape[1:]
        kernel = tf.reshape(self.kernel, [channels, self.filters])
        outputs = tf.reshape(tf.reshape(inputs, [-1, channels]) @ kernel, [-1, height, width, self.filters])
        return self.activation(tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs)


class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """Keras's layer, with another gradient of its kernel: oneDNN's takes a third of a step of EfficientNetB0.

    For 3 x 3 over more than 2 x 2 positions, and for that alone, oneDNN has a fast way, which is kept.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same outputs as Keras's."""
        side, positions = self.kernel_size[0], self.compute_output_shape(inputs.shape)[1]
        plain = self.depth_multiplier == 1 and self.dilation_rate == (1, 1) and not self.use_bias
        square = inputs.shape[1] == inputs.shape[2] and self.kernel_size == (side, side)
        if (side <= 3 and positions > 2) or not (plain and square and _on_processor(self)):
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        return self.activation(_depthwise(inputs, kernel, self.strides[0], self.padding.upper(), positions))


FASTER: dict[type, Any] = {
    keras.layers.BatchNormalization: BatchNormalization,
    keras.layers.Conv2D: Conv2D,
    keras.layers.DepthwiseConv2D: DepthwiseConv2D,
}


def _on_processor(layer: keras.layers.Layer) -> bool:
    return layer.data_format == "channels_last" and not tf.config.list_logical_devices("GPU")


def _depthwise(photos: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str, positions: int) -> tf.Tensor:
    """tf.nn.depthwise_conv2d of [b, n, n, c] with [k, k, c, 1], whose gradient of the kernel is a depthwise one itself:

    dL/dkernel[i, j, c] = sum over b, y, x of photos[b, stride y + i, stride x + j, c] dL/dout[b, y, x, c], so each of
    the b x c planes is convolved with its own dL/dout.
    """
    strides, n, k = [1, stride, stride, 1], photos.shape[1], kernel.shape[0]
    reach = (positions - 1) * stride + k  # of all kernel positions together
    around = max(0, reach - n)
    border = [around // 2, around - around // 2]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(photos: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradients(of_out: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_photos = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(photos), filter=kernel, out_backprop=of_out, strides=strides, padding=padding
            )
            seen = tf.pad(photos, [[0, 0], border, border, [0, 0]])[:, :reach, :reach]
            planes = tf.reshape(tf.transpose(seen, [1, 2, 0, 3]), [1, reach, reach, -1])
            filters = tf.reshape(tf.transpose(of_out, [1, 2, 0, 3]), [positions, positions, -1, 1])
            each = tf.nn.depthwise_conv2d(planes, filters, [1, 1, 1, 1], "VALID", dilations=[stride, stride])
            return of_photos, tf.reduce_sum(tf.reshape(each, [k, k, -1, kernel.shape[2]]), axis=2)[..., None]

        return tf.nn.depthwise_conv2d(photos, kernel, strides, padding), gradients

    return convolve(photos, kernel)
