"""The configuration: every option composes, and a change is YAML only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from edited import ADAMW, CONFIG, PARAMS, ROOT, TRAINER, change, only, param, says
from gaia.cli import run
from gaia.config import compose as composing
from gaia.config import yaml
from gaia.config.compose import compose_lines
from gaia.config.framework import framework as spec_of
from gaia.config.schema import GROUPS, PhotoLine, Table, TableLine
from gaia.config.stored import dump, load
from gaia.errors import GaiaError
from gaia.stages.compose import compose

OPTIONS = sorted((file.parent.name, file.stem) for file in (ROOT / "conf").glob("*/*.yaml"))
BESIDE = "serving", "engine", "sweep"  # which no line composes
OPTIONS = [(group, option) for group, option in OPTIONS if group not in BESIDE]
LINES = yaml.read(ROOT / PARAMS)["lines"]
LINE_OF = {entry["framework"]: line for line, entry in LINES.items()} | {"sklearn": "cultures"}  # one for each
FRAMEWORKS = ("torch", "torchvision", "tensorflow", "keras", "catboost")
pytestmark = pytest.mark.usefixtures("here")


# Options


def made_for(group: str, option: str) -> list[str]:
    """The frameworks that an option serves."""
    if group == "framework":
        return [option]
    if group == "model":
        target = yaml.read(ROOT / "conf" / group / f"{option}.yaml")["_target_"]
        package = target.rpartition(".")[0]
        return [
            name for name in LINE_OF if any(each.startswith(f"{package}.") for each in spec_of(name).patterns("model"))
        ]
    if option in ("table", "cultures", "boosting"):
        return ["catboost", "sklearn"]
    return list(LINE_OF) if group == "evaluation" else ["pytorch", "keras"]


PAIRS = [(group, option, framework) for group, option in OPTIONS for framework in made_for(group, option)]


@pytest.mark.parametrize(("group", "option", "framework"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_option_composes_with_its_frameworks(group: str, option: str, framework: str) -> None:
    line = LINE_OF[framework]
    only(line)
    param(f"{line}.evaluation", None)
    if framework != LINES[line]["framework"]:
        for key, value in (("framework", framework), ("model", None), ("trainer", None)):
            param(f"{line}.{key}", value)
    entry = {"use": "table", "label": "answer", "numbers": {"size": "size_cm"}} if option == "table" else option
    param(f"{line}.{group}", entry)
    composed = compose_lines()[line]
    assert composed.framework == framework
    written = yaml.read(Path(f"conf/{group}/{option}.yaml"))
    section = dump(composed)[group]
    for key in [] if group == "framework" else written.keys() & section.keys() - {"_target_"}:
        assert section[key] == (entry.get(key, written[key]) if isinstance(entry, dict) else written[key])


def test_no_group_is_forgotten() -> None:
    assert {group for group, _ in OPTIONS} == set(GROUPS)


def test_the_three_lines_compose_and_the_optimizer_follows_the_framework() -> None:
    plants, bags, cultures = (compose_lines()[line] for line in ("plants", "bags", "cultures"))
    assert isinstance(plants, PhotoLine) and isinstance(bags, PhotoLine) and isinstance(cultures, TableLine)
    assert (plants.optimizer.target, bags.optimizer.target) == ("torch.optim.AdamW", "keras.optimizers.Adam")
    assert (cultures.optimizer, cultures.augmentation) == (None, None)


def test_small_photos_bring_their_own_augmentation_and_trainer_unless_the_line_chooses_others() -> None:
    only("plants")
    param("plants.data", "small_photos")
    plants = compose_lines()["plants"]
    assert isinstance(plants, PhotoLine)
    assert (plants.data.image_size, plants.augmentation.erase, plants.trainer.patience) == (80, 0.25, None)
    param("plants.augmentation", "none")
    plants = compose_lines()["plants"]
    assert isinstance(plants, PhotoLine)
    assert (plants.data.image_size, plants.augmentation.erase, plants.trainer.patience) == (80, 0, None)


# YAML only


def test_a_new_option_file_is_chosen_by_its_name() -> None:
    Path("conf/model/mine.yaml").write_text("_target_: torchvision.models.vgg11\nweights: null\ndropout: 0.3\n")
    only("plants")
    param("plants.model", "mine")
    model = compose_lines()["plants"].model
    assert (model.target, model.arguments()) == ("torchvision.models.vgg11", {"dropout": 0.3})


def test_a_fourth_line_is_an_entry_in_params_yaml() -> None:
    before = compose_lines()
    Path("data/raw/my_moths").mkdir(parents=True)
    param("moths", {"raw": "my_moths", "bucket": "data", "framework": "keras", "model": "mobilenet_v3"})
    compose()
    after = compose_lines()
    assert (load("moths").raw, load("moths").model.target) == ("my_moths", "keras.applications.MobileNetV3Small")
    assert after == {**before, "moths": load("moths")}


@pytest.mark.parametrize("entry", ["sgd", {"use": "sgd"}, {"use": "sgd", "lr": None}, {"use": "sgd", "lr": 0.05}])
def test_one_word_and_use_say_the_same(entry: Any) -> None:
    only("plants")
    param("plants.optimizer", entry)
    assert dump(compose_lines()["plants"])["optimizer"] == {
        **yaml.read(Path("conf/optimizer/sgd.yaml")),
        "_target_": "torch.optim.SGD",
    }


@pytest.mark.parametrize("entry", [None, {}, {"use": None}, "default"])
def test_choosing_nothing_is_choosing_what_config_yaml_says(entry: Any) -> None:
    only("plants")
    param("plants.trainer", entry)
    assert compose_lines()["plants"].trainer.model_dump() == yaml.read(Path(TRAINER))


def test_null_where_a_value_is_needed_means_what_conf_says() -> None:
    only("plants")
    change(CONFIG, "question", "which flower")
    param("plants.trainer", {"use": None, "max_epochs": None})
    param("plants.data", {"use": "photos", "splits": None})
    param("plants.optimizer", {"use": "adamw", "lr": None, "weight_decay": 0.2, "amsgrad": None})
    param("plants.seed", None)
    plants = dump(compose_lines()["plants"])
    assert plants["optimizer"] == {
        "_target_": "torch.optim.AdamW",
        "lr": yaml.read(Path(ADAMW))["lr"],
        "weight_decay": 0.2,
    }
    assert plants["seed"] == yaml.read(Path(CONFIG))["seed"]
    assert plants["trainer"] == yaml.read(Path(TRAINER))
    assert plants["data"]["splits"] == yaml.read(Path("conf/data/photos.yaml"))["splits"]


NULLS = ["bags.trainer.patience", "bags.trainer.average", "bags.data.classes", "bags.gates.accuracy_low"]
NULLS += ["bags.model.weights", "bags.trainer.class_weights", "bags.evaluation.positive", "bags.question"]


def test_null_where_a_key_may_have_no_value_is_that() -> None:
    only("bags")
    change(TRAINER, "class_weights", "balanced")
    change("conf/model/efficientnet_b0.yaml", "weights", "imagenet")
    for key in ("bags.evaluation", "bags.trainer.device"):
        param(key, None)
    change("conf/evaluation/default.yaml", "positive", "healthy")
    change(CONFIG, "question", "is this bag healthy")
    before, *_ = compose_lines().values()
    for key in NULLS:
        param(key, None)
    after, *_ = compose_lines().values()
    was, now = (OmegaConf.create({"bags": dump(line)}) for line in (before, after))
    assert [key for key in NULLS if OmegaConf.select(was, key) is None] == []
    assert [key for key in NULLS if OmegaConf.select(now, key) is not None] == []


def test_null_takes_away_a_column_that_conf_names() -> None:
    only("cultures")
    param("cultures.data", {"use": "cultures", "numbers": {"co2": None}, "categories": {"substrate": None}})
    compose()
    line = load("cultures")
    assert isinstance(line, TableLine)
    assert (list(line.data.numbers), list(line.data.categories)) == (["days", "humidity"], ["species"])


def test_french_columns_are_yaml_only() -> None:
    only("cultures")
    french = {"label": "contaminé", "categories": {"species": "race_champignon", "substrate": "substrat"}}
    param("cultures.data", {"use": "cultures", "separator": ";", "decimal": ",", "encoding": "latin-1", **french})
    compose()
    data = load("cultures").data.model_dump()
    assert data.items() >= {**french, "separator": ";", "decimal": ",", "encoding": "latin-1"}.items()
    assert data["numbers"] == yaml.read(Path("conf/data/cultures.yaml"))["numbers"]


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "UTF-16", "cp1252", "latin-1"])
def test_usual_separators_and_encodings_of_tables_are_accepted(separator: str, encoding: str) -> None:
    data = yaml.read(Path("conf/data/table.yaml")) | {"label": "answer", "numbers": {"size": "size_cm"}}
    table = Table.model_validate({**data, "separator": separator, "encoding": encoding})
    assert (table.separator, table.encoding) == (separator, encoding)


def test_raw_data_may_have_names_of_any_alphabet() -> None:
    only("plants")
    Path("data/raw/pilzfäule 蘑菇").mkdir(parents=True)
    param("plants.raw", "pilzfäule 蘑菇")
    compose()
    assert load("plants").raw == "pilzfäule 蘑菇"


# The composed file


def composed_bytes() -> dict[str, bytes]:
    compose()
    return {file.name: file.read_bytes() for file in Path("data/config").iterdir()}


def test_the_composed_files_are_stable_load_back_and_ignore_comments() -> None:
    first = composed_bytes()
    assert composed_bytes() == first
    assert {line: load(line) for line in LINES} == compose_lines()
    for file in [Path(PARAMS), *Path("conf").rglob("*.yaml")]:
        header, text = re.fullmatch(r"(# @package.*\n)?(.*)", file.read_text(), re.DOTALL).groups("")  # type: ignore[union-attr]
        file.write_text(f"{header}# a new comment\n\n{text}# and another\n")
    assert composed_bytes() == first


def test_a_line_takes_its_composed_file_along_and_a_mistake_leaves_all_as_they_were() -> None:
    first = composed_bytes()
    param("plants.seed", 7)
    param("bags.trainer.patience", "six")
    with pytest.raises(GaiaError, match="patience"):
        compose()
    param("cultures")
    with pytest.raises(GaiaError, match="patience"):
        compose()
    assert {file.name: file.read_bytes() for file in Path("data/config").iterdir()} == first
    param("bags.trainer.patience", 6)
    compose()
    assert {file.name for file in Path("data/config").iterdir()} == {"plants.yaml", "bags.yaml"}
    assert load("plants").seed == 7


def test_lines_that_choose_the_same_options_are_merged_once_and_keep_their_own_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        param(f"plants-{number}", LINES["plants"] | {"seed": number})
    asked: list[tuple[str, ...]] = []
    merge = composing._merge
    monkeypatch.setattr(composing, "_merge", lambda *overrides: asked.append(overrides) or merge(*overrides))
    lines = compose_lines()
    assert len(asked) == len(set(asked)) == len(LINES)
    assert [lines[f"plants-{number}"].seed for number in range(5)] == list(range(5))
    assert all(dump(lines[f"plants-{number}"], "seed") == dump(lines["plants"], "seed") for number in range(5))


@pytest.mark.parametrize(
    "content",
    [{}, {"a": {}}, {"a": 1, "b": 1.0, "c": True, "d": "1", "e": None, "f": [], "g": {"a": 1}, "h": {"a": True}},
     {"é": "- x", "b: c": "# no\nremark", "long": "word " * 60, "list": [[1, {"x": 2}], "y"]}],
)  # fmt: skip
def test_sections_that_lines_have_in_common_are_written_as_if_alone(content: dict[str, Any]) -> None:
    for _ in range(2):
        assert yaml.dump(content) == yaml._dump(content)
    Path("written.yaml").write_text(yaml.dump(content))
    assert repr(yaml.read(Path("written.yaml"))) == repr(content)


def test_a_composed_file_edited_by_hand_is_refused() -> None:
    compose()
    change("data/config/plants.yaml", "trainer.max_epochs", "many")
    with pytest.raises(GaiaError, match=r"^data/config/plants\.yaml: trainer\.max_epochs .* `dvc repro`\.$"):
        load("plants")


def test_composing_imports_no_framework() -> None:
    param("plants.optimizer.weight_deca", 1)  # its arguments are looked up all the same
    code = f"""import sys
