"""Pillow for ourselves: its Python modules loaded a second time, beside those that the rest of the process imports.

Pillow keeps its settings in its modules: how many pixels are a bomb, whether truncated files are read, which decoder
opens what. In those that everybody imports they belong to whoever embeds us; ours would change what Pillow does for
them, and theirs what we answer. The compiled parts are shared.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import PIL
import PIL._imaging

if TYPE_CHECKING:
    from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

__all__ = ["ExifTags", "Image", "ImageOps", "UnidentifiedImageError"]

NAME = f"{__package__}._pillow"
DECODERS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # no other ever sees the bytes; JPEG's opens MPO, too
_PLUGINS = ("Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP")


def _load() -> dict[str, ModuleType]:
    """The modules by their names in Pillow, where all that they warn of is left out: we say it ourselves, or it leads
    to nothing (and an embedder may have turned warnings into errors)."""
    spec = importlib.util.spec_from_file_location(NAME, PIL.__file__, submodule_search_locations=list(PIL.__path__))
    assert spec and spec.loader
    package = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    sys.modules[f"{NAME}._imaging"] = PIL._imaging  # its types are the ones that Pillow's other compiled parts know
    spec.loader.exec_module(package)
    names = ["Image", "ImageFile", "ImageOps", "ExifTags", *(f"{name}ImagePlugin" for name in _PLUGINS)]
    modules = {name: importlib.import_module(f"{NAME}.{name}") for name in names}
    for module in modules.values():
        if "warnings" in vars(module):
            vars(module)["warnings"] = SimpleNamespace(warn=lambda *_, **__: None)
    return modules | {"": package}


if not TYPE_CHECKING:
    _modules = _load()
    ExifTags, Image, ImageOps = (_modules[name] for name in ("ExifTags", "Image", "ImageOps"))
    UnidentifiedImageError = _modules[""].UnidentifiedImageError
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours (max_megapixels), checked before a pixel is decoded
    _modules["PngImagePlugin"].MAX_TEXT_CHUNK = 2**24  # bytes of one text: some programs write more than Pillow's 1 MB


def return_freed_memory() -> None:
    """Let Pillow take memory in blocks so large that they go back to the system once a photo is done with.

    For a process of our own that reads many: it holds for every use of Pillow in the process, and so an import doesn't.
    """
    PIL._imaging.set_block_size(2**26)
