"""A wrong configuration ends in a sentence before anything trains."""

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

from edited import (
    ADAMW,
    BOOST,
    CONFIG,
    PARAMS,
    QUICK,
    RESNET,
    TRAINER,
    change,
    complaint,
    copy_config,
    only,
    param,
    replace,
    says,
)
from gaia.config import targets, yaml
from gaia.config.compose import compose_lines
from gaia.config.framework import framework
from gaia.config.schema import GROUPS
from gaia.errors import GaiaError

pytestmark = pytest.mark.usefixtures("here")


# Wrong configurations. `...` stands for anything.

# A key of a line in params.yaml, the value given to it, and what is said of it
IN_PARAMS = [
    (
        "plants.modell",
        "resnet18",
        "is an unknown key; known are bucket, resources, raw, question, seed, ... (did you mean 'model'?).",
    ),
    ("plants.bucket", "image", "is 'image'; the buckets are models, plants-images, data."),
    ("plants.bucket", "model", "is 'model'; the buckets are models, plants-images, data (did you mean 'models'?)."),
    ("plants.bucket", None, "is missing; the buckets are models, plants-images, data."),
    (
        "plants.seeds",
        None,
        "is an unknown key; known are bucket, resources, raw, question, seed, ... (did you mean 'seed'?).",
    ),
    ("plants.trainer.patiense", None, "is an unknown key; known are ... (did you mean 'patience'?)."),
    ("plants.trainer.max_epoch", 3, "is an unknown key; known are average, ... (did you mean 'max_epochs'?)."),
    ("plants.trainer.a.b", 3, "is an unknown key; known are average, ..."),
    ("cultures.optimizer", "adam", "is set, but framework catboost takes no optimizer; remove it."),
    ("cultures.augmentation", {"flip": True}, "is set, but framework catboost takes no augmentation; remove it."),
    (
        "plants.model",
        "resnet81",
        "is 'resnet81'; the options in conf/model/ are catboost, ... (did you mean 'resnet18'?).",
    ),
    (
        "plants.optimizer.use",
        "adamww",
        "is 'adamww'; the options ... are adam, adamw, adamw_fine, sgd (did you mean 'adamw'?).",
    ),
    ("plants.model", "../config", "is '../config'; the options in conf/model/ are ..."),
    ("plants.model", "resnet 18", "is 'resnet 18'; the options in conf/model/ are ... (did you mean 'resnet18'?)."),
    ("plants.model", "a,b=[${c}]", "is 'a,b=[${c}]'; the options in conf/model/ are ..."),
    ("plants.model", 5, "is 5; the options in conf/model/ are ..."),
    ("plants.framework", ["a"], 'is ["a"]; the options in conf/framework/ are catboost, keras, pytorch, sklearn.'),
    ("plants.framework", {"use": "keras"}, 'is {"use": "keras"}; it takes one word and no values; the options ...'),
    (
        "plants.data",
        "cultures",
        "is of kind 'table' (see conf/data/table.yaml: kind); framework pytorch takes ... 'photos'.",
    ),
    ("plants.trainer.max_epochs", "many", "is 'many'; it should be a whole number."),
    ("plants.trainer.max_epochs", "12", "is '12'; it should be a whole number, without quotes."),
    ("plants.trainer.max_epochs", 1.5, "is 1.5; it should be a whole number."),
    ("plants.optimizer.lr", True, "is true; it should be a number."),
    ("plants.optimizer.amsgrad", 1, "is 1; it should be true or false."),
    ("plants.data.splits", 3, "is 3; it should be keys with values."),
    ("plants.question", [1], "is [1]; it should be text or null."),
    ("plants.raw", 2020, "is 2020; it should be text, in quotes."),
    ("plants.trainer.device", "gpu", "is 'gpu'; it should be 'auto', 'cpu', 'cuda' or 'mps' (did you mean 'cpu'?)."),
    ("plants.evaluation.threshold", 1.5, "is 1.5; it should be less than 1."),
    ("plants.evaluation.refuse", 0.5, "is 0.5; it should be less than 0.5 or null."),
    ("plants.evaluation.threshold", "0,5", "is '0,5'; it should be a number, with a point."),
    ("plants.optimizer.lr", -1, "is -1; it should be greater than 0."),
    ("plants.optimizer.lr", float("nan"), "is nan; it should be a finite number."),
    ("plants.trainer.max_epochs", 10**30, "is 1000...; it should be at most 1000000."),
    ("plants.seed", -1, "is -1; it should be at least 0."),
    ("plants.raw", "../x", "is '../x'; it should be a folder or file below data/raw, named with letters, ..."),
    (
        "plants.raw",
        "demo_plant",
        "is 'demo_plant'; data/raw holds demo_bags, demo_cultures, demo_plants (did you mean 'demo_plants'?).",
    ),
    ("plants.raw", None, "is missing; give it a value."),
    ("plants.framework", None, "is missing; the options are catboost, keras, pytorch, sklearn."),
    ("plants.optimizer.lr", "???", "is not set (it stands as ???); give it a value."),
    ("plants.trainer.max_epochs", "${a.b}", "is '${a.b}'; there is no key a.b, name one that exists."),
    ("plants.trainer.max_epochs", "${trainer.max_epochs}", "is '${trainer.max_epochs}'; it refers to itself."),
    ("plants.question", "${data.kidn}", "is ...; there is no key data.kidn, ... (did you mean 'data.kind'?)."),
    ("plants.question", "${foo", "is '${foo'; a reference is written ${section.key}."),
    (
        "plants.question",
        "${oc.env:SECRET}",
        "is '${oc.env:SECRET}'; a reference names a key, ${section.key}, and can't call oc.env.",
    ),
    (
        "plants.question",
        "of ${data.${oc.env:SECRET}}",
        "is 'of ${data.${oc.env:SECRET}}'; a reference names a key, ${section.key}, and can't call oc.env.",
    ),
    ("plants.question", "${foo:1}", "is '${foo:1}'; a reference names a key, ${section.key}, and can't call foo."),
    (
        "plants.optimizer.weight_deca",
        0,
        "is no argument of torch.optim.AdamW; it takes ... (did you mean 'weight_decay'?).",
    ),
    ("plants.model.group", 2, "is no argument of torchvision.models.resnet18; it takes ... (did you mean 'groups'?)."),
    ("bags.model.alfa", 2, "is no argument of keras.applications.EfficientNetB0; it takes ..."),
    ("cultures.model.depht", 3, "is no argument of catboost.CatBoostClassifier; it takes ... (did you mean 'depth'?)."),
    ("cultures.model.seed", 3, "is no argument of catboost.CatBoostClassifier; it takes ..."),  # the line's
    ("cultures.model.depth", 40, "is 40; it should be a whole number from 1 to 16."),
    ("cultures.model.iterations", 5, "follows from trainer.max_epochs; set that instead."),
    ("cultures.model.num_trees", 5, "follows from trainer.max_epochs; set that instead."),
    ("cultures.model.objective", "CrossEntropy", "follows from data.classes; set that instead."),
    ("cultures.model.eta", 0.3, "follows from model.learning_rate; set that instead."),
    ("cultures.model.eval_metric", "AUC", "is fixed for catboost.*; remove it."),
    ("bags.model.pooling", "max", "is fixed for keras.applications.*; remove it."),
    (
        "plants.trainer.class_weights",
        "on",
        "is 'on'; it should be balanced, keys with values (the class and its weight), or null.",
    ),
    (
        "plants.data",
        {"use": "photos", "group": "plant"},
        "has group, which is 'plant'; it should be a pattern over ...",
    ),
    ("cultures.data", {"use": "cultures", "group": "contaminated"}, "uses the column 'contaminated' twice; ..."),
    ("bags.trainer.class_weights.healthy", 0, "is 0; it should be greater than 0."),
    (
        "bags.trainer.class_weights",
        {"contamined": 5},
        "names 'contamined'; it should be one of the classes healthy, contaminated (did you mean 'contaminated'?).",
    ),
    (
        "cultures.data.numbers",
        "rests",
        "is 'rests'; it should be rest, or keys with values: the feature and its column.",
    ),
    (
        "cultures.data",
        {"use": "cultures", "without": ["id"]},
        "has columns in without, and no rest that they could be taken from; leave without empty.",
    ),
    ("plants.data.classes", ["grass"], 'is ["grass"]; it should be a list of at least 2 or null.'),
    ("plants.data.classes", [], "is []; it should be a list of at least 2 or null."),
    ("plants.data.classes", "grass", "is 'grass'; it should be a list or null."),
    ("plants.data.classes", {"healthy": 1}, 'is {"healthy": 1}; it should be a list or null.'),
    ("bags.data.classes", {"healthy": 1}, 'is {"healthy": 1}; it should be a list or null.'),
    ("plants.data.splits", [0.1, 0.1], "is [0.1, 0.1]; it should be keys with values."),
    ("cultures.data.categories", ["a"], 'is ["a"]; it should be keys with values.'),
    ("plants.data.classes", ["a", "a"], "names 'a' twice; each class needs a name of its own."),
    ("bags.evaluation.positive", "bad", "is 'bad'; it should be one of the classes healthy, contaminated."),
    ("plants.raw", "/x", "is '/x'; it should be a folder or file below data/raw, named with letters, ..."),
    ("plants.raw", "x/../y", "is 'x/../y'; it should be a folder or file below data/raw, named with letters, ..."),
    ("cultures.data.separator", ";;", "is ';;'; it should be one character, but no quote, space or line break."),
    ("cultures.data.separator", "\n", r"is '\n'; it should be one character, but no quote, ..."),
    ("cultures.data.separator", '"', "is '\"'; it should be one character, but no quote, ..."),
    ("cultures.data.separator", "", "is ''; it should be one character, but no quote, ..."),
    (
        "cultures.data.encoding",
        "utf-99",
        "is 'utf-99'; it should be an encoding of text that Python knows, such as utf-8.",
    ),
    ("cultures.data.encoding", "", "is ''; it should be an encoding of text ..."),
    ("cultures.data.encoding", "base64", "is 'base64'; it should be an encoding of text ..."),
    (
        "cultures.data",
        {"use": "table", "label": "x"},
        "names no feature; give at least one column in categories or ...",
    ),
    ("plants", None, "is null; it should hold keys such as raw, framework, data and model."),
]

