"""The house: each room imports only from the floors below it, and dvc.yaml lists the code that a stage's bytes hang on.

Imports are read, not made: also those inside functions and under TYPE_CHECKING, and those by name.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import ROOT, Project
from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.stages.train import _fingerprint

SRC = ROOT / "src"
FLOORS = (  # from the ground up: a room imports from itself and from the floors below, not from its neighbours
    ("errors",),
    ("paths", "console", "files"),
    ("inputs", "config", "registry"),
    ("data", "runtime", "storage", "demo"),
    ("frameworks", "evaluation"),
    ("versions", "stages", "engines"),
    ("deployments", "build", "sweeps", "tracking"),
    ("status", "api"),
    ("serving",),
    ("cli", "gaia"),  # gaia: the package itself, `from gaia import ModelStorage`
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The one look upwards: what a framework says of itself stands in the framework's folder, and is found by name.
PLUG_IN = "gaia.config.framework", "gaia.frameworks.{}.spec"
# Modules that import what a variable names, and where the names of gaia's own among these are written.
BY_NAME: dict[str, tuple[str, ...]] = {
    "gaia.frameworks.pytorch": (),  # the class that the configuration names: torchvision's
    "gaia.inputs.pillow": (),  # Pillow's
    "gaia.runtime.load": ("gaia.runtime.load", PLUG_IN[1]),  # the reader of the framework's file
}
# Who may import a training framework, or MLflow. CatBoost's trees are also what the runtime answers with.
OWN = {
    "torch": ["gaia.frameworks.pytorch"],
    "torchvision": ["gaia.frameworks.pytorch"],
    "timm": ["gaia.frameworks.pytorch"],
    "tensorflow": ["gaia.frameworks.keras"],
    "keras": ["gaia.frameworks.keras"],
    "tf2onnx": ["gaia.frameworks.keras"],
    "catboost": ["gaia.frameworks.catboost", "gaia.runtime"],
    "mlflow": ["gaia.tracking"],
}

# Modules that a stage reaches and dvc.yaml need not list, with the reason why a change of them changes no byte of what
# the stage makes (nor can what only they reach). A room stands for all its modules.
HARMLESS = {
    "gaia": "imports on demand, for users",
    "gaia.errors": "what is said when a stage stops",
    "gaia.paths": "dvc.yaml names the same places; written elsewhere, an output is missing",
    "gaia.console": "what is shown while a stage runs",
    "gaia.files": "writes the bytes that it is given; hashes are what they are",
    "gaia.stages": "begins with the surroundings",
    "gaia.stages.process": "how a stage begins and ends",
    "gaia.stages.surroundings": "keeps from a stage what the shell says to others; it adds nothing",
    "gaia.evaluation.timings": "seconds, in a file that no lock pins",
}
CONFIG = "checks and types; the values that it reads are the stage's `params`"
HARMLESS_FOR = {
    "demo": {"gaia.config": CONFIG},
    "prepare": {
        "gaia.config": CONFIG,
        "gaia.registry": "tells whether to warn that nothing keeps the raw data",
    },
    "weights": {
        "gaia.config": CONFIG,
        "gaia.frameworks": "tells where a file is published, which is then held to its hash",
        "gaia.registry": "finds a version, whose file is then held to its hash",
        "gaia.storage": "brings a version's file, by its hash",
        "gaia.runtime": "the shape of what is said of the file",
    },
    "train": {
        "gaia.config": CONFIG,
        "gaia.runtime": "compares the exported file with the network, and stops; evaluate seals anew what it lays out",
    },
    "evaluate": {f"gaia.config.{name}": CONFIG for name in ("schema", "values", "framework", "targets")},
}
# What dvc.yaml lists though the stage doesn't reach it, with the reason.
WIDER = {
    "compose": {"gaia.frameworks": "their spec.py alone is read; to compose takes a second, and ends there"},
    "prepare": {"gaia.data.encoder": "a folder is listed as a whole"},
    "train": {
        "gaia.data.encoder": "one list for all lines; scikit-learn's alone are encoded",
        "gaia.frameworks.onnx": "one list for all lines; CatBoost alone ships no ONNX",
        "gaia.frameworks.{}.reader": "a folder is listed as a whole",
        "gaia.frameworks.{}.spec": "a folder is listed as a whole",
        "gaia.frameworks.{}.published": "a folder is listed as a whole",
    },
    "evaluate": {
        "gaia.frameworks": "a folder is listed as a whole",
        "gaia.runtime.answers": "a folder is listed as a whole; to evaluate takes seconds",
        "gaia.runtime.doubt": "a folder is listed as a whole; to evaluate takes seconds",
    },
}


class Import(NamedTuple):
    """`name`: a module of gaia's, a top-level name of another package, or a pattern, `gaia.frameworks.{}.spec`."""

    name: str
    line: int


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name; a package goes by its folder's."""
    files = {file.relative_to(SRC): file for file in SRC.glob("gaia/**/*.py")}
    parts = {path.with_suffix("").parts: file for path, file in files.items()}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): file for p, file in sorted(parts.items())}


