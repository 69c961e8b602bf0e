"""A small project that is real in every part: this repository's files, tiny data, Git, DVC, three trained lines."""

from __future__ import annotations

import importlib
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from gaia.storage import objects, remotes
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import buckets, embedded, server
from released import release

pytest_plugins = ["versioned", "edited", "sidebyside"]  # fixtures that have a file of their own
ROOT = Path(__file__).parent.parent

# A server that the environment names is the one that the storage is tested with; it is not meant for anything else.
GIVEN = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith("S3_")}

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

# Who needs one of these is `slow`: a project built with DVC, a server, or a whole training framework.
BUILT = {"built", "kept", "chronicle", "drafted", "store", "aws"}
TRAINING = {
    "test_accuracy", "test_speaking", "test_augmentation", "test_layers", "test_processes", "test_rehearsal",
    "test_training",
}  # fmt: skip

FRAMEWORKS = {"plants": "pytorch", "bags": "keras", "cultures": "catboost"}
SMALL = {"lines": {"plants": {"bucket": "plants-images", "seed": 1}, "cultures": {"bucket": "data", "seed": 2}}}
MAKE = """
import pathlib, random, sys
line, seed = sys.argv[1:]
prepared, model = pathlib.Path("data/prepared", line), pathlib.Path("data/models", line)
for folder in (prepared, model):
    folder.mkdir(parents=True, exist_ok=True)
(prepared / "index.csv").write_text(f"row,{seed}")
(prepared / "arrays.npy").write_bytes(random.Random(seed).randbytes(300_000))
(model / "model.onnx").write_bytes(random.Random(seed + line).randbytes(100_000))
(model / "contract.json").write_text('{"model": "model.onnx"}')  # the same in all versions
"""
PIPELINE = """
stages:
  make:
    foreach: ${lines}
    do:
      cmd: python make.py ${key} ${item.seed}
      deps: [make.py]
      outs:
        - data/prepared/${key}: {remote: '${item.bucket}'}
        - data/models/${key}: {remote: models}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make check` goes without; nobody has to remember it."""
    for item in items:
        assert isinstance(item, pytest.Function)
        if BUILT & set(item.fixturenames) or TRAINING & {item.path.stem}:
            item.add_marker(pytest.mark.slow)


class Project:
    """A checkout with its own Git and DVC state, and this repository's code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ,
            "HOME": str(root.parent),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{root / 'src'}{os.pathsep}{ROOT / 'src'}",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
            "DVC_NO_ANALYTICS": "1",
            # two workers train at once: threads that wait for each other would wait for the other worker's
            "OMP_NUM_THREADS": "1",
        }

    @classmethod
    def empty(cls, root: Path) -> Project:
        """A Git repository without a commit."""
        root.mkdir(parents=True)
        project = cls(root)
        project.run("git", "init", "--quiet", "--initial-branch", "main")
        return project

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
        content = (yaml.load(self.path(file)) if self.path(file).exists() else None) or {}
        change(content)
        yaml.dump(content, self.path(file))

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace one piece of text in a file."""
        text = self.path(file).read_text()
        assert text.count(old) == 1, f"{file} holds {text.count(old)} x {old!r}"
        self.path(file).write_text(text.replace(old, new))


