"""The worst mistakes of a test run as one picture: photos side by side, or rows of a table."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from gaia.evaluation.metrics import Array

COLUMNS, TILE, PAD, GAP = 6, 176, 10, 14  # photos in a row; pixels
WIDTH = COLUMNS * (TILE + 2 * PAD) + (COLUMNS - 1) * GAP
CARD, EDGE, INK, SOFT = "#ffffff", "#d5ddd9", "#17211d", "#5a6761"  # light cards on nothing: fine on any page
ROW = 34  # height of a table's row
WIDEST = 190  # of a table's column


def worst(truth: Array, probabilities: Array, predicted: Array, most: int = 24) -> Array:
    """Indices (int [at most `most`]) of the wrong answers, the most confident first.

    The confidence is the probability [n, k] of the class that was answered.
    """
    wrong = np.flatnonzero(predicted != truth)
    confidence = probabilities[wrong, predicted[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:most]


def captions(chosen: Array, truth: Array, probabilities: Array, predicted: Array, labels: list[str]) -> list[str]:
    """ "actual → predicted 97 %" for each of the `chosen` indices."""
    return [f"{labels[truth[i]]} → {labels[predicted[i]]} {100 * probabilities[i, predicted[i]]:.0f} %" for i in chosen]


def photo_sheet(images: list[Array], captions: list[str], path: Path | str) -> None:
    """Write a PNG with the photos (uint8 [h, w, 3], any sizes) and a caption under each.

    The same input gives the same bytes. Raises ValueError when there is not one caption for each photo.
    """
    _check(len(images), captions)
    if not images:
        return _friendly(path)
    font = _font(14)
    width, height = TILE + 2 * PAD, TILE + 2 * PAD + 44
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGBA", (WIDTH, rows * (height + GAP) - GAP))
    draw = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = i % COLUMNS * (width + GAP), i // COLUMNS * (height + GAP)
        draw.rounded_rectangle((x, y, x + width - 1, y + height - 1), radius=8, fill=CARD, outline=EDGE)
        photo = _enlarged(image)
        sheet.paste(photo, (x + (width - photo.width) // 2, y + PAD + (TILE - photo.height) // 2))
        for line, text in enumerate(_two_lines(caption, font, TILE)):
            draw.text((x + PAD, y + TILE + PAD + 9 + 19 * line), text, fill=INK, font=font)
    sheet.save(path, format="PNG", optimize=True)


def table_sheet(rows: pd.DataFrame, captions: list[str], path: Path | str) -> None:
    """Write a PNG with one line per mistake: its caption, then its values, as many columns as fit.

    Columns are taken from the left, so put the important ones first. The same input gives the same bytes.
    Raises ValueError when there is not one caption for each row.
    """
    _check(len(rows), captions)
    if rows.empty:
        return _friendly(path)
    plain, bold = _font(14), _font(14, "-Bold")
    columns = [["mistake", *captions]]
    columns += [[str(name), *(_shown(value) for value in rows[name])] for name in rows.columns]
    widths = [
        min(WIDEST * (2 if i == 0 else 1), max(bold.getlength(text) for text in column)) + 3 * PAD
        for i, column in enumerate(columns)
    ]
    fitting = max(2, int(np.sum(np.cumsum(widths) <= WIDTH - 2 * PAD)))
    left_out = len(columns) - fitting
    width = max(WIDTH // 2, int(sum(widths[:fitting])) + 2 * PAD)
    height = ROW * (len(rows) + 1) + 2 * PAD + (ROW if left_out else 0)
    sheet = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=8, fill=CARD, outline=EDGE)
    for i in range(len(rows)):
        y = PAD + ROW * (i + 1)
        draw.line((2 * PAD, y, width - 2 * PAD, y), fill=EDGE)
    x = float(2 * PAD)
    for i, (column, space) in enumerate(zip(columns[:fitting], widths[:fitting], strict=True)):
        for j, text in enumerate(column):
            font = bold if i == 0 and j else plain
            cut = _cut(text, font, space - 3 * PAD)
            at = x if i == 0 else x + space - 3 * PAD - font.getlength(cut)  # numbers line up on the right
            draw.text((at, PAD + ROW * j + 9), cut, fill=INK if j else SOFT, font=font)
        x += space
    if left_out:
        more = f"and {left_out} more {'columns' if left_out > 1 else 'column'}"
        draw.text((2 * PAD, height - ROW), more, fill=SOFT, font=plain)
    sheet.save(path, format="PNG", optimize=True)


def _check(n: int, captions: list[str]) -> None:
    if n != len(captions):
        raise ValueError(f"A sheet of {n} mistakes needs {n} captions, not {len(captions)}.")


def _friendly(path: Path | str) -> None:
    sheet = Image.new("RGBA", (620, 96))
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((0, 0, 619, 95), radius=8, fill=CARD, outline=EDGE)
    draw.text((28, 24), "✓", fill="#0b63a5", font=_font(40))
    draw.text((84, 25), "No mistakes", fill=INK, font=_font(18, "-Bold"))
    draw.text((84, 51), "Every item of the test set was answered right.", fill=SOFT, font=_font(15))
    sheet.save(path, format="PNG", optimize=True)


def _font(size: int, weight: str = "") -> ImageFont.FreeTypeFont:
    # the font that comes with matplotlib: the same on every machine, and it knows more than Latin
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", f"DejaVuSans{weight}.ttf")
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def _enlarged(image: Array) -> Image.Image:
    tiny = max(image.shape[:2]) <= 32  # smooth enlargement of so few pixels would only be a blur
    method = Image.Resampling.NEAREST if tiny else Image.Resampling.BICUBIC
    return ImageOps.contain(Image.fromarray(image), (TILE, TILE), method)


def _two_lines(caption: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    if font.getlength(caption) <= width:
        return [caption]
    first, arrow, second = caption.partition(" → ")
    # of a long second line the end stays: it tells how sure the model was
    return [_cut(first, font, width), _cut((arrow + second).strip(), font, width, keep=5)]


def _cut(text: str, font: ImageFont.FreeTypeFont, width: float, keep: int = 0) -> str:
    if font.getlength(text) <= width:
        return text
    start, end = text[: len(text) - keep], text[len(text) - keep :]
    while start and font.getlength(start + "…" + end) > width:
        start = start[:-1]
    return start + "…" + end


def _shown(value: object) -> str:
    if value is None or value is pd.NA or value != value:  # NaN differs from itself
        return "\N{EN DASH}"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