from gaia.config.compose import compose_lines
from gaia.errors import GaiaError
try:
    compose_lines()
except GaiaError as error:
    print(error)
print(*set({FRAMEWORKS}) & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert says(done.stdout, "params.yaml: lines.plants.optimizer.weight_deca is no argument of ...\n\n")


# gaia config


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    Path("dvc.yaml").touch()  # what makes a folder a project
    run(["config", *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize("line", LINES)
def test_config_shows_the_line_as_it_is_composed(capsys: pytest.CaptureFixture[str], line: str) -> None:
    param(f"{line}.question", 'is it: "a", or #b\'s\n…, which nobody could write in a single row of sixty characters?')
    text = shown(capsys, line)
    Path("shown.yaml").write_text(text)
    assert yaml.read(Path("shown.yaml")) == dump(compose_lines()[line])
    assert len({row.index("  # ") for row in text.splitlines() if "  # " in row and "question" not in row}) == 1
    assert not Path("data").exists()


def test_config_says_where_each_value_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    param("plants.data", "small_photos")
    param("plants.optimizer", {"use": "sgd", "lr": 0.1, "momentum": None})
    found = json.loads(shown(capsys, "plants", "--json"))
    places = {value["key"]: (value["value"], f"{value['file']}: {value['name']}") for value in found["values"]}
    assert found["line"] == "plants"
    assert places["seed"] == (20261123, "conf/config.yaml: seed")
    assert places["framework"] == ("pytorch", "params.yaml: lines.plants.framework")
    assert places["data.image_size"] == (80, "conf/data/small_photos.yaml: data.image_size")
    assert places["data.splits.validation"] == (0.1, "conf/data/small_photos.yaml: data.splits.validation")
    assert places["data.splits.test"] == (0.15, "conf/data/photos.yaml: splits.test")
    assert places["optimizer._target_"] == ("torch.optim.SGD", "conf/optimizer/sgd.yaml: _target_")
    assert places["optimizer.lr"] == (0.1, "params.yaml: lines.plants.optimizer.lr")
    assert places["optimizer.momentum"] == (0.9, "conf/optimizer/sgd.yaml: momentum")
    assert places["trainer.max_epochs"] == (60, "conf/trainer/long.yaml: max_epochs")
    assert places["trainer.device"] == ("auto", "conf/trainer/default.yaml: device")
    for value in found["values"]:  # all of them, where they stand as they are
        section: Any = yaml.read(Path(value["file"]))
        for key in value["name"].split("."):
            section = section[key]
        assert section == value["value"] or "${" in section, value
    [classes] = [
        v for v in json.loads(shown(capsys, "bags", "--json"))["values"] if v["key"].startswith("data.classes")
    ]
    assert (classes["value"], classes["file"]) == (["healthy", "contaminated"], "conf/data/bags.yaml")


def test_config_says_what_a_framework_has_no_use_for(capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys, "cultures").splitlines()
    assert [row.split() for row in rows if row.startswith(("optimizer", "augmentation"))] == [
        [f"{key}:", "null", "#", "params.yaml:", "lines.cultures.framework"] for key in ("optimizer", "augmentation")
    ]


def test_config_tells_the_mistakes_of_its_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GaiaError, match=r"^params.yaml has no line 'plant'; its .* \(did you mean 'plants'\?\)\.$"):
        shown(capsys, "plant")
    param("bags.trainer.patience", "six")
    assert "max_epochs" in shown(capsys, "plants")
    with pytest.raises(GaiaError) as told:
        shown(capsys, "bags")
    assert str(told.value) == "params.yaml: lines.bags.trainer.patience is 'six'; it should be a whole number or null."


def test_no_key_has_a_name_that_the_run_cache_of_dvc_leaves_out_of_account() -> None:
    """DVC drops these keys, at any depth, where it looks a stage up in its run cache: an edit would be overlooked."""
    from dvc_data.hashfile.meta import Meta

    from gaia.config import schema

    kinds = (schema.PhotoLine, schema.TableLine, schema.Photos, schema.Table, schema.NeuralTrainer, schema.Evaluation)
    kinds += (schema.Augmentation, schema.Splits, schema.NeuralModel, schema.Optimizer)
    assert "size" in Meta.fields
    for kind in kinds:
        assert not set(kind.model_fields) & set(Meta.fields), kind.__name__
