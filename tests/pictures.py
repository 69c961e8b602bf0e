"""Pictures for tests: drawn, encoded, and read as the product reads them."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaia.inputs import photos as images


def picture(seed: int, size: int = 40) -> Image.Image:
    """Random blobs: unlike those of any other seed, and fit for compression."""
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def read(content: bytes, name: str = "photo.png", size: int = 8, **limits: object) -> NDArray[np.uint8]:
    return noted(content, name, size, **limits)[0]


def noted(content: bytes, name: str, size: int = 8, **limits: object) -> tuple[NDArray[np.uint8], list[str]]:
    return images.read(
        content, name, **({"size": size, "framing": "crop", "max_megapixels": 10, "min_side": 2} | limits)
    )