# A key of a file in conf/, the value given to it (() deletes it), and what is said of it
IN_CONF = [
    ("conf/data/photos.yaml", "label", "(", "is '(', which is no pattern: ...; mind brackets and backslashes."),
    ("conf/data/photos.yaml", "near_duplicates", 12, "is 12; it should be true or false."),
    (TRAINER, "schedule", "cosin", "is 'cosin'; it should be 'constant' or 'cosine' (did you mean 'cosine'?)."),
    (TRAINER, "batch_size", (), "is missing; give it a value."),
    (CONFIG, "sed", 3, "is an unknown key; known are ... (did you mean 'seed'?)."),
    (RESNET, "_target_", (), "is missing; give it a value."),
    (
        RESNET,
        "_target_",
        "os.system",
        "is 'os.system', which is outside the allow-list; framework pytorch takes torchvision...",
    ),
    (RESNET, "_target_", "keras.applications.VGG16", "is ... outside ... (did you mean 'torchvision.models.vgg16'?)."),
    (
        BOOST,
        "_target_",
        "catboost.CatBoostRegressor",
        "is ... outside the allow-list; framework catboost takes ...Classifier.",
    ),
    (
        RESNET,
        "_target_",
        "torchvision.models.resnet81",
        "is ... which doesn't exist in ... (did you mean 'resnet18'?).",
    ),
    (
        RESNET,
        "_target_",
        "torchvision.models.get_model",
        "is ..., which is no model of its own; framework pytorch takes those of torchvision.models.",
    ),
    (
        ADAMW,
        "_target_",
        "torch.optim.swap_in_optimizer_params_and_state",
        "is ..., which is no optimizer of its own; ...",
    ),
    (
        ADAMW,
        "_target_",
        "torch.optim.Optimizer",
        "is ..., which is no optimizer of its own; framework pytorch takes ...",
    ),
    (
        "conf/optimizer/adam.yaml",
        "_target_",
        "keras.optimizers.Optimizer",
        "is ..., which is no optimizer of its own; framework keras takes those of keras.optimizers ...",
    ),
    (
        "conf/optimizer/adam.yaml",
        "_target_",
        "keras.optimizers.LossScaleOptimizer",
        "is ..., which is no optimizer of its own; ...",
    ),
    (RESNET, "_target_", 5, "is 5; it should be text, in quotes."),
    (ADAMW, "lr", None, "is null; it should be a number."),
    (ADAMW, "weight_decay", "big", "is 'big'; it should be a number of at least 0."),
    (ADAMW, "weight_decay", -0.1, "is -0.1; it should be a number of at least 0."),
    (BOOST, "learning_rate", -1, "is -1; it should be a number from 1e-06 to 1, or auto."),
    (BOOST, "depth", 6.5, "is 6.5; it should be a whole number from 1 to 16."),
    (
        ADAMW,
        "_target_",
        "${framework.optimisers}.Adam",
        "is ...; there is no key ... (did you mean 'framework.optimizers'?).",
    ),
    ("conf/framework/pytorch.yaml", "name", "torch", "is 'torch'; it should be one of ... (did you mean 'pytorch'?)."),
    ("conf/data/bags.yaml", "classes", ["healthy"], 'is ["healthy"]; it should be a list of at least 2 or null.'),
    (
        "conf/data/photos.yaml",
        "splits.valid",
        0.1,
        "is an unknown key; known are by, column, test, validation (did you mean 'validation'?).",
    ),
    (
        "conf/data/cultures.yaml",
        "label",
        (),
        "conf/data/table.yaml: label is not set (it stands as ???); give it a value.",
    ),
    (
        "conf/data/bags.yaml",
        "splits",
        [0.1, 0.1],
        "conf/data/bags.yaml holds a list where its defaults hold keys, or keys for a list; use the same.",
    ),
    (QUICK, "defaults", "default", "is 'default'; it should be a list of entries such as ..."),
]

