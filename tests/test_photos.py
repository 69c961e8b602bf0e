"""Photos: whatever lies in the folder, a run ends with an index that accounts for every file."""

import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from gaia import images
from gaia.config.schema import Photos, Splits
from gaia.console import console
from gaia.data import index, photos
from gaia.demo import plants
from gaia.errors import GaiaError

REAL = Path(__file__).parents[2] / "shared" / "photos"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="real photos are not at ../shared/photos")
ORIENTATION = 274
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # images.py asks for it; pytest forgets that


def config(**changes: object) -> Photos:
    values = {
        "kind": "photos", "image_size": 32, "classes": None, "min_per_class": 3,
        "splits": Splits(validation=0.3, test=0.3),
        "near_duplicates": 12, "framing": "crop", "max_quarantined": 1.0, "max_megapixels": 10.0, "min_side": 8,
    }  # fmt: skip
    return Photos(**(values | changes))


def picture(seed: int, size: int = 40) -> Image.Image:
    """Random blobs: unlike those of any other seed, and fit for compression."""
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def folder(raw: Path, each: int = 20, labels: tuple[str, ...] = ("a", "b")) -> Path:
    for number, label in enumerate(labels):
        (raw / label).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            (raw / label / f"{i:03d}.png").write_bytes(encoded(picture(1000 * number + i)))
    return raw


def prepared(raw: Path, out: Path, seed: int = 1, positive: str | None = None, **changes: object) -> index.Dataset:
    photos.prepare("line", raw, config(**changes), seed, positive, out)
    return index.load(out)


def by_source(dataset: index.Dataset) -> dict[str, dict[str, str]]:
    return dataset.table.set_index("source").to_dict("index")


def read(content: bytes, name: str = "photo.png", size: int = 8, **limits: object) -> NDArray[np.uint8]:
    return noted(content, name, size, **limits)[0]


def noted(content: bytes, name: str, size: int = 8, **limits: object) -> tuple[NDArray[np.uint8], list[str]]:
    return images.read(
        content, name, **({"size": size, "framing": "crop", "max_megapixels": 10, "min_side": 2} | limits)
    )


def refused(content: bytes, **limits: float) -> str:
    with pytest.raises(images.UnusablePhoto) as error:
        read(content, **limits)
    return str(error.value)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# --- usable photos become the right pixels


COLOURS = {"red": (200, 10, 20), "green": (10, 180, 30), "blue": (20, 30, 220)}
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)  # of an upright photo
HOW_STORED = {  # orientation -> what a camera held that way stores of the upright photo
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    stored = HOW_STORED[orientation](QUARTERS.repeat(16, 0).repeat(24, 1))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 100} | ({"subsampling": 0} if kind == "JPEG" else {})
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif.tobytes(), **options)
    pixels = read(content, size=8)
    assert np.abs(pixels[[[1], [6]], [1, 6]].astype(int) - QUARTERS).max() < 12


@pytest.mark.parametrize(
    "garbage", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*", b"Exif\0\0"]
)
def test_garbage_instead_of_exif_costs_nothing(garbage: bytes) -> None:
    assert read(encoded(picture(1), "JPEG", exif=garbage)).shape == (8, 8, 3)


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_exif_bytes_leave_the_pixels_alone_or_turn_them(tail: bytes) -> None:
    pixels = read(encoded(picture(1), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + tail))
    assert abs(float(pixels.mean()) - float(np.asarray(picture(1)).mean())) < 8


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_cmyk_becomes_rgb_as_photoshop_inverts_it_and_as_others_do_not(colour: tuple[int, int, int]) -> None:
    cmyk = Image.new("RGB", (16, 16), colour).convert("CMYK")
    jpeg = encoded(cmyk, "JPEG", quality=100)  # with Adobe's marker, inverted, as Photoshop has it
    assert b"Adobe" in jpeg
    for content in (jpeg, encoded(cmyk, "TIFF")):
        pixels, notes = noted(content, "photo.jpg")
        assert np.abs(pixels[4, 4].astype(int) - colour).max() < 6
        assert "CMYK converted to RGB" in notes


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None].repeat(64, 0)
    pixels, notes = noted(encoded(Image.fromarray(ramp), kind), "photo.png", size=64)
    assert np.abs(pixels[0, :, 1].astype(int) - (ramp[0] >> 8)).max() <= 1
    assert any("I;16" in note for note in notes)


