"""`gaia sweep` and `gaia work`: words for a space, trials that come again by seed, kills, what is never looked at."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int
from optuna.trial import TrialState

from conftest import ROOT, Project, checkout, once, until
from gaia.config import yaml
from gaia.demo import cultures
from gaia.errors import GaiaError
from gaia.sweeps import page, search, settings, space, study

OPTIONS = {"model": ["resnet18", "resnet50", "mobilenet_v3"], "optimizer": ["adam", "sgd"]}


@pytest.mark.parametrize(
    ("word", "key", "meant"),
    [
        ("optimizer.lr=log(1e-4, 1e-2)", "optimizer.lr", Float(1e-4, 1e-2, log=True)),
        ("optimizer.lr=tag(log, interval(1e-4, 1e-2))", "optimizer.lr", Float(1e-4, 1e-2, log=True)),
        ("trainer.batch_size=log(8, 64)", "trainer.batch_size", Int(8, 64, log=True)),
        ("augmentation.zoom=interval(0, 0.5)", "augmentation.zoom", Float(0, 0.5)),
        ("trainer.patience=int(interval(2, 9))", "trainer.patience", Int(2, 9)),
        ("trainer.max_epochs=range(5, 20, 5)", "trainer.max_epochs", Int(5, 15, step=5)),
        ("augmentation.zoom=range(0, 1, 0.25)", "augmentation.zoom", Float(0, 0.75, step=0.25)),
        ("model=resnet18, mobilenet_v3", "model", Choice(["resnet18", "mobilenet_v3"])),
        ("model=choice(resnet18, mobilenet_v3)", "model", Choice(["resnet18", "mobilenet_v3"])),
        ("model=glob(resnet*)", "model", Choice(["resnet18", "resnet50"])),
        ("trainer.class_weights=null, balanced", "trainer.class_weights", Choice([None, "balanced"])),
        ("seed=1, 2, 2, true", "seed", Choice([1, 2, True])),
        ("question='a b', c", "question", Choice(["a b", "c"])),
        ("trainer.max_epochs=7", "trainer.max_epochs", Choice([7])),
    ],
)  # fmt: skip
def test_hydras_words_and_ours_say_what_is_searched(word: str, key: str, meant: object) -> None:
    assert space.read([word], OPTIONS) == {key: meant}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["optimizer.lr"], "'optimizer.lr' is no setting with values; write 'optimizer.lr=log"),
        (["optimizer.lr=logg(1, 2)"], "can't be read: Unknown function 'logg'"),
        (["optimizer.lr=log(1)"], "can't be read: missing a required argument: 'end'"),
        (["optimizer.lr=log(0, 1)"], "optimizer.lr can't be searched over: `low >= 1` must hold for `log=True`"),
        (["optimizer.lr=interval(2, 1)"], "optimizer.lr can't be searched over: `low <= high` must hold"),
        (["trainer.max_epochs=range(5, 1)"], r"range\(5, 1, 1\) holds nothing"),
        (["optimizer.lr=1, 2", "optimizer.lr=3"], "optimizer.lr is given twice; give all of its values in one word"),
        (["+optimizer.lr=1"], "adds, takes away or renames; name a setting"),
        (["trainer.class_weights={a: 1}, {a: 2}"], "holds several values; give an option in conf/ that name"),
        (["seed=glob(*)"], "glob takes a group of conf/"),
        (["gates=strict, default"], "gates judges what has been trained, so no trial would differ by it"),
        (["bucket=data, models"], "bucket says where a line belongs"),
    ],
)
def test_what_cannot_be_searched_over_is_a_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(GaiaError, match=sentence):
        space.read(words, OPTIONS)


@pytest.mark.parametrize(
    ("line", "word", "sentence"),
    [
        ("plants", "optimizer.lrr=1, 2", "lines.plants.optimizer.lrr is no argument of .*did you mean 'lr'"),
        ("plants", "modle=resnet18", "lines.plants.modle is an unknown key.*did you mean 'model'"),
        ("plants", "model=resnet18, resnet19", "is 'resnet19'; the options in conf/model/ are"),
        ("plants", "optimizer.lr=log(1, 1000)", "lines.plants.optimizer.lr is 1000; it should be at most 10"),
        ("plant", "model=resnet18", "params.yaml has no line 'plant'.*did you mean 'plants'"),
    ],
)
def test_a_setting_that_the_line_cannot_have_is_told_before_anything_runs(line: str, word: str, sentence: str) -> None:
    with pytest.raises(GaiaError, match=sentence):
        search.search(line, [word], settings.read({}, ROOT), root=ROOT)


def test_a_grid_wants_lists(tmp_path: Path) -> None:
    with pytest.raises(GaiaError, match="optimizer.lr is an interval, and a grid tries every value; list them"):
        search.search("plants", ["optimizer.lr=interval(0, 1)"], settings.read({"sampler": "grid"}, ROOT), root=ROOT)


LINE = {
    "model": "resnet18",
    "optimizer": {"use": "adamw", "lr": None},
    "data": {"use": "photos", "splits": {"test": 0.1}},
}


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"model": "resnet50"}, {"model": "resnet50"}),
        ({"model.depth": 1e-05}, {"model": {"use": "resnet18", "depth": 1e-05}}),
        ({"model.depth": 3, "model": "resnet50"}, {"model": {"use": "resnet50", "depth": 3}}),
        ({"optimizer": "sgd"}, {"optimizer": {"use": "sgd", "lr": None}}),
        ({"optimizer.lr": 0.1}, {"optimizer": {"use": "adamw", "lr": 0.1}}),
        ({"data.splits.validation": 0.2}, {"data": {"use": "photos", "splits": {"test": 0.1, "validation": 0.2}}}),
        ({"trainer.patience": None, "seed": 4}, {"trainer": {"patience": None}, "seed": 4}),
        ({"question": "it's {a: 1}, is it? \\"}, {"question": "it's {a: 1}, is it? \\"}),
        ({"trainer.refit": True}, {"trainer": {"refit": True}}),
    ],
)  # fmt: skip
def test_dvc_writes_the_settings_of_a_trial_as_they_were_checked(given: dict, changed: dict, tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    assert space.entry(LINE, given) == LINE | changed
    file = tmp_path / "params.yaml"
    file.write_text(yaml.dump({"lines": {"plants": LINE}}))
    apply_overrides(file, [word for word in space.overrides("plants", LINE, given) if word != "--set-param"])
    assert yaml.read(file)["lines"]["plants"] == LINE | changed


SEARCHED = {"tpe": "lr=log(1e-4, 1e-2)", "random": "lr=interval(0, 0.01)", "grid": "lr=1e-4, 1e-3, 3e-3, 1e-2"}


@pytest.mark.parametrize("sampler", SEARCHED)
@pytest.mark.parametrize("pruner", ["asha", "hyperband", "none"])
def test_a_seed_gives_the_same_trials_again_also_after_a_kill(sampler: str, pruner: str, tmp_path: Path) -> None:
    given = settings.read({"sampler": sampler, "pruner": pruner, "trials": 16}, ROOT)
    whole = trials(tmp_path / "whole", SEARCHED[sampler], given)
    assert len(whole) == (8 if sampler == "grid" else 16)
    trials(tmp_path / "killed", SEARCHED[sampler], given, most=5)
    assert trials(tmp_path / "killed", SEARCHED[sampler], given) == whole
    if sampler != "grid":
        assert trials(tmp_path / "other", SEARCHED[sampler], {**given, "seed": 2}) != whole


def test_what_stays_behind_is_stopped_and_what_was_tried_is_not_tried_again(tmp_path: Path) -> None:
    given = settings.read({"sampler": "random", "pruner": "asha", "trials": 12}, ROOT)
    ran: list[dict] = []
    found = trials(tmp_path / "journal", "lr=0.003, 0.02, 0.5", given, ran=ran)
    assert len(found) == 12
    assert [settings_ for settings_ in ran if ran.count(settings_) > 1] == []
    by_settings = {str(settings_): outcome for settings_, outcome in found}
    assert all(by_settings[str(settings_)] == outcome for settings_, outcome in found)
    assert {"stopped" in outcome for _, outcome in found} == {True, False}


def trials(
    journal: Path, word: str, given: settings.Settings, *, most: int | None = None, ran: list | None = None
) -> list[tuple[dict, str]]:  # fmt: skip
    """A search over a curve that is known, one trial after the other; killed in the middle of its trial `most`."""
    searched = space.read([word, "model=a, b"], {})
    known = study.open_study(journal, "a", "the same", given, 16)
    left = study.unfinished(known, searched, given)
    study.begin(known, searched, given)
    while trial := left.pop(0) if left else study.next_trial(known, searched, given):
        if other := study.earlier(known, trial):
            study.repeat(known, trial, other)
            continue
        if ran is not None:
            ran.append(trial.params)
        off = abs(trial.params["lr"] - 0.003) * 100 + (trial.params["model"] == "a") * 0.1
        rows = [{"epoch": float(e), "validation_loss": off + 1 / e, "validation_accuracy": 0.5} for e in range(1, 17)]
        if trial.number == most:
            study.report(trial, rows[:2], "log_loss")
            return []
        if any(study.report(trial, [row], "log_loss") for row in rows):
            known.tell(trial, state=TrialState.PRUNED)
        else:
            study.finish(known, trial, rows, "log_loss", 16)
    ends = {TrialState.COMPLETE: "{0.value}", TrialState.PRUNED: "stopped at {0.last_step}"}
    return [(trial.params, ends[trial.state].format(trial)) for trial in study.counted(known.trials)]


def test_what_failed_is_tried_again_by_the_next_command_and_not_before(tmp_path: Path) -> None:
    given = settings.read({"sampler": "random", "pruner": "none", "trials": 5}, ROOT)
    searched = space.read(["model=a"], {})
    for tried in (1, 2):  # all fail; the second command tries once more
        known = study.open_study(tmp_path / "journal", "a", "the same", given, 1)
        study.begin(known, searched, given)
        while trial := study.next_trial(known, searched, given):
            if other := study.earlier(known, trial):
                study.repeat(known, trial, other)
            else:
                known.tell(trial, state=TrialState.FAIL)
        assert sum(study.SAME not in trial.user_attrs for trial in known.trials) == tried
        assert len(study.counted(known.trials)) == 5


def test_trials_of_other_settings_code_or_data_are_not_mixed(tmp_path: Path) -> None:
    given = settings.read({}, ROOT)
    study.open_study(tmp_path / "journal", "a", "one", given, 1)
    with pytest.raises(GaiaError, match="'a' holds trials of other settings, code or data; give this one another"):
        study.open_study(tmp_path / "journal", "a", "other", given, 1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [({"trials": 0}, "trials is 0"), ({"sampler": "tpee"}, "sampler is 'tpee'"), ({"a": 1}, "a is an unknown key")],
)
def test_settings_that_cannot_be_are_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(GaiaError, match=sentence):
        settings.read(given, ROOT)


def tiny(root: Path) -> Project:
    """A project of one line, whose table says which rows are the test split's; built and committed."""
    project = checkout(root)

    def one_line(params: dict) -> None:
        params["lines"] = {"cultures": params["lines"]["cultures"]}
        params["lines"]["cultures"] |= {
            "raw": "tables",
            "data": {"use": "cultures", "splits": {"column": "part"}},
            "model": {"use": "catboost", "depth": None},
            "trainer": {"use": "boosting", "max_epochs": 20, "refit": False},
        }
        params["demo"] = {}

    project.edit("params.yaml", one_line)
    rows = cultures.table(300, 1, 0.03)
    rows["part"] = ["train", "train", "train", "validation", "test"] * 60
    project.path("data/raw/tables").mkdir(parents=True)
    rows.to_csv(project.path("data/raw/tables/cultures.csv"), index=False)
    project.run("dvc", "add", "--quiet", "data/raw/tables")
    project.repro("evaluate@cultures")
    project.commit("built")
    return project


