"""What each verb says of a state of the project is what was found there, and its cure works: each one is carried out.

Kind: the cure that comes to mind first.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Project, Store, merge
from gaia import cli, errors, status
from gaia.errors import GaiaError, exit_with_a_sentence
from gaia.evaluation import results
from gaia.registry import tags
from gaia.storage import objects, remotes
from gaia.versions import ready
from gaia.versions.gates import Gate
from released import clone, share

LITTLE = {
    "lines": {"cultures": {"trainer": {"max_epochs": 400}}},
    "demo": {"demo_cultures": {"count": 600}},
}
ROW = ("species=oyster", "substrate=straw", "days=12", "humidity=85.5", "co2=900")


def make(root: Path) -> Project:
    """This repository's one line `cultures` with little data; nothing is built yet."""
    project = Project.empty(root)
    for name in (
        "conf",
        ".dvc/config",
        ".dvc/.gitignore",
        ".gitignore",
        "dvc.yaml",
        "params.yaml",
        "requirements.lock",
    ):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        project.path(name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, project.path(name))
    project.path("src").symlink_to(ROOT / "src")

    def little(params: dict) -> None:
        merge(params, LITTLE)
        for kind, name in (("lines", "plants"), ("lines", "bags"), ("demo", "demo_plants"), ("demo", "demo_bags")):
            del params[kind][name]

    project.edit("params.yaml", little)
    project.path(".git/info/exclude").write_text("/src\n")
    project.commit("the project")
    return project


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    return make(tmp_path / "plain")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The line built, stage by stage and without DVC, and what the stages said; not to be changed."""
    project = make(tmp_path_factory.mktemp("grown") / "grown")
    said = [stage(project, name) for name in ("demo demo_cultures", "compose", *(f"{s} cultures" for s in STAGES))]
    return project, "".join(said)


STAGES = ("prepare", "weights", "train", "evaluate")


def stage(project: Project, words: str, ok: bool = True) -> str:
    """What a stage says."""
    name, *rest = words.split(" ")
    return project.run(sys.executable, "-m", f"gaia.stages.{name}", *rest, ok=ok).stdout


def named(project: Project, part: str) -> list[tuple[str, str]]:
    """What `gaia status` finds wrong with one part, with what mends it."""
    return [(check.found, check.mend) for check in status.status(project.root) if check.part == part and check.mend]


def follow(project: Project, sentence: str) -> None:
    """Carry out the first command that a sentence marks."""
    project.run("bash", "-ec", re.findall("`([^`]+)`", sentence)[0])


# Nothing is built here, or something else than the commit's


def without_keys(project: Project, fresh: Project) -> str:
    shutil.copy(project.path(".env"), fresh.root.parent / ".env")
    fresh.path(".env").unlink()
    fresh.path(remotes.LOCAL).unlink()
    return "copy .env from where the storage was set up, and `make storage`, `gaia pull` bring it; else `dvc repro`"


def without_remotes(project: Project, fresh: Project) -> str:
    fresh.path(remotes.LOCAL).unlink()
    return "`make storage`, then `gaia pull` brings it; where the storage lacks it, `dvc repro` makes it anew"


def connected(project: Project, fresh: Project) -> str:
    return "`gaia pull` brings it; where the storage lacks it, `dvc repro` makes it anew"


@pytest.mark.parametrize("state", [without_keys, without_remotes, connected])
def test_in_a_fresh_clone_nothing_is_trained_anew(
    small: Project, store: Store, tmp_path: Path, state: Callable[[Project, Project], str]
) -> None:
    """`dvc repro` was advised, which trains everything anew; a pull takes seconds."""
    share(small)
    store.fill(small, "HEAD")
    fresh = clone(small, tmp_path / "fresh")
    mend = state(small, fresh)
    for part in ("lock", "cache"):
        ((found, said),) = named(fresh, part)
        assert "data/models/cultures, data/models/plants, data/prepared/cultures ..." in found
        assert said.startswith(mend)
    if "copy .env" in mend:
        shutil.copy(fresh.root.parent / ".env", fresh.path(".env"))
    if "make storage" in mend:
        fresh.run("gaia", "storage", "up")
    fresh.run("dvc", "pull")
    assert named(fresh, "lock") == named(fresh, "cache") == []


def test_what_a_pull_without_hooks_left_here_is_not_taken_for_the_commits(small: Project) -> None:
    """Only a change of settings was noticed."""
    first = small.run("git", "rev-parse", "HEAD").stdout.strip()
    small.edit("params.yaml", lambda params: params["lines"]["plants"].update(seed=7))
    small.repro()
    small.commit("another seed")
    small.run("git", "reset", "--quiet", "--hard", first)
    ((found, mend),) = named(small, "lock")
    assert found == "not here as dvc.lock names it: data/models/plants, data/prepared/plants"
    assert mend == "`dvc checkout --force data/models/plants data/prepared/plants` brings it from the cache"
    follow(small, mend)
    assert named(small, "lock") == []


def test_a_release_of_what_is_another_build_names_it(released: Project) -> None:
    model = released.path("data/models/spores/model.cbm")
    model.unlink()
    model.write_bytes(b"another one")
    with pytest.raises(GaiaError) as caught:
        ready.check_pipeline("spores", released.root)
    assert str(caught.value) == (
        "what lies here is not what dvc.lock names: data/models/spores; "
        "`dvc checkout --force data/models/spores` brings it from the cache."
    )
    follow(released, str(caught.value))
    ready.check_pipeline("spores", released.root)


def test_what_git_and_the_storage_can_not_give_any_more_is_named_as_such(small: Project, store: Store) -> None:
    """A file that is missing under a listing that is stored, too: DVC believes it to be there, and pushes nothing."""
    store.fill(small, "HEAD")
    assert not named(small, "storage")
    needed = objects.of_revision("HEAD", client=store.client, root=small.root)
    store.client.delete_object(*next((o.bucket, o.key) for o in needed if o.path.endswith("model.onnx")))
    ((_, mend),) = named(small, "storage")
    assert mend == "gaia push"
    small.run("dvc", "push")
    assert named(small, "storage")
    small.run(*mend.split())
    assert not named(small, "storage")
    store.empty()
    assert {mend for _, mend in named(small, "storage")} == {"gaia push"}
    small.run("gaia", "push")
    assert not named(small, "storage")


def test_a_clone_without_tags_is_told_that_there_may_be_some(released: Project, tmp_path: Path) -> None:
    share(released)
    origin = released.run("git", "remote", "get-url", "origin").stdout.strip()
    released.run("git", "clone", "--quiet", "--no-tags", origin, str(tmp_path / "tagless"))
    tagless = Project(tmp_path / "tagless")
    for words in (("versions", "spores"), ("show", "spores@v1.0.0"), ("history", "spores")):
        said = tagless.run("gaia", *words, ok=False).stdout
        assert "`git fetch --tags" in said, said
    follow(tagless, said)
    assert tags.of_line("spores", tagless.root)


def test_a_release_of_what_nobody_pushed_names_who_can_store_it(
    released: Project, store: Store, tmp_path: Path
) -> None:
    """`--bump major` needs no comparison, it said, and would not have helped."""
    share(store.connect(released))
    store.fill(released, "spores@v1.2.0")
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=3))
    released.repro()
    released.commit("another turn")
    released.run("git", "push", "--quiet", "--no-verify", "--tags", "origin", "main")
    other = clone(released, tmp_path / "other")
    asked = ("gaia", "release", "spores", "--dry-run")
    said = other.run(*asked, ok=False).stdout
    assert said.startswith("error: data/models/spores: there is no ") and "--bump" not in said
    assert "; `gaia storage verify --mend` stores it anew, in a clone that has it in its cache." in said
    follow(released, said)
    assert "data/models/spores: there is no " not in other.run(*asked, ok=False).stdout


def test_only_commands_stand_in_marks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = [("it fails", "check the network"), ("not here", "`dvc pull` brings it"), ("ahead", "git push")]
    monkeypatch.setattr(status, "status", lambda: [status.Check("git", *each) for each in found])
    monkeypatch.chdir(ROOT)
    with pytest.raises(GaiaError, match="3 disagreements"):
        cli.run(["status"])
    said = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["it fails: check the network", "not here: `dvc pull` brings it", "ahead: `git push` mends it"]


# What is chosen


@pytest.mark.parametrize("name", ["my line", "my/line", "Ü", "a.b", "1"])
def test_a_line_whose_name_can_not_be_one_is_refused_with_a_sentence(plain: Project, name: str) -> None:
    """A shell splits one with a space: `compose takes line, and 2 arguments were given`."""
    plain.edit("params.yaml", lambda params: params["lines"].update({name: params["lines"].pop("cultures")}))
    said = plain.run("dvc", "repro", "--single-item", "compose", ok=False).stdout
    assert f"error: params.yaml: lines.{name}: '{name}' can't name a line; names stand in tags and paths" in said


@pytest.mark.parametrize("trainer", ["default", {"use": "default", "max_epochs": 500}])
def test_a_trainer_of_another_framework_is_answered_with_the_one_that_fits(plain: Project, trainer: object) -> None:
    plain.edit("params.yaml", lambda params: params["lines"]["cultures"].update(trainer=trainer))
    assert stage(plain, "compose", ok=False) == (
        "error: params.yaml: lines.cultures.trainer is 'default', which is not made for framework catboost; "
        "use boosting.\n"
    )


@pytest.mark.parametrize("demo", ["", "demo: {}\n"])
def test_without_demo_data_the_pipeline_is_whole(plain: Project, demo: str) -> None:
    """The first thing that somebody with data of their own does."""
    text = plain.path("params.yaml").read_text()
    plain.path("params.yaml").write_text(text.partition("\ndemo:")[0] + "\n" + demo)
    stages = plain.run("dvc", "stage", "list", "--name-only").stdout.split()
    assert stages == ["compose", *(f"{name}@cultures" for name in STAGES)]
    plain.path("data/raw/demo_cultures").mkdir(parents=True)
    plain.path("data/raw/demo_cultures/cultures.csv").write_text("a\n1\n")
    assert plain.repro("compose") == {"compose"}


def test_an_empty_demo_is_what_the_readme_says(plain: Project) -> None:
    """When this fails, DVC reads it, and README may say less."""
    text = plain.path("params.yaml").read_text()
    plain.path("params.yaml").write_text(text.partition("\ndemo:")[0] + "\ndemo:\n")
    assert "cannot redefine 'demo'" in plain.run("dvc", "stage", "list", ok=False).stdout
    assert "cannot redefine 'demo'" in (ROOT / "README.md").read_text()


def test_marks_of_a_merge_in_the_settings_come_before_the_lock(plain: Project) -> None:
    def branch(name: str, depth: int) -> None:
        plain.run("git", "checkout", "--quiet", "-b", name, "main")
        plain.replace("params.yaml", "depth: null", f"depth: {depth}")
        plain.path("dvc.lock").write_text(f"schema: '2.0'\nstages: {{}}\n# {depth}\n")
        plain.commit(name)

    branch("ours", 3)
    branch("theirs", 4)
    plain.run("git", "merge", "ours", ok=False)
    found = list(status._git(plain.root))
    assert found[0] == (
        "params.yaml holds both sides of a merge",
        "edit what stands between <<<<<<< and >>>>>>>, then `git add params.yaml`",
    )
    assert found[1][0] == "dvc.lock is in a merge conflict" and len(found) == 2
    text = plain.path("params.yaml").read_text()
    plain.path("params.yaml").write_text(
        re.sub("<<<<<<<.*?\n(.*?)=======.*?>>>>>>>.*?\n", r"\1", text, flags=re.DOTALL)
    )
    follow(plain, found[0][1])
    assert [each[0] for each in status._git(plain.root)] == ["dvc.lock is in a merge conflict"]


def test_what_is_left_of_a_line_is_named_with_what_removes_it_and_does_not_answer_unnoticed(
    grown: tuple[Project, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "renamed")
    shutil.copytree(grown[0].root, project.root, symlinks=True)
    project.edit("params.yaml", lambda params: params["lines"].update(crops=params["lines"].pop("cultures")))
    ((found, mend),) = [each for each in status._data(project.root) if each[0].startswith("cultures")]
    assert found.startswith("cultures is no line of params.yaml, and data/config/cultures.yaml, data/prepared/cultures")
    monkeypatch.chdir(project.root)
    cli.run(["predict", "cultures", *ROW])
    said = capsys.readouterr().err
    assert "cultures is no line of params.yaml any more; data/models/cultures is what was built of it before" in said
    project.run("bash", "-ec", mend)
    assert not [each for each in status._data(project.root) if each[0].startswith("cultures")]


# What a run says


def test_a_training_that_stopped_early_says_so_and_why(grown: tuple[Project, str]) -> None:
    said = re.search(
        r"stopped after (\d+) of 400 trees: none of the last 50 trees had a lower validation loss", grown[1]
    )
    assert said
    kept = json.loads(grown[0].path("data/models/cultures/manifest.json").read_text())["best_epoch"]
    assert kept == int(said[1]) - 50 and f"; the artifact holds epoch {kept}" in grown[1]


def test_two_reports_are_told_apart_by_what_they_were_made_of(grown: tuple[Project, str]) -> None:
    """No commit and no date: the same inputs make the same bytes."""
    page = grown[0].path("data/reports/cultures/report.html").read_text()
    manifest = json.loads(grown[0].path("data/models/cultures/manifest.json").read_text())
    data, settings = manifest["data_sha256"][:8], manifest["config_sha256"][:8]
    trained = f"CatBoostClassifier, epoch {manifest['best_epoch']} of {manifest['total_epochs']}"
    anew = f"then anew on {manifest['refitted_on']} items of train and validation"
    assert f"{trained}, {anew}; data {data}, settings " in page
    assert f"settings {settings}, model " in page


def test_a_time_is_that_of_the_build_or_none(
    grown: tuple[Project, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stage had run here last was added up, whichever build is here."""
    shutil.copytree(grown[0].root, tmp_path / "other", symlinks=True)
    monkeypatch.chdir(tmp_path / "other")
    (row,) = results.results()
    assert set(row["seconds"]) == {"prepare", "train", "evaluate"}
    trained = Path("data/training/cultures/training.json")
    trained.write_text(trained.read_text().replace("{", "{ ", 1))  # another one, as a checkout brings it
    (row,) = results.results()
    assert set(row["seconds"]) == {"prepare", "evaluate"}
    assert results.table([row]).columns[5]._cells == ["-"]


