"""Photo file -> RGB pixels. The one way in which photos are read: for training, and for serving."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaia.errors import GaiaError
from gaia.inputs import LFS
from gaia.inputs.pillow import DECODERS, ExifTags, Image, ImageOps, UnidentifiedImageError

SUFFIXES = {
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".mpo"},  # what many phones and cameras write: a JPEG with more pictures behind it
    "PNG": {".png"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
}

_CONVERT = "which isn't read here: convert it to JPEG"
_OTHERS = (  # where a file that Pillow doesn't read here begins, with what, and what it is
    *(
        (4, brand, f"HEIC or AVIF, {_CONVERT}")
        for brand in (b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf", b"ftypavi")
    ),
    (4, b"jP  \r\n", f"JPEG 2000, {_CONVERT}"),
    (0, b"\xff\x4f\xff\x51", f"JPEG 2000, {_CONVERT}"),
    (4, b"JXL \r\n", f"JPEG XL, {_CONVERT}"),
    (0, b"\xff\x0a", f"JPEG XL, {_CONVERT}"),
    (0, b"8BPS", f"a Photoshop file, {_CONVERT}"),
    (0, LFS, "a Git LFS pointer, not the photo: `git lfs pull` brings it"),
)
_UPRIGHT = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_HUGE = 2**24  # px from which a photo is shrunk while it is converted
_STRIP = 2**18  # px converted at once
_AT_ONCE = 2**27  # px decoded at once by all threads together, at 4 to 6 bytes each (WebP: 16)
_room = threading.Condition()
_decoding = 0  # px


class UnusablePhoto(GaiaError):
    """A photo that can't be read; the message is the reason."""


def read(
    content: bytes, name: str, *, size: int, framing: str, max_megapixels: float, min_side: int
) -> tuple[NDArray[np.uint8], list[str]]:
    """The photo, scaled to `size` px: RGB uint8 [size, size, 3]; and notes on what was converted. `framing` says how it
    becomes a square: "crop" takes the centred one, "stretch" all of it.

    Orientation follows EXIF, CMYK and palettes become RGB, 16 bits become 8, transparency lies on white, of an
    animation the first picture counts. `name` serves only to note a misleading extension.
    Raises UnusablePhoto with the reason: empty, not an image, truncated, too large, too small. A JPEG whose data end
    early but whose end marker is there can't be told from a whole one: its rest is grey.
    """
    if not content:
        raise UnusablePhoto("empty file")
    try:
        image = Image.open(io.BytesIO(content), formats=DECODERS)
        notes = _check(image, name, max_megapixels, min_side)
        full = image.width * image.height
        image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at an eighth, a quarter or a half
        mode = image.mode
        with _share_of_memory(full if "progressive" in image.info else image.width * image.height):
            image.load()
            turn = _turn(image, notes)
            rgb = _square_rgb(image, size, framing)
            image.close()  # frees the pixels before another thread may begin
    except UnusablePhoto:
        raise
    except UnidentifiedImageError:
        raise UnusablePhoto(_no_image(content)) from None
    except Exception as error:  # Pillow's plugins raise what they like on hostile bytes
        said = str(error) or type(error).__name__
        cut = any(word in said.lower() for word in ("truncated", "broken", "not enough"))
        said = "too much text beside the picture" if "MAX_TEXT" in said else said
        raise UnusablePhoto(f"{'truncated' if cut else 'unreadable'}: {said}") from None
    if mode != "RGB":
        notes.append(f"{mode} converted to RGB")
    return np.asarray(rgb if turn is None else rgb.transpose(turn), dtype=np.uint8), notes


def _no_image(content: bytes) -> str:
    """What stands there instead, where its first bytes tell."""
    for at, begin, kind in _OTHERS:
        if content.startswith(begin, at):
            return kind
    return "not an image"


def _check(image: Image.Image, name: str, max_megapixels: float, min_side: int) -> list[str]:
    kind = image.format or ""
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise UnusablePhoto(f"too large: {width} x {height} px is over {max_megapixels:g} megapixels")
    if min(width, height) < min_side:
        raise UnusablePhoto(f"too small: {width} x {height} px, the shorter side needs {min_side} px")
    notes = []
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES[kind]:
        notes.append(f"is {kind}, named {suffix or 'without extension'}")
    if kind in ("GIF", "PNG", "WEBP") and getattr(image, "is_animated", False):
        notes.append("animated: first picture used")
    return notes


def _turn(image: Image.Image, notes: list[str]) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as above
        notes.append("EXIF unreadable: taken as it stands")
        return None


@contextmanager
def _share_of_memory(pixels: int) -> Iterator[None]:
    """Waits until this photo fits beside those that other threads decode; alone, any fits."""
    global _decoding
    with _room:
        _room.wait_for(lambda: not _decoding or _decoding + pixels <= _AT_ONCE)
        _decoding += pixels
    try:
        yield
    finally:
        with _room:
            _decoding -= pixels
            _room.notify_all()


def _square_rgb(image: Image.Image, size: int, framing: str) -> Image.Image:
    """Scaled first where the mode allows it, so that a large photo is held in memory once."""
    scalable = image.mode in ("RGB", "L", "CMYK")
    if image.mode in ("RGBA", "LA"):  # Pillow weighs a copy with the opacity first
        scalable = image.width * image.height <= _HUGE
    whole = image if scalable and "transparency" not in image.info else _shrunk_rgb(image, size)
    if framing == "crop":
        return _to_rgb(ImageOps.fit(whole, (size, size), Image.Resampling.BILINEAR))
    return _to_rgb(whole.resize((size, size), Image.Resampling.BILINEAR))


def _shrunk_rgb(image: Image.Image, size: int) -> Image.Image:
    """The photo in RGB, converted strip by strip; a huge one also shrunk to some 2 x `size` px on its shorter side."""
    width, height = image.size
    factor = max(1, min(width, height) // (2 * size)) if width * height > _HUGE else 1
    whole = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _STRIP // (factor * width))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        whole.paste(_to_rgb(strip).reduce(factor), (0, top // factor))
    return whole


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):  # convert("RGB") would clip at 255
        values = np.asarray(image)
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