@pytest.fixture(scope="session")
def unsearched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """See `searchable`; not to be changed."""
    return Project(once(tmp_path_factory, "unsearched", tiny))


@pytest.fixture
def searchable(unsearched: Project, tmp_path: Path) -> Project:
    """A project to search in."""
    shutil.copytree(unsearched.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def sweep(project: Project, name: str, *words: str, ok: bool = True) -> dict:
    """What `gaia sweep cultures` answers to scripts."""
    command = ("gaia", "sweep", "cultures", *words, "--name", name, "--json")
    done = subprocess.run(command, cwd=project.root, env=project.environment, text=True, capture_output=True)
    assert not ok or done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def finished(project: Project, name: str) -> dict[str, str]:
    """The experiments of a search, and their commits."""
    said = project.run("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").stdout
    refs = dict(row.split() for row in said.splitlines())
    return {ref.rpartition("/")[2]: commit for ref, commit in refs.items() if f"/{name}-" in ref}


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_its_trials_are_experiments(searchable: Project) -> None:
    words = ("model.depth=2, 3", "model.grow_policy=SymmetricTree, Nonsense", "--sampler", "grid", "--pruner", "none")
    command = ("gaia", "sweep", "cultures", *words, "--name", "killed", "--jobs", "2")
    searching = subprocess.Popen(command, cwd=searchable.root, env=searchable.environment, stdout=subprocess.DEVNULL)
    until(lambda: len(finished(searchable, "killed")) >= 1, "the first trial", 180)
    time.sleep(2)  # the next ones are under way
    searching.send_signal(signal.SIGKILL)
    searching.wait()
    before = finished(searchable, "killed")
    found = sweep(searchable, "killed", *words, ok=False)
    after = finished(searchable, "killed")
    assert before.items() <= after.items(), "what was trained is not trained again"
    assert len(after) == 2
    assert len(found["trials"]) == 4
    outcomes = {(t["settings"]["model.grow_policy"], t["state"]) for t in found["trials"]}
    assert outcomes == {("SymmetricTree", "finished"), ("Nonsense", "failed")}, "what fails leaves the others alone"
    for trial in found["trials"]:
        if trial["state"] == "failed":
            assert "can't be fitted" in searchable.path(trial["log"]).read_text()
    best = found["trials"][0]
    assert best["number"] == found["best"]
    shown = json.loads(searchable.run("dvc", "exp", "show", "--json").stdout)
    named = {exp["revs"][0]["name"] for base in shown for exp in base["experiments"] or ()}
    assert named >= set(after)
    text = searchable.path(found["page"]).read_text()
    assert best["experiment"] in text
    assert 'http-equiv="refresh"' not in text
    assert 'src="http' not in text
    assert searchable.run("git", "status", "--short").stdout == ""
    copy = Project(searchable.root.parent / "applied")
    subprocess.run(["cp", "-a", str(searchable.root), str(copy.root)], check=True)
    copy.run("dvc", "exp", "apply", best["experiment"])
    applied = yaml.read(copy.path("params.yaml"))["lines"]["cultures"]
    assert applied["model"]["depth"] == best["settings"]["model.depth"]
    assert applied["model"]["grow_policy"] == "SymmetricTree"
    assert "evaluate@cultures" not in copy.run("dvc", "status").stdout


@pytest.mark.slow
def test_a_hopeless_trial_is_stopped_early(searchable: Project) -> None:
    words = ("model.learning_rate=0.3, 0.000001", "trainer.max_epochs=20000", "--sampler", "grid", "--jobs", "1")
    found = sweep(searchable, "stopped", *words)
    by_rate = {trial["settings"]["model.learning_rate"]: trial for trial in found["trials"]}
    assert by_rate[0.3]["state"] == "finished"
    assert by_rate[1e-6]["state"] == "stopped"
    assert by_rate[1e-6]["epochs"] < 20000
    assert by_rate[1e-6]["experiment"] is None
    assert list(finished(searchable, "stopped")) == [by_rate[0.3]["experiment"]]


@pytest.mark.slow
def test_the_test_split_is_never_looked_at(searchable: Project, tmp_path: Path) -> None:
    words = ("model.depth=2, 3", "--sampler", "grid", "--pruner", "none")
    before = sweep(searchable, "before", *words)
    other = Project(tmp_path / "other")
    subprocess.run(["cp", "-a", str(searchable.root), str(other.root)], check=True)
    table = other.path("data/raw/tables/cultures.csv")
    swapped = {"contaminated": "healthy", "healthy": "contaminated"}
    text = [row.split(",") for row in table.read_text().splitlines()]
    answer = text[0].index("contaminated")
    for row in text[1:]:
        row[answer] = swapped[row[answer]] if row[-1] == "test" else row[answer]
    table.write_text("".join(f"{','.join(row)}\n" for row in text))
    other.run("dvc", "add", "--quiet", "data/raw/tables")
    other.commit("every test row is wrong")
    after = sweep(other, "after", *words)
    known = [{trial["number"]: trial["value"] for trial in found["trials"]} for found in (before, after)]
    assert known[0] == known[1]
    assert before["best"] == after["best"]


@pytest.mark.slow
def test_work_drains_what_dvc_has_queued(searchable: Project) -> None:
    for depth in (4, 5):
        setting = f"lines.cultures.model.depth={depth}"
        searchable.run("dvc", "exp", "run", "--queue", "-S", setting, "--name", f"queued-{depth}", "evaluate@cultures")
    searchable.run("dvc", "exp", "run", "--queue", "-S", "lines.cultures.model.depth=17", "--name", "queued-bad")
    done = searchable.run("gaia", "work", "--jobs", "2", ok=False)
    assert done.returncode == 1
    assert "1 of 3 experiments failed, and stay queued: queued-bad (data/sweeps/queue/queued-bad.log)" in done.stdout
    assert set(finished(searchable, "queued")) == {"queued-4", "queued-5"}
    left = searchable.run("dvc", "queue", "status").stdout
    assert "queued-bad" in left
    assert "queued-4" not in left
    searchable.run("dvc", "queue", "remove", "--queued")
    assert searchable.run("git", "status", "--short").stdout == ""
    assert json.loads(searchable.run("gaia", "work", "--json").stdout) == []


def test_the_page_of_a_search_without_a_finished_trial_says_so() -> None:
    found = {
        "name": "a", "line": "plants", "metric": "accuracy", "least": False, "sampler": "tpe", "pruner": "none",
        "seed": 1, "over": False, "page": "", "best": None, "importance": {}, "trials": [],
    }  # fmt: skip
    assert "No trial has finished yet" in page.render(found, {})
