"""A framework is a folder that says what it promises, and its YAML: nothing else of the house knows its name."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import framework as module_of
from edited import PARAMS, ROOT, change, complaint, only, param
from gaia.config import yaml
from gaia.config.framework import Framework, framework, names
from gaia.config.schema import PhotoLine, TableLine, schema_of
from gaia.errors import GaiaError

HEAVY = {"torch", "torchvision", "tensorflow", "keras", "catboost", "numpy", "pandas", "pydantic", "onnx", "hydra"}
SPEC = """from gaia.config.framework import Framework

SPEC = Framework(
    name="forest",
    kind="table",
    allowed={"model": "sklearn.ensemble.*Classifier"},
    reader="gaia.frameworks.forest.reader",
    packages=("scikit-learn",),
    given={"sklearn.ensemble": {"random_state": "seed", "n_jobs": None}},
    ranges={"n_estimators": (1, 10_000)},
)
"""
OPTION = """# @package _global_
defaults:
  - override /optimizer: null
  - override /augmentation: null
  - override /trainer: null
  - override /model: forest
  - override /data: table

framework:
  name: forest
"""
COMPOSE = """import sys
from gaia.config.stored import dump
from gaia.config.compose import compose_lines
from gaia.config.yaml import dump as text
from gaia.errors import exit_with_a_sentence
exit_with_a_sentence(lambda: print(text(dump(compose_lines()["cultures"]))))
"""


def test_each_folder_holds_the_promises_of_its_name_and_each_option_has_one() -> None:
    assert names() == sorted(file.stem for file in (ROOT / "conf/framework").glob("*.yaml"))
    assert [framework(name).name for name in names()] == names()
    for name in names():
        for part in ("__init__", "spec", "fit", "export"):
            assert (ROOT / "src/gaia/frameworks" / name / f"{part}.py").is_file(), (name, part)
        if framework(name).unit:  # what it counts, it can do again
            assert "\ndef refit(" in (ROOT / "src/gaia/frameworks" / name / "fit.py").read_text(), name


def test_an_unknown_framework_is_a_sentence_that_names_those_there_are() -> None:
    with pytest.raises(GaiaError) as caught:
        framework("pytorhc")
    [problem] = caught.value.problems
    assert problem.found == "'pytorhc' is no framework"
    assert problem.mend == f"it should be one of {', '.join(names())} (did you mean 'pytorch'?)"


def test_promises_are_read_without_anything_heavy() -> None:
    code = f"""import sys
from gaia.config.framework import framework, names
for name in names():
    framework(name)
