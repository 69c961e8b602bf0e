"""A process may die at any call of Git, and wherever a name is given or taken: no name has two contents, everybody is
whole again after `gaia sync`, and the verb, repeated, ends what it had begun.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import killer
from conftest import ROOT, Project, Store, free_ports
from deployed import go
from gaia.deployments import activation, host
from gaia.deployments.current import current
from gaia.deployments.sync import sync
from gaia.registry import tags
from gaia.storage import releases
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client, answers
from released import clone, share

VERBS = {
    "release": ("release", "spores", "--retrain"),
    "deploy": ("deploy", "spores@v1.2.0", "--yes"),
    "rollback": ("rollback", "spores", "--reason", "why", "--yes"),
    "withdraw": ("withdraw", "spores@v1.2.0", "--reason", "why", "--yes"),
    "undeploy": ("undeploy", "spores", "--reason", "why", "--yes"),
    "sync": ("sync",),
    "cleanup": ("cleanup", "spores", "--yes"),
    "cleanup --remote": ("cleanup", "spores", "--remote", "--yes"),
}
UNUSED = "files/md5/ab/cdefabcdefabcdefabcdefabcdefab"  # an object that nobody needs


@pytest.fixture(scope="module")
def world(kept: Project, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, its shared repository, and another host, to be copied: v1.0.0 is live, then v1.1.0, of
    which the other host has not heard. HEAD is built and stored, and no version yet. A folder of a version that
    nobody knows any more lies among the others, which is what there is to clean up."""
    folder = tmp_path_factory.mktemp("kills") / "world"
    shutil.copytree(kept.root, folder / "project", symlinks=True)
    project = store.connect(Project(folder / "project"))
    store.empty()
    project.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=25))
    project.repro()
    project.commit("a turn more")
    project.run("dvc", "push", "--all-tags")
    share(project)
    project.run("git", "remote", "set-url", "origin", "../project.git")
    go(project, "v1.0.0")
    other = clone(project, folder / "other")
    other.run("git", "remote", "set-url", "origin", "../project.git")
    other.path(".dvc/config.local").write_text(
        project.path(".dvc/config.local").read_text() + "[cache]\n    dir = ../../project/.dvc/cache\n"
    )
    sync(root=other.root)
    go(project, "v1.1.0")
    versions = project.path("deployments/spores/versions")
    shutil.copytree(next(versions.iterdir()), versions / "v0.9.0_20260101_000000")
    return folder


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    return killer.install(tmp_path / "wrapper")


def killed(wrapper: Path, project: Project, verb: str, **when: str) -> tuple[int, str]:
    return killer.run(wrapper, VERBS[verb], project.root, project.environment, **when)


def copied(world: Path, store: Store, verb: str) -> Path:
    """The world to be changed; if the buckets are, too, then with an object to remove, and no version's folder."""
    folder = world.with_name("copy")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world, folder, symlinks=True)
    for version in releases.listed(store.client):
        releases.remove(version, store.client)
    if verb == "cleanup --remote":
        file = folder / "project/.dvc/cache" / UNUSED
        file.parent.mkdir(exist_ok=True)
        file.write_text("nobody needs this")
        store.client.upload_file(file, store.settings.buckets["models"], UNUSED)
    return folder


def actor(folder: Path, verb: str) -> Project:
    """Who carries the verb out: a host that has not heard of the latest follows it."""
    return Project(folder / ("other" if verb == "sync" else "project"))


def objects(root: Path) -> dict[str, str]:
    command = ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"]
    listed = subprocess.run(command, cwd=root, text=True, capture_output=True, check=True).stdout
    return dict(line.split() for line in listed.splitlines())


def stored(store: Store) -> set[str]:
    return {each.key for bucket in store.settings.buckets.values() for each in store.client.list_objects(bucket)}