# What a file holds, and what is said of it
TEXTS = [
    (TRAINER, "a: [32\nb: 2\n", ", line 2, column 2: not valid YAML, expected ',' or ']', ... that begins in line 1."),
    (TRAINER, "a: 1\na: 2\n", ", line 2, column 1: the key 'a' stands here twice; keep one."),
    (TRAINER, "- a\n", " holds a list; it should hold keys with values."),
    (RESNET, "", ": _target_, weights are missing; give them values."),
    (
        "conf/model/resnet50.yaml",
        "nobody: chose: this\n",
        ", line 1, column 14: not valid YAML, a colon is not allowed ...",
    ),
    (
        "conf/model/a,b=c.yaml",
        "",
        ": an option's name takes letters, digits and _ . -, and begins with ...; rename the file.",
    ),
    (CONFIG, "", ": defaults doesn't choose framework; add an entry 'framework: <option>'."),
    (
        CONFIG,
        "defaults: [modell: resnet18]\n",
        ": defaults names 'modell'; the folders of conf/ are ... (did you mean 'model'?).",
    ),
    (PARAMS, "", ": lines is missing; give it an entry for each line."),
    (PARAMS, "- a\n", " holds a list; it should hold keys with values."),
    (PARAMS, "lines: [a]\n", ': lines is ["a"]; it should hold an entry for each line.'),
    (
        PARAMS,
        "lines: {}\ndemoo: 1\n",
        ": demoo is an unknown key; known are lines, demo, serving, engine (did you mean 'demo'?).",
    ),
    (PARAMS, "lines:\n\ta: 1\n", ", line 2, column 1: not valid YAML, a tab stands here; indent with spaces."),
    (PARAMS, "lines:\n    a: 1\n  b: 2\n", ", line 3, column 3: not valid YAML, this fits neither the indentation ..."),
    (PARAMS, "lines:\n  a: {}\n  a: {}\n", ", line 3, column 3: the key 'a' stands here twice; keep one."),
    (PARAMS, "lines: !!python/name:os x\n", ", line 1, column 8: not valid YAML, tags (!...) are not allowed."),
    (PARAMS, "lines: {a: {5: 1}}\n", ": the key 5 inside lines.a is not text; put it in quotes, or use a word."),
    (PARAMS, 'lines: {"a\\nb": 1}\n', r": the key 'a\nb' inside lines is empty or not printable; use a word."),
    (PARAMS, "lines: {a: {raw: 2020-01-01}}\n", ": lines.a.raw is a date; it should be text (in quotes), ..."),
    (PARAMS, "lines: 2020-99-99\n", ": not valid YAML, month must be in 1..12."),
    (PARAMS, "lines: &a [*a]\n", ": a value is nested too deeply, or contains itself."),
    (
        PARAMS,
        "lines:\n  a0: &a0 ["
        + "x, " * 9
        + "x]\n"
        + "".join(f"  a{i}: &a{i} [{f'*a{i - 1}, ' * 10}]\n" for i in range(1, 9)),
        " stands for more than 10,000 values, each alias (*name) written out; use fewer.",
    ),
    (
        PARAMS,
        "lines:\n  a0: &a0 {b: 1, c: 2}\n"
        + "".join(f"  a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 10}]}}\n" for i in range(1, 9)),
        " stands for more than 10,000 values, each alias (*name) written out; use fewer.",
    ),
    (PARAMS, "lines: caf\udce9\n", " is not UTF-8 text; save it as UTF-8."),
]

