"""Training photos, varied: what `augmentation:` in YAML means, the same for every framework."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaia.config.schema import Augmentation


def augment(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A varied copy of a photo, uint8 [size, size, 3], or the photo itself; all chance comes from `rng`."""
    size = photo.shape[0]
    if how.flip and rng.random() < 0.5:
        photo = photo[:, ::-1]
    if how.zoom or how.rotate:
        photo = _turn_and_zoom(photo, how, rng)
    if how.light or how.colour:
        photo = _light(photo, how, rng)
    if how.erase and rng.random() < how.erase:
        height, width = rng.integers(size // 8, size // 2 + 1, size=2)
        top, left = rng.integers(0, (size - height + 1, size - width + 1))
        photo = photo.copy()
        photo[top : top + height, left : left + width] = rng.integers(0, 256, size=3)
    return photo


def _turn_and_zoom(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One resampling: a turned rectangle of the photo, of random area, aspect and place, fills the frame."""
    size = photo.shape[0]
    area = rng.uniform(1 - how.zoom, 1)
    aspect = np.exp(rng.uniform(-0.2, 0.2)).clip(area, 1 / area)  # neither side longer than the photo's
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    x, y = rng.uniform(-0.5, 0.5, size=2) * (1 - width, 1 - height) * size
    angle = np.deg2rad(rng.uniform(-how.rotate, how.rotate))
    centre = size / 2
    image = Image.fromarray(np.ascontiguousarray(photo))
    if angle == 0:  # three times as fast as the general way
        left, top = max(0, centre * (1 - width) + x), max(0, centre * (1 - height) + y)
        box = (left, top, min(size, left + width * size), min(size, top + height * size))
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))
    cos, sin = np.cos(angle), np.sin(angle)
    a, b, d, e = cos * width, -sin * height, sin * width, cos * height
    matrix = (a, b, x + centre - (a + b) * centre, d, e, y + centre - (d + e) * centre)
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # shows in the corners
    return np.asarray(
        image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=mean)
    )


def _light(photo: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness and contrast around the mean, then saturation and white balance: together one colour matrix."""
    brightness, contrast = 1 + rng.uniform(-how.light, how.light, size=2)
    saturation = 1 + rng.uniform(-how.colour, how.colour)
    balance = 1 + rng.uniform(-how.colour, how.colour, size=3) / 2
    offset = float(photo.mean()) * (brightness - contrast)
    matrix = contrast * (saturation * np.eye(3) + (1 - saturation) / 3) * balance[:, None]
    rows = np.hstack([matrix, (offset * balance)[:, None]])
    image = Image.fromarray(np.ascontiguousarray(photo))
    return np.asarray(image.convert("RGB", matrix=tuple(rows.ravel().tolist())))