@cache
def imports(module: str) -> list[Import]:
    """What a module imports, wherever in its text."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    return [Import(name, node.lineno) for node in ast.walk(tree) for name in _names(module, node)]


def _names(module: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (_known(alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
        above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
        source = ".".join(filter(None, (above, node.module)))
        yield from (_known(f"{source}.{alias.name}") for alias in node.names)
    elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
        yield _pattern(node.args[0])


def _known(name: str) -> str:
    """`gaia.errors.GaiaError` -> gaia.errors; `numpy.typing` -> numpy"""
    if name.partition(".")[0] != "gaia":
        return name.partition(".")[0]
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def _called(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _pattern(argument: ast.expr) -> str:
    """The name that import_module is given, `{}` for what only the run knows."""
    if isinstance(argument, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in argument.values)
    return _known(str(argument.value)) if isinstance(argument, ast.Constant) else "{}"


def meant(name: str, module: str, framework: str | None = None) -> list[str]:
    """The modules of gaia's that a name stands for in a module, with a framework or with any."""
    if name.startswith("{}"):
        written_in = [
            m for p, texts in BY_NAME.items() if within(module, [p]) for t in texts for m in fitting(t, framework)
        ]
        return [text for m in written_in for text in strings(m) if text in modules()]
    return fitting(name, framework)


def fitting(pattern: str, framework: str | None = None) -> list[str]:
    """The modules whose name fits a pattern, with a framework or with any."""
    expression = (framework or r"\w+").join(map(re.escape, pattern.split("{}")))
    return [module for module in modules() if re.fullmatch(expression, module)]


@cache
def strings(module: str) -> set[str]:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def within(module: str, places: list[str] | dict[str, str]) -> bool:
    """Whether a module is one of these, or in one. (Two packages hold code themselves, and stand for it alone.)"""
    return any(module == p or (p not in ("gaia", "gaia.stages") and module.startswith(f"{p}.")) for p in places)


def says_nothing(module: str) -> bool:
    """Whether a module is but a docstring."""
    return len(ast.parse(modules()[module].read_text(encoding="utf-8")).body) == 1


def room(module: str) -> str:
    return module.split(".")[min(1, module.count("."))]


def reached(start: list[str], framework: str | None = None, beyond: frozenset[str] = frozenset()) -> set[str]:
    """All modules that may be loaded with these: what they import, and the packages that it stands in. What is in
    `beyond` is met, but not entered."""
    found: set[str] = set()
    to_do = list(start)
    while to_do:
        module = to_do.pop()
        if module not in found:
            found.add(module)
            to_do += [module.rpartition(".")[0]] if "." in module else []
            if module not in beyond:
                to_do += [other for name, _ in imports(module) for other in meant(name, module, framework)]
    return found


def test_every_room_has_its_floor_and_imports_only_from_those_below() -> None:
    assert {room(module) for module in modules()} <= set(FLOOR), "a room that FLOORS doesn't name"
    wrong = []
    for module in modules():
        for name, line in imports(module):
            for other in meant(name, module):
                below = FLOOR[room(other)] < FLOOR[room(module)] or room(other) == room(module)
                if not below and (module, name) != PLUG_IN and not name.startswith("{}"):
                    wrong.append(f"{module}, line {line}, imports {other}")
    assert wrong == []


def test_no_two_modules_need_each_other() -> None:
    """graphlib names the circle. What is found by a framework's name is no need."""
    plain = {m: [name for name, _ in imports(m) if "{}" not in name] for m in modules()}
    needs = {m: {other for name in names for other in meant(name, m) if other != m} for m, names in plain.items()}
    TopologicalSorter(needs).prepare()


def test_a_framework_is_imported_by_its_own_folder_only() -> None:
    folders = [module for module in fitting("gaia.frameworks.{}") if modules()[module].name == "__init__.py"]
    for module in modules():
        for name, line in imports(module):
            here = f"{module}, line {line}, imports {name}"
            assert within(module, OWN.get(name, [module])), here
            assert all(within(module, [folder]) or not within(name, [folder]) for folder in folders), here
            assert not name.startswith("{}") or within(module, BY_NAME), f"{here}; BY_NAME says what that is"