# Anything else
OTHERS: list[tuple[Callable[[], object], str]] = [
    (lambda: Path(PARAMS).unlink(), "params.yaml is missing."),
    (lambda: Path(CONFIG).unlink(), "conf/config.yaml is missing."),
    (lambda: shutil.rmtree("conf"), "conf/config.yaml is missing."),
    (
        lambda: shutil.rmtree("conf/optimizer"),
        "conf/optimizer/ holds no option; it should hold at least one *.yaml file.",
    ),
    (
        lambda: replace(TRAINER, "batch_size:", "batchsize:"),  # and nothing about batch_size missing
        "conf/trainer/default.yaml: batchsize is an unknown key; known are ... (did you mean 'batch_size'?).",
    ),
    (
        lambda: (param("plants.trainer", "quick"), replace(QUICK, "- default", "- defualt")),
        "conf/trainer/quick.yaml: defaults names 'defualt'; the options in ... (did you mean 'default'?).",
    ),
    (
        lambda: (param("plants.trainer", "quick"), replace(QUICK, "- default", "- quick")),
        "params.yaml: lines.plants: an option that it chooses stands in its own defaults; remove it there.",
    ),
    (
        lambda: param("plants.trainer", "boosting"),
        "params.yaml: lines.plants.trainer is 'boosting', which is not made for framework pytorch; use default.",
    ),
    (
        lambda: (only("cultures"), param("cultures.trainer", "default")),
        "params.yaml: lines.cultures.trainer is 'default', which is not made for framework catboost; use boosting.",
    ),
    (
        lambda: (only("bags"), param("bags.model", "resnet18")),
        "conf/model/resnet18.yaml: _target_ is ... outside the allow-list; framework keras takes keras.applications.*.",
    ),
]


