"""A project of lines that can be built side by side, of the real one's shape, whose stages take no time."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, Project, once

LINES = ("alder", "birch", "cedar")
STEP = """
import json, os, pathlib, sys, time
from gaia.config import yaml
from gaia.console import bar
from gaia.errors import GaiaError
from gaia.stages.process import run

data = pathlib.Path("data")

def note(what):
    if "STEPS" in os.environ:
        with open(os.environ["STEPS"], "a") as file:
            print(what, file=file)

def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

def train(line, index):
    config, state = yaml.read(data / f"config/{line}.yaml"), data / "checkpoints" / line / "state"
    if config["seed"] < 0:
        raise GaiaError(f"the seed {config['seed']} is too small", "take another")
    with bar(f"{line}: training", config["epochs"], "epochs") as update:
        while (epoch := int(state.read_text()) if state.exists() else 0) < config["epochs"]:
            note(f"epoch {epoch + 1} of {line}")
            time.sleep(float(os.environ.get("PAUSE", 0)))
            write(state.with_name("next"), str(epoch + 1))
            state.with_name("next").rename(state)
            update(epoch + 1, f"epoch {epoch + 1}")
    write(data / "training" / line / "model.txt", f"{config} {index}" * 100)
    state.unlink()

def step(words):
    note(os.environ["DVC_STAGE"])
    step, line = (*words.split(), "")[:2]
    index, trained = data / "prepared" / line / "index.csv", data / "training" / line / "model.txt"
    if step == "demo":
        write(data / "raw/table/rows.csv", "a,b\\n" * 100)
    elif step == "compose":
        for name, entry in yaml.read(pathlib.Path("params.yaml"))["lines"].items():
            chosen = {"seed": entry["seed"], "epochs": entry.get("epochs", 1)}
            yaml.write(data / f"config/{name}.yaml", chosen, "Composed")
    elif step == "prepare":
        write(index, "".join(sorted(path.read_text() for path in (data / "raw/table").iterdir())))
    elif step == "train":
        train(line, index.read_text())
    else:
        write(data / "models" / line / "model.txt", trained.read_text())
        write(data / "reports" / line / "report.html", "made")
        facts = {"accuracy": 1 / len(trained.read_text()), "tiny": 1e-7}
        write(data / "reports" / line / "metrics.json", json.dumps(facts))

run(step, *sys.argv[1:])
"""
PIPELINE = """
stages:
  demo:
    cmd: python step.py demo
    deps: [step.py]
    outs:
      - data/raw/table: {persist: true, remote: data}
  compose:
    cmd: python step.py compose
    deps: [step.py]
    params: [lines]
    outs:
      - data/config: {cache: false, persist: true}
  prepare:
    foreach: ${lines}
    do:
      cmd: python step.py prepare ${key}
      deps: [data/raw/table]
      params:
        - data/config/${key}.yaml: [seed]
      outs:
        - data/prepared/${key}: {remote: '${item.bucket}'}
  train:
    foreach: ${lines}
    do:
      cmd: python step.py train ${key}
      deps: ['data/prepared/${key}']
      params:
        - data/config/${key}.yaml: [seed, epochs]
      outs:
        - data/training/${key}: {remote: models}
  evaluate:
    foreach: ${lines}
    do:
      cmd: python step.py evaluate ${key}
      deps: ['data/training/${key}', 'data/prepared/${key}']
      outs:
        - data/models/${key}: {remote: models}
        - data/reports/${key}/report.html: {remote: models}
      metrics:
        - data/reports/${key}/metrics.json: {cache: false, persist: true}
"""


def make(root: Path) -> Project:
    """Three lines, committed and not built."""
    project = Project.empty(root)
    project.path(".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, project.path(name))
    shutil.copytree(ROOT / "conf/engine", project.path("conf/engine"))
    project.path("step.py").write_text(STEP)
    project.path("dvc.yaml").write_text(PIPELINE)
    lines = {name: {"seed": number, "bucket": "data"} for number, name in enumerate(LINES)}
    project.edit("params.yaml", lambda params: params.update({"lines": lines}))
    project.commit("three lines")
    return project


def twin(project: Project, name: str) -> Project:
    """The same, in a folder beside it."""
    shutil.copytree(project.root, project.root.parent / name, symlinks=True)
    return Project(project.root.parent / name)


def lock(project: Project) -> str:
    return project.path("dvc.lock").read_text()


def steps(project: Project) -> list[str]:
    """What stages have run since this was asked last, and the epochs of trainings."""
    file = project.root.parent / "steps"
    found = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def counted(project: Project) -> Project:
    project.environment["STEPS"] = str(project.root.parent / "steps")
    return project


def begin(project: Project, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """`gaia build`, begun."""
    log = (project.root.parent / "said").open("w")
    return subprocess.Popen(["gaia", "build", *arguments], cwd=project.root, env=project.environment | variables,
                            text=True, stdout=log, stderr=log, start_new_session=True)  # fmt: skip


def said(project: Project) -> str:
    return (project.root.parent / "said").read_text()


def build(project: Project, *arguments: str, **variables: str) -> tuple[int, dict[str, dict], str]:
    """The exit code of `gaia build`, what became of each line, and what it says to people."""
    done = subprocess.run(["gaia", "build", "--json", *arguments], cwd=project.root, text=True, capture_output=True,
                          env=project.environment | variables)  # fmt: skip
    answer = json.loads(done.stdout)
    ends = {end["line"]: end for end in answer} if isinstance(answer, list) else {}
    return done.returncode, ends, done.stderr


@pytest.fixture(scope="session")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """See `three`; not to be changed."""
    return Project(once(tmp_path_factory, "three", make))


@pytest.fixture(scope="session")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, built by `dvc repro`; not to be changed."""

    def build(root: Path) -> None:
        project = make(root)
        project.repro()
        project.commit("built")

    return Project(once(tmp_path_factory, "one-by-one", build))


@pytest.fixture
def three(unbuilt: Project, tmp_path: Path) -> Project:
    """Three lines that aren't built."""
    shutil.copytree(unbuilt.root, tmp_path / "project", symlinks=True)
    return counted(Project(tmp_path / "project"))


@pytest.fixture
def made(one_by_one: Project, tmp_path: Path) -> Project:
    """Three lines that `dvc repro` has built."""
    shutil.copytree(one_by_one.root, tmp_path / "project", symlinks=True)
    return counted(Project(tmp_path / "project"))


def alive(root: Path) -> list[int]:
    """The processes that work below a folder, by their number."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            here = (entry / "cwd").readlink() if entry.name.isdigit() else Path()
        except OSError:
            continue
        if here.is_relative_to(root):
            found.append(int(entry.name))
    return found
