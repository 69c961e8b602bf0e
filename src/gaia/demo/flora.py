"""What grows and lies in a drawn meadow: blades, leaves, and the flowers that pass for one another."""

import math

import numpy as np
from PIL import ImageDraw

from gaia.demo.drawing import Floats, between, chance, disc, fill, tint, tints

Pen = ImageDraw.ImageDraw
Rng = np.random.Generator

YELLOWS = ((250, 206, 20), (246, 190, 10), (252, 222, 50))


def blades(pen: Pen, rng: Rng, box: Floats, unit: float, count: int, green: Floats, lean: float, spread: float) -> None:
    """Blades of grass, the far ones darker, each a tapering curve with a lit and a shaded half."""
    base = rng.uniform(-0.1, 1.15, (count, 1, 2)) * box
    angle = -np.pi / 2 + lean + rng.normal(0, spread, (count, 1))
    length = unit * rng.uniform(0.15, 0.5, (count, 1))
    half = unit * between(rng, 0.004, 0.01) * rng.uniform(0.6, 1.3, (count, 1))
    along = np.linspace(0, 1, 5)
    heading = angle + rng.normal(0, 0.5, (count, 1)) * along
    ahead, aside = _directions(heading)
    points = base + ahead * (length * along)[..., None]
    across = aside * (half * (1 - along**2))[..., None]
    depth = np.linspace(0.62, 1.2, count)[:, None]
    colours = green * depth * np.exp(rng.normal(0, 0.12, (count, 1)))
    dry = rng.random(count) < between(rng, 0, 0.25)
    colours[dry] = np.array((196, 172, 92)) * depth[dry]
    shades = tints(rng, colours, 9)
    whole = np.concatenate([points + across, (points - across)[:, ::-1]], 1)
    lit = np.concatenate([points + across, points[:, ::-1]], 1)
    # Blade by blade, so that a nearer one hides both halves of a farther one.
    shapes, fills = np.stack([whole, lit], 1), np.stack([shades, np.minimum(shades + 22, 255)], 1)
    fill(pen, shapes.reshape(2 * count, -1, 2), fills.reshape(2 * count, 3))


def _directions(angle: Floats) -> tuple[Floats, Floats]:
    """The unit vectors along each angle and at right angles to it: (..., 2) both, for angles of any shape."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, sin], -1), np.stack([-sin, cos], -1)


def _leaf(
    pen: Pen, at: Floats, angle: float, along: Floats, half: Floats, bend: float, colour: tuple[int, ...]
) -> None:
    """A leaf from `at` on, `half` wide to each side at the distances `along` its rib: (k,) pixels both."""
    heading = angle + bend * along / max(float(along.max()), 1e-6)
    ahead, aside = _directions(heading)
    rib = at + ahead * along[:, None]
    left, right = rib + aside * half[:, None], rib - aside * half[:, None]
    shade = tuple(int(channel * 0.82) for channel in colour)
    pen.polygon(np.concatenate([left, rib[::-1]]).ravel().tolist(), fill=colour)
    pen.polygon(np.concatenate([right, rib[::-1]]).ravel().tolist(), fill=shade)
    pale = tuple(min(255, int(channel * 1.25) + 18) for channel in colour)
    pen.line(rib[np.argsort(along)].ravel().tolist(), fill=pale, width=max(1, int(half.max() * 0.14)))


def _toothed(rng: Rng, length: float) -> tuple[Floats, Floats]:
    """A dandelion's leaf as (along, half): wider to its end, with teeth that point back to the root."""
    teeth = int(rng.integers(4, 7))
    foot = np.linspace(0.16, 0.8, teeth)
    wide = between(rng, 0.17, 0.26) * (0.45 + foot) * rng.uniform(0.8, 1.2, teeth)
    along = np.stack([foot, foot - 0.05, foot + 0.07], 1).ravel()
    half = np.stack([0.3 * wide, wide, 0.42 * wide], 1).ravel()
    end = np.array([[0.86, 0.15], [0.93, 0.1], [1, 0]])
    return (
        np.concatenate([[0, 0.08], along, end[:, 0]]) * length,
        np.concatenate([[0.012, 0.016], half, end[:, 1]]) * length,
    )


def _smooth(rng: Rng, length: float) -> tuple[Floats, Floats]:
    """A plantain's or a tree's leaf as (along, half): an oval."""
    along = np.linspace(0, 1, 12)
    return along * length, between(rng, 0.18, 0.3) * length * np.sin(np.pi * along**0.8) ** 0.8


def rosette(pen: Pen, rng: Rng, at: Floats, length: float, green: Floats, toothed: bool) -> None:
    """Leaves all round one root: toothed for a dandelion, smooth for a plantain."""
    count = int(rng.integers(6, 12))
    for turn in rng.permutation(count) * (2 * np.pi / count) + rng.normal(0, 0.15, count):
        size = length * between(rng, 0.7, 1.1)
        along, half = _toothed(rng, size) if toothed else _smooth(rng, size)
        _leaf(pen, at, float(turn), along, half, rng.normal(0, 0.3), tint(rng, green * 1.15, 12))