class Store:
    """An S3 server for tests, and the project folder from which it is started, stopped and broken."""

    def __init__(self, folder: Path, given: dict[str, str] | None = None) -> None:
        self.root, self.given = folder, given or {}
        mine = f"gaia-test-{secrets.token_hex(3)}"
        names = {f"S3_BUCKET_{kind}": f"{mine}-{kind.lower()}" for kind in ("MODELS", "IMAGES", "DATA")}
        address = {"S3_ENDPOINT": f"http://127.0.0.1:{free_ports()}"}
        (folder / ".dvc").mkdir()
        shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
        self.variables = {**address, **self.given, **names}
        (folder / ".env").write_text("".join(f"{key}={value}\n" for key, value in self.variables.items()))
        self.start()
        self.settings = settings.read(folder)
        self.client = S3Client(self.settings)

    @property
    def data(self) -> Path:
        """Where the server keeps what it is given."""
        return self.root / ".storage/data"

    def start(self) -> None:
        """Start the server, unless it runs."""
        server.up(self.root)

    def stop(self) -> None:
        """Stop it as `gaia storage down` does."""
        server.down(self.root)

    def kill(self) -> None:
        """End it as a power cut would."""
        if process := embedded.process(self.root):
            process.kill()

    def connect(self, project: Project) -> Project:
        """Let a project use this server, as a user does: by its .env."""
        shutil.copy(self.root / ".env", project.path(".env"))
        remotes.write(self.settings, project.root)
        return project

    def fill(self, project: Project, *revisions: str) -> None:
        """Hold just what these revisions need: as `dvc push` of each would, in a fraction of its time."""
        self.empty()
        needed = [o for r in revisions for o in objects.of_revision(r, client=self.client, root=project.root)]
        for bucket, key in {(o.bucket, o.key) for o in needed}:
            self.client.upload_file(project.path(".dvc/cache", key), bucket, key)

    def empty(self) -> None:
        """Delete every object of the test's buckets."""
        for bucket in self.settings.buckets.values():
            self.client.delete_objects(bucket, [found.key for found in self.client.list_objects(bucket)])

    def end(self) -> None:
        """Leave nothing behind."""
        if self.given:
            for bucket in self.settings.buckets.values():
                buckets.erase(self.client, bucket, "")
                self.client._s3.delete_bucket(Bucket=bucket)
        self.kill()  # one that is only stopped waits for clients that are still connected
        self.stop()
        if not self.given:
            embedded._remove_sockets(self.settings.address[1])


def framework(line: str) -> ModuleType:
    """What trains a line, in the test's own process.

    torchvision comes first: both it (through Triton) and TensorFlow bring LLVM, which ends a process that loads them in
    the other order.
    """
    importlib.import_module("torchvision")
    return importlib.import_module(f"gaia.frameworks.{FRAMEWORKS[line]}.fit")


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that happens on its own."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_ports() -> int:
    """The first of ten free ports in a row."""
    while True:
        first = random.randrange(20000, 29000)
        try:
            for port in (*range(first, first + 10), first + 10_001):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


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


def once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The project that `make` makes in an empty folder of its own: once, however many workers ask for it."""
    shared = folders.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    folder = shared / name
    with FileLock(shared / f"{name}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder / "project")
            (folder / "done").touch()
    return folder / "project"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all three lines built and committed; not to be changed."""

    def make(root: Path) -> None:
        project = checkout(root)
        project.repro()
        project.commit("built")

    return Project(once(tmp_path_factory, "built", make))


@pytest.fixture(scope="session")
def photos() -> Path:
    """The real photos; a test that wants them is skipped where they are missing."""
    folder = ROOT.parent / "shared" / "photos"
    if not folder.is_dir():
        pytest.skip("the real photos lie beside the project (../shared/photos) only where it is developed")
    return folder


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, to change at will."""
    root = tmp_path / "project"
    shutil.copytree(built.root, root, symlinks=True)
    return Project(root)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """See `released`; not to be changed."""
    return Project(once(tmp_path_factory, "released", lambda root: release(Project.empty(root))))


@pytest.fixture
def released(kept: Project, tmp_path: Path) -> Project:
    """A project of small real artifacts: three versions of `spores`, two of `cultures`, nothing live."""
    root = tmp_path / "project"
    shutil.copytree(kept.root, root, symlinks=True)
    return Project(root)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A running S3 server with buckets of its own: the one that the environment gives, or else an embedded one."""
    running = Store(tmp_path_factory.mktemp("store"), GIVEN)
    yield running
    running.end()


@pytest.fixture(scope="session")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """See `small`; not to be changed."""
    project = Project.empty(tmp_path_factory.mktemp("small") / "project")
    project.path(".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore"):
        shutil.copy(ROOT / name, project.path(name))
    project.path("make.py").write_text(MAKE)
    project.path("dvc.yaml").write_text(PIPELINE)
    project.edit("params.yaml", lambda params: params.update(SMALL))
    project.repro()
    project.commit("built")
    return project


@pytest.fixture
def small(drafted: Project, store: Store, tmp_path: Path) -> Project:
    """A pipeline of the real one's shape that takes no time, connected to the store."""
    root = tmp_path / "small"
    shutil.copytree(drafted.root, root, symlinks=True)
    return store.connect(Project(root))
