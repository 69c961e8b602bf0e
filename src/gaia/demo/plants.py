"""Photos of a meadow, drawn from a seed: with a dandelion in it, or only grass and what looks like one."""

import numpy as np
from PIL import Image, ImageDraw

from gaia.demo.drawing import (
    OVERSAMPLE,
    Floats,
    between,
    blob,
    chance,
    check_label,
    fill,
    frame,
    mix,
    noise,
    photograph,
    step,
    tint,
)
from gaia.demo.flora import blades, bud, buttercup, clock, clover, daisy, fallen, head, rosette, stem

LABELS = ("dandelion", "grass")

Pen = ImageDraw.ImageDraw
Rng = np.random.Generator

GREENS = ((84, 132, 48), (108, 152, 58), (70, 114, 50), (126, 156, 74))
SOILS = ((96, 74, 50), (70, 56, 40), (120, 100, 70), (62, 74, 40), (52, 70, 34))


def draw(label: str, rng: np.random.Generator, size: int) -> Image.Image:
    """One RGB photo, `size` pixels (16 or more) along its longer side, of label "dandelion" or "grass".

    A dandelion shows by its heads of many fine rays, its white seed heads or, seldom, its toothed leaves alone.
    Both labels share every colour: meadows of either kind hold yellow leaves, buttercups, daisies, clover, stones.
    The same state of `rng` draws the same photo. Raises ValueError for another label or a smaller size.
    """
    check_label(label, LABELS)
    width, height = frame(rng, size)
    scene = _ground(rng, width * OVERSAMPLE, height * OVERSAMPLE)
    pen = ImageDraw.Draw(scene, "RGBA")
    box = np.array(scene.size, float)
    unit = float(box.max())
    green = np.array(GREENS[rng.integers(len(GREENS))], float)
    lean, spread = between(rng, -0.5, 0.5), between(rng, 0.25, 1.6)

    _litter(pen, rng, box, unit)
    blades(pen, rng, box, unit, int(rng.integers(120, 420)), green, lean, spread)
    if label == "dandelion":
        _dandelions(pen, rng, box, unit, green)
        _neighbours(pen, rng, box, unit, green, between(rng, 0, 0.6))
    else:
        _neighbours(pen, rng, box, unit, green, between(rng, 0.6, 2.2))
    blades(pen, rng, box, unit, int(rng.integers(4, 50)), green * 1.1, lean, spread)
    return photograph(rng, scene.reduce(OVERSAMPLE))


def _ground(rng: Rng, width: int, height: int) -> Image.Image:
    """Soil or moss, or a lawn too far away to show its blades."""
    small = width // OVERSAMPLE, height // OVERSAMPLE
    soil = np.array(SOILS[rng.integers(len(SOILS))], np.float32)
    pixels = soil * (0.6 + 0.8 * noise(rng, *small, cells=12, octaves=4))[..., None]
    mix(
        pixels,
        tint(rng, SOILS[rng.integers(len(SOILS))]),
        step(noise(rng, *small, cells=3, octaves=2), 0.5, 0.3),
    )
    ground = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return ground.resize((width, height), Image.Resampling.BILINEAR)


def _litter(pen: Pen, rng: Rng, box: Floats, unit: float) -> None:
    """Stones and bare patches."""
    for _ in range(rng.integers(0, 6)):
        grey = tint(rng, (150, 142, 130), 24)
        at, radius = _place(rng, box, 0), unit * between(rng, 0.015, 0.06)
        shape = blob(rng, at, radius)
        fill(pen, np.stack([shape + radius * 0.25, shape]), np.array([(20, 20, 15, 120), (*grey, 255)]))


def _place(rng: Rng, box: Floats, margin: float = 0.12) -> Floats:
    return box * rng.uniform(margin, 1 - margin, 2)


def _dandelions(pen: Pen, rng: Rng, box: Floats, unit: float, green: Floats) -> None:
    """One plant or a few: always a head in bloom, a seed head or a rosette that can be made out."""
    bloom, seed = chance(rng, 0.88), chance(rng, 0.4)
    if chance(rng, 0.5) or not (bloom or seed):
        for _ in range(rng.integers(1, 3)):
            rosette(pen, rng, _place(rng, box, 0.25), unit * between(rng, 0.24, 0.42), green, toothed=True)
    size = unit * between(rng, 0.13, 0.23)  # of the nearest head
    flowers = []
    for part, present in ((bud, chance(rng, 0.25)), (head, bloom), (clock, seed)):
        for number in range(int(rng.integers(1, 4)) if present else 0):
            radius = size * (between(rng, 0.45, 1) if number else 1) * (0.35 if part is bud else 1)
            at = _place(rng, box, 0.12 if number else 0.27)  # the nearest ones off the edges, which a crop takes away
            stem(pen, rng, at, between(rng, 1.5, 4) * size, radius * 0.16)
            flowers.append((part, at, radius))
    for part, at, radius in flowers:
        part(pen, rng, at, radius)


def _neighbours(pen: Pen, rng: Rng, box: Floats, unit: float, green: Floats, plenty: float) -> None:
    """What else grows or lies in a meadow; the more the higher `plenty` (0 and up)."""
    if chance(rng, 0.25 * plenty):
        rosette(pen, rng, _place(rng, box, 0.2), unit * between(rng, 0.14, 0.3), green, toothed=False)
    for part in (fallen, buttercup, daisy, clover):
        if chance(rng, 0.3 * plenty):
            size = unit * between(rng, 0.04, 0.13)
            for _ in range(rng.integers(1, 5)):
                part(pen, rng, _place(rng, box, 0.05), size * between(rng, 0.6, 1.1))