def _rays(pen: Pen, rng: Rng, at: Floats, tilt: Floats, radius: float, count: int, half: float, colour: Floats) -> None:
    """`count` narrow petals, `half` wide to each side, round one middle and seen through `tilt` (2, 2)."""
    turn = np.arange(count) * (2 * np.pi / count) + rng.normal(0, 1.2 / count, count) + rng.uniform(0, 7)
    ahead, aside = _directions(turn)
    tip, side = ahead * (radius * rng.uniform(0.85, 1.05, count))[:, None], aside * half
    waist = tip * 0.8
    shapes = np.stack([0 * tip, waist + side, tip + side / 2, tip - side / 2, waist - side], 1)
    fill(pen, at + shapes @ tilt, tints(rng, np.tile(colour, (count, 1)), 10))


def _tilt(rng: Rng) -> Floats:
    """A flower seldom faces the camera: squeezed one way, then turned."""
    turn = between(rng, 0, np.pi)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    tilt: Floats = rotation.T @ np.diag([1.0, between(rng, 0.55, 1)]) @ rotation
    return tilt


def stem(pen: Pen, rng: Rng, at: Floats, length: float, width: float) -> None:
    """From the head down to somewhere in the grass, pale green or reddish."""
    foot = at + np.array((rng.normal(0, 0.25), 1)) * length
    knee = (at + foot) / 2 + rng.normal(0, 0.06, 2) * length
    path = np.stack([at, knee, foot]).ravel().tolist()
    colour = tint(rng, (138, 158, 88) if chance(rng, 0.6) else (150, 120, 84))
    pen.line(path, fill=colour, width=max(2, int(width)), joint="curve")


def _shadow(pen: Pen, at: Floats, radius: float) -> None:
    disc(pen, at + radius * 0.18, radius * 0.95, (10, 20, 8, 90))


def head(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A dandelion in bloom: rings of rays, one over the other, shorter and deeper in colour inwards."""
    tilt, yellow = _tilt(rng), np.array(YELLOWS[rng.integers(len(YELLOWS))], float)
    _shadow(pen, at, radius)
    rings = ((1, 34, 0.94), (0.85, 30, 1.04), (0.68, 26, 0.93), (0.5, 20, 1.02), (0.3, 12, 0.86))
    for reach, count, bright in rings:
        colour = np.clip(yellow * bright - (0, 26 * (1 - reach), 0), 0, 255)
        _rays(pen, rng, at, tilt, radius * reach, count, radius * 0.055, colour)


def clock(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A seed head: a see-through ball of white spokes, each with its tuft, round a dark heart."""
    disc(pen, at, radius, (226, 228, 222, 70))
    disc(pen, at, radius * 0.17, (*tint(rng, (112, 96, 64)), 255))
    count = int(rng.integers(50, 80))
    turn, reach = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.uniform(0.25, 1, count))
    tips = at + np.stack([np.cos(turn), np.sin(turn)], 1) * reach[:, None]
    fine = max(1, round(radius * 0.03))
    for tip in tips:
        pen.line((*at.tolist(), *tip.tolist()), fill=(214, 212, 200, 110), width=fine)
    for tip in tips:
        disc(pen, tip, radius * 0.1, (246, 246, 242, 84))
        disc(pen, tip, radius * 0.035, (255, 255, 252, 190))


def bud(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A closed head: a green cup with a little yellow at its top."""
    disc(pen, at, radius, tint(rng, (92, 124, 62)))
    top = at - (0, radius * 0.5)
    _rays(pen, rng, top, np.eye(2), radius * 0.7, 9, radius * 0.14, np.array((236.0, 200, 40)))


def buttercup(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """Five round yellow petals with gaps between them."""
    tilt, yellow = _tilt(rng), np.array(YELLOWS[rng.integers(len(YELLOWS))], float)
    _shadow(pen, at, radius)
    round_ = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    petal = np.stack([0.58 + 0.42 * np.cos(round_), 0.3 * np.sin(round_)], 1) * radius
    ahead, aside = _directions(between(rng, 0, 7) + np.arange(5) * (2 * np.pi / 5))
    petals = petal @ np.stack([ahead, aside], 1)
    fill(pen, at + petals @ tilt, tints(rng, np.tile(yellow, (5, 1)), 8))
    disc(pen, at, radius * 0.24, tint(rng, (190, 168, 30)))


def daisy(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A ring of white rays with gaps between them, round a yellow disc."""
    tilt = _tilt(rng)
    _shadow(pen, at, radius)
    count = int(rng.integers(14, 20))
    _rays(pen, rng, at, tilt, radius, count, radius * 0.12, np.array((240.0, 240, 236)))
    disc(pen, at, radius * 0.36, tint(rng, (240, 196, 30)))


def clover(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A solid white or pinkish ball of florets."""
    pale = np.array((228, 224, 208) if chance(rng, 0.7) else (208, 160, 180), float)
    _shadow(pen, at, radius)
    for reach in (1, 0.75, 0.45):
        _rays(pen, rng, at, np.eye(2), radius * reach, 18, radius * 0.13, pale * (1.1 - 0.2 * reach))


def fallen(pen: Pen, rng: Rng, at: Floats, radius: float) -> None:
    """A yellow or brown leaf off some tree."""
    colour = np.array(((236, 196, 40), (222, 168, 40), (168, 110, 50))[rng.integers(3)])
    _shadow(pen, at, radius * 0.8)
    along, half = _smooth(rng, 2.2 * radius)
    angle = between(rng, 0, 2 * np.pi)
    stalk = at - radius * np.array([math.cos(angle), math.sin(angle)])
    _leaf(pen, stalk, angle, along, half * 1.3, 0.3, tint(rng, colour))
