"""The configuration: every option composes, a change is YAML only, and a wrong one ends in a sentence before anything
trains. The real conf/ and params.yaml are copied, and edited as a user would."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gaia.config import yaml
from gaia.config.compose import compose_lines, dump, load
from gaia.config.schema import GROUPS, PhotoLine, TableLine
from gaia.errors import GaiaError
from gaia.stages.compose import compose

PROJECT = Path(__file__).parents[1]
OPTIONS = sorted((file.parent.name, file.stem) for file in (PROJECT / "conf").glob("*/*.yaml"))
LINE_OF = {"pytorch": "plants", "keras": "bags", "catboost": "cultures"}
FRAMEWORKS = ("torch", "torchvision", "tensorflow", "keras", "catboost")

Edit = Callable[[], object]


def copy_project(folder: Path) -> None:
    shutil.copytree(PROJECT / "conf", folder / "conf")
    shutil.copy(PROJECT / "params.yaml", folder)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(file: str, key: str, value: Any) -> None:
    """Set a dotted key as an editor would; comments stay."""
    editor, path = YAML(), Path(file)
    content = editor.load(path) if path.is_file() else {}
    *above, last = key.split(".")
    node = content
    for part in above:
        if not isinstance(node.get(part), dict):  # one word -> {use: word}
            node[part] = {"use": node[part]} if part in node else {}
        node = node[part]
    node[last] = value
    path.parent.mkdir(exist_ok=True)
    editor.dump(content, path)


def remove(file: str, key: str) -> None:
    editor, path = YAML(), Path(file)
    content = editor.load(path)
    *above, last = key.split(".")
    node = content
    for part in above:
        node = node[part]
    del node[last]
    editor.dump(content, path)


def replace(file: str, pattern: str, by: str) -> None:
    """Edit the first match in a file's text."""
    text = Path(file).read_text()
    edited = re.sub(pattern, lambda _: by, text, count=1, flags=re.MULTILINE)
    assert edited != text
    Path(file).write_text(edited)


def param(key: str, value: Any) -> None:
    change("params.yaml", f"lines.{key}", value)


def only(*lines: str) -> None:
    """Keep these lines alone: a third of the time."""
    for line in set(LINE_OF.values()) - set(lines):
        remove("params.yaml", f"lines.{line}")


def complaint(root: Path = Path()) -> str:
    with pytest.raises(GaiaError) as caught:
        compose_lines(root)
    return str(caught.value)