def test_the_runtime_answers_without_a_training_framework() -> None:
    rooms = [module for module in modules() if within(module, ["gaia.runtime"])]
    loaded = reached(rooms, beyond=frozenset({"gaia"}))  # the package itself imports only on demand
    training = set(OWN) - {"catboost"}
    assert [(module, name) for module in loaded for name, _ in imports(module) if name in training] == []


@cache
def stages() -> dict[str, list[str]]:
    """The code that each stage of dvc.yaml depends on, such as train@plants, as DVC resolves it: files and folders."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        named = [stage for stage in repo.index.stages if getattr(stage, "name", None)]
        return {s.name: [d.def_path for d in s.deps if d.def_path.startswith("src/")] for s in named}


def listed(stage: str) -> set[str]:
    """The modules that dvc.yaml lists for a stage; a folder covers what is in it."""
    places = [ROOT / path for path in stages()[stage]]
    assert all(place.exists() for place in places), f"{stage} depends on what isn't there"
    return {module for module, file in modules().items() if any(file.is_relative_to(place) for place in places)}


def framework_of(stage: str) -> str | None:
    """That of the stage's line. (`compose` and `demo` look at all that params.yaml says.)"""
    kind, _, line = stage.partition("@")
    lines = yaml.read(ROOT / "params.yaml")["lines"]
    return lines[line]["framework"] if kind in ("prepare", "weights", "train", "evaluate") else None


@pytest.mark.parametrize("kind", ["demo", "compose", "prepare", "weights", "train", "evaluate"])
def test_dvc_yaml_lists_all_the_code_that_can_change_a_stage_s_bytes_and_no_other(kind: str) -> None:
    harmless = HARMLESS | HARMLESS_FOR.get(kind, {})
    named = [stage for stage in stages() if stage.partition("@")[0] == kind]
    assert named
    for stage in named:
        known = listed(stage)
        beyond = frozenset(m for m in modules() if within(m, harmless) and m not in known)
        found = reached([f"gaia.stages.{kind}"], framework_of(stage), beyond)
        used = {module for module in found - beyond if not says_nothing(module)}
        assert used - known == set(), f"{stage} imports these; list them in dvc.yaml, or say in HARMLESS why not"
        for module in known - found:
            fine = says_nothing(module) or within(module, [m for p in WIDER.get(kind, {}) for m in fitting(p)])
            assert fine, f"dvc.yaml lists {module} for {stage}, which doesn't import it"


def test_no_stage_of_dvc_yaml_is_passed_over() -> None:
    kinds = {stage.partition("@")[0] for stage in stages()}
    assert kinds == {"demo", "compose", "prepare", "weights", "train", "evaluate"}


def test_a_checkpoint_is_resumed_only_by_a_training_of_all_that_dvc_yaml_lists(here: Path) -> None:
    for name in ("src/gaia", "dvc.yaml", "requirements.lock"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, here / name)
    prepared = here / "data/prepared/plants/index.csv"
    prepared.parent.mkdir(parents=True)
    prepared.write_text("an item")
    config = compose_lines()["plants"]
    before = _fingerprint(config, "plants")
    code = [modules()[module] for module in sorted(listed("train@plants"))]
    for file in [*(here / file.relative_to(ROOT) for file in code), here / "requirements.lock", prepared]:
        text = file.read_text()
        file.write_text(f"{text}\n")
        assert _fingerprint(config, "plants") != before, f"{file} changed"
        file.write_text(text)
    (here / "src/gaia/cli/__init__.py").write_text("")
    (here / "src/gaia/frameworks/keras/__init__.py").write_text("")
    assert _fingerprint(config, "plants") == before


def test_code_that_loads_the_data_is_missed_by_no_stage_and_code_that_checks_settings_trains_nothing(
    project: Project,
) -> None:
    def changed() -> set[str]:
        return set(json.loads(project.run("dvc", "status", "--json").stdout))

    lines = list(yaml.read(project.path("params.yaml"))["lines"])
    for file, stages_of_it in (
        ("src/gaia/config/schema.py", {"compose"}),
        ("src/gaia/cli/__init__.py", set()),
        ("src/gaia/frameworks/keras/layers.py", {"compose", "train@bags", "evaluate@bags"}),
    ):
        text = project.path(file).read_text()
        project.path(file).write_text(f"{text}\n# a change\n")
        assert changed() == stages_of_it
        project.path(file).write_text(text)
    rows = 'np.flatnonzero((self.table["split"] == split).to_numpy())'
    project.replace("src/gaia/data/dataset.py", rows, f"{rows}[:: 2 if split == 'train' else 1]")
    assert changed() >= {f"{kind}@{line}" for kind in ("train", "evaluate") for line in lines}
