"""`gaia build`: the lines side by side, and the same dvc.lock, byte for byte, as `dvc repro` makes one by one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conftest import Project, until
from gaia.config import resources
from gaia.engines import local, plan, settings, snapshot
from gaia.engines.job import Done, Job, Needs
from gaia.errors import GaiaError
from gaia.registry.git import git
from sidebyside import LINES, alive, begin, build, lock, said, steps, twin


def states(ends: dict[str, dict]) -> dict[str, str]:
    return {name: end["state"] for name, end in ends.items()}


def test_lines_side_by_side_give_the_dvc_lock_that_dvc_repro_gives(three: Project, one_by_one: Project) -> None:
    code, ends, _ = build(three, "--jobs", "3")
    assert code == 0 and states(ends) == dict.fromkeys(LINES, "built")
    assert lock(three) == lock(one_by_one)
    assert sorted(steps(three)) == sorted(
        ["demo", "compose", *(f"{s}@{n}" for n in LINES for s in ("prepare", "train", "evaluate")),
         *(f"epoch 1 of {n}" for n in LINES)]
    )  # fmt: skip
    three.commit("built")
    assert three.run("git", "write-tree").stdout == one_by_one.run("git", "write-tree").stdout
    assert three.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert "refs/gaia" not in three.run("git", "for-each-ref").stdout
    code, ends, _ = build(three)
    assert code == 0 and states(ends) == dict.fromkeys(LINES, "up to date")
    assert steps(three) == [] and not three.run("git", "status", "--porcelain").stdout


def test_what_is_up_to_date_stays_and_the_rest_is_what_dvc_repro_makes(made: Project) -> None:
    def half(content: dict) -> None:
        for name in [name for name in content["stages"] if name.endswith("@alder")]:
            del content["stages"][name]

    made.edit("dvc.lock", half)
    made.edit("params.yaml", lambda params: params["lines"]["birch"].update(seed=7))
    made.path("data/raw/table/mine.csv").write_text("a row that I added to the demo\n")
    other = twin(made, "other")
    other.repro()
    steps(made)
    code, ends, _ = build(made, "--jobs", "2")
    assert code == 0 and lock(made) == lock(other)
    assert "train@birch" in steps(made)
    made.replace("params.yaml", "seed: 7", "seed: 8")
    other.replace("params.yaml", "seed: 7", "seed: 8")
    other.repro("evaluate@birch")
    steps(made)
    code, ends, _ = build(made, "birch")
    assert code == 0 and states(ends) == {"birch": "built"} and lock(made) == lock(other)
    assert {step.partition("@")[2] for step in steps(made)} <= {"", "birch"}


def test_a_line_that_fails_is_named_with_its_log_and_the_others_finish(three: Project) -> None:
    three.edit("params.yaml", lambda params: params["lines"]["birch"].update(seed=-1))
    three.commit("a seed that no training takes")
    other = twin(three, "other")
    code, ends, text = build(three, "--jobs", "3")
    assert code == 1 and states(ends) == {"alder": "built", "birch": "failed", "cedar": "built"}
    assert "birch failed: the seed -1 is too small; take another" in text and ends["birch"]["log"] in text
    assert "error: the seed -1 is too small" in three.path(ends["birch"]["log"]).read_text()
    other.run("dvc", "repro", "--keep-going", ok=False)
    for project in (three, other):
        project.replace("params.yaml", "seed: -1", "seed: 1")
    other.repro()
    assert build(three)[0] == 0 and lock(three) == lock(other)


def test_killed_in_the_middle_it_goes_on_where_it_was(three: Project) -> None:
    three.edit("params.yaml", lambda params: params["lines"]["cedar"].update(epochs=40))
    other = twin(three, "other")
    began = begin(three, "--jobs", "3", PAUSE="1")
    until(lambda: "alder: built" in said(three), "alder", 120)
    until(lambda: "epoch 3 of cedar" in three.path("../steps").read_text(), "an epoch", 120)
    began.send_signal(signal.SIGKILL)
    workspaces = three.path(".dvc/tmp/builds")
    until(lambda: not alive(workspaces), "what it had started", 20)
    before = steps(three)
    assert "epoch 40 of cedar" not in before, "the kill came too late to show anything"
    code, ends, _ = build(three, "--jobs", "3")
    after = steps(three)
    assert code == 0 and ends["alder"]["state"] == "up to date" and ends["cedar"]["state"] == "built"
    assert "train@alder" not in after and "epoch 1 of cedar" not in after and "epoch 40 of cedar" in after
    other.repro()
    assert lock(three) == lock(other)


def test_what_is_edited_meanwhile_is_not_written_over(three: Project) -> None:
    three.edit("params.yaml", lambda params: [params["lines"][name].update(epochs=12) for name in ("alder", "birch")])
    began = begin(three, "alder", "birch", "--jobs", "2", PAUSE="0.5")
    until(lambda: "epoch 2 of birch" in (three.path("../steps").read_text() if steps_there(three) else ""), "it", 120)
    three.edit("params.yaml", lambda params: params["lines"]["birch"].update(seed=9))
    assert three.run("dvc", "status", "prepare@cedar").returncode == 0  # DVC is free meanwhile
    code, _, text = build(three)
    assert code == 1 and "another `gaia build` is at work in this folder" in text
    assert began.wait(120) == 1
    assert "birch: params.yaml was edited meanwhile, so what was built is not taken over" in said(three)
    assert "seed: 9" in three.path("params.yaml").read_text()
    assert "train@alder" in lock(three) and "train@birch" not in lock(three)


def steps_there(project: Project) -> bool:
    return project.path("../steps").exists()


def test_what_nothing_keeps_is_named_before_anything_is_built(three: Project) -> None:
    three.replace("dvc.yaml", "deps: [data/raw/table]", "deps: [data/raw/table, data/raw/mine]")
    mine = three.path("data/raw/mine/photo.jpg")
    mine.parent.mkdir(parents=True)
    mine.write_text("a photo")
    code, _, text = build(three)
    assert code == 1 and "`dvc add data/raw/mine` keeps it" in text and "train@alder" not in steps(three)
    three.run("dvc", "add", "data/raw/mine")
    mine.write_text("another photo, of which DVC hasn't heard")
    assert build(three, "alder")[0] == 0
    assert three.run("dvc", "status", "prepare@alder", "data/raw/mine.dvc").stdout.count("changed") == 0


def test_a_snapshot_holds_the_working_tree_and_moves_nothing(tmp_path: Path) -> None:
    project = Project.empty(tmp_path / "project")
    with pytest.raises(GaiaError, match="no commit yet"):
        snapshot.take(project.root)
    for name in ("kept", "edited", "removed"):
        project.path(name).write_text(name)
    project.path(".gitignore").write_text("ignored\n")
    project.commit()
    head = project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert snapshot.take(project.root).commit == head  # nothing was edited
    project.path("edited").write_text("otherwise")
    project.path("removed").unlink()
    project.path("new").write_text("new")
    project.path("ignored").write_text("ignored")
    status = project.run("git", "status", "--porcelain").stdout
    taken = snapshot.take(project.root)
    assert snapshot.take(project.root) == taken
    names = git("ls-tree", "-r", "--name-only", taken.commit, root=project.root).split()
    assert names == [".gitignore", "edited", "kept", "new"]
    assert git("show", f"{taken.ref}:edited", root=project.root) == "otherwise"
    assert project.run("git", "status", "--porcelain").stdout == status
    assert project.run("git", "rev-parse", "HEAD").stdout.strip() == head


def test_a_line_s_inputs_are_its_own(made: Project) -> None:
    known = plan.read(LINES, LINES, made.root)
    assert known.shared == ["demo", "compose"] and known.lines["alder"] == [
        "prepare@alder", "train@alder", "evaluate@alder"
    ]  # fmt: skip
    before = plan.key(known)
    made.path("data/config/alder.yaml").write_text("made by a stage")
    assert plan.key(known) == before
    made.edit("params.yaml", lambda params: params["lines"]["birch"].update(seed=9))
    now = plan.key(known)
    assert [plan.edited(known, name, before, now) for name in LINES] == [None, "params.yaml", None]
    made.path("step.py").write_text("")
    assert plan.edited(known, "cedar", before, plan.key(known)) == "step.py"


# Jobs of the engine on this machine


def double(number: int, say: object) -> int:
    return 2 * number


def refuse(say: object) -> None:
    raise GaiaError("no")


def end(say: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count(place: str, say) -> None:
    for number in range(1000):
        say(number)
        Path(place).write_text(str(number))
        time.sleep(0.05)


def test_a_job_that_fails_or_dies_or_is_stopped_ends_alone(tmp_path: Path) -> None:
    jobs = [Job("a", double, (21,)), Job("b", refuse, ()), Job("c", end, ()), Job("d", count, (str(tmp_path / "d"),))]
    ends = {done.job.name: done for done in local.run(jobs, lambda job, what: what == 3, at_once=2)}
    assert ends["a"].result == 42 and ends["b"].error == "no" and ends["d"].stopped
    assert ends["c"].error == "its process ended with signal 9"
    at = (tmp_path / "d").read_text()
    time.sleep(0.2)
    assert (tmp_path / "d").read_text() == at


def test_the_next_job_is_asked_for_when_there_is_room() -> None:
    ends: list[Done] = []

    def jobs():
        for number in range(3):
            assert len(ends) == number  # it may depend on what has ended
            yield Job(str(number), double, (number,), Needs(cpus=None))

    for done in local.run(jobs(), lambda *_: None):
        ends.append(done)
    assert [done.result for done in ends] == [0, 2, 4]


def test_a_job_whose_memory_is_not_free_waits_unless_it_is_alone() -> None:
    jobs = [Job(name, double, (1,), Needs(cpus=0.1, memory=10**9)) for name in "ab"]
    assert [done.result for done in local.run(jobs, lambda *_: None)] == [2, 2]


def shown_gpus(say: object) -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_a_job_that_needs_gpus_has_them_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,7")
    jobs = [Job(name, shown_gpus, (), Needs(cpus=0.1, gpus=count)) for name, count in (("a", 2), ("b", 0.5), ("c", 2))]
    given = {done.job.name: done.result for done in local.run(jobs, lambda *_: None)}
    assert given["a"] == "2,5" and given["b"] == "7" and len(given["c"].split(",")) == 2


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (None, []),
        ({"cpus": 2, "gpus": 0.5, "memory": 4000}, []),
        ("much", ["resources is 'much'"]),
        ({"cpus": 0}, ["resources.cpus is 0"]),
        ({"memory": "4 GB"}, ["resources.memory is '4 GB'"]),
        ({"gpu": 1}, ["resources.gpu is an unknown key"]),
    ],
)
def test_what_a_line_takes_is_checked(said: object, found: list[str]) -> None:
    assert [problem.found for problem in resources.problems("it", {"resources": said})] == [f"it.{f}" for f in found]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: local\njobs: 0\n", "jobs is 0; it should be 1 or more"),
        ("kind: cloud\njobs: 1\n", "kind is 'cloud'"),
        ("kind: local\n", "jobs is missing"),
        ("kind: local\njobs: 1\naddress: here\n", "address is an unknown key; known are kind, jobs"),
    ],
)
def test_an_engine_s_settings_are_checked(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "conf/engine/own.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(GaiaError, match=sentence):
        settings.read("own", tmp_path)
    (tmp_path / "params.yaml").write_text("engine: owm\n")
    with pytest.raises(GaiaError, match=r"engine is 'owm'; the options in conf/engine/ are own \(did you mean 'own'\?"):
        settings.read(None, tmp_path)
