"""Whatever a file holds becomes the right pixels, or a reason why not."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from gaia.inputs import photos as images
from pictures import chunk, encoded, noted, picture, png, read

ORIENTATION = 274


def refused(content: bytes, **limits: float) -> str:
    with pytest.raises(images.UnusablePhoto) as error:
        read(content, **limits)
    return str(error.value)


# a part of somebody's process

IMPORTED = """
import warnings, numpy, PIL.Image, PIL.ImageFile  # numpy has filters of its own
PIL.Image.MAX_IMAGE_PIXELS, filters = 4321, list(warnings.filters)
import gaia.runtime.load, gaia.runtime.answers, gaia.runtime.onnx
from gaia.inputs import photos
assert PIL.Image.MAX_IMAGE_PIXELS == 4321, "Pillow's limit"
assert warnings.filters == filters, "filters of warnings"
assert PIL.Image.core.get_block_size() == 2**24, "Pillow's blocks"
"""


def test_importing_the_runtime_changes_nothing_for_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with a mind of its own about Pillow."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("embedder")
@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_an_embedders_settings_of_pillow_stay_and_change_no_answer(kind: str) -> None:
    content = encoded(picture(1, 100), kind, **({"quality": 100} if kind == "JPEG" else {}))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(content)).load()
    assert np.abs(read(content, size=100).astype(int) - np.asarray(picture(1, 100))).mean() < 12
    assert refused(content, max_megapixels=0.009).startswith("too large: 100 x 100 px")
    if kind != "GIF":
        assert refused(content[: len(content) // 2]).startswith(("truncated", "unreadable"))
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("embedder")
@pytest.mark.parametrize("mode", ["P", "RGBA", "I;16"])
def test_an_embedders_limit_holds_for_no_conversion_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_HUGE", 10_000)
    assert read(encoded(pointwise_modes()[mode]), size=20).shape == (20, 20, 3)


# usable photos become the right pixels


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


# unusable photos are refused, with the reason


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
import resource, sys
from pathlib import Path
from gaia.inputs import photos as images
for path in sorted(Path(sys.argv[1]).iterdir()):
    content = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        images.read(content, path.name, size=64, framing="crop", max_megapixels=100, min_side=8)
    except images.UnusablePhoto as error:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(path.name, grown / 1024, error)
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


def test_a_bomb_is_refused_without_memory(tmp_path: Path) -> None:
    for name, content in bombs().items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", BOMBS, tmp_path]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(bombs())
    for line in lines:
        _, megabytes, reason = line.split(" ", 2)
        assert reason.startswith("too large" if "bomb" in line else "unreadable: too much text beside the picture")
        assert float(megabytes) < 50


HUGE = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from gaia.inputs import photos as images
from gaia.inputs.pillow import return_freed_memory
return_freed_memory()
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
