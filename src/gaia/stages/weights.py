"""Put what a line's training starts from where it is pinned: `python -m gaia.stages.weights plants`"""

import shutil
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path

from gaia import files, paths
from gaia.config import yaml
from gaia.config.schema import NeuralModel, PhotoLine
from gaia.config.stored import load
from gaia.config.weights import VERSION
from gaia.errors import GaiaError, first_line
from gaia.frameworks.protocol import publishing
from gaia.registry import tags
from gaia.registry.pins import Pins
from gaia.runtime import artifact
from gaia.runtime.artifact import Weights
from gaia.stages.process import run
from gaia.storage import copies

OF_A_VERSION = ("model.safetensors", "model.weights.h5")  # what frameworks write beside the model that answers


def weights(line: str) -> None:
    """Write data/weights/<line>/: weights.json, and the file that it speaks of; null from scratch.

    Raises GaiaError if the file can't be had, or isn't the one that was published.
    """
    config, out = load(line), paths.weights(line)
    out.mkdir(parents=True, exist_ok=True)
    facts = _placed(line, config, out) if isinstance(config, PhotoLine) and config.model.start else None
    for other in out.iterdir():
        if other.name not in (paths.WEIGHTS_FACTS, facts and facts["file"]):
            other.unlink()
    with files.replaced(out / paths.WEIGHTS_FACTS) as beside:
        artifact.write_json(beside, facts)


def _placed(line: str, config: PhotoLine, out: Path) -> Weights:
    """The file that the line names, in the folder, and what is known of it."""
    word, said = str(config.model.start), _said(config.model)
    given = paths.raw(paths.WEIGHTS) / word
    source: str | None
    if VERSION.fullmatch(word):
        name, source, licence, file = word, word, None, _of_version(word, out)
    elif given.is_file():
        name, source, licence, file = word, _origin(given), None, _copied(given, out)
    elif given.with_name(f"{given.name}.dvc").exists():
        raise GaiaError(f"{given} is not here, though DVC knows it", f"`gaia pull {given}` brings it")
    else:
        name = f"{config.model.architecture} {word}"
        if (before := _before(out)) and before["name"] == name:
            return before
        found = publishing(config).published(config)
        source, licence, file = found.source, found.licence, out / found.name
        here = paths.raw(paths.WEIGHTS) / found.name
        if here.is_file():
            _copied(here, out)
        else:
            _fetch(found.source, file, here)
        if found.digest and not _has(file, found.digest):
            file.unlink()
            raise GaiaError(
                f"{found.name}, from {here if here.is_file() else found.source}, is not the file that was published: "
                f"its hash isn't {found.digest}",
                f"`rm {here}`, and have it anew" if here.is_file() else "`dvc repro` tries it once more",
            )
    return {
        "name": name, "file": file.name, "source": said.get("source", source), "licence": said.get("licence", licence),
        "sha256": files.sha256(file), "size": file.stat().st_size,
    }  # fmt: skip


def _said(model: NeuralModel) -> dict[str, str]:
    return model.weights if isinstance(model.weights, dict) else {}


def _before(out: Path) -> Weights | None:
    """What an earlier run has placed, if it is still that."""
    with suppress(GaiaError, OSError, KeyError, TypeError):
        found: Weights = artifact.read_json(out / paths.WEIGHTS_FACTS)
        if files.sha256(out / found["file"]) == found["sha256"]:
            return found
    return None


def _copied(given: Path, out: Path) -> Path:
    with files.replaced(out / given.name) as beside:
        shutil.copyfile(given, beside)
    return out / given.name


def _origin(given: Path) -> str | None:
    """Where `dvc import-url` had a file from."""
    pointer = given.with_name(f"{given.name}.dvc")
    known = yaml.read(pointer).get("deps") if pointer.exists() else None
    return str(known[0]["path"]) if known else None


def _fetch(source: str, file: Path, here: Path) -> None:
    try:
        with files.replaced(file) as beside, urllib.request.urlopen(source, timeout=30) as answer:
            beside.write_bytes(answer.read())
    except OSError as error:
        raise GaiaError(
            f"{source} can't be had ({first_line(error)})",
            f"download it where there is a network, and put it here: {here}; or set model.weights: null",
        ) from None


def _has(file: Path, digest: str) -> bool:
    return files.md5(file) == digest if len(digest) == 32 else files.sha256(file).startswith(digest)


def _of_version(name: str, out: Path) -> Path:
    """The weights of an earlier version of the line, from DVC's cache or else the storage. Raises GaiaError if there is
    no such version, or its weights can't be had."""
    tag = tags.find(name)
    model = paths.model(tag.name.line).as_posix()
    if not (pinned := Pins(name, tag.commit, Path()).in_dvc.get(model)):
        raise GaiaError(f"{name}: dvc.lock names no {model} on that commit.")
    with tempfile.TemporaryDirectory(dir=out) as beside:
        copies.lay_out(pinned.md5, model, tag.commit, Path(beside))
        kept = [path for path in Path(beside).iterdir() if path.name in OF_A_VERSION]
        if not kept:
            raise GaiaError(f"{name} holds no weights that a network could start from.")
        return _copied(kept[0], out)


if __name__ == "__main__":
    run(weights, *sys.argv[1:])
