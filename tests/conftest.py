"""A small project that is real in every part: this repository's files, tiny data, Git, DVC, three trained lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent

TINY = {
    "lines": {
        "plants": {
            "data": {"use": "photos", "image_size": 32},
            "model": "mobilenet_v3_small",
            "trainer": {"max_epochs": 2},
        },
        "bags": {"data": {"use": "bags", "image_size": 32}, "model": "mobilenet_v3", "trainer": {"max_epochs": 2}},
        "cultures": {"trainer": {"max_epochs": 30}},
    },
    "demo": {
        "demo_plants": {"count": 120, "size": 48},
        "demo_bags": {"count": 120, "size": 48},
        "demo_cultures": {"count": 600},
    },
}


class Project:
    """A checkout with its own Git and DVC state, and this repository's code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ,
            "HOME": str(root.parent),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root / "src"),
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
            "DVC_NO_ANALYTICS": "1",
            # two workers train at once: threads that spin while they wait would take the cores from each other
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; its output holds both streams."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert not ok or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done

    def repro(self, *arguments: str) -> set[str]:
        """The stages that `dvc repro` ran."""
        return set(re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro", *arguments).stdout))

    def commit(self, message: str = "a step") -> None:
        """Commit everything that Git tracks or should."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "--quiet", "--allow-empty", "-m", message)

    def path(self, *parts: str) -> Path:
        """A path in the project."""
        return self.root.joinpath(*parts)

    def edit(self, file: str, change: Callable[[dict], object]) -> None:
        """Change a YAML file as a person would: comments and order stay."""
        yaml = YAML()
        content = yaml.load(self.path(file))
        change(content)
        yaml.dump(content, self.path(file))

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace one piece of text in a file."""
        text = self.path(file).read_text()
        assert text.count(old) == 1, f"{file} holds {text.count(old)} x {old!r}"
        self.path(file).write_text(text.replace(old, new))


def checkout(root: Path) -> Project:
    """The files of this repository as they are now, committed in a repository of their own, with tiny settings."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    built = ("dvc.lock", "data/config/", "data/reports/")
    for name in filter(None, listed.split("\0")):
        if not name.startswith(built) and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    project = Project(root)
    project.edit("params.yaml", lambda params: merge(params, TINY))
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run("dvc", "install")
    project.commit("the project")
    return project


def merge(into: dict, values: dict) -> None:
    """Set nested values."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all three lines built and committed; not to be changed. Built once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    root = shared / "built" / "project"
    with FileLock(shared / "built.lock"):
        if not (shared / "built" / "done").exists():
            shutil.rmtree(root, ignore_errors=True)
            project = checkout(root)
            project.repro()
            project.commit("built")
            (shared / "built" / "done").touch()
    return Project(root)


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, to change at will."""
    root = tmp_path / "project"
    shutil.copytree(built.root, root, symlinks=True)
    return Project(root)
