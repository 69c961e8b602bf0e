"""The real conf/ and params.yaml, copied and edited as a user would, and what is said of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.errors import GaiaError

ROOT = Path(__file__).parents[1]
PARAMS, CONFIG = "params.yaml", "conf/config.yaml"
TRAINER, QUICK = "conf/trainer/default.yaml", "conf/trainer/quick.yaml"
ADAMW, RESNET, BOOST = "conf/optimizer/adamw.yaml", "conf/model/resnet18.yaml", "conf/model/catboost.yaml"


def copy_config(folder: Path) -> None:
    """Put conf/ and params.yaml there."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / PARAMS, folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real conf/ and params.yaml in an empty folder, which is the current one."""
    copy_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(file: str, key: str, *value: Any) -> None:
    """Set a dotted key as an editor would, or delete it when no value is given; comments stay."""
    editor, path = YAML(), Path(file)
    content = node = editor.load(path) if path.is_file() else {}
    *above, last = key.split(".")
    for part in above:
        if not isinstance(node.get(part), dict):  # one word -> {use: word}
            node[part] = {"use": node[part]} if part in node else {}
        node = node[part]
    if value:
        node[last] = value[0]
    else:
        del node[last]
    path.parent.mkdir(parents=True, exist_ok=True)
    editor.dump(content, path)


def param(key: str, *value: Any) -> None:
    change(PARAMS, f"lines.{key}", *value)


def replace(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new, 1))


def only(line: str) -> None:
    """Keep this line alone: a third of the time."""
    change(PARAMS, "lines", {line: yaml.read(Path(PARAMS))["lines"][line]})


def complaint() -> str:
    with pytest.raises(GaiaError) as caught:
        compose_lines()
    return str(caught.value)


def says(sentence: str, expected: str) -> bool:
    """Whether they are the same, where `...` stands for anything on one line."""
    return re.fullmatch(re.escape(expected).replace(r"\.\.\.", ".*"), sentence) is not None