@pytest.mark.parametrize(("key", "value", "said"), IN_PARAMS)
def test_a_mistake_in_a_line_is_one_sentence(key: str, value: Any, said: str) -> None:
    only(key.split(".")[0])
    param(key, value)
    shown = "plants.trainer.a" if key == "plants.trainer.a.b" else key
    sentence = complaint()
    assert says(sentence, f"params.yaml: lines.{shown} {said}"), sentence


def test_folds_of_what_is_split_by_date_are_refused() -> None:
    only("cultures")
    param("cultures.data", {"use": "cultures", "splits": {"by": "day"}})
    change("conf/evaluation/default.yaml", "folds", 5)
    sentence = complaint()
    assert says(sentence, "conf/evaluation/default.yaml: folds is set, and data.splits.by is 'day'; folds would ..."), (
        sentence
    )


@pytest.mark.parametrize(("file", "key", "value", "said"), IN_CONF)
def test_a_mistake_in_an_option_file_is_one_sentence(file: str, key: str, value: Any, said: str) -> None:
    only(
        {"catboost": "cultures", "cultures": "cultures", "bags": "bags", "adam": "bags"}.get(Path(file).stem, "plants")
    )
    change(file, key, *(() if value == () else (value,)))
    sentence = complaint()
    assert says(sentence, said if said.startswith("conf") else f"{file}: {key} {said}"), sentence


