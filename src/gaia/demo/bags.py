"""Photos of mushroom grow bags, drawn from a seed: healthy, or with mould among the mycelium."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gaia.demo.drawing import (
    RGB,
    Floats,
    between,
    blob,
    chance,
    check_label,
    disc,
    frame,
    mix,
    noise,
    photograph,
    step,
    tint,
)

LABELS = ("healthy", "contaminated")

Rng = np.random.Generator

SUBSTRATES = ((146, 104, 62), (112, 78, 48), (160, 124, 84), (92, 66, 46))
# Green as Trichoderma, blue-green as Penicillium, black as Aspergillus, orange as Neurospora, sour yellow.
MOULDS = ((46, 104, 44), (84, 136, 58), (44, 110, 108), (34, 38, 48), (228, 124, 36), (206, 184, 24))
WALLS = (
    (188, 186, 180),
    (120, 124, 128),
    (150, 124, 96),
    (96, 120, 104),
    (104, 120, 150),
    (66, 62, 60),
    (206, 186, 140),
)
STICKERS = (
    (52, 140, 72),
    (60, 100, 170),
    (40, 42, 48),
    (190, 50, 50),
    (240, 240, 236),
    (222, 214, 196),
)


def draw(label: str, rng: np.random.Generator, size: int) -> Image.Image:
    """One RGB photo, `size` pixels (16 or more) along its longer side, of label "healthy" or "contaminated".

    Contamination shows as fuzzy, speckled patches of mould, one of them large and never under a sticker. Both
    labels share their colours: stickers, coloured shelves, yellow droplets, dark pins and shadows come with either.
    The same state of `rng` draws the same photo. Raises ValueError for another label or a smaller size.
    """
    check_label(label, LABELS)
    width, height = frame(rng, size)
    scene = _shelf(rng, width, height)
    tall = int(height * between(rng, 0.8, 0.97))
    wide = min(int(tall * between(rng, 0.58, 0.8)), int(width * 0.95))
    bag = _bag(rng, wide, tall, label == "contaminated").rotate(rng.normal(0, 4), Image.Resampling.BICUBIC, expand=True)
    left = int((width - bag.width) * between(rng, 0.3, 0.7))
    top = int(height * between(rng, 0.93, 1.02)) - bag.height
    scene.paste((12, 12, 14), (left + size // 40, top), bag.getchannel("A").point(lambda alpha: alpha // 2))
    scene.paste(bag, (left, top), bag)
    return photograph(rng, scene)


def _picture(pixels: Floats) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _shelf(rng: Rng, width: int, height: int) -> Image.Image:
    """A wall, the board the bag stands on, and at times other bags or boxes out of focus."""
    size = max(width, height)
    pixels = np.array(tint(rng, WALLS[rng.integers(len(WALLS))]), np.float32) * np.ones((height, width, 1), np.float32)
    pixels *= 0.85 + 0.3 * noise(rng, width, height, 5, 3)[..., None]
    wall = _picture(pixels)
    pen = ImageDraw.Draw(wall)
    for _ in range(rng.integers(0, 3)):
        x, y = between(rng, -0.2, 1) * width, between(rng, 0, 0.7) * height
        far = (x, y, x + size * between(rng, 0.1, 0.5), y + size * between(rng, 0.2, 0.6))
        colours = WALLS if chance(rng, 0.8) else STICKERS
        pen.rounded_rectangle(far, size * 0.03, tint(rng, colours[rng.integers(len(colours))], 20))
    board = int(height * between(rng, 0.75, 0.97))
    pen.rectangle((0, board, width, height), tint(rng, WALLS[rng.integers(len(WALLS))]))
    pen.line((0, board, width, board), tint(rng, (60, 56, 50)), max(1, size // 90))
    return wall.filter(ImageFilter.GaussianBlur(size * between(rng, 0.002, 0.02)))


def _bag(rng: Rng, width: int, height: int, contaminated: bool) -> Image.Image:
    """The bag upright, RGBA, see-through outside its outline: the block below, the gathered plastic above."""
    size = max(width, height)
    top = between(rng, 0.14, 0.34)  # where the block begins, as a share of the height
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    waves = noise(rng, width, height, 4, 2)
    inside = step(y - 0.08 * (waves - 0.5), top, 0.02)

    pixels = (
        np.array(tint(rng, (196, 198, 196), 10), np.float32) * (0.75 + 0.4 * noise(rng, width, height, 7, 3))[..., None]
    )
    block = _block(rng, width, height)
    clear = np.array((between(rng, 0.3, 0.7) * width, between(rng, top + 0.22, 0.78) * height))  # of stickers and pins
    if contaminated:
        _contaminate(rng, block, clear, top)
    mix(pixels, block, inside)
    picture = _picture(pixels)
    _details(rng, picture, clear, top, size)
    pixels = np.asarray(picture, np.float32).copy()

    pixels *= (1.04 - 0.5 * (2 * np.abs(x - 0.5)) ** 4)[..., None]  # the sides turn away from the light
    _plastic(rng, pixels, top)
    bag = _picture(pixels)
    bag.putalpha(_outline(rng, width, height, top))
    return bag


def _block(rng: Rng, width: int, height: int) -> Floats:
    """The substrate, more or less grown through by white mycelium: (h, w, 3) in [0, 255]."""
    grain = 0.55 + 0.9 * noise(rng, width, height, 40, 2) * (0.6 + 0.4 * noise(rng, width, height, 6))
    block = np.array(tint(rng, SUBSTRATES[rng.integers(len(SUBSTRATES))]), np.float32) * grain[..., None]
    grown = between(rng, 0.05, 0.36)  # low is nearly white all over
    strands = 1 - 2 * np.abs(noise(rng, width, height, 18, 2) - 0.5)
    white = step(noise(rng, width, height, 5, 4) + 0.25 * (strands - 0.5), grown, 0.3) * (0.75 + 0.25 * strands)
    mycelium = (
        np.array(tint(rng, (236, 232, 220), 6), np.float32)
        * (0.82 + 0.24 * noise(rng, width, height, 24, 2))[..., None]
    )
    mix(block, mycelium, white)
    return block


def _contaminate(rng: Rng, block: Floats, clear: Floats, top: float) -> None:
    """Grow patches of one mould on the block, in place, the largest at `clear`: speckled, with a pale fuzzy rim."""
    height, width = block.shape[:2]
    size = max(width, height)
    colour = np.array(tint(rng, MOULDS[rng.integers(len(MOULDS))], 12), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    largest = size * between(rng, 0.17, 0.26)
    for number in range(rng.integers(2, 5)):
        radius = largest * (between(rng, 0.4, 0.9) if number else 1)
        at_x, at_y = _spot(rng, width, height, top) if number else clear
        away = np.hypot(x - at_x, (y - at_y) * between(rng, 0.7, 1.3)) / radius
        away += 0.9 * (noise(rng, width, height, 9, 3) - 0.5)
        speckle = noise(rng, width, height, 60, 2)
        mix(block, (238, 236, 226), 0.8 * step(-away, -1.2, 0.3))
        spores = colour * (0.5 + 0.9 * speckle)[..., None]
        mix(block, spores, between(rng, 0.85, 1) * step(-away + 0.9 * (speckle - 0.5), -0.85, 0.5))


def _spot(rng: Rng, width: int, height: int, top: float) -> Floats:
    return np.array((between(rng, 0.1, 0.9) * width, between(rng, top + 0.06, 0.94) * height))


def _details(rng: Rng, picture: Image.Image, clear: Floats, top: float, size: int) -> None:
    """What any bag may carry: droplets, pins, a filter patch, stickers; over the block, the large ones off `clear`."""
    width, height = picture.size
    pen = ImageDraw.Draw(picture, "RGBA")

    def aside() -> Floats:
        spots = [_spot(rng, width, height, top) for _ in range(8)]
        return max(spots, key=lambda spot: min(float(np.hypot(*(spot - clear))), size * 0.3))

    if chance(rng, 0.3):  # what the mycelium sweats: clear, round, each with a glint
        amber = tint(rng, (206, 156, 40), 18)
        for _ in range(rng.integers(3, 11)):
            at, radius = _spot(rng, width, height, top), size * between(rng, 0.006, 0.02)
            disc(pen, at, radius, (*amber, 190))
            disc(pen, at - radius * 0.35, radius * 0.3, (255, 252, 236, 230))
    if chance(rng, 0.4):  # a cluster of young mushrooms
        _pins(rng, pen, aside(), size)
    if chance(rng, 0.75):
        _filter(rng, pen, width, height * top, size)
    for _ in range(rng.integers(0, 3)):
        at = aside() if chance(rng, 0.75) else np.array((between(rng, 0.2, 0.8) * width, 0.6 * top * height))
        _sticker(rng, picture, at, size * between(rng, 0.07, 0.15))


def _pins(rng: Rng, pen: ImageDraw.ImageDraw, at: Floats, size: int) -> None:
    cap = tint(rng, ((70, 60, 56), (112, 84, 60), (60, 64, 76))[rng.integers(3)], 14)
    for _ in range(rng.integers(4, 14)):
        foot = at + rng.normal(0, 0.035, 2) * size
        long, radius = size * between(rng, 0.015, 0.045), size * between(rng, 0.008, 0.02)
        head = foot - (rng.normal(0, 0.3) * long, long)
        pen.line((*foot.tolist(), *head.tolist()), (226, 218, 202, 255), max(1, round(radius)))
        disc(pen, head, radius, (*cap, 255))
        disc(pen, head - radius * 0.3, radius * 0.35, tuple(channel + 40 for channel in cap))


def _filter(rng: Rng, pen: ImageDraw.ImageDraw, width: int, room: float, size: int) -> None:
    """The breathing patch: a pale square of fine dots in the plastic above the block."""
    half = min(room * 0.36, size * between(rng, 0.05, 0.09))
    x, y = width * between(rng, 0.35, 0.65), room * between(rng, 0.5, 0.62)
    pen.rectangle((x - half, y - half, x + half, y + half), (*tint(rng, (232, 232, 226), 6), 255), (150, 150, 146))
    for across in np.linspace(-0.8, 0.8, 7) * half:
        for down in np.linspace(-0.8, 0.8, 7) * half:
            disc(pen, np.array((x + across, y + down)), half * 0.05, (170, 170, 166))


def _sticker(rng: Rng, picture: Image.Image, at: Floats, half: float) -> None:
    """A label or a tape in one flat colour, at times written on, with straight or round hard edges."""
    colour: RGB = tint(rng, STICKERS[rng.integers(len(STICKERS))], 18)
    if chance(rng, 0.15):
        mould_like = MOULDS[rng.integers(len(MOULDS))]
        colour = tint(rng, mould_like, 12)
    wide, tall = max(4, int(2 * half)), max(4, int(2 * half * between(rng, 0.45, 1)))
    shape = Image.new("L", (wide, tall), 0 if (round_ := chance(rng, 0.35)) else 255)
    if round_:
        ImageDraw.Draw(shape).ellipse((0, 0, wide - 1, tall - 1), fill=255)
    paper = Image.new("RGB", (wide, tall), colour)
    ink = (30, 30, 40) if sum(colour) > 330 else (236, 236, 230)
    pen = ImageDraw.Draw(paper)
    for line in range(int(rng.integers(0, 5))):
        y = tall * (0.22 + 0.16 * line)
        pen.line((wide * 0.18, y, wide * between(rng, 0.4, 0.85), y), ink, max(1, tall // 16))
    angle = rng.normal(0, 12)
    paper, shape = (layer.rotate(angle, Image.Resampling.BILINEAR, expand=True) for layer in (paper, shape))
    picture.paste(paper, (int(at[0]) - paper.width // 2, int(at[1]) - paper.height // 2), shape)


def _plastic(rng: Rng, pixels: Floats, top: float) -> None:
    """Lay the film over everything: haze, creases with a bright and a dark side, streaks of light."""
    height, width = pixels.shape[:2]
    size = max(width, height)
    mix(pixels, (214, 218, 222), np.full((height, width), between(rng, 0.02, 0.16), np.float32))
    relief = Image.new("L", (width, height), 128)
    pen = ImageDraw.Draw(relief)
    for _ in range(rng.integers(4, 14)):
        x, slope = between(rng, 0, 1) * width, rng.normal(0, 0.25)
        start = between(rng, -0.1, 0.8) * height
        end = start + between(rng, 0.15, 0.5) * height
        line = (x, start, x + slope * (end - start), end)
        pen.line(line, int(rng.integers(170, 256)), max(1, round(size * between(rng, 0.003, 0.012))))
        dark = tuple(part + size * 0.01 for part in line)
        pen.line(dark, int(rng.integers(50, 100)), max(1, round(size * 0.006)))
    if chance(rng, 0.5):  # tied or folded at the neck
        for x in np.linspace(0, width, 12) + rng.normal(0, width * 0.03, 12):
            pen.line(
                (x, top * height, width * 0.5 + (x - width * 0.5) * 0.6, 0),
                int(rng.integers(60, 230)),
                max(1, size // 110),
            )
    soft = np.asarray(relief.filter(ImageFilter.GaussianBlur(size * 0.004)), np.float32)
    pixels += (soft - 128)[..., None] * np.float32(between(rng, 0.3, 0.8))

    glints = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(glints)
    for _ in range(rng.integers(0, 5)):
        at = np.array((between(rng, 0, 1) * width, between(rng, 0, 1) * height))
        streak = blob(rng, (0, 0), size * between(rng, 0.03, 0.12), 10, 0.4) * (between(rng, 0.12, 0.4), 1) + at
        pen.polygon(streak.ravel().tolist(), fill=int(rng.integers(90, 240)))
    bright = np.asarray(glints.filter(ImageFilter.GaussianBlur(size * between(rng, 0.004, 0.015))), np.float32)
    mix(pixels, (250, 252, 255), bright / 255)


def _outline(rng: Rng, width: int, height: int, top: float) -> Image.Image:
    """The bag's mask: bulging sides, drawn in a little towards the neck."""
    down = np.linspace(0, 1, 24)
    neck = between(rng, 0.0, 0.16)
    side = 0.02 + neck * np.clip(1 - down / top, 0, 1) + 0.05 * np.clip((down - 0.93) / 0.07, 0, 1) ** 2
    left, right = side + rng.uniform(0, 0.02, 24), 1 - side - rng.uniform(0, 0.02, 24)
    edge = np.concatenate([np.stack([left, down], 1), np.stack([right, down], 1)[::-1]]) * (
        2 * width,
        2 * height,
    )
    mask = Image.new("L", (2 * width, 2 * height), 0)
    ImageDraw.Draw(mask).polygon(edge.ravel().tolist(), fill=255)
    return mask.reduce(2)