@pytest.mark.parametrize(
    ("gate", "asked"),
    [
        (Gate("accuracy_low", 0.8, 0.7, False), "at least 0.8"),
        (Gate("accuracy_low", 0.8, 0.9, True), "at least 0.8"),
        (Gate("drop", 0.03, 0.04, False), "at most 0.03"),
        (Gate("drop", 0.03, -0.1, True), "at most 0.03"),
        (Gate("drop", 0.03, None, True), "0.03"),
        (Gate("recall of a", 0.8, "no number", False), "0.8"),
    ],
)
def test_a_gate_says_on_which_side_of_its_limit_it_opens(gate: Gate, asked: str) -> None:
    assert gate.asked == asked


# A full disk

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/models/new")
LEAST = "free some, and repeat: what was there before is whole."


class Odd(Exception):
    """What a library of another language raises."""


def of_another(error: Exception) -> Exception:
    """A sentence of ours that was made of an error."""
    try:
        raise error
    except Exception:
        try:
            raise GaiaError("the model can't be fitted: can not load pod type.") from None
        except GaiaError as said:
            return said


@pytest.mark.parametrize(
    ("error", "left", "said"),
    [
        (FULL, 10**9, f"error: no space is left where data/models/new is written; {LEAST}"),
        (OSError(errno.EDQUOT, "quota"), 10**9, f"error: no space is left where this writes; {LEAST}"),
        (RuntimeError("write: No space left on device"), 10**9, f"error: no space is left where this writes; {LEAST}"),
        (of_another(FULL), 10**9, f"error: no space is left where data/models/new is written; {LEAST}"),
        (of_another(Odd("pod")), 0, f"error: no space is left where this writes; {LEAST}"),
        (of_another(Odd("pod")), 10**9, "error: the model can't be fitted: can not load pod type."),
        (GaiaError("a mistake."), 0, "error: a mistake."),
    ],
)
def test_a_full_disk_is_said_to_be_full(
    error: Exception, left: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`catboost can't be fitted: can not load pod type`, a traceback, or exit code 0."""
    usage = shutil.disk_usage(".")._replace(free=left)
    monkeypatch.setattr(errors.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(errors, "_silence", lambda: None)

    def fails() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        exit_with_a_sentence(fails)
    assert (caught.value.code, capsys.readouterr().err) == (1, f"{said}\n")


@pytest.mark.parametrize(
    "words", [("predict", "cultures", *ROW), ("predict", "cultures", *ROW, "--json"), ("results",)]
)
def test_an_output_that_is_full_is_a_sentence_and_a_failure(grown: tuple[Project, str], words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            ["gaia", *words], cwd=grown[0].root, env=grown[0].environment, stdout=full, stderr=-1, text=True
        )
    assert (done.returncode, done.stderr) == (1, f"error: no space is left where this writes; {LEAST}\n")


def test_json_is_asked_for_before_the_verb_too(grown: tuple[Project, str]) -> None:
    for words in (("results",), ("predict", "cultures", *ROW)):
        before, after = (grown[0].run("gaia", *order).stdout for order in (("--json", *words), (*words, "--json")))
        assert json.loads(before) == json.loads(after)


def test_what_a_fresh_clone_lacks_of_the_demo_is_no_change(tmp_path: Path) -> None:
    """`dvc repro` was advised beside `dvc pull`: it draws the photos and trains anew."""
    project = Project.empty(tmp_path / "project")
    raw, prepared = "data/raw/demo_plants", "data/prepared/plants"
    said = {
        "demo@demo_plants": [{"changed outs": {raw: "not in cache"}}],
        "prepare@plants": [{"changed deps": {raw: "deleted"}}, {"changed outs": {prepared: "not in cache"}}],
    }
    assert ready.apart(said, project.root) == ([prepared, raw], {})
    edited = {"prepare@plants": [{"changed deps": {"data/raw/own": "modified"}}]}
    assert ready.apart(edited, project.root) == ([], edited)
