"""A process may die at any call of Git: no name has two contents, and everybody is whole again after `gaia sync`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from conftest import Project, Store
from deployed import go
from gaia.deployments import activation, host
from gaia.deployments.current import current
from gaia.deployments.sync import sync
from gaia.registry import tags
from released import clone, share

# A git that kills the process that called it: before the n-th call, or right after it.
WRAPPER = """#!/bin/sh
count=$(($(cat "$KILL/count") + 1))
echo $count > "$KILL/count"
test "$count" != "$BEFORE" || { kill -9 $PPID; exit 1; }
"$KILL/real" "$@"
code=$?
test "$count" != "$AFTER" || kill -9 $PPID
for word; do case $word in tag|push|update-ref|fetch) echo "$count" >> "$KILL/writers"; break;; esac; done
exit $code
"""
VERBS = {
    "release": ("release", "spores", "--retrain"),
    "deploy": ("deploy", "spores@v1.2.0", "--yes"),
    "rollback": ("rollback", "spores", "--reason", "why", "--yes"),
    "withdraw": ("withdraw", "spores@v1.2.0", "--reason", "why", "--yes"),
    "undeploy": ("undeploy", "spores", "--reason", "why", "--yes"),
    "sync": ("sync",),
}


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """A folder for the front of PATH."""
    folder = tmp_path / "wrapper"
    folder.mkdir()
    (folder / "git").write_text(WRAPPER)
    (folder / "git").chmod(0o755)
    (folder / "real").symlink_to(shutil.which("git") or "")
    return folder


@pytest.fixture
def world(released: Project, store: Store, tmp_path: Path) -> Path:
    """A folder with a project, its shared repository, and another host, that can be copied: v1.0.0 is live, then
    v1.1.0, of which the other host has not heard. HEAD is built and stored, and no version yet."""
    store.empty()
    store.connect(released)
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=25))
    released.repro()
    released.commit("a turn more")
    released.run("dvc", "push", "--all-tags")
    share(released)
    released.run("git", "remote", "set-url", "origin", "../project.git")
    go(released, "v1.0.0")
    other = clone(released, tmp_path / "other")
    other.run("git", "remote", "set-url", "origin", "../project.git")
    other.path(".dvc/config.local").write_text(
        released.path(".dvc/config.local").read_text() + "[cache]\n    dir = ../../project/.dvc/cache\n"
    )
    sync(root=other.root)
    go(released, "v1.1.0")
    folder = tmp_path / "world"
    folder.mkdir()
    for name in ("project", "project.git", "other"):
        (tmp_path / name).rename(folder / name)
    return folder


def killed(world: Path, wrapper: Path, project: Project, verb: str, **when: str) -> tuple[int, str]:
    """Exit code and output of a verb that a git of ours may kill."""
    (wrapper / "count").write_text("0")
    (wrapper / "writers").write_text("")
    variables = project.environment | {"KILL": str(wrapper), "BEFORE": "", "AFTER": ""} | when
    variables["PATH"] = f"{wrapper}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(["gaia", *VERBS[verb]], cwd=project.root, env=variables, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)  # fmt: skip
    return done.returncode, done.stdout


def moments(world: Path, wrapper: Path, verb: str) -> list[dict[str, str]]:
    """Before each call of Git, and after each that writes: the calls of an undisturbed run are counted.

    To try them all takes twenty minutes (EVERY_KILL=1 does); else of the calls that only read each tenth.
    """
    folder = copied(world)
    code, said = killed(folder, wrapper, actor(folder, verb), verb)
    assert code == 0, said
    count = int((wrapper / "count").read_text())
    writers = [int(number) for number in (wrapper / "writers").read_text().split()]
    assert count > 5
    every = "EVERY_KILL" in os.environ
    chosen = [n for n in range(1, count + 1) if every or n in writers or n - 1 in writers or n % 10 == 0]
    return [*({"BEFORE": str(n)} for n in chosen), *({"AFTER": str(n)} for n in writers)]


def copied(world: Path) -> Path:
    folder = world.with_name("copy")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world, folder, symlinks=True)
    return folder


def actor(folder: Path, verb: str) -> Project:
    """Who carries the verb out: a host that has not heard of the latest follows it."""
    return Project(folder / ("other" if verb == "sync" else "project"))


def objects(root: Path) -> dict[str, str]:
    command = ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"]
    listed = subprocess.run(command, cwd=root, text=True, capture_output=True, check=True).stdout
    return dict(line.split() for line in listed.splitlines())


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
def test_killed_at_any_call_of_git_all_hosts_agree_after_a_sync(world: Path, wrapper: Path, verb: str) -> None:
    kills = 0
    for moment in moments(world, wrapper, verb):
        folder = copied(world)
        acting, hosts = actor(folder, verb), [Project(folder / name) for name in ("project", "other")]
        here = acting.path("deployments/spores/current")
        was = here.resolve()
        code, output = killed(folder, wrapper, acting, verb, **moment)
        assert code == -signal.SIGKILL, f"{moment}: {code} {output}"
        kills += 1
        assert here.is_dir() or verb == "undeploy", f"{moment}: nothing is live"
        assert was.is_dir()
        for project in hosts:  # any order would do
            for each in sync(root=project.root):
                assert not each.problem, f"{moment}: {each.problem}"
        shared = objects(folder / "project.git")
        for project in hosts:
            assert objects(project.root) == shared, f"{moment}: a name has two contents, or is not shared"
        assert said(hosts[0]) == said(hosts[1]), moment
        code, output = killed(folder, wrapper, acting, verb)  # once more, and to its end
        repeated = code == 0 or (verb == "release" and "is spores@v1.3.0 already" in output)
        repeated |= verb == "rollback" and "nothing was live in prod before spores@v1.0.0" in output
        repeated |= verb == "undeploy" and "nothing of spores is live in prod" in output
        assert repeated, f"{moment}: {output}"
        known = tags.read("spores", acting.root)
        assert not known.foreign
        if verb == "release":
            assert [tag.name.number for tag in known.versions].count("v1.3.0") == 1
            assert len(known.versions) == 4
        if verb in ("deploy", "rollback"):
            assert len(known.decisions) == 3, f"{moment}: decided twice"
    print(f"{verb}: {kills} kills")


def test_the_wrapper_is_what_runs(world: Path, wrapper: Path) -> None:
    """A kill test whose kills miss proves nothing."""
    assert (wrapper / "git").stat().st_mode & stat.S_IXUSR
    folder = copied(world)
    code, _ = killed(folder, wrapper, Project(folder / "project"), "deploy", BEFORE="3")
    assert (code, (wrapper / "count").read_text()) == (-signal.SIGKILL, "3\n")
    assert json.loads(Project(folder / "project").run("gaia", "current", "--json").stdout)[0]["version"] == "v1.1.0"