def test_big_endian_sixteen_bit_grey_keeps_its_range() -> None:
    ramp = np.linspace(0, 65535, 16).astype(">u2")[None].repeat(16, 0)
    entries = [(256, 16), (257, 16), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1), (278, 16), (279, 512)]
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    head += b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in entries) + bytes(4)
    pixels = read(head.ljust(200, b"\0") + ramp.tobytes(), "photo.tif", size=16)
    assert np.abs(pixels[0, :, 0].astype(int) - (ramp[0] >> 8)).max() <= 1


@pytest.mark.parametrize(("colour", "samples"), [(2, 3), (6, 4), (4, 2)], ids=["RGB", "RGBA", "LA"])
def test_sixteen_bit_colour_keeps_the_upper_eight(colour: int, samples: int) -> None:
    pixel = [0xC8FF, 0x3210, 0x6400, 0xFFFF][:samples] if samples > 2 else [0xC8FF, 0xFFFF]
    rows = (b"\0" + struct.pack(f">{samples}H", *pixel) * 16) * 16
    expected = [0xC8, 0x32, 0x64] if samples > 2 else [0xC8] * 3
    assert np.abs(read(png(16, 16, 16, colour, rows))[3, 3].astype(int) - expected).max() <= 1


def test_thirty_two_bits_and_floating_point_have_no_agreed_range_and_are_refused() -> None:
    beyond = Image.fromarray(np.full((16, 16), 70000, dtype=np.int32))
    assert "32-bit" in refused(encoded(beyond, "TIFF"))
    assert "floating-point" in refused(encoded(Image.fromarray(np.ones((16, 16), dtype=np.float32)), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA"])
def test_every_mode_gives_the_same_grey(mode: str) -> None:
    white_left = Image.fromarray(np.repeat([[255, 0]], 16, 0).repeat(8, 1).astype(np.uint8))
    image = white_left.convert("RGBA").convert(mode) if mode not in ("1", "L", "P") else white_left.convert(mode)
    pixels = read(encoded(image, "TIFF" if mode == "PA" else "PNG"), size=16)
    assert (pixels[:, :7] == 255).all()
    assert (pixels[:, 9:] == 0).all()


def transparent_gif() -> bytes:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.paste(0, (0, 0, 8, 16))
    return encoded(image, "GIF", transparency=0)


def transparent_rgb() -> bytes:
    row = b"\0" + bytes([0, 0, 0]) * 8 + bytes([200, 10, 20]) * 8
    return png(16, 16, 8, 2, row * 16, chunk(b"tRNS", struct.pack(">HHH", 0, 0, 0)))


def transparent_rgba(mode: str = "RGBA", kind: str = "PNG") -> bytes:
    image = Image.new("RGBA", (16, 16), (200, 10, 20, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 16))
    return encoded(image.convert(mode), kind, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize(
    "content",
    [transparent_gif(), transparent_rgb(), transparent_rgba(), transparent_rgba("RGBA", "WEBP")],
    ids=["GIF", "colour key", "RGBA", "WebP"],
)
def test_what_is_transparent_lies_on_white(content: bytes) -> None:
    pixels = read(content, size=16).astype(int)
    assert (pixels[:, :7] == 255).all()
    assert np.abs(pixels[:, 9:] - (200, 10, 20)).max() < 3


def test_half_transparent_mixes_with_white() -> None:
    assert np.abs(read(encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 128)))).astype(int) - 127).max() <= 1
    assert np.abs(read(encoded(Image.new("LA", (16, 16), (0, 128)))).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_picture_counts(kind: str) -> None:
    first, second = Image.new("RGB", (16, 16), COLOURS["red"]), Image.new("RGB", (16, 16), COLOURS["blue"])
    content = encoded(first, kind, save_all=True, append_images=[second])
    pixels, notes = noted(content, f"photo.{kind.lower()}")
    assert np.abs(pixels[4, 4].astype(int) - COLOURS["red"]).max() < 12
    assert "animated: first picture used" in notes


def test_a_phones_jpeg_with_more_pictures_behind_it_is_no_animation() -> None:
    red, blue = (Image.new("RGB", (16, 16), COLOURS[name]) for name in ("red", "blue"))
    pixels, notes = noted(encoded(red, "MPO", save_all=True, append_images=[blue]), "photo.jpg")
    assert notes == []
    assert np.abs(pixels[4, 4].astype(int) - COLOURS["red"]).max() < 6


def test_a_wrong_extension_is_noted_and_does_not_matter() -> None:
    pixels, notes = noted(encoded(picture(1), "PNG"), "photo.JPG", size=40)
    assert notes == ["is PNG, named .jpg"]
    assert (pixels == np.asarray(picture(1))).all()
    assert noted(encoded(picture(1)), "photo")[1] == ["is PNG, named without extension"]


@given(width=st.integers(8, 300), height=st.integers(8, 300), size=st.integers(16, 90))
@settings(max_examples=40, deadline=None)
def test_the_centred_square_fills_the_frame(width: int, height: int, size: int) -> None:
    side = min(width, height)
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", ((width - side) // 2, (height - side) // 2, (width + side) // 2 + 1, (height + side) // 2 + 1))
    pixels = read(encoded(image), size=size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert pixels[size // 8 : -size // 8, size // 8 : -size // 8, 2].min() > 250


@given(width=st.integers(16, 300), height=st.integers(16, 300), size=st.sampled_from([16, 40, 90]))
@settings(max_examples=40, deadline=None)
def test_a_stretched_photo_is_all_there(width: int, height: int, size: int) -> None:
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, 0, width // 4, height))
    pixels = images.read(encoded(image), "photo.png", size=size, framing="stretch", max_megapixels=10, min_side=2)[0]
    assert pixels.shape == (size, size, 3)
    assert pixels[:, : size // 8, 2].min() > 200
    assert (pixels[..., 2] > 127).mean() == pytest.approx(0.25, abs=0.1)


# --- unusable photos are refused, with the reason


def test_the_reason_names_what_is_wrong() -> None:
    jpeg, whole = encoded(picture(1, 200), "JPEG"), encoded(picture(1, 200))
    assert refused(b"") == "empty file"
    assert refused(b"hello, this is a text") == "not an image"
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n") == "not an image"
    assert refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIC or AVIF, which isn't read here: convert it to JPEG"
    assert refused(jpeg[: len(jpeg) // 2]).startswith("truncated")
    assert refused(whole[: len(whole) // 2]).startswith("truncated")
    assert refused(encoded(picture(1), "BMP")[:-50]).startswith("truncated")
    assert refused(encoded(Image.new("RGB", (1, 1)))) == "too small: 1 x 1 px, the shorter side needs 2 px"
    assert refused(whole, max_megapixels=0.03).startswith("too large: 200 x 200 px")


def test_a_jpeg_cut_short_but_properly_ended_passes_with_a_grey_rest() -> None:
    """A known limit: the decoder fills up silently, and nothing cheap tells such a rest from a grey wall."""
    jpeg = encoded(picture(1, 200), "JPEG")
    pixels = read(jpeg[: len(jpeg) // 2] + b"\xff\xd9", size=200)
    assert np.ptp(pixels[-8:], axis=(0, 1)).max() < np.ptp(np.asarray(picture(1, 200))[-8:], axis=(0, 1)).max()


@given(kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "MPO"]), data=st.data())
@settings(max_examples=250, deadline=None)
def test_damaged_bytes_give_pixels_or_a_reason_and_nothing_else(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(picture(3, 24), kind))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        pixels = read(bytes(content[:cut]))
    except images.UnusablePhoto as error:
        assert str(error)
    else:
        assert pixels.shape == (8, 8, 3)


BOMBS = """
import resource, sys, time
from pathlib import Path
from gaia import images
for path in sorted(Path(sys.argv[1]).iterdir()):
    content = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        images.read(content, path.name, size=64, framing="crop", max_megapixels=100, min_side=8)
    except images.UnusablePhoto as error:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(path.name, time.perf_counter() - start, grown / 1024, error)
"""


def bombs() -> dict[str, bytes]:
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    tags = [(256, 4, 60_000), (257, 4, 60_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 9)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    jpeg = bytearray(encoded(picture(1), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65000, 65000)
    webp = b"WEBPVP8L" + struct.pack("<IBI", 25, 0x2F, 16382 | 16382 << 14) + bytes(21)
    gif = b"\x80\0\0" + bytes(6) + b"," + bytes(8) + b"\0\x02\x02D\1\0;"
    return {
        "bomb.bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "bomb.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + gif,
        "bomb.jpg": bytes(jpeg),
        "bomb.png": png(100_000, 100_000, 8, 2, bytes(1000)),
        "bomb.tif": b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4),
        "bomb.webp": b"RIFF" + struct.pack("<I", len(webp)) + webp,
        "text.png": png(60_000, 60_000, 8, 2, bytes(1000), text),
    }


def test_a_bomb_is_refused_at_once_and_without_memory(tmp_path: Path) -> None:
    for name, content in bombs().items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", BOMBS, tmp_path]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(bombs())
    for line in lines:
        _, seconds, megabytes, reason = line.split(" ", 3)
        assert reason.startswith("too large" if "bomb" in line else "unreadable: Decompressed data too large")
        assert float(seconds) < 2
        assert float(megabytes) < 50


HUGE = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from gaia import images
content, images._AT_ONCE, threads = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
status = Path("/proc/self/status")  # its peak is this process's own: getrusage begins with the parent's
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1])
before = peak()
with ThreadPoolExecutor(threads) as pool:
    read = lambda _: images.read(content, "photo.png", size=64, framing="crop", max_megapixels=100, min_side=8)
    list(pool.map(read, range(threads)))
print(peak() - before)
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak of memory")


def huge(mode: str) -> bytes:
    """A small file of 4200 x 4200 px."""
    image = Image.new(mode, (4200, 4200), {"RGBA": (200, 10, 20, 128), "LA": (200, 128)}.get(mode, 1))
    return encoded(image, compress_level=1, **({"transparency": 0} if mode == "P" else {}))


def grown(tmp_path: Path, content: bytes, at_once: int, threads: int) -> float:
    """Bytes by which the memory grows as so many threads read the photo."""
    (tmp_path / "photo.png").write_bytes(content)
    command = [sys.executable, "-c", HUGE, tmp_path / "photo.png", str(at_once), str(threads)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@needs_proc
@pytest.mark.parametrize(("mode", "stored"), [("P", 1), ("1", 1), ("I;16", 2), ("LA", 4), ("RGBA", 4), ("RGB", 4)])
def test_a_huge_photo_of_any_mode_is_held_in_memory_once(mode: str, stored: int, tmp_path: Path) -> None:
    assert grown(tmp_path, huge(mode), 2**27, 1) / 4200**2 < stored + 1.5  # bytes a pixel


@needs_proc
def test_more_threads_decode_no_more_pixels_at_once(tmp_path: Path) -> None:
    assert grown(tmp_path, huge("RGBA"), 4200**2, 6) / 4200**2 < 4 + 2


def pointwise_modes() -> dict[str, Image.Image]:
    image = picture(1, 300)
    faint = Image.new("L", (300, 300), 100)
    return {
        "P": image.quantize(16), "1": image.convert("1"), "RGBA": Image.merge("RGBA", (*image.split(), faint)),
        "I;16": Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8),
    }  # fmt: skip


@pytest.mark.parametrize("mode", pointwise_modes())
@pytest.mark.parametrize("framing", ["crop", "stretch"])
def test_conversion_in_strips_and_shrinking_before_it_leave_the_pixels_as_they_were(
    mode: str, framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(pointwise_modes()[mode].crop((0, 0, 300, 230)))
    whole = read(content, size=20, framing=framing)
    monkeypatch.setattr(images, "_STRIP", 7 * 300)
    assert (read(content, size=20, framing=framing) == whole).all()
    monkeypatch.setattr(images, "_HUGE", 10_000)
    assert np.abs(read(content, size=20, framing=framing).astype(int) - whole).mean() < 4


# --- a folder with everything in it


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The index of a folder in which anything lies that ever lay in one, by source."""
    raw = folder(tmp_path_factory.mktemp("zoo") / "raw")
    for name, content in {
        "empty.jpg": b"",
        "text.jpg": b"no image",
        "cut.png": encoded(picture(50, 200))[:900],
        "one.png": encoded(Image.new("RGB", (1, 1))),
        "bomb.png": png(100_000, 100_000, 8, 2, bytes(1000)),
        "wrong.jpg": encoded(picture(51)),
        "comma, quote\" and ümläut 🌼.png": encoded(picture(52)),
        "new\nline\r.png": encoded(picture(53)),
        "[/red][bold]:bug:.png": b"markup",
        "palette.png": encoded(picture(54).quantize(16)),
        "deep/er/down.png": encoded(picture(55)),
        ".hidden.jpg": b"",
        ".checkpoints/copy.png": encoded(picture(56)),
    }.items():  # fmt: skip
        (raw / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / "a" / name).write_bytes(content)
    Path(os.fsdecode(os.fsencode(raw / "a") + b"/bytes\xff.png")).write_bytes(encoded(picture(57)))
    (raw / "a" / "dangling.png").symlink_to("nowhere.png")
    (raw / "a" / "round1.png").symlink_to("round2.png")
    (raw / "a" / "round2.png").symlink_to("round1.png")
    (raw / "a" / "loop").symlink_to("..")
    (raw / "b" / "loop").symlink_to("../a")
    (raw / "a" / "endless.png").symlink_to("/dev/zero")
    (raw / "a" / "linked.png").symlink_to("000.png")
    os.mkfifo(raw / "a" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(raw / "a" / "socket.jpg"))
    with open(raw / "a" / "film.jpg", "wb") as film:
        film.truncate(10**10)  # sparse: nothing on disk
    (raw / "readme.txt").write_text("stray")
    return by_source(prepared(raw, raw.parent / "out"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a/empty.jpg", "empty file"),
        ("a/text.jpg", "not an image"),
        ("a/cut.png", "truncated: "),
        ("a/one.png", "too small: 1 x 1 px"),
        ("a/bomb.png", "too large: 100000 x 100000 px"),
        ("a/film.jpg", "too large: 10000 MB"),
        ("a/[/red][bold]:bug:.png", "not an image"),
        ("a/dangling.png", "dangling link"),
        ("a/round1.png", "can't be opened: Too many levels of symbolic links"),
        ("a/loop", "link to a folder that holds it"),
        ("a/pipe.jpg", "not a regular file"),
        ("a/socket.jpg", "not a regular file"),
        ("a/endless.png", "not a regular file"),
        ("readme.txt", "stray file: stands in no class folder"),
    ],
)
def test_what_is_no_photo_is_quarantined_with_the_reason(
    zoo: dict[str, dict[str, str]], source: str, reason: str
) -> None:
    assert zoo[source]["verdict"] == "quarantined"
    assert zoo[source]["reason"].startswith(reason)
    assert zoo[source]["split"] == ""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a/wrong.jpg", "is PNG, named .jpg"),
        ("a/comma, quote\" and ümläut 🌼.png", ""),
        ("a/new\\nline\\r.png", ""),
        ("a/bytes\\udcff.png", ""),
        ("a/palette.png", "P converted to RGB"),
        ("a/deep/er/down.png", ""),
        ("a/linked.png", "same as a/000.png"),
    ],
)  # fmt: skip
def test_what_is_odd_but_a_photo_is_used(zoo: dict[str, dict[str, str]], source: str, reason: str) -> None:
    assert zoo[source]["verdict"] == "ok"
    assert zoo[source]["reason"] == reason
    assert zoo[source]["split"] in ("train", "validation", "test")


def test_hidden_files_and_folders_are_left_out(zoo: dict[str, dict[str, str]]) -> None:
    assert not [source for source in zoo if "hidden" in source or "checkpoints" in source]


def test_a_folder_linked_from_two_classes_is_read_for_both_and_says_so(zoo: dict[str, dict[str, str]]) -> None:
    assert zoo["b/loop/000.png"]["reason"] == "same as a/000.png, which is labelled a"
    assert zoo["b/loop/000.png"]["split"] == zoo["a/000.png"]["split"]
    assert zoo["b/loop/loop"]["reason"] == "link to a folder that holds it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_and_a_folder_without_permission_are_quarantined(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "a" / "000.png").chmod(0)
    (raw / "a" / "closed").mkdir(mode=0)
    index_ = by_source(prepared(raw, tmp_path / "out"))
    (raw / "a" / "closed").chmod(0o700)
    assert index_["a/000.png"]["reason"] == "can't be opened: Permission denied"
    assert index_["a/closed"]["reason"] == "can't be opened: Permission denied"


def test_a_file_or_folder_that_the_system_refuses_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "a" / "closed").mkdir()
    read_bytes, iterdir = Path.read_bytes, Path.iterdir

    def refuse(path: Path, otherwise: object) -> object:
        if path.name in ("000.png", "closed"):
            raise PermissionError(13, "Permission denied")
        return otherwise(path)

    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path, read_bytes))
    monkeypatch.setattr(Path, "iterdir", lambda path: refuse(path, iterdir))
    index_ = by_source(prepared(raw, tmp_path / "out"))
    assert index_["a/000.png"]["reason"] == index_["a/closed"]["reason"] == "can't be opened: Permission denied"


def test_what_is_quarantined_is_summed_up_on_screen(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "b" / "[").mkdir()
    for i in range(5):
        (raw / "b" / "[" / f"red]{i}.jpg").touch()  # "[/red]" is markup to the console
    with console.capture() as screen:
        prepared(raw, tmp_path / "out")
    assert "line: 40 usable (a 20, b 20; train" in screen.get()
    assert "5 quarantined" in screen.get()
    assert "quarantined 5 x empty file: b/[/red]0.jpg, b/[/red]1.jpg, b/[/red]2.jpg\n" in screen.get()


def test_above_the_share_allowed_the_stage_fails_and_the_index_is_there_to_look_at(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "a" / "empty.jpg").touch()
    (raw / "a" / "text.jpg").write_text("no image")
    prepared(raw, tmp_path / "out", max_quarantined=0.05)  # 2 of 42
    (raw / "b" / "empty.jpg").touch()
    with pytest.raises(GaiaError, match=r"3 of 43 items \(7%\) can't be used.*a/empty.jpg: empty file"):
        prepared(raw, tmp_path / "out", max_quarantined=0.05)
    assert "b/empty.jpg" in (tmp_path / "out" / "index.csv").read_text()


@pytest.mark.parametrize(
    ("labels", "changes", "sentence"),
    [
        (("a",), {}, "at least two classes are needed, found a"),
        (("a", "b"), {"classes": ["a", "c"]}, "the class 'c' has 0 usable items"),
        (("a", "b"), {"min_per_class": 21}, "the class 'a' has 20 usable items, data.min_per_class asks for 21"),
        (("a", "b"), {"positive": "B"}, "evaluation.positive is 'B', which is none of the classes a, b"),
        (("a", "b"), {"splits": Splits(validation=0.0001, test=0.3)}, "fell into the validation split"),
    ],
)
def test_a_folder_that_makes_training_pointless_is_refused_in_a_sentence(
    labels: tuple[str, ...], changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(GaiaError, match=sentence):
        prepared(folder(tmp_path / "raw", labels=labels), tmp_path / "out", **changes)


def test_a_missing_an_empty_and_a_flat_folder_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(GaiaError, match="is not a folder"):
        prepared(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "raw").mkdir()
    with pytest.raises(GaiaError, match="holds no file"):
        prepared(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / "photo.png").write_bytes(encoded(picture(1)))
    with pytest.raises(GaiaError, match="found none"):
        prepared(tmp_path / "raw", tmp_path / "out")


def test_a_class_of_which_nothing_is_usable_is_missed(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "c").mkdir()
    (raw / "c" / "photo.jpg").write_text("no image")
    with pytest.raises(GaiaError, match="the class 'c' has 0 usable items"):
        prepared(raw, tmp_path / "out")


def test_a_folder_in_which_nothing_is_a_photo_is_no_class(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    (raw / "empty" / "deeper").mkdir(parents=True)
    (raw / "notes").mkdir()
    (raw / "notes" / "readme.txt").write_text("no image")
    data = prepared(raw, tmp_path / "out", max_quarantined=0.05)
    assert data.labels == ["a", "b"]
    rows = by_source(data)
    assert rows["notes/readme.txt"]["verdict"] == rows["empty"]["verdict"] == "quarantined"
    assert rows["notes/readme.txt"]["reason"] == "stray folder: not an image, nor is anything beside it"
    assert rows["empty"]["reason"] == "stray folder: empty"


def test_photos_of_other_classes_are_left_out_and_count_as_no_damage(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", labels=("a", "b", "c"))
    with console.capture() as said:
        data = prepared(raw, tmp_path / "out", classes=["a", "b"], max_quarantined=0.0)
    assert data.labels == ["a", "b"]
    others = data.table[data.table["label"] == "c"]
    assert set(others["verdict"]) == {"left out"} and set(others["split"]) == {""}
    assert "left out 20 that are none of data.classes: c 20" in said.get()


def test_a_mirrored_photo_shares_the_split_of_its_original(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    for i in range(20):
        photo = Image.open(raw / "a" / f"{i:03d}.png")
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(raw / "a" / f"{i:03d}-mirrored.png")
    with console.capture() as said:
        rows = by_source(prepared(raw, tmp_path / "out"))
    for i in range(20):
        assert rows[f"a/{i:03d}.png"]["split"] == rows[f"a/{i:03d}-mirrored.png"]["split"]
    assert "40 much like others: 20 groups, each in one split, the largest of 2" in said.get()


def test_where_near_duplicates_leave_a_split_empty_the_setting_is_named(tmp_path: Path) -> None:
    raw, random = tmp_path / "raw", np.random.default_rng(0)
    for number, label in enumerate(("a", "b")):
        (raw / label).mkdir(parents=True)
        for i in range(20):  # a camera that never moves
            shot = np.array(picture(number))
            shot[:2, :2] = random.integers(0, 256, 3)
            (raw / label / f"{i}.png").write_bytes(encoded(Image.fromarray(shot)))
    with pytest.raises(GaiaError, match=r"near-duplicates share a split.*largest of 20 items; lower data.near_dup"):
        prepared(raw, tmp_path / "out")


# --- what is written can be read


def test_the_index_and_the_pixels_come_back_as_they_were(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", labels=("no", "yes, \"quoted\""))  # fmt: skip
    (raw / "no" / "zzz.jpg").touch()
    data = prepared(raw, tmp_path / "out", image_size=40)
    assert data.labels == ["no", "yes, \"quoted\""]  # fmt: skip
    assert data.table.columns.tolist() == ["source", "label", "split", "sha256", "size", "verdict", "reason"]
    assert data.inputs.shape == (41, 40, 40, 3)
    assert isinstance(data.inputs, np.memmap)
    assert data.features == []
    for row, (source, label, verdict) in enumerate(data.table[["source", "label", "verdict"]].to_numpy()):
        assert data.truth[row] == (data.labels.index(label) if verdict == "ok" else -1)
        expected = np.asarray(Image.open(raw / source)) if verdict == "ok" else np.zeros(1)
        assert (data.inputs[row] == expected).all()
    assert sum(len(data.rows(split)) for split in ("train", "validation", "test")) == 40
    assert prepared(raw, tmp_path / "out", classes=["yes, \"quoted\"", "no"]).truth[0] == 1  # fmt: skip


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    shutil.copytree(raw, tmp_path / "copy")
    for name in ("one", "two"):
        prepared(raw if name == "one" else tmp_path / "copy", tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


# --- duplicates


def distance(one: bytes, other: bytes) -> int:
    hashes = [photos.perceptual_hash(read(content, size=64)) for content in (one, other)]
    return int(np.bitwise_count(hashes[0] ^ hashes[1]).sum())


def smaller_paler_copy(image: Image.Image) -> bytes:
    half = image.convert("RGB").resize((image.width // 2, image.height // 2))
    return encoded(ImageEnhance.Brightness(half).enhance(1.1), "JPEG", quality=50)


def hashes_apart(contents: list[bytes]) -> NDArray[np.int64]:
    hashes = np.array([photos.perceptual_hash(read(content, size=64)) for content in contents])
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    return bits[np.triu_indices(len(hashes), 1)]


@needs_real
def test_real_photos_are_told_apart_and_their_copies_recognised() -> None:
    """32 bits lie far from both: copies differ in 6 bits in the median and 37 at most, other photos in 77 at least."""
    files = sorted(REAL.rglob("*.jpg"))[::3]
    opened = [Image.open(file) for file in files]
    copies = [distance(file.read_bytes(), smaller_paler_copy(image)) for file, image in zip(files, opened, strict=True)]
    assert np.mean(np.array(copies) <= 32) > 0.98
    assert hashes_apart([file.read_bytes() for file in files]).min() > 64


@pytest.mark.parametrize("light", [1, 0.03], ids=["as drawn", "nearly black"])
def test_drawn_photos_are_told_apart_even_in_the_dark(light: float) -> None:
    drawn = [plants.draw(plants.LABELS[i % 2], np.random.default_rng(i), 96) for i in range(60)]
    contents = [encoded(ImageEnhance.Brightness(image).enhance(light), "JPEG") for image in drawn]
    assert hashes_apart(contents).min() > 64
    if light == 1:
        assert max(distance(c, smaller_paler_copy(i)) for c, i in zip(contents, drawn, strict=True)) <= 32


def test_photos_of_one_colour_all_over_count_as_the_same_photo() -> None:
    black, white, grey = (encoded(Image.new("RGB", (50, 50), colour), "JPEG") for colour in ("black", "white", "grey"))
    assert distance(black, white) == distance(black, grey) == 0
    assert distance(black, encoded(picture(1))) > 64


def test_a_copy_goes_where_the_photo_goes_and_the_index_says_so(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw")
    for i in range(20):
        shutil.copy(raw / "a" / f"{i:03d}.png", raw / "a" / f"{i:03d}-again.png")
        darker = ImageEnhance.Brightness(picture(1000 + i)).enhance(0.9)
        (raw / "b" / f"{i:03d}-darker.jpg").write_bytes(encoded(darker, "JPEG", quality=95))
    rows = by_source(prepared(raw, tmp_path / "out", near_duplicates=32))
    for i in range(20):
        same, like = rows[f"a/{i:03d}.png"], rows[f"b/{i:03d}-darker.jpg"]
        assert same["reason"] == f"same as a/{i:03d}-again.png"
        assert same["split"] == rows[f"a/{i:03d}-again.png"]["split"]
        assert like["split"] == rows[f"b/{i:03d}.png"]["split"]
        assert like["reason"] == ""  # it comes first
        assert rows[f"b/{i:03d}.png"]["reason"] == f"much like b/{i:03d}-darker.jpg"


# --- many photos

MEASURE = """
import resource, sys
from pathlib import Path
from gaia.config.schema import Photos, Splits
from gaia.data import photos
config = Photos(kind="photos", image_size=192, classes=None, splits=Splits(validation=0.3, test=0.3), min_per_class=3,
                near_duplicates=12, framing="crop", max_quarantined=1.0, max_megapixels=10.0, min_side=8)
photos._IN_FLIGHT = 2**21
raw = Path(sys.argv[1])
photos.prepare("line", raw / "few", config, 1, None, raw / "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
photos.prepare("line", raw / sys.argv[2], config, 1, None, raw / "out")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_four_times_the_photos_take_no_more_memory(tmp_path: Path) -> None:
    """180 photos more are 20 MB more of pixels; those pass through, 2 MB at a time here."""
    folder(tmp_path / "few", each=30)
    (tmp_path / "many").mkdir()
    for copy in range(4):
        (tmp_path / "many" / f"class{copy}").symlink_to(tmp_path / "few")
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path, "many"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert (tmp_path / "out" / "images.npy").stat().st_size > 26e6
    assert float(out.splitlines()[-1]) < 10


def test_a_thousand_photos_are_prepared_within_seconds(tmp_path: Path) -> None:
    folder(tmp_path / "raw", each=50)
    (tmp_path / "raw" / "a" / "more").mkdir()
    for i in range(900):
        (tmp_path / "raw" / "a" / "more" / f"{i}.png").symlink_to(f"../../b/{i % 50:03d}.png")
    start = time.perf_counter()
    assert len(prepared(tmp_path / "raw", tmp_path / "out").table) == 1000
    assert time.perf_counter() - start < 10


def test_all_cores_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []

    class Pool(photos.ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            pools.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(photos, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    prepared(folder(tmp_path / "raw"), tmp_path / "out")
    assert pools == [7]


def test_progress_is_shown_photo_by_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    shown = []

    @contextmanager
    def bar(description: str, total: int, unit: str) -> Iterator[object]:
        yield lambda done, text: shown.append((description, done, total, unit))

    monkeypatch.setattr(photos, "bar", bar)
    prepared(folder(tmp_path / "raw"), tmp_path / "out")
    assert shown == [("line: photos", done, 40, "photos") for done in range(1, 41)]


@example("\r")
@given(st.text(min_size=1))
@settings(max_examples=100, deadline=None)
def test_any_text_in_the_index_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    import pandas as pd

    text = index.printable(text)
    out = tmp_path_factory.mktemp("index")
    row = {"source": text, "label": text, "split": "", "sha256": "", "size": 1, "verdict": "ok", "reason": text}
    index.write(out, pd.DataFrame([row]))
    index.write_description(out, [text], [])
    np.save(out / "images.npy", np.zeros(1))
    data = index.load(out)
    assert data.table.iloc[0].to_dict() == row | {"size": "1"}
    assert data.truth.tolist() == [0]
