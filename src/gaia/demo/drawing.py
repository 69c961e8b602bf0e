"""What the drawn plants and the drawn bags share: noise, shapes and the camera."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.floating]
RGB = tuple[int, int, int]

# Shapes are drawn this much larger and then reduced: Pillow's polygons have no smooth edges of their own.
OVERSAMPLE = 2

SIDES = ((4, 3), (3, 4), (1, 1))


def frame(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """(width, height) of a 4:3, 3:4 or 1:1 photo whose longer side is `size` pixels (16 or more).

    Raises ValueError for a smaller size.
    """
    if size < 16:
        raise ValueError(f"size is {size}: a drawn photo has a longer side of 16 pixels or more")
    across, down = SIDES[rng.integers(len(SIDES))]
    longer = max(across, down)
    return size * across // longer, size * down // longer


def check_label(label: str, labels: Sequence[str]) -> None:
    """Raises ValueError where `label` is none of `labels`."""
    if label not in labels:
        raise ValueError(f"label is {label!r}: expected one of {', '.join(labels)}")


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with this probability, in [0, 1]."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number drawn evenly from [low, high)."""
    return float(rng.uniform(low, high))


def tint(rng: np.random.Generator, colour: Floats | Sequence[float], spread: float = 14) -> RGB:
    """`colour` (three numbers in [0, 255]), a little lighter or darker as a whole and per channel."""
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, spread) + rng.normal(0, spread / 2, 3), 0, 255)
    return int(red), int(green), int(blue)


def tints(rng: np.random.Generator, colours: Floats, spread: float = 14) -> NDArray[np.int64]:
    """`tint` for many colours at once: (n, 3) in, (n, 3) integers in [0, 255] out."""
    whole, channel = rng.normal(0, spread, (len(colours), 1)), rng.normal(0, spread / 2, colours.shape)
    return np.clip(colours + whole + channel, 0, 255).astype(np.int64)


def noise(rng: np.random.Generator, width: int, height: int, cells: float, octaves: int = 1) -> Floats:
    """Smooth noise, (height, width) in [0, 1], with about `cells` hills along the longer side.

    Each octave doubles the hills and halves their height. It is a small random picture enlarged, far cheaper
    than noise computed for every pixel.
    """
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        per_pixel = cells * 2**octave / max(width, height)
        shape = (max(2, math.ceil(height * per_pixel)), max(2, math.ceil(width * per_pixel)))
        small = Image.fromarray(rng.random(shape, np.float32))
        total += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def step(values: Floats, edge: float, width: float) -> Floats:
    """0 below `edge`, 1 above it, with a straight ramp `width` wide between."""
    ramp: Floats = np.clip((values - edge) / width + 0.5, 0, 1)
    return ramp


def mix(base: Floats, colour: Floats | Sequence[float], cover: Floats) -> None:
    """Lay `colour`, three numbers or (h, w, 3), over `base` (h, w, 3) in place, where `cover` (h, w) is."""
    base += (np.asarray(colour, np.float32) - base) * cover[..., None]


def fill(pen: ImageDraw.ImageDraw, shapes: Floats, colours: NDArray[np.int64]) -> None:
    """Draw n filled polygons: `shapes` (n, corners, 2) in pixels, `colours` (n, 3) or, with alpha, (n, 4)."""
    corners = shapes.reshape(len(shapes), -1).tolist()
    for outline, colour in zip(corners, colours.tolist(), strict=True):
        pen.polygon(outline, fill=tuple(colour))


def disc(pen: ImageDraw.ImageDraw, at: Floats, radius: float, colour: tuple[int, ...]) -> None:
    """A filled circle."""
    x, y = float(at[0]), float(at[1])
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def blob(
    rng: np.random.Generator,
    at: Floats | Sequence[float],
    radius: float,
    corners: int = 14,
    rough: float = 0.2,
) -> Floats:
    """The outline of an irregular round thing, (corners, 2)."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = radius * (1 + rough * rng.uniform(-1, 1, corners))
    squash = rng.uniform(0.6, 1)
    offsets: Floats = np.stack([np.cos(turn) * reach, np.sin(turn) * reach * squash], 1)
    offsets += at
    return offsets


def photograph(rng: np.random.Generator, scene: Image.Image) -> Image.Image:
    """The scene as some phone would have taken it: light, white balance, blur, vignette, grain, rough JPEG.

    Takes and returns an RGB image of the same size. What varies here says nothing of the label.
    """
    width, height = scene.size
    size = max(width, height)
    if chance(rng, 0.6):
        scene = scene.filter(ImageFilter.GaussianBlur(size * between(rng, 0.0005, 0.005)))
    pixels: Floats = np.asarray(scene, np.float32) / 255
    if chance(rng, 0.2):
        pixels = _shaken(rng, pixels, size * between(rng, 0.005, 0.02))

    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = between(rng, 0, 2 * np.pi)
    light = 1 + between(rng, 0, 0.3) * (x * math.cos(angle) + y * math.sin(angle))
    light *= 1 - between(rng, 0, 0.25) * (x**2 + y**2)
    if chance(rng, 0.35):  # the shadow of something outside the picture
        light *= 1 - between(rng, 0.15, 0.45) * step(noise(rng, width, height, 2), between(rng, 0.4, 0.7), 0.15)

    balance = np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    # Automatic exposure goes half of the way to a medium grey.
    exposure = math.sqrt(0.42 / max(float(pixels.mean()), 0.05)) * math.exp(rng.normal(0, 0.15))
    pixels = pixels * light[..., None] * balance * np.float32(exposure)
    grey = pixels.mean(2, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(between(rng, 0.65, 1.2))
    pixels = 0.5 + (pixels - 0.5) * np.float32(between(rng, 0.8, 1.15)) + np.float32(rng.normal(0, 0.02))
    pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(between(rng, 0.005, 0.04))
    photo = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    return _recompressed(photo, int(rng.integers(30, 75))) if chance(rng, 0.4) else photo


def _shaken(rng: np.random.Generator, pixels: Floats, reach: float) -> Floats:
    """The mean of five copies along a straight line: a hand that moved."""
    angle = between(rng, 0, np.pi)
    shifts = [
        (round(math.sin(angle) * reach * part), round(math.cos(angle) * reach * part))
        for part in (-0.5, -0.25, 0, 0.25, 0.5)
    ]
    edge = max(1, math.ceil(reach))
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    copies = [padded[edge + down : edge + down + height, edge + right : edge + right + width] for down, right in shifts]
    mean: Floats = np.mean(copies, axis=0, dtype=np.float32)
    return mean


def _recompressed(photo: Image.Image, quality: int) -> Image.Image:
    """As a messenger app would pass it on."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