def run_compose(line: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gaia.stages.compose", line]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Options


def frameworks_of(group: str, option: str) -> list[str]:
    """The frameworks that an option was made for, by what it says itself."""
    text = (PROJECT / "conf" / group / f"{option}.yaml").read_text()
    if group == "framework":
        return [option]
    if group == "model":
        return [f for f, package in (("pytorch", "torchvision."), ("keras", "keras."), ("catboost", "catboost."))
                if f"_target_: {package}" in text]  # fmt: skip
    if group in ("optimizer", "augmentation"):
        return ["pytorch", "keras"]
    if (group, option) in (("data", "table"), ("data", "cultures"), ("trainer", "boosting")):
        return ["catboost"]
    return ["pytorch", "keras"] if group in ("data", "trainer") else list(LINE_OF)


PAIRS = [(group, option, framework) for group, option in OPTIONS for framework in frameworks_of(group, option)]


def test_every_option_file_is_reached_by_the_test_below() -> None:
    assert {(group, option) for group, option, _ in PAIRS} == set(OPTIONS)
    assert {group for group, _ in OPTIONS} == set(GROUPS)


@pytest.mark.parametrize(("group", "option", "framework"), PAIRS, ids="-".join)
def test_every_option_composes_with_its_frameworks(group: str, option: str, framework: str) -> None:
    line = LINE_OF[framework]
    only(line)
    param(f"{line}.{group}", option)
    if option in ("table", "photos", "small_photos"):
        param(f"{line}.evaluation", None)
    if option == "table":
        param(f"{line}.data", {"use": "table", "label": "answer", "numbers": {"size": "size_cm"}})
    config = compose_lines()[line]
    assert config.framework == framework
    chosen = getattr(config, group)
    for keys, value in yaml.leaves(yaml.read(Path(f"conf/{group}/{option}.yaml"))):
        if keys[0] not in ("defaults", "data", "framework") and group != "framework" and "???" not in str(value):
            composed = dump(config)[group]
            for key in keys:
                composed = composed[key]
            overridden = yaml.read(Path("params.yaml"))["lines"][line][group]
            assert "${" in str(value) or composed == value or (isinstance(overridden, dict) and keys[0] in overridden)
    assert chosen is not None


def test_the_three_lines_compose_in_the_order_of_the_file() -> None:
    lines = compose_lines()
    assert list(lines) == ["plants", "bags", "cultures"]
    assert [type(config) for config in lines.values()] == [PhotoLine, PhotoLine, TableLine]
    assert lines["cultures"].optimizer is None and lines["cultures"].augmentation is None


def test_small_photos_bring_their_own_augmentation_and_trainer() -> None:
    only("plants")
    param("plants.data", "small_photos")
    param("plants.trainer", None)
    config = compose_lines()["plants"]
    assert isinstance(config, PhotoLine)
    assert config.data.size == 80
    assert config.augmentation.model_dump() == yaml.read(Path("conf/augmentation/strong.yaml")) | {} or (
        config.augmentation.erase == 0.25 and config.augmentation.flip
    )
    assert (config.trainer.patience, config.trainer.max_epochs) == (None, 60)


def test_a_line_may_still_choose_against_small_photos() -> None:
    only("plants")
    param("plants.data", "small_photos")
    param("plants.augmentation", "none")
    config = compose_lines()["plants"]
    assert isinstance(config, PhotoLine)
    assert (config.augmentation.flip, config.data.size) == (False, 80)


# YAML only


def test_a_new_option_file_is_chosen_by_its_name() -> None:
    Path("conf/model/mine.yaml").write_text("_target_: torchvision.models.vgg11\nweights: null\ndropout: 0.3\n")
    only("plants")
    param("plants.model", "mine")
    model = compose_lines()["plants"].model
    assert (model.target, model.arguments()) == ("torchvision.models.vgg11", {"dropout": 0.3})


def test_a_fourth_line_is_an_entry_in_params_yaml() -> None:
    before = compose_lines()
    param("moths", {"raw": "my_moths", "framework": "keras", "model": "mobilenet_v3"})
    after = compose_lines()
    moths = after.pop("moths")
    assert after == before
    assert (moths.raw, moths.model.target) == ("my_moths", "keras.applications.MobileNetV3Small")
    compose("moths")
    assert load("moths") == moths


@pytest.mark.parametrize("entry", ["sgd", {"use": "sgd"}, {"use": "sgd", "lr": None}, {"use": "sgd", "lr": 0.05}])
def test_one_word_and_use_say_the_same(entry: Any) -> None:
    only("plants")
    param("plants.optimizer", entry)
    config = compose_lines()["plants"]
    assert isinstance(config, PhotoLine)
    assert (config.optimizer.target, config.optimizer.lr) == ("torch.optim.SGD", 0.05)


@pytest.mark.parametrize("entry", [None, {}, {"use": None}, "default", {"use": "default"}])
def test_choosing_nothing_is_choosing_what_config_yaml_says(entry: Any) -> None:
    only("plants")
    param("plants.trainer", entry)
    config = compose_lines()["plants"]
    assert config.trainer.model_dump() == yaml.read(Path("conf/trainer/default.yaml"))


def test_null_means_what_the_options_file_says() -> None:
    only("plants")
    param("plants.optimizer", {"use": "adamw", "lr": None, "weight_decay": 0.2})
    param("plants.seed", None)
    config = compose_lines()["plants"]
    assert isinstance(config, PhotoLine)
    assert config.optimizer.lr == yaml.read(Path("conf/optimizer/adamw.yaml"))["lr"]
    assert config.optimizer.arguments() == {"weight_decay": 0.2}
    assert config.seed == yaml.read(Path("conf/config.yaml"))["seed"]


def test_columns_with_french_names_cost_three_words_of_yaml() -> None:
    only("cultures")
    columns = {"categories": {"species": "race_champignon", "substrate": "substrat"}, "label": "contaminé"}
    param("cultures.data", {"use": "cultures", "decimal": ",", "separator": ";", "encoding": "latin-1", **columns})
    data = compose_lines()["cultures"].data
    assert data.model_dump().items() >= {**columns, "decimal": ",", "separator": ";", "encoding": "latin-1"}.items()
    assert data.model_dump()["numbers"]["humidity"] == "humidity_percent"
    compose("cultures")
    assert load("cultures").data == data


def test_the_optimizer_follows_the_framework() -> None:
    lines = compose_lines()
    assert isinstance(lines["plants"], PhotoLine) and isinstance(lines["bags"], PhotoLine)
    assert lines["plants"].optimizer.target == "torch.optim.AdamW"
    assert lines["bags"].optimizer.target == "keras.optimizers.Adam"


# The composed file


def composed_bytes() -> dict[str, bytes]:
    for line in LINE_OF.values():
        compose(line)
    return {file.name: file.read_bytes() for file in Path("data/config").iterdir()}


def test_the_composed_file_is_the_same_bytes_twice_and_loads_back() -> None:
    first = composed_bytes()
    assert composed_bytes() == first
    assert {line: load(line) for line in LINE_OF.values()} == compose_lines()


def test_an_edit_of_comments_changes_no_byte() -> None:
    first = composed_bytes()
    for file in [Path("params.yaml"), *Path("conf").rglob("*.yaml")]:
        text = file.read_text()
        header = re.match(r"# @package.*\n", text)  # the one comment that Hydra reads
        kept = header.group() if header else ""
        file.write_text(f"{kept}# a new comment\n{text[len(kept) :]}\n# and another\n")
    assert composed_bytes() == first


def test_a_composed_file_edited_by_hand_is_refused() -> None:
    compose("plants")
    change("data/config/plants.yaml", "trainer.max_epochs", "many")
    with pytest.raises(GaiaError, match=r"^data/config/plants\.yaml: trainer\.max_epochs .* `dvc repro`\.$"):
        load("plants")


def test_composing_imports_no_framework() -> None:
    code = (
        "import sys; from gaia.config.compose import compose_lines; compose_lines();"
        f"sys.exit(', '.join(sorted(set({FRAMEWORKS}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Wrong configurations: what is wrong, the line to keep, the edit, and what the sentence has to name

P, TRAINER, ADAMW, RESNET = "params.yaml", "conf/trainer/default.yaml", "conf/optimizer/adamw.yaml", "conf/model/resnet18.yaml"  # fmt: skip
TABLE, BAGS, BOOST, TORCH = "conf/data/table.yaml", "conf/data/bags.yaml", "conf/model/catboost.yaml", "conf/framework/pytorch.yaml"  # fmt: skip

MISTAKES: dict[str, tuple[str, Edit, list[str]]] = {
    # unknown keys
    "a key of a line": ("plants", lambda: param("plants.modell", "resnet18"),
        ["params.yaml: lines.plants.modell is an unknown key", "known are raw, question, seed", "(did you mean 'model'?)"]),
    "a key of a section": ("plants", lambda: param("plants.trainer.max_epoch", 3),
        ["params.yaml: lines.plants.trainer.max_epoch is an unknown key", "batch_size", "(did you mean 'max_epochs'?)"]),
    "a key of an option file": ("plants", lambda: replace(TRAINER, "batch_size", "batchsize"),
        ["conf/trainer/default.yaml: batchsize is an unknown key", "(did you mean 'batch_size'?)"]),
    "a key in a file that another starts from": ("bags", lambda: replace("conf/data/photos.yaml", "validation:", "valid:"),
        ["conf/data/photos.yaml: splits.valid is an unknown key; known are test, validation (did you mean 'validation'?)"]),
    "a key of config.yaml": ("plants", lambda: replace("conf/config.yaml", "^seed", "sed"),
        ["conf/config.yaml: sed is an unknown key", "(did you mean 'seed'?)"]),
    "a key of params.yaml": ("plants", lambda: replace(P, "^demo:", "demoo:"),
        ["params.yaml: demoo is an unknown key; known are lines, demo (did you mean 'demo'?)"]),
    "a trainer for another framework": ("cultures", lambda: param("cultures.trainer", "default"),
        ["conf/trainer/default.yaml: batch_size, schedule,", "unknown keys with framework catboost", "max_epochs, patience"]),
    "an optimizer where none is": ("cultures", lambda: param("cultures.optimizer", "adam"),
        ["params.yaml: lines.cultures.optimizer is set, but framework catboost takes no optimizer; remove it"]),
    # unknown options
    "an option": ("plants", lambda: param("plants.model", "resnet81"),
        ["params.yaml: lines.plants.model is 'resnet81'; the options in conf/model/ are catboost", "(did you mean 'resnet18'?)"]),
    "an option after use": ("plants", lambda: param("plants.optimizer", {"use": "adamww"}),
        ["params.yaml: lines.plants.optimizer.use is 'adamww'; the options", "adam, adamw, sgd (did you mean 'adamw'?)"]),
    "an option that is a path": ("plants", lambda: param("plants.model", "../config"),
        ["params.yaml: lines.plants.model is '../config'; the options in conf/model/ are"]),
    "an option in Hydra's grammar": ("plants", lambda: param("plants.model", "a,b=[${c}]"),
        ["params.yaml: lines.plants.model is 'a,b=[${c}]'; the options in conf/model/ are"]),
    "an option that is a number": ("plants", lambda: param("plants.model", 5), ["lines.plants.model is 5; the options"]),
    "an option that is a list": ("plants", lambda: param("plants.framework", ["a"]),
        ['lines.plants.framework is ["a"]; the options in conf/framework/ are catboost, keras, pytorch']),
    "a framework with values": ("plants", lambda: param("plants.framework", {"use": "keras"}),
        ['lines.plants.framework is {"use": "keras"}; it takes one word and no values; the options']),
    "an option named by an option": ("plants", lambda: (replace("conf/trainer/quick.yaml", "- default", "- defualt"),
        param("plants.trainer", "quick")),
        ["conf/trainer/quick.yaml: defaults names 'defualt'; the options in conf/trainer/", "(did you mean 'default'?)"]),
    "an option of an unknown group": ("plants", lambda: replace("conf/config.yaml", "- model:", "- modell:"),
        ["conf/config.yaml: defaults names 'modell'; the folders of conf/", "(did you mean 'model'?)"]),
    "data of another kind": ("plants", lambda: param("plants.data", "cultures"),
        ["params.yaml: lines.plants.data is of kind 'table' (see conf/data/table.yaml: kind); framework pytorch takes",
         "'photos'"]),
    # wrong types
    "a word for a number": ("plants", lambda: param("plants.trainer.max_epochs", "many"),
        ["params.yaml: lines.plants.trainer.max_epochs is 'many'; it should be a whole number"]),
    "a number in quotes": ("plants", lambda: param("plants.trainer.max_epochs", "12"),
        ["lines.plants.trainer.max_epochs is '12'; it should be a whole number, without quotes"]),
    "a number for a word": ("cultures", lambda: change("conf/data/cultures.yaml", "label", 3),
        ["conf/data/cultures.yaml: label is 3; it should be text, in quotes"]),
    "true for a number": ("plants", lambda: param("plants.optimizer.lr", True),
        ["lines.plants.optimizer.lr is true; it should be a number"]),
    "null for a number": ("plants", lambda: change(ADAMW, "lr", None), ["conf/optimizer/adamw.yaml: lr is null; it should be a number"]),
    "a number for a section": ("plants", lambda: param("plants.data.splits", 3), ["lines.plants.data.splits is 3; it should be keys with"]),
    "a word for classes": ("plants", lambda: param("plants.data.classes", "grass"), ["lines.plants.data.classes is 'grass'; it should be a list"]),
    "a class that is a number": ("plants", lambda: param("plants.data.classes", [1, "a"]), ["lines.plants.data.classes[0] is 1; it should be text, in quotes"]),
    "a choice of words": ("plants", lambda: change(TRAINER, "schedule", "cosin"),
        ["conf/trainer/default.yaml: schedule is 'cosin'; it should be 'constant' or 'cosine' (did you mean 'cosine'?)"]),
    "a word for a target's number": ("plants", lambda: change(ADAMW, "weight_decay", "big"),
        ["conf/optimizer/adamw.yaml: weight_decay is 'big'; it should be a number"]),
    # out of range
    "a share above one": ("plants", lambda: param("plants.evaluation.threshold", 1.5), ["lines.plants.evaluation.threshold is 1.5; it should be less than 1."]),
    "a negative learning rate": ("plants", lambda: param("plants.optimizer.lr", -1), ["lines.plants.optimizer.lr is -1; it should be greater than 0."]),
    "too many epochs": ("plants", lambda: param("plants.trainer.max_epochs", 10**30), ["it should be at most 1000000."]),
    "not a number at all": ("plants", lambda: param("plants.optimizer.lr", float("nan")), ["lines.plants.optimizer.lr is nan; it should be a finite number"]),
    "a folder outside": ("plants", lambda: param("plants.raw", "../x"), ["lines.plants.raw is '../x'; it should be the name of a folder"]),
    # missing
    "a value left open": ("cultures", lambda: param("cultures.data", {"use": "table", "numbers": {"a": "a"}}),
        ["conf/data/table.yaml: label is not set (it stands as ???); give it a value"]),
    "a value left open in params.yaml": ("plants", lambda: param("plants.optimizer.lr", "???"),
        ["params.yaml: lines.plants.optimizer.lr is not set (it stands as ???)"]),
    "a key of a line left out": ("plants", lambda: remove(P, "lines.plants.raw"), ["params.yaml: lines.plants.raw is missing; give it a value"]),
    "the framework left out": ("plants", lambda: remove(P, "lines.plants.framework"),
        ["params.yaml: lines.plants.framework is missing; the options are catboost, keras, pytorch"]),
    "a key of an option left out": ("plants", lambda: remove(TRAINER, "batch_size"), ["conf/trainer/default.yaml: batch_size is missing; give it a value"]),
    "a target left out": ("plants", lambda: remove(RESNET, "_target_"), ["conf/model/resnet18.yaml: _target_ is missing"]),
    # references
    "a dangling reference": ("plants", lambda: replace(ADAMW, "framework.optimizers", "framework.optimisers"),
        ["conf/optimizer/adamw.yaml: _target_ is '${framework.optimisers}.AdamW'; there is no key framework.optimisers",
         "(did you mean 'framework.optimizers'?)"]),
    "a dangling reference in a list": ("plants", lambda: param("plants.data.classes", ["${a.b}", "x"]),
        ["params.yaml: lines.plants.data.classes[0] is '${a.b}'; there is no key a.b, name one that exists"]),
    "a reference to itself": ("plants", lambda: param("plants.trainer.max_epochs", "${trainer.max_epochs}"), ["max_epochs is '${trainer.max_epochs}'; it refers to itself"]),
    "half a reference": ("plants", lambda: param("plants.question", "${foo"), ["params.yaml: lines.plants.question is '${foo'; a reference is written ${section.key}"]),
    "an unknown resolver": ("plants", lambda: param("plants.question", "${foo:1}"), ["lines.plants.question is '${foo:1}'; unsupported interpolation type foo"]),
    # targets
    "a target outside the allow-list": ("plants", lambda: change(RESNET, "_target_", "os.system"),
        ["conf/model/resnet18.yaml: _target_ is 'os.system', which is outside the allow-list; framework pytorch takes torchvision.models.*"]),
    "another framework's target": ("plants", lambda: change(RESNET, "_target_", "keras.applications.ResNet50"),
        ["framework pytorch takes torchvision.models.* (did you mean 'torchvision.models.resnet50'?)"]),
    "another framework's model": ("bags", lambda: param("bags.model", "resnet18"),
        ["conf/model/resnet18.yaml: _target_ is 'torchvision.models.resnet18', which is outside", "framework keras takes keras.applications.*"]),
    "a target that can't classify": ("cultures", lambda: change(BOOST, "_target_", "catboost.CatBoostRegressor"),
        ["_target_ is 'catboost.CatBoostRegressor', which is outside the allow-list; framework catboost takes catboost.CatBoostClassifier"]),
    "an unknown name in the package": ("plants", lambda: change(RESNET, "_target_", "torchvision.models.resnet81"),
        ["_target_ is 'torchvision.models.resnet81', which doesn't exist in torchvision.models (did you mean 'resnet18'?)"]),
    "a target's argument": ("plants", lambda: param("plants.optimizer.weight_deca", 0.1),
        ["lines.plants.optimizer.weight_deca is no argument of torch.optim.AdamW; it takes amsgrad", "(did you mean 'weight_decay'?)"]),
    "an argument behind **kwargs": ("plants", lambda: param("plants.model.width_per_grp", 64),
        ["width_per_grp is no argument of torchvision.models.resnet18", "(did you mean 'width_per_group'?)"]),
    "a class's argument": ("cultures", lambda: param("cultures.model.depht", 3), ["depht is no argument of catboost.CatBoostClassifier", "(did you mean 'depth'?)"]),
    "an argument that another key decides": ("cultures", lambda: param("cultures.model.iterations", 5),
        ["lines.cultures.model.iterations follows from trainer.max_epochs; set that instead"]),
    "a function that isn't a model": ("plants", lambda: change(RESNET, "_target_", "torchvision.models.list_models"),
        ["weights is no argument of torchvision.models.list_models"]),
    "an unknown framework": ("plants", lambda: change(TORCH, "name", "pytorhc"),
        ["conf/framework/pytorch.yaml: name is 'pytorhc'; it should be one of", "(did you mean 'pytorch'?)"]),
    # classes
    "one class": ("plants", lambda: param("plants.data.classes", ["grass"]), ['lines.plants.data.classes is ["grass"]; it should be a list of at least 2']),
    "one class in a file": ("bags", lambda: change(BAGS, "classes", ["healthy"]), ['conf/data/bags.yaml: classes is ["healthy"]; it should be a list of at least 2']),
    "no class": ("plants", lambda: param("plants.data.classes", []), ["classes is []; it should be a list of at least 2"]),
    "a class twice": ("plants", lambda: param("plants.data.classes", ["a", "a"]), ["lines.plants.data.classes names 'a' twice"]),
    "a positive class that is none": ("bags", lambda: param("bags.evaluation.positive", "contamnated"),
        ["lines.bags.evaluation.positive is 'contamnated'", "classes healthy, contaminated (did you mean 'contaminated'?)"]),
    # columns
    "no column": ("cultures", lambda: param("cultures.data", {"use": "table", "label": "x"}), ["lines.cultures.data names no feature; give at least one column"]),
    "a column twice": ("cultures", lambda: param("cultures.data.categories", {"species": "co2_ppm"}), ["uses the column 'co2_ppm' twice"]),
    "a feature twice": ("cultures", lambda: param("cultures.data.categories", {"co2": "x"}), ["has 'co2' both in categories and in numbers"]),
    # YAML itself
    "an open bracket": ("plants", lambda: replace(TRAINER, "batch_size: 32", "batch_size: [32"),
        ["conf/trainer/default.yaml, line 4, column 9: not valid YAML, expected ',' or ']'", "begins in line 3"]),
    "a tab": ("plants", lambda: Path(P).write_text("lines:\n\tplants: 1\n"), ["params.yaml, line 2, column 1: not valid YAML, a tab stands here; indent with spaces"]),
    "indentation": ("plants", lambda: Path(P).write_text("lines:\n    a: 1\n  b: 2\n"), ["params.yaml, line 3, column 3: not valid YAML, this fits neither"]),
    "a colon": ("plants", lambda: Path(P).write_text("lines: a: b\n"), ["params.yaml, line 1, column 9: not valid YAML, a colon is not allowed here; put the text in quotes"]),
    "a key twice": ("plants", lambda: replace(P, "^    framework: pytorch", "    framework: pytorch\n    framework: keras"),
        ["params.yaml, line ", ", column 5: the key 'framework' stands here twice; keep one"]),
    "a key twice in an option": ("plants", lambda: replace(TRAINER, "^patience", "max_epochs: 3\npatience"),
        ["conf/trainer/default.yaml, line 4, column 1: the key 'max_epochs' stands here twice; keep one"]),
    "a line twice": ("plants", lambda: Path(P).write_text("lines:\n  plants: {}\n  plants: {}\n"), ["params.yaml, line 3, column 3: the key 'plants' stands here twice"]),
    "a tag": ("plants", lambda: Path(P).write_text("lines: !!python/object:os.system x\n"), ["params.yaml, line 1, column 8: not valid YAML, tags (!...) are not allowed"]),
    "a key that is a number": ("plants", lambda: Path(P).write_text("lines: {plants: {trainer: {5: 1}}}\n"),
        ["params.yaml: the key 5 inside lines.plants.trainer is not text; put it in quotes, or use a word"]),
    "a key with a line break": ("plants", lambda: Path(P).write_text('lines: {"a\\nb": 1}\n'), ["params.yaml: the key 'a\\nb' inside lines"]),
    "a date": ("plants", lambda: Path(P).write_text("lines: {plants: {raw: 2020-01-01}}\n"), ["lines.plants.raw is a date; it should be text (in quotes)"]),
    "a day that isn't": ("plants", lambda: Path(P).write_text("lines: 2020-99-99\n"), ["params.yaml: not valid YAML, month must be in 1..12"]),
    "a value that contains itself": ("plants", lambda: Path(P).write_text("lines: &a [*a]\n"), ["params.yaml: a value is nested too deeply, or contains itself"]),
    "another encoding": ("plants", lambda: Path(P).write_bytes(b"lines: caf\xe9\n"), ["params.yaml is not UTF-8 text; save it as UTF-8"]),
    # files
    "no params.yaml": ("plants", lambda: Path(P).unlink(), ["params.yaml is missing"]),
    "an empty params.yaml": ("plants", lambda: Path(P).write_text(""), ["params.yaml: lines is missing; give it one entry a line"]),
    "params.yaml is a list": ("plants", lambda: Path(P).write_text("- a\n"), ["params.yaml holds a list; it should hold keys with values"]),
    "lines is a list": ("plants", lambda: Path(P).write_text("lines: [a]\n"), ['params.yaml: lines is ["a"]; it should hold one entry a line']),
    "a line is null": ("plants", lambda: param("plants", None), ["params.yaml: lines.plants is null; it should hold keys such as raw"]),
    "an option is a list": ("plants", lambda: Path(RESNET).write_text("- a\n"), ["conf/model/resnet18.yaml holds a list; it should hold keys with values"]),
    "an option is empty": ("plants", lambda: Path(RESNET).write_text(""), ["conf/model/resnet18.yaml: _target_, weights are missing; give them values"]),
    "a mistake in an option that nobody chose": ("plants", lambda: Path("conf/model/resnet50.yaml").write_text("a: [\n"), ["conf/model/resnet50.yaml, line 2"]),
    "a defaults list that is none": ("plants", lambda: change("conf/trainer/quick.yaml", "defaults", "default"), ["conf/trainer/quick.yaml: defaults is 'default'; it should be a list"]),
    "an option that starts from itself": ("plants", lambda: (change("conf/trainer/quick.yaml", "defaults", ["quick"]), param("plants.trainer", "quick")),
        ["params.yaml: lines.plants: an option that it chooses stands in its own defaults"]),
    "an option with an odd name": ("plants", lambda: shutil.copy(RESNET, "conf/model/a,b=c.yaml"), ["conf/model/a,b=c.yaml: an option's name takes letters", "rename the file"]),
    "a group without options": ("plants", lambda: shutil.rmtree("conf/optimizer"), ["conf/optimizer/ holds no option; it should hold at least one *.yaml file"]),
    "no config.yaml": ("plants", lambda: Path("conf/config.yaml").unlink(), ["conf/config.yaml is missing"]),
    "an empty config.yaml": ("plants", lambda: Path("conf/config.yaml").write_text(""), ["conf/config.yaml: defaults doesn't choose framework; add an entry 'framework: <option>'"]),
    "no conf": ("plants", lambda: shutil.rmtree("conf"), ["conf/config.yaml is missing"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_file_the_key_what_was_found_and_what_would_do(mistake: str) -> None:
    line, edit, parts = MISTAKES[mistake]
    only(line)
    edit()
    sentence = complaint()
    for part in parts:
        assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_several_mistakes_are_a_sentence_each() -> None:
    param("plants.trainer.max_epochs", "many")
    param("plants.optimizer.lr", -1)
    param("bags.model", "efficientnet")
    first, second, third = complaint().splitlines()
    assert first.startswith("params.yaml: lines.plants.optimizer.lr")
    assert second.startswith("params.yaml: lines.plants.trainer.max_epochs")
    assert third.startswith("params.yaml: lines.bags.model is 'efficientnet'")


def test_a_mistake_in_an_option_that_two_lines_choose_is_told_once() -> None:
    change(TRAINER, "patience", 0)
    assert complaint() == "conf/trainer/default.yaml: patience is 0; it should be at least 1."


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            lambda: param("bags.optimizer.lr", "big"),
            "error: params.yaml: lines.bags.optimizer.lr is 'big'; it should be a number.\n",
        ),
        (
            lambda: Path(P).write_text("lines: {plants: {}, plants: {}}\n"),
            "error: params.yaml, line 1, column 21: the key 'plants' stands here twice; keep one.\n",
        ),
    ],
    ids=["in another line", "in the file"],
)
def test_any_mistake_stops_the_compose_stage_with_exit_code_1(edit: Edit, sentence: str) -> None:
    edit()
    done = run_compose("plants")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)
    assert not Path("data/config/plants.yaml").exists()


# Names of lines


@pytest.mark.parametrize("name", ["plants", "a", "x1", "grow-bags", "bags-2", "a-b-c", "m2-1"])
def test_names_of_lines_that_are_accepted(name: str) -> None:
    only("plants")
    replace(P, "^  plants:", f"  {name}:")
    assert list(compose_lines()) == [name]


@pytest.mark.parametrize(
    "name",
    ["Plants", "grow_bags", "grow bags", "-a", "a-", "a--b", "1a", "a.b", "a/b", "../a", "a@v1", "a#prod", "~", "é", "a$b",
     "a\tb", "'a", "${a}", "a:b", ""],
)  # fmt: skip
def test_names_of_lines_that_are_refused(name: str) -> None:
    only("plants")
    content = yaml.read(Path(P))
    Path(P).write_text(yaml.dump({**content, "lines": {name: content["lines"]["plants"]}}))
    sentence = complaint()
    assert sentence.startswith("params.yaml: ") and "\n" not in sentence
    assert re.search("use a word|begin with a letter", sentence)
    assert repr(name) in sentence


# Junk

words = st.sampled_from(
    ["", "use", "lr", "size", "photos", "pytorch", "_target_", "null", "???", "${a}", "${a", "a.b", "a,b"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2), max_leaves=4
)
KEYS = [*GROUPS, "raw", "question", "seed", "data.size", "data.classes", "data.splits", "data.splits.test", "model._target_",
        "model.weights", "optimizer.lr", "optimizer.use", "trainer.patience", "evaluation.positive", "augmentation.zoom",
        "nonsense", "trainer.nonsense"]  # fmt: skip


@pytest.fixture(scope="module")
def junkyard() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        copy_project(Path(folder))
        only("plants")
        yield Path(folder)


@settings(max_examples=60, deadline=None)
@given(key=st.sampled_from(KEYS), value=values)
@example(key="framework", value=["a"])
@example(key="data", value={"use": None})
@example(key="model", value={"use": "resnet18", "a.b": {"": "${model}"}})
@example(key="model._target_", value="torchvision.models.")
@example(key="trainer", value="???")
@example(key="data.classes", value=[["a"], {"b": "c"}])
def test_junk_in_a_line_is_refused_with_sentences_or_is_valid(junkyard: Path, key: str, value: Any) -> None:
    content = yaml.read(PROJECT / "params.yaml")
    entry = dict(content["lines"]["plants"])
    group, _, below = key.partition(".")
    if below:
        entry[group] = entry[group] if isinstance(entry.get(group), dict) else {"use": entry.get(group)}
        *above, last = below.split(".")
        node = entry[group]
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    else:
        entry[group] = value
    (junkyard / P).write_text(yaml.dump({"lines": {"plants": entry}}), encoding="utf-8")
    try:
        assert list(compose_lines(junkyard)) == ["plants"]
    except GaiaError as error:
        for sentence in str(error).split("\n"):
            assert "params.yaml" in sentence or "conf/" in sentence
            assert sentence.endswith(".")


@settings(max_examples=20, deadline=None)
@given(values)
@example({"defaults": [{"_self_": None}]})
@example({"hydra": {"run": 5}})
@example({"defaults": ["default", "/model: x"]})
@example({"_target_": None})
def test_junk_in_an_option_file_is_refused_with_sentences_or_is_valid(junkyard: Path, content: Any) -> None:
    shutil.copy(PROJECT / P, junkyard / P)
    text = Path(PROJECT / TRAINER).read_text()
    try:
        YAML().dump(content, junkyard / TRAINER)
        with pytest.raises(GaiaError):
            compose_lines(junkyard)
    finally:
        (junkyard / TRAINER).write_text(text)