print(*{HEAVY} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize(
    ("name", "line", "without"),
    [("pytorch", PhotoLine, []), ("keras", PhotoLine, []), ("catboost", TableLine, ["optimizer", "augmentation"])],
)
def test_a_line_has_the_sections_that_its_framework_uses(name: str, line: type, without: list[str]) -> None:
    schema = schema_of(name)
    assert issubclass(schema, line)
    assert [key for key, field in schema.model_fields.items() if field.annotation is type(None)] == without


def test_a_framework_of_one_step_has_no_trainer() -> None:
    spec = Framework("forest", "table", {"model": "sklearn.ensemble.*"}, "a.reader", ("scikit-learn",))
    assert spec.unused == ("optimizer", "augmentation", "trainer")


def test_no_module_outside_its_folder_names_a_framework() -> None:
    """In code, that is: docstrings and comments may. Format 1 of the contract didn't say which one it was."""
    word = re.compile(rf"\b({'|'.join(names())})\b")
    for file in (ROOT / "src/gaia").rglob("*.py"):
        if file.parent.name in names() or "demo" in file.parts or file.match("runtime/contract.py"):
            continue
        tree = ast.parse(file.read_text())
        documented = [
            node.body[0] for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        ]
        prose = {id(node.value) for node in documented if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                assert not word.search(node.value), f"{file}, line {node.lineno}: {node.value}"


@pytest.fixture
def forest(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package with one more framework, of whose kind there is none: a table, and no epochs."""
    shutil.copytree(ROOT / "src", here / "src", ignore=shutil.ignore_patterns("__pycache__"))
    folder = here / "src/gaia/frameworks/forest"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Forests of scikit-learn."""\n')
    (folder / "spec.py").write_text(SPEC)
    Path("conf/framework/forest.yaml").write_text(OPTION)
    Path("conf/model/forest.yaml").write_text("_target_: sklearn.ensemble.RandomForestClassifier\nn_estimators: 200\n")
    only("cultures")
    for key, value in (("framework", "forest"), ("model", None), ("trainer", None)):
        param(f"cultures.{key}", value)
    monkeypatch.setenv("PYTHONPATH", str(here / "src"))
    return here


def composed() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", COMPOSE], capture_output=True, text=True, check=False, env=os.environ)


def test_a_folder_and_yaml_make_a_framework(forest: Path) -> None:
    done = composed()
    assert (done.stderr, done.returncode) == ("", 0)
    Path("composed.yaml").write_text(done.stdout)
    line = yaml.read(Path("composed.yaml"))
    assert (line["framework"], line["optimizer"], line["augmentation"], line["trainer"]) == ("forest", None, None, None)
    assert line["model"] == {"_target_": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 200}
    assert line["data"]["kind"] == "table"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trainer", "boosting", "trainer is set, but framework forest takes no trainer; remove it."),
        ("optimizer", "adam", "optimizer is set, but framework forest takes no optimizer; remove it."),
        ("model", {"use": "forest", "random_state": 3}, "model.random_state follows from seed; set that instead."),
        ("model", {"use": "forest", "n_jobs": 3}, "model.n_jobs is fixed for sklearn.ensemble.*; remove it."),
        (
            "model",
            {"use": "forest", "n_estimators": 0},
            "model.n_estimators is 0; it should be a whole number from 1 to 10000.",
        ),
        ("data", "photos", "data is of kind 'photos' (see conf/data/photos.yaml: kind); framework forest takes ..."),
        ("framework", "foresst", "framework is 'foresst'; the options in conf/framework/ are ... 'forest'?)."),
    ],
)
def test_what_the_folder_promises_is_what_the_sentences_say(forest: Path, key: str, value: object, said: str) -> None:
    param(f"cultures.{key}", value)
    done = composed()
    assert done.returncode == 1
    expected = re.escape(f"error: params.yaml: lines.cultures.{said}\n").replace(r"\.\.\.", ".*")
    assert re.fullmatch(expected, done.stderr), done.stderr


def test_a_default_that_a_framework_has_no_use_for_is_taken_away_in_its_own_file(forest: Path) -> None:
    file = Path("conf/framework/forest.yaml")
    whole = file.read_text()
    file.write_text(whole.replace("  - override /trainer: null\n", ""))
    assert composed().stderr == (
        "error: conf/trainer/default.yaml: trainer is set, but framework forest takes no trainer; "
        "add 'override /trainer: null' to the defaults of conf/framework/forest.yaml.\n"
    )
    file.write_text(whole)
    assert composed().returncode == 0


def test_an_option_whose_framework_has_no_folder_is_one_sentence(here: Path) -> None:
    only("cultures")
    Path("conf/framework/forest.yaml").write_text(OPTION)
    Path("conf/model/forest.yaml").write_text("_target_: sklearn.ensemble.RandomForestClassifier\n")
    for key, value in (("framework", "forest"), ("model", None), ("trainer", None)):
        param(f"cultures.{key}", value)
    assert complaint() == (
        f"conf/framework/forest.yaml: framework.name is 'forest'; it should be one of {', '.join(names())}."
    )


@pytest.mark.parametrize("line", ["plants", "bags"])
def test_an_optimizer_is_made_with_its_rate(here: Path, line: str) -> None:
    """Each step sets a rate of its own, but an optimizer may need one, or read it, before the first."""
    from gaia.config.compose import compose_lines

    only(line)
    param(f"{line}.optimizer.lr", 0.0125)
    change(PARAMS, f"lines.{line}.data", {"use": "photos", "image_size": 32})
    config = compose_lines()[line]
    optimizer = module_of(line)._begin(config, 2).optimizer
    rate = optimizer.learning_rate.numpy() if line == "bags" else optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(0.0125)
