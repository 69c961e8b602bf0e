"""Photo file -> RGB pixels. The one way in which photos are read: for training, and for serving."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gaia.errors import GaiaError

SUFFIXES = {
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},  # what many phones and cameras write: a JPEG with more pictures behind it
    "PNG": {".png"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
}

Image.MAX_IMAGE_PIXELS = None  # the limit is ours (max_megapixels), checked before a pixel is decoded


class UnusablePhoto(GaiaError):
    """A photo that can't be read; the message is the reason."""


def read(
    content: bytes, name: str, *, size: int, max_megapixels: float, min_side: int
) -> tuple[NDArray[np.uint8], list[str]]:
    """The photo's centred square, scaled to `size` px: RGB uint8 [size, size, 3]; and notes on what was converted.

    Orientation follows EXIF, CMYK and palettes become RGB, 16 bits become 8, transparency lies on white, of an
    animation the first picture counts. `name` serves only to note a misleading extension.
    Raises UnusablePhoto with the reason: empty, not an image, truncated, too large, too small.
    """
    if not content:
        raise UnusablePhoto("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content))
            notes = _check(image, name, max_megapixels, min_side)
            image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at an eighth, a quarter or a half
            mode = image.mode
            image.load()
            upright = _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnusablePhoto("not an image") from None
    except UnusablePhoto:
        raise
    except Exception as error:  # Pillow's plugins raise what they like on hostile bytes
        cut = any(word in str(error).lower() for word in ("truncated", "broken", "not enough"))
        raise UnusablePhoto(f"{'truncated' if cut else 'unreadable'}: {error}") from None
    if mode != "RGB":
        notes.append(f"{mode} converted to RGB")
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR), dtype=np.uint8), notes


def _check(image: Image.Image, name: str, max_megapixels: float, min_side: int) -> list[str]:
    kind = image.format or ""
    if kind not in SUFFIXES:
        raise UnusablePhoto(f"format {kind} isn't one of {', '.join(sorted(SUFFIXES))}")
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise UnusablePhoto(f"too large: {width} x {height} px is over {max_megapixels:g} megapixels")
    if min(width, height) < min_side:
        raise UnusablePhoto(f"too small: {width} x {height} px, the shorter side needs {min_side} px")
    notes = []
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES[kind]:
        notes.append(f"is {kind}, named {suffix or 'without extension'}")
    if getattr(image, "n_frames", 1) > 1 and kind not in ("MPO", "TIFF"):
        notes.append("animated: first picture used")
    return notes


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):  # convert("RGB") would clip at 255
        values = np.asarray(image, dtype=np.int64)
        if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
            raise UnusablePhoto("32-bit samples outside 0..65535")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnusablePhoto("floating-point samples have no agreed range")
    if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