def said(project: Project) -> list[tuple[str, str | None]]:
    """What is live by the tags; this host agrees, and has it whole."""
    found = []
    for each in current(root=project.root):
        assert not each.problem, each.problem
        if each.event and each.here:
            version = each.event.version
            assert each.here == host.folder(version, project.root)
            activation.verify(each.here, activation.pin(version, project.root), version)
        found.append((each.stage, each.event and str(each.event.tag.name)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_any_call_all_hosts_agree_after_a_sync(world: Path, store: Store, wrapper: Path, verb: str) -> None:
    folder = copied(world, store, verb)
    code, output = killed(wrapper, actor(folder, verb), verb)
    assert code == 0, output
    left, kills = stored(store), killer.moments(wrapper)
    for moment in kills:
        folder = copied(world, store, verb)
        acting, hosts = actor(folder, verb), [Project(folder / name) for name in ("project", "other")]
        here = acting.path("deployments/spores/current")
        was = here.resolve()
        code, output = killed(wrapper, acting, verb, **moment)
        assert killer.was_placed(code), f"{moment}: {code} {output}"
        assert here.is_dir() or verb == "undeploy", f"{moment}: nothing is live"
        assert was.is_dir()
        for project in hosts:  # any order would do
            for each in sync(root=project.root):
                assert not each.problem, f"{moment}: {each.problem}"
        shared = objects(folder / "project.git")
        for project in hosts:
            assert objects(project.root) == shared, f"{moment}: a name has two contents, or is not shared"
        assert said(hosts[0]) == said(hosts[1]), moment
        code, output = killed(wrapper, acting, verb)  # once more, and to its end
        repeated = code == 0 or (verb == "release" and "is spores@v1.3.0 already" in output)
        repeated |= verb == "rollback" and "nothing was live in prod before spores@v1.0.0" in output
        repeated |= verb == "undeploy" and "nothing of spores is live in prod" in output
        assert repeated, f"{moment}: {output}"
        assert stored(store) == left, f"{moment}: an object too many, or too few"
        assert not list(acting.path("deployments/spores").glob(".new/*")), f"{moment}: something is left"
        assert not verb.startswith("cleanup") or not list(acting.path("deployments/spores/versions").glob("v0.9*"))
        known = tags.read("spores", acting.root)
        assert not known.foreign
        if verb == "release":
            assert [tag.name.number for tag in known.versions].count("v1.3.0") == 1
            assert len(known.versions) == 4
        if verb in ("deploy", "rollback"):
            assert len(known.decisions) == 3, f"{moment}: decided twice"
    print(f"{verb}: {len(kills)} kills, all held")


@pytest.fixture
def unserved(tmp_path: Path) -> Project:
    """A project without a storage, at an address of its own."""
    project = Project(tmp_path / "project")
    project.path(".dvc").mkdir(parents=True)
    for name in (".dvc/config", "dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, project.path(name))
    project.path(".env").write_text(f"S3_ENDPOINT=http://127.0.0.1:{free_ports()}\n")
    return project


@pytest.mark.slow
def test_storage_up_killed_at_any_call_is_up_or_down_when_it_is_asked_again(unserved: Project, wrapper: Path) -> None:
    """Up with the keys that .env has, and down with nothing left that holds the port."""

    def gaia(*verb: str, **when: str) -> tuple[int, str]:
        return killer.run(wrapper, ("storage", *verb), unserved.root, unserved.environment, **when)

    def cleared() -> None:
        code, output = gaia("down")
        assert code == 0 and not answers(settings.read(unserved.root, keyless=True)), output
        for name in (".storage", ".dvc/config.local"):
            path = unserved.path(name)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        unserved.path(".env").write_text(address)

    address = unserved.path(".env").read_text()
    try:
        for _ in range(2):  # the first also removes what another's server may have left at this port
            code, output = gaia("up")
            assert code == 0, output
            kills = killer.moments(wrapper)
            cleared()
        for moment in kills:
            code, output = gaia("up", **moment)
            assert killer.was_placed(code), f"{moment}: {code} {output}"
            code, output = gaia("up")
            assert code == 0, f"{moment}: {output}"
            assert S3Client(settings.read(unserved.root)).buckets(), moment
            cleared()
    finally:
        gaia("down")
    print(f"storage up: {len(kills)} kills, all held")


def test_the_wrapper_is_what_runs(world: Path, store: Store, wrapper: Path) -> None:
    """A kill test whose kills miss proves nothing."""
    project = actor(copied(world, store, "deploy"), "deploy")
    code, _ = killed(wrapper, project, "deploy", BEFORE="3")
    assert killer.was_placed(code) and (wrapper / "count").read_text().strip() == "3"
    assert json.loads(project.run("gaia", "current", "--json").stdout)[0]["version"] == "v1.1.0"
    assert os.access(wrapper / "git", os.X_OK)
