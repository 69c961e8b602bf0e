"""`dvc repro` re-runs exactly what an edit touches, and gives the same bytes for the same inputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from conftest import Project, merge

COMPOSE = {"compose"}


def outputs(project: Project) -> dict[str, str]:
    """The hash of each output, by path."""
    lock = YAML(typ="safe").load(project.path("dvc.lock"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def test_nothing_to_do_runs_nothing(project: Project) -> None:
    assert project.repro() == set()
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_comments_and_blank_lines_re_run_nothing_beyond_compose(project: Project) -> None:
    for file in (
        "params.yaml",
        "dvc.yaml",
        *(str(p.relative_to(project.root)) for p in project.path("conf").rglob("*.yaml")),
    ):
        path = project.path(file)
        path.write_text("\n\n" + path.read_text() + "\n# a remark\n")
    assert project.repro() <= COMPOSE


def test_an_optimizer_setting_retrains_the_line_that_uses_it(project: Project) -> None:
    project.replace("conf/optimizer/adamw.yaml", "lr: 0.001", "lr: 0.002")
    assert project.repro() - COMPOSE == {"train@plants", "evaluate@plants"}


def test_more_epochs_retrain_that_line(project: Project) -> None:
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"bags": {"trainer": {"max_epochs": 3}}}}))
    assert project.repro() - COMPOSE == {"train@bags", "evaluate@bags"}


def test_another_image_size_prepares_that_line_anew(project: Project) -> None:
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"data": {"image_size": 40}}}}))
    assert project.repro() - COMPOSE == {"prepare@plants", "train@plants", "evaluate@plants"}


def test_another_threshold_is_evaluated_and_shipped_without_training(project: Project) -> None:
    before = outputs(project)
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"evaluation": {"threshold": 0.9}}}}))
    assert project.repro() - COMPOSE == {"evaluate@plants"}
    contract = json.loads(project.path("data/models/plants/contract.json").read_text())
    assert contract["threshold"] == 0.9
    assert outputs(project)["data/models/plants"] != before["data/models/plants"]
    assert outputs(project)["data/training/plants"] == before["data/training/plants"]


def test_a_rule_ships_as_a_number_and_folds_train_nothing_that_ships(project: Project) -> None:
    before = outputs(project)
    asked = {"threshold": {"maximise": "f1"}, "folds": 2}
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"cultures": {"evaluation": asked}}}))
    assert project.repro() - COMPOSE == {"evaluate@cultures"}
    contract = json.loads(project.path("data/models/cultures/contract.json").read_text())
    metrics = json.loads(project.path("data/reports/cultures/metrics.json").read_text())
    assert 0 < contract["threshold"] < 1 and metrics["threshold"] == contract["threshold"]
    index = pd.read_csv(project.path("data/prepared/cultures/index.csv"))
    assert metrics["folds"]["n"] == (index["verdict"] == "ok").sum()
    assert outputs(project)["data/training/cultures"] == before["data/training/cultures"]
    report = project.path("data/reports/cultures/report.html").read_text()
    assert "it gave the highest F1 on validation" in report and "Cross-validated: 2 trainings" in report


def test_limits_of_photos_ship_and_are_reported_though_nothing_else_changes(project: Project) -> None:
    before = outputs(project)
    limits = {"max_megapixels": 50.0, "min_side": 36}  # the shorter side of photos as they come, not of the network's
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"data": limits}}}))
    assert project.repro() - COMPOSE == {"prepare@plants", "evaluate@plants"}
    contract = json.loads(project.path("data/models/plants/contract.json").read_text())
    assert contract["input"]["size"] < 36
    assert {key: contract["input"][key] for key in limits} == limits
    assert "max_megapixels: 50.0" in project.path("data/reports/plants/report.html").read_text()
    assert outputs(project)["data/prepared/plants"] == before["data/prepared/plants"]
    project.run("gaia", "predict", "plants", str(next(project.path("data/raw/demo_plants").rglob("*.jpg"))))


def test_an_added_photo_re_runs_its_line_and_moves_no_other_photo(project: Project) -> None:
    read = lambda: project.path("data/prepared/plants/index.csv").read_text().splitlines()  # noqa: E731
    before = read()
    added = project.path("data/raw/demo_plants/dandelion/mine.png")
    Image.radial_gradient("L").resize((64, 48)).save(added)
    ran = project.repro()
    assert ran - COMPOSE - {"demo@demo_plants"} == {"prepare@plants", "train@plants", "evaluate@plants"}
    assert added.exists(), "a photo of the user's was deleted"
    after = read()
    assert [row for row in after if "mine.png" not in row] == before
    assert len(after) == len(before) + 1
    assert project.repro() == set()


def test_the_code_of_one_framework_re_runs_its_lines_only(project: Project) -> None:
    module = project.path("src/gaia/frameworks/keras/layers.py")
    module.write_text(module.read_text() + "\n# a change\n")
    ran = project.repro()
    assert "train@bags" in ran
    assert ran - COMPOSE <= {"train@bags", "evaluate@bags"}


def test_an_earlier_commit_comes_back_from_the_cache(project: Project) -> None:
    first = outputs(project)
    models = {p: p.read_bytes() for p in project.path("data/models").rglob("*.*") if p.is_file()}
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"cultures": {"model": {"depth": 3}}}}))
    assert project.repro() - COMPOSE == {"weights@cultures", "train@cultures", "evaluate@cultures"}
    project.commit("shallower trees")
    second = outputs(project)
    assert second != first
    project.run("git", "checkout", "--quiet", "HEAD~1")  # the hook restores the data
    assert project.repro() == set()
    assert {p: p.read_bytes() for p in models} == models
    project.run("git", "checkout", "--quiet", "main")
    assert project.repro() == set()
    assert outputs(project) == second


def test_the_same_inputs_give_the_same_bytes(project: Project) -> None:
    before = outputs(project)
    for line in ("plants", "bags", "cultures"):
        project.repro("-f", "-s", f"prepare@{line}", f"train@{line}", f"evaluate@{line}")
    assert outputs(project) == before


def test_artifacts_name_no_place_of_this_machine(built: Project) -> None:
    for file in built.path("data/models").rglob("*.*"):
        content = file.read_bytes()
        for place in (str(built.root), str(Path(__file__).parent.parent), "site-packages"):
            assert place.encode() not in content, f"{file} names {place}"


def test_a_fourth_line_is_yaml_only(project: Project) -> None:
    project.path("conf/model/shallow.yaml").write_text("_target_: catboost.CatBoostClassifier\ndepth: 2\n")
    line = {"raw": "demo_cultures", "bucket": "data", "framework": "catboost", "data": "cultures", "model": "shallow"}
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"spores": line | {"trainer": {"max_epochs": 10}}}}))
    project.edit("dvc.yaml", lambda d: merge(d, {"artifacts": {"spores": {"path": "data/models/spores"}}}))
    ran = project.repro()
    assert ran - COMPOSE == {"prepare@spores", "weights@spores", "train@spores", "evaluate@spores"}
    assert "spores" in project.run("gaia", "results").stdout


def test_a_model_that_is_only_a_new_file_trains(project: Project) -> None:
    project.path("conf/model/shufflenet.yaml").write_text(
        "_target_: torchvision.models.shufflenet_v2_x0_5\nweights: null\n"
    )
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"model": "shufflenet"}}}))
    assert project.repro() - COMPOSE == {"weights@plants", "train@plants", "evaluate@plants"}


def test_a_wrong_configuration_stops_before_anything_trains(project: Project) -> None:
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"trainer": {"max_epochs": 3}}}}))
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"bags": {"optimizer": {"use": "adamm"}}}}))
    done = project.run("dvc", "repro", ok=False)
    assert done.returncode != 0
    assert "params.yaml: lines.bags.optimizer" in done.stdout
    assert "did you mean 'adam'" in done.stdout
    assert "Traceback" not in done.stdout
    assert "train@" not in done.stdout.replace("train@plants' didn't", "")


def test_experiments_edit_choices_and_values(project: Project) -> None:
    project.run("dvc", "exp", "run", "-S", "lines.cultures.model.depth=3", "-n", "shallow", "train@cultures")
    project.run("git", "checkout", "--quiet", "--force", "main")
    for value in ("0.2", "0.3"):
        project.run("dvc", "exp", "run", "--queue", "-S", f"lines.cultures.model.learning_rate={value}")
    project.run("dvc", "exp", "run", "--run-all")
    shown = json.loads(project.run("dvc", "exp", "show", "--json").stdout)
    names = {e["name"] for rev in shown for e in rev.get("experiments") or [] for e in e["revs"]}
    assert len(names) == 3
    assert "accuracy" in project.run("dvc", "metrics", "diff", "main", "shallow", "--all").stdout


def test_an_experiment_chooses_another_model_by_one_word(project: Project) -> None:
    refused = project.run("dvc", "exp", "run", "-S", "lines.plants.model=resnet17", "train@plants", ok=False)
    assert refused.returncode != 0 and "did you mean 'resnet18'" in refused.stdout
    project.run("git", "checkout", "--quiet", "--force", "main")
    choices = ("-S", "lines.plants.model=resnet18", "-S", "lines.plants.optimizer=sgd")
    project.run("dvc", "exp", "run", *choices, "train@plants")
    trained = json.loads(project.path("data/training/plants/training.json").read_text())
    assert trained["architecture"] == "torchvision.models.resnet18"
    assert trained["optimizer"] == "torch.optim.SGD"


def test_plots_and_metrics_are_what_dvc_shows(project: Project) -> None:
    assert "plants" in project.run("dvc", "metrics", "show").stdout
    project.run("dvc", "plots", "show", "--out", "plots")
    page = project.path("plots/index.html").read_text()
    for name in ("learning", "confusion", "roc", "precision_recall", "calibration", "importance"):
        assert f"data/reports/plants/{name}.csv" in page or f"{name}" in page
    project.run("dvc", "params", "diff")


def test_real_photos_under_data_raw_build_and_the_broken_one_is_named(photos: Path, project: Project) -> None:
    raw = project.path("data/raw/photos")
    for file in sorted(photos.glob("*/*"))[::3]:
        (raw / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, raw / file.parent.name / file.name)
    broken = next(raw.glob("grass/*"))
    broken.write_bytes(broken.read_bytes()[:2000])
    project.run("dvc", "add", "data/raw/photos")
    project.edit("params.yaml", lambda p: merge(p, {"lines": {"plants": {"raw": "photos"}}}))
    done = project.run("dvc", "repro")
    assert "1 quarantined" in done.stdout
    index = project.path("data/prepared/plants/index.csv").read_text()
    assert [row for row in index.splitlines() if broken.name in row and "quarantined,truncated" in row]
    assert "truncated" in project.path("data/reports/plants/report.html").read_text()