@pytest.mark.parametrize(("file", "text", "said"), TEXTS)
def test_a_mistake_in_the_yaml_is_one_sentence(file: str, text: str, said: str) -> None:
    only("plants")
    Path(file).write_bytes(text.encode(errors="surrogateescape").replace(b"\xed\xb3\xa9", b"\xe9"))
    sentence = complaint()
    assert says(sentence, f"{file}{said}"), sentence


@pytest.mark.parametrize(("edit", "said"), OTHERS)
def test_a_mistake_between_files_is_one_sentence(edit: Callable[[], object], said: str) -> None:
    edit()
    change(PARAMS, "lines", dict(list(yaml.read(Path(PARAMS))["lines"].items())[:1])) if Path(
        PARAMS
    ).is_file() else None
    sentence = complaint()
    assert says(sentence, said), sentence


def test_every_model_that_torchvision_lists_may_be_chosen_and_nothing_else_of_its_module() -> None:
    import torchvision

    models = torchvision.models
    public = [name for name in dir(models) if callable(getattr(models, name)) and not name.startswith("_")]
    takes = {
        name for name in public if targets.problem(framework("pytorch"), "model", f"torchvision.models.{name}") is None
    }
    assert takes == set(models.list_models(module=models))
    assert {"get_model", "ResNet", "resnet18"} & takes == {"resnet18"}


def test_no_argument_of_catboost_can_undo_by_another_name_what_is_given_to_it() -> None:
    from catboost.core import _process_synonyms

    for argument in targets.arguments("catboost.CatBoostClassifier") or ():
        known_as: dict[str, Any] = {argument: 1}
        if argument not in ("silent", "verbose", "logging_level", "scale_pos_weight"):
            _process_synonyms(known_as)
        [name] = known_as
        found = targets.argument_problems(framework("catboost"), "model", "catboost.CatBoostClassifier", {argument: 1})
        if name != argument:
            assert found[argument].found.startswith(("follows from", "is fixed")), argument


