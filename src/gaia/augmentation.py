"""Training photos, varied: what `augmentation:` in YAML means, the same for every framework."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaia.config.schema import Augmentation


def augment(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A varied copy of a photo, uint8 [size, size, 3]; all chance comes from `rng`."""
    size = photo.shape[0]
    if how.flip and rng.random() < 0.5:
        photo = photo[:, ::-1]
    if how.zoom or how.rotate:
        photo = _turn_and_zoom(photo, how, rng)
    if how.light or how.colour:
        photo = _light(photo, how, rng)
    if how.erase and rng.random() < how.erase:
        height, width = rng.integers(size // 8, size // 2, size=2)
        top, left = rng.integers(0, size - height), rng.integers(0, size - width)
        photo = photo.copy()
        photo[top : top + height, left : left + width] = rng.integers(0, 256, size=3)
    return photo


def _turn_and_zoom(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One affine resampling: a turned rectangle of the photo, of random area, aspect and place, fills the frame."""
    size = photo.shape[0]
    area = rng.uniform(1 - how.zoom, 1)
    aspect = np.exp(rng.uniform(-0.2, 0.2)) if how.zoom else 1.0
    width, height = min(1, np.sqrt(area * aspect)), min(1, np.sqrt(area / aspect))
    x, y = rng.uniform(-0.5, 0.5, size=2) * (1 - width, 1 - height) * size
    angle = np.deg2rad(rng.uniform(-how.rotate, how.rotate))
    cos, sin = np.cos(angle), np.sin(angle)
    a, b, d, e = cos * width, -sin * height, sin * width, cos * height
    centre = size / 2
    offset = (x + centre - (a + b) * centre, y + centre - (d + e) * centre)
    matrix = (a, b, offset[0], d, e, offset[1])
    turned = Image.fromarray(np.ascontiguousarray(photo)).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR,
        fillcolor=tuple(int(c) for c in photo.mean(axis=(0, 1))),
    )  # fmt: skip
    return np.asarray(turned)


def _light(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    values = photo.astype(np.float32)
    brightness, contrast = 1 + rng.uniform(-how.light, how.light, size=2)
    saturation = 1 + rng.uniform(-how.colour, how.colour)
    balance = 1 + rng.uniform(-how.colour, how.colour, size=3).astype(np.float32) / 2
    mean = values.mean()
    values = (values - mean) * np.float32(contrast) + mean * np.float32(brightness)
    if how.colour:
        grey = values.mean(axis=2, keepdims=True)
        values = (grey + (values - grey) * np.float32(saturation)) * balance
    return values.clip(0, 255).astype(np.uint8)