@pytest.mark.parametrize(
    ("name", "module", "base"), [("pytorch", "torch.optim", "Optimizer"), ("keras", "keras.optimizers", "Optimizer")]
)
def test_every_optimizer_that_takes_a_step_of_its_own_may_be_chosen_and_no_other(
    name: str, module: str, base: str
) -> None:
    """Looked up as somebody would find them: imported, in a process of its own (TensorFlow and PyTorch don't mix)."""
    code = f"""import importlib, inspect
from gaia.config import targets
from gaia.config.framework import framework
module, spec = importlib.import_module("{module}"), framework("{name}")
for key, found in vars(module).items():
    if inspect.isclass(found) and issubclass(found, module.{base}):
        own = "inner_optimizer" not in inspect.signature(found).parameters and found is not module.{base}
        assert own == (targets.problem(spec, "optimizer", f"{module}.{{key}}") is None), key
        print(key)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"Adam", "SGD", base} <= set(done.stdout.split())


# Given to a fit, they make other curves than the report counts on, or an exception
UNDOING = """eval_metric metric_period custom_loss objective class_names classes_count eval_fraction cat_features
allow_writing_files use_best_model best_model_min_trees save_snapshot snapshot_file snapshot_interval train_dir verbose
silent logging_level verbose_eval thread_count iterations n_estimators num_trees num_boost_round early_stopping_rounds
od_wait od_type od_pval random_seed random_state loss_function custom_metric auto_class_weights task_type"""


@pytest.mark.parametrize("argument", UNDOING.split())
def test_what_the_training_gives_to_catboost_cannot_be_given_to_it_in_yaml(argument: str) -> None:
    found = targets.argument_problems(framework("catboost"), "model", "catboost.CatBoostClassifier", {argument: 1})
    assert re.fullmatch(
        r"follows from \S+; set that instead\.|is fixed for catboost\.\*; remove it\.", str(found[argument])
    )


def test_raw_data_are_there_or_drawn_as_a_demo_or_brought_by_dvc() -> None:
    only("cultures")
    change(PARAMS, "demo", {})
    param("cultures.raw", "tables")
    assert complaint() == "params.yaml: lines.cultures.raw is 'tables'; data/raw holds nothing."
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/tables.dvc").touch()
    for raw in ("tables", "tables/may.csv"):
        param("cultures.raw", raw)
        assert compose_lines()["cultures"].raw == raw
    Path("data/raw/tables").mkdir()
    Path("data/raw/tables/may.csv").touch()
    assert compose_lines()["cultures"].raw == "tables/may.csv"
    param("cultures.raw", "tables/mai.csv")
    expected = "is 'tables/mai.csv'; data/raw/tables holds may.csv (did you mean 'may.csv'?)."
    assert complaint() == f"params.yaml: lines.cultures.raw {expected}"


def test_a_decimal_comma_between_braces_is_named() -> None:
    """Before: "the key 5 inside lines.plants.evaluation is not text; put it in quotes"."""
    replace(PARAMS, "positive: dandelion, threshold: 0.5", "positive: dandelion, threshold: 0,5")
    said = "params.yaml: a comma stands in the number 0,5 inside lines.plants.evaluation; write it with a point."
    assert complaint() == said


def test_the_positive_class_is_one_of_the_folders_where_these_are_the_classes() -> None:
    for name in ("dandelion", "grass", ".cache"):
        Path("data/raw/demo_plants", name).mkdir(parents=True)
    compose_lines()
    param("plants.evaluation.positive", "dandelio")
    assert complaint() == (
        "params.yaml: lines.plants.evaluation.positive is 'dandelio'; the classes in data/raw/demo_plants are "
        "dandelion, grass (did you mean 'dandelion'?)."
    )


def test_one_class_is_too_few_whatever_is_the_positive_one() -> None:
    Path("data/raw/demo_plants/grass").mkdir(parents=True)
    assert complaint() == "data/raw/demo_plants has one class, grass; a line tells two or more apart."


def test_several_mistakes_are_a_sentence_each_and_a_shared_one_is_told_once() -> None:
    param("plants.optimizer.lr", -1)
    change(TRAINER, "patience", 0)
    param("bags.optimizer.lr", "big")
    with pytest.raises(GaiaError) as caught:
        compose_lines()
    assert caught.value.problems == (
        ("params.yaml: lines.plants.optimizer.lr is -1", "it should be greater than 0"),
        ("conf/trainer/default.yaml: patience is 0", "it should be at least 1 or null"),
        ("params.yaml: lines.bags.optimizer.lr is 'big'", "it should be a number"),
    )


ALIASES = "lines:\n  plants: &plants {raw: x}\n  bags: *plants\n"


def test_an_alias_is_what_it_stands_for() -> None:
    Path(PARAMS).write_text(ALIASES)
    assert yaml.read(Path(PARAMS)) == {"lines": {"plants": {"raw": "x"}, "bags": {"raw": "x"}}}


@pytest.mark.parametrize(
    ("edit", "found", "mend"),
    [
        (lambda: param("plants.model", "resnet"), "params.yaml: lines.plants.model is 'resnet'", "the options in"),
        (lambda: param("plants.raw", "demo"), "params.yaml: lines.plants.raw is 'demo'", "data/raw holds"),
        (lambda: param("plants.question", "${a.b}"), "params.yaml: lines.plants.question is '${a.b}'", "there is no"),
        (lambda: param("plants.data.classes", ["a", "a"]), "params.yaml: lines.plants.data.classes names 'a'", "each"),
        (lambda: param("plants.model._target_", "os.system"), "params.yaml: lines.plants.model._target_ is", "framewo"),
        (
            lambda: param("plants.optimizer.lrr", 1),
            "params.yaml: lines.plants.optimizer.lrr is no argument",
            "it takes",
        ),
        (lambda: replace(QUICK, "- default", "- defualt"), "conf/trainer/quick.yaml: defaults names", "the options in"),
        (lambda: change(PARAMS, "lines.plants.a b", 1), "params.yaml: lines.plants.a b is an unknown key", "known are"),
        (lambda: Path(TRAINER).write_text("a:\n\tb: 1"), "conf/trainer/default.yaml, line 2", "indent with spaces"),
        (lambda: Path(TRAINER).write_text("1: 2\n3: 4"), "conf/trainer/default.yaml: the key 1 is not text", "put it"),
    ],
)
def test_what_was_found_and_what_would_do_are_told_apart(edit: Callable[[], object], found: str, mend: str) -> None:
    only("plants")
    param("plants.trainer.use", "quick")
    edit()
    with pytest.raises(GaiaError) as caught:
        compose_lines()
    first = caught.value.problems[0]
    assert first.found.startswith(found), first
    assert first.mend.startswith(mend), first
    assert "; " not in first.found and "\n" not in first.mend


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("use: adam,", "use: adma,", "params.yaml: lines.bags.optimizer.use is 'adma'; ... (did you mean 'adam'?)."),
        ("\n  bags:", "\n  plants:", "params.yaml, line ..., column 3: the key 'plants' stands here twice; keep one."),
    ],
)
def test_a_mistake_in_another_line_stops_the_stage_with_exit_code_1(old: str, new: str, said: str) -> None:
    replace(PARAMS, old, new)
    command = [sys.executable, "-m", "gaia.stages.compose"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert says(done.stderr, f"error: {said}\n")
    assert not Path("data").exists()


@pytest.mark.parametrize("name", ["plants", "a", "x1", "grow-bags", "bags-2", "a-b-c"])
def test_names_of_lines_that_are_accepted(name: str) -> None:
    change(PARAMS, "lines", {name: yaml.read(Path(PARAMS))["lines"]["plants"]})
    assert list(compose_lines()) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "Plants",
        "a_b",
        "a b",
        "-a",
        "a-",
        "a--b",
        "1a",
        "a.b",
        "a/b",
        "../a",
        "a@1",
        "a#b",
        "~",
        "é",
        "${a}",
        "'a",
        "a\tb",
        "",
    ],
)
def test_names_of_lines_that_are_refused(name: str) -> None:
    change(PARAMS, "lines", {name: yaml.read(Path(PARAMS))["lines"]["plants"]})
    sentence = complaint()
    if name.isprintable() and name:
        named = (
            f"'{name}' can't name a line; names stand in tags and paths, so they take lower-case letters, digits ..."
        )
        assert says(sentence, f"params.yaml: lines.{name}: {named}")
    else:
        assert says(sentence, f"params.yaml: the key {name!r} inside lines is empty or not printable; use a word.")


# Junk

texts = st.sampled_from(
    ["use", "lr", "size", "photos", "torch", "_target_", "null", "???", "${a}", "${a", "a.b", "a,b", ""]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | texts
junk = st.recursive(scalars, lambda j: st.lists(j, max_size=2) | st.dictionaries(texts, j, max_size=2), max_leaves=4)
PLACES = "raw question seed nonsense data.image_size data.classes data.splits.test optimizer.lr optimizer.use"
PLACES += " model._target_ model.weights trainer.patience trainer.nonsense evaluation.positive"
keys = st.sampled_from([*GROUPS, *PLACES.split()])


@pytest.fixture(scope="module")
def yard() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        copy_config(Path(folder))
        only("plants")
        yield Path(folder)


def composes_or_complains(root: Path) -> None:
    """Never another exception."""
    try:
        assert list(compose_lines(root)) == ["plants"]
    except GaiaError as error:
        for sentence in str(error).split("\n"):
            assert re.fullmatch(r"(params\.yaml|conf/).*\.", sentence.replace(f"{root}/", "")), sentence


@settings(max_examples=25, deadline=None)
@given(key=keys, value=junk)
@example(key="data", value={"use": None})
@example(key="model", value={"use": "resnet18", "a.b": {"": "${model}"}})
@example(key="model._target_", value="torchvision.models.")
@example(key="data.classes", value=[["a"], {"b": "c"}])
@example(key="evaluation", value=["'\x85"])
def test_junk_in_a_line_is_refused_with_sentences_or_is_valid(yard: Path, key: str, value: Any) -> None:
    before = (yard / PARAMS).read_text()
    try:
        change(str(yard / PARAMS), f"lines.plants.{key}", value)
        composes_or_complains(yard)
    finally:
        (yard / PARAMS).write_text(before)


@settings(max_examples=15, deadline=None)
@given(content=junk)
@example(content={"hydra": {"run": 5}})
@example(content={"defaults": ["_self_", {"/model": None}, {"override /data": "table"}]})
def test_junk_in_an_option_file_is_refused_with_sentences_or_is_valid(yard: Path, content: Any) -> None:
    before = (yard / TRAINER).read_text()
    try:
        YAML().dump(content, yard / TRAINER)
        composes_or_complains(yard)
    finally:
        (yard / TRAINER).write_text(before)
