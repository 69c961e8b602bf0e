"""What is live changes whole or not at all: killed anywhere, raced, watched by a reader, given damaged files."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import Project, Store, until
from gaia import files
from gaia.deployments import activation, host
from gaia.deployments import plan as deploy
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.registry import history, tags
from released import clone, model, share

KILLS = 200
COUNTED = ("open", "os.", "shutil.", "subprocess.", "fcntl.")  # what a process does to files, as Python audits it


@pytest.fixture
def live(released: Project) -> Project:
    """v1.0.0 of spores is live, and v1.1.0 lies beside it."""
    for version in ("v1.1.0", "v1.0.0"):
        make_live(released, f"spores@{version}")
    return released


def make_live(project: Project, version: str, stage: str = "prod") -> deploy.Done:
    return deploy.carry_out(deploy.deploy(version, stage, root=project.root), project.root)


def in_a_process(act: Callable[[], object], count: int | None = None) -> int:
    """Start `act` in a process of its own, killed as it is about to do its count-th thing with files; its pid."""
    import catboost  # noqa: F401  # what every one of them would import first
    import pandas as pd  # noqa: F401

    from gaia.frameworks.catboost import reader  # noqa: F401
    from gaia.runtime import golden, load  # noqa: F401
    from gaia.storage import objects  # noqa: F401

    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        left = count or 0

        def on_event(event: str, arguments: object) -> None:
            nonlocal left
            if count and event.startswith(COUNTED):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(on_event)
        act()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


def ended(pid: int) -> int:
    """The exit code (negative: the signal) of a process, after all that it started has ended, too."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    while True:  # a zombie has ended, though perhaps nobody has asked how
        listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
        if not [row for row in listed.splitlines() if row.split()[0] == str(pid) and "Z" not in row]:
            return code
        time.sleep(0.002)


def test_killed_at_any_moment_the_live_version_stays_whole_and_the_next_run_completes(live: Project) -> None:
    """Each kill meets a deployment that has everything to do: link, verify, test, place, record, switch, write."""
    root, chance, done, seconds = live.root, random.Random(1), 0, 0.3
    pair = tags.versions("spores", root)[:2]
    pins = {version.name: activation.pin(version, root) for version in pair}
    count: int | None = 0
    while done < KILLS:
        was = history.read("spores", root)[-1].version
        to = next(version for version in pair if version.name != was.name)
        if host.folder(to, root).exists():
            with host.changing("spores", root) as new:
                host.discard(host.folder(to, root), new)
        act = lambda to=to: make_live(live, str(to.name))  # noqa: E731
        if count is not None:  # before the first thing, the second, the third, ...
            count += 1
            code = ended(in_a_process(act, count))
            if code == 0:
                assert count > 60, "the process did less than a deployment does"
                count = None
        else:  # then at random moments
            start, pid = time.monotonic(), in_a_process(act)
            time.sleep(chance.uniform(0, seconds))
            os.kill(pid, signal.SIGKILL)
            seconds = 0.9 * seconds + 0.1 * 1.2 * (time.monotonic() - start) if (code := ended(pid)) == 0 else seconds
        assert code in (0, -signal.SIGKILL)
        done += code != 0
        here = host.current("spores", root=root)
        assert here in (host.folder(was, root), host.folder(to, root)), "what is live is neither the old nor the new"
        version = was if here == host.folder(was, root) else to
        decided = history.read("spores", root)[-1].version
        assert decided.name == to.name or version.name == was.name, "a version is live that nobody recorded"
        if code:
            for folder in host.versions("spores", root).iterdir():  # whatever can be seen is whole, what is live too
                one = next(version for version in pair if host.folder(version, root) == folder)
                activation.verify(folder, pins[one.name], one)
            assert ended(in_a_process(lambda: sync("spores", root=root)[0].problem and os._exit(3))) == 0
            assert host.current("spores", root=root) == host.folder(decided, root)
            assert not (root / "deployments/spores/.new").exists(), "something half-made was left"
    numbers = [event.tag.name.counter for event in history.read("spores", root)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_reader_never_finds_the_live_version_missing_or_mixed(live: Project) -> None:
    root = live.root
    folders = [host.folder(version, root) for version in tags.versions("spores", root)[:2]]
    whole = {tuple((folder / name).read_bytes() for name in ("manifest.json", "model.cbm")) for folder in folders}

    def swap() -> None:
        with host.changing("spores", root) as new:
            for turn in range(10_000):
                host.switch("spores", "prod", folders[turn % 2], new, root)

    pid, polls, seen = in_a_process(swap), 0, set()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        here = host.current("spores", root=root)
        assert here is not None
        seen.add(tuple((here / name).read_bytes() for name in ("manifest.json", "model.cbm")))
        (host.link("spores", root=root) / "model.cbm").read_bytes()
        polls += 1
    assert seen == whole
    assert polls > 100


def test_parallel_deployments_never_share_a_number(live: Project, tmp_path: Path) -> None:
    """Four hosts on one repository, which no lock of a host keeps apart."""
    cache = live.path(".dvc/cache").resolve()
    hosts = []
    for number in range(4):
        live.run(
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "worktree",
            "add",
            "--quiet",
            "--detach",
            str(tmp_path / f"host{number}"),
        )
        hosts.append(Project(tmp_path / f"host{number}"))
        hosts[-1].path(".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
    versions = ["v1.0.0", "v1.1.0", "v1.2.0"]
    for turn in range(20):
        wanted = [f"spores@{versions[(turn + number) % 3]}" for number in range(4)]
        pids = [in_a_process(lambda at=at, to=to: make_live(at, to)) for at, to in zip(hosts, wanted, strict=True)]
        assert [ended(pid) for pid in pids] == [0, 0, 0, 0]
    events = history.read("spores", live.root)
    assert [event.tag.name.counter for event in events] == list(range(1, len(events) + 1))
    assert len(events) >= 2 + 20 * 2
    for before, after in pairwise(events):
        assert before.version.name != after.version.name, "the same version was made live twice"
        assert f'"from": "{before.version.name.number}"' in after.tag.message, "a record names another one before it"


def test_two_clones_that_deploy_at_once_are_numbered_one_after_the_other(released: Project, tmp_path: Path) -> None:
    share(released)
    released.path(".dvc/config.local").write_text(f"[cache]\n    dir = {released.path('.dvc/cache')}\n")
    other = clone(released, tmp_path / "other")
    make_live(released, "spores@v1.0.0")
    make_live(other, "spores@v1.1.0")  # knows nothing of the first
    names = ["spores#prod#1", "spores#prod#2"]
    assert [str(tag.name) for tag in tags.deployments(root=other.root)] == names
    assert '"from": "v1.0.0"' in tags.deployments(root=other.root)[1].message
    shared = released.run("git", "ls-remote", "--tags", "origin").stdout
    assert all(f"refs/tags/{name}\n" in shared for name in names)
    plan = deploy.rollback("spores", "of v1.1.0", root=other.root)
    make_live(released, "spores@v1.2.0")
    with pytest.raises(GaiaError, match="meanwhile spores@v1.2.0 became live in prod"):
        deploy.carry_out(plan, other.root)
    assert len(tags.deployments(root=other.root)) == 3


def test_a_tag_that_cannot_be_pushed_leaves_everything_as_it_was(live: Project) -> None:
    live.run("git", "remote", "add", "origin", str(live.path("nowhere.git")))
    before = live.run("git", "for-each-ref").stdout
    with pytest.raises(GaiaError, match="origin can't be asked for its tags"):
        make_live(live, "spores@v1.2.0")
    assert live.run("git", "for-each-ref").stdout == before
    assert host.current("spores", root=live.root) == host.folder(tags.find("spores@v1.0.0", live.root), live.root)


def cached(project: Project, version: str, file: str) -> Path:
    """A file of a version, or the listing of its files, in the cache."""
    tag = tags.find(version, project.root)
    pinned = activation.pin(tag, project.root)
    listing = project.path(".dvc/cache/files/md5", pinned[:2], pinned[2:])
    if not file:
        return listing
    md5 = next(e["md5"] for e in json.loads(listing.read_text()) if e["relpath"] == file)
    return project.path(".dvc/cache/files/md5", md5[:2], md5[2:])


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-10] + bytes([content[-10] ^ 1]) + content[-9:])


@pytest.mark.parametrize("file", ["model.cbm", "manifest.json", "contract.json", ""])
@pytest.mark.parametrize(("harm", "word"), [(damage, "damaged"), (Path.unlink, "missing")])
def test_what_the_cache_has_not_whole_is_refused_by_name(
    live: Project, file: str, harm: Callable[[Path], object], word: str
) -> None:
    path = cached(live, "spores@v1.2.0", file)
    path.chmod(0o644)
    harm(path)
    before = model(live, "spores"), live.run("git", "for-each-ref").stdout
    with pytest.raises(GaiaError, match=f"{path.name} is {word}.*{file}.*the storage can't help"):
        make_live(live, "spores@v1.2.0")
    assert (model(live, "spores"), live.run("git", "for-each-ref").stdout) == before


FILES = ["model.cbm", "manifest.json", "golden.json", "contract.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", [damage, Path.unlink])
def test_a_placed_version_that_was_changed_is_mended(
    live: Project, file: str, harm: Callable[[Path], object], capfd: pytest.CaptureFixture[str]
) -> None:
    """Kind: refused although the bytes can be had."""
    path = host.folder(tags.find("spores@v1.1.0", live.root), live.root) / file
    whole = path.read_bytes()
    harm(path)
    make_live(live, "spores@v1.1.0")
    assert path.read_bytes() == whole
    assert f"mended {file} in {path.parent}" in capfd.readouterr().err


def test_a_placed_version_that_can_not_be_had_anew_is_refused_and_what_is_live_stays(live: Project) -> None:
    path = host.folder(tags.find("spores@v1.1.0", live.root), live.root) / "model.cbm"
    damage(path)
    cached(live, "spores@v1.1.0", "model.cbm").unlink()
    with pytest.raises(GaiaError, match=f"{path.parent.name} is damaged, and spores@v1.1.0 can't be had: .*missing"):
        make_live(live, "spores@v1.1.0")
    assert host.current("spores", root=live.root) == host.folder(tags.find("spores@v1.0.0", live.root), live.root)


def test_a_strange_file_in_a_placed_version_is_refused_by_name_and_removing_it_is_enough(live: Project) -> None:
    stranger = host.folder(tags.find("spores@v1.1.0", live.root), live.root) / "stranger.bin"
    stranger.touch()
    with pytest.raises(GaiaError, match=r"stranger[.]bin is not named in manifest[.]json; remove it"):
        make_live(live, "spores@v1.1.0")
    stranger.unlink()
    make_live(live, "spores@v1.1.0")


def test_a_version_of_another_line_in_its_place_is_mended(live: Project) -> None:
    """Whole in itself, and not what dvc.lock pins."""
    make_live(live, "cultures")
    stranger = host.current("cultures", root=live.root)
    assert stranger
    tag = tags.find("spores@v1.1.0", live.root)
    there = host.folder(tag, live.root)
    for file in there.iterdir():
        file.unlink()
        file.write_bytes((stranger / file.name).read_bytes())
    with pytest.raises(GaiaError, match="manifest.json is not the one of spores@v1.1.0; `gaia sync spores` mends it"):
        activation.verify(there, activation.pin(tag, live.root), tag)
    make_live(live, "spores@v1.1.0")
    activation.verify(there, activation.pin(tag, live.root), tag)


def test_a_placed_version_shares_no_byte_with_the_cache_and_is_read_only(live: Project) -> None:
    """Kind: one flipped byte damages both."""
    placed = host.folder(tags.find("spores@v1.0.0", live.root), live.root) / "model.cbm"
    path = cached(live, "spores@v1.0.0", "model.cbm")
    whole = placed.read_bytes()
    assert not placed.samefile(path)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"flipped")
    assert placed.read_bytes() == whole
    assert all(not file.stat().st_mode & 0o222 for file in placed.parent.iterdir()), "a placed file can be edited"


def test_sync_mends_what_is_live_though_nothing_moved(live: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Kind: "as before" is said without looking."""
    before = model(live, "spores")
    damage(live.path("deployments/spores/current/model.cbm"))
    assert [(each.moved, each.problem) for each in sync(root=live.root)] == [(False, "")]
    assert model(live, "spores") == before
    assert "mended model.cbm" in capfd.readouterr().err
    sync(root=live.root)
    assert capfd.readouterr().err == "", "it mends what is whole"


def test_sync_names_what_is_live_and_damaged_and_can_not_be_mended(live: Project) -> None:
    damage(live.path("deployments/spores/current/model.cbm"))
    cached(live, "spores@v1.0.0", "model.cbm").unlink()
    (found,) = sync(root=live.root)
    assert "is damaged, and spores@v1.0.0 can't be had: " in found.problem
    assert live.run("gaia", "sync", ok=False).returncode == 1


def test_a_host_that_watches_mends_what_is_live(live: Project) -> None:
    command, path = ["gaia", "sync", "--watch", "0.1"], live.path("deployments/spores/current/model.cbm")
    whole = path.read_bytes()
    with subprocess.Popen(command, cwd=live.root, env=live.environment, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as watcher:  # fmt: skip
        try:
            assert watcher.stdout
            assert "as before" in watcher.stdout.readline()
            damage(path)
            until(lambda: path.read_bytes() == whole, "the watcher to mend the live version")
        finally:
            watcher.terminate()


def test_a_reader_finds_every_file_while_a_version_is_mended(live: Project) -> None:
    folder = host.current("spores", root=live.root)
    assert folder
    whole = {file: file.read_bytes() for file in folder.iterdir()}

    def mend() -> None:
        for _ in range(20):
            for file, content in whole.items():
                with files.replaced(file, within=live.root) as beside:
                    beside.write_bytes(content[:-1])
            assert not sync("spores", root=live.root)[0].problem

    pid, polls = in_a_process(mend), 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        for file, content in whole.items():
            assert (host.link("spores", root=live.root) / file.name).read_bytes() in (content, content[:-1])
        polls += 1
    assert {file: file.read_bytes() for file in folder.iterdir()} == whole
    assert polls > 100


def test_killed_as_it_mends_it_leaves_nothing_that_the_next_run_does_not_mend(live: Project) -> None:
    folder = host.current("spores", root=live.root)
    assert folder
    whole = {file: file.read_bytes() for file in folder.iterdir()}
    count = 0
    while True:
        for file in whole:
            damage(file)
        count += 3
        code = ended(in_a_process(lambda: sync("spores", root=live.root)[0].problem and os._exit(3), count))
        assert code in (0, -signal.SIGKILL)
        assert {file.name for file in folder.iterdir()} == {file.name for file in whole}
        if code == 0:
            break
        assert ended(in_a_process(lambda: sync("spores", root=live.root)[0].problem and os._exit(3))) == 0
        assert {file: file.read_bytes() for file in folder.iterdir()} == whole
    assert count > 30


@pytest.fixture
def stored(released: Project, store: Store) -> Project:
    """All versions are in the storage, too."""
    store.empty()
    store.connect(released)
    released.run("dvc", "push", "--all-tags")
    return released


def test_a_fresh_clone_follows_from_the_storage_with_the_same_bytes(stored: Project, tmp_path: Path) -> None:
    share(stored)
    make_live(stored, "spores@v1.1.0")
    other = clone(stored, tmp_path / "other")
    assert not other.path(".dvc/cache").exists()
    other.run("gaia", "sync")
    assert model(other, "spores") == model(stored, "spores")


def test_a_damaged_cache_is_mended_from_the_storage_and_a_damaged_object_is_refused(
    stored: Project, store: Store
) -> None:
    damage(cached(stored, "spores@v1.0.0", "model.cbm"))
    make_live(stored, "spores@v1.0.0")
    path = cached(stored, "spores@v1.1.0", "model.cbm")
    damage(path)
    bucket, key = store.settings.buckets["models"], f"files/md5/{path.parent.name}/{path.name}"
    store.client.upload_file(path, bucket, key)
    path.unlink()
    before = model(stored, "spores")
    with pytest.raises(GaiaError, match=r"data/models/spores/model[.]cbm: .* is damaged"):
        make_live(stored, "spores@v1.1.0")
    assert model(stored, "spores") == before
    assert not path.exists(), "a damaged object was let into the cache"


def test_a_rollback_to_a_damaged_version_mends_it_from_the_storage(stored: Project) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        make_live(stored, f"spores@{version}")
    folder = host.folder(tags.find("spores@v1.0.0", stored.root), stored.root)
    whole = {file: file.read_bytes() for file in folder.iterdir()}
    damage(folder / "model.cbm")
    (folder / "contract.json").unlink()
    shutil.rmtree(stored.path(".dvc/cache"))
    stored.run("gaia", "rollback", "spores", "--reason", "why", "--yes")
    assert {file: file.read_bytes() for file in folder.iterdir()} == whole
    assert host.current("spores", root=stored.root) == folder


def test_what_status_says_of_a_damaged_version_mends_it(stored: Project) -> None:
    """Kind: advice that nobody has tried."""
    make_live(stored, "spores@v1.0.0", "staging")
    make_live(stored, "spores@v1.1.0")
    for link in ("current", "current-staging"):
        damage(stored.path("deployments/spores", link, "model.cbm"))
    shutil.rmtree(stored.path(".dvc/cache"))
    for stage, mend in (("prod", "gaia sync spores"), ("staging", "gaia sync spores --stage staging")):
        folder = host.current("spores", stage, stored.root)
        version = next(tag for tag in tags.versions("spores", stored.root) if host.folder(tag, stored.root) == folder)
        assert folder
        with pytest.raises(GaiaError) as caught:
            activation.verify(folder, activation.pin(version, stored.root), version, stage)
        assert caught.value.problems[0].mend == f"`{mend}` mends it"
        stored.run(*mend.split())
        activation.verify(folder, activation.pin(version, stored.root), version, stage)


def test_another_process_is_waited_for_and_that_is_said(live: Project, capfd: pytest.CaptureFixture[str]) -> None:
    pid = None
    with host.changing("spores", live.root):
        pid = in_a_process(lambda: make_live(live, "spores@v1.1.0"))
        until(lambda: "another process is changing" in capfd.readouterr().err, "the other to say that it waits")
        assert host.current("spores", root=live.root) == host.folder(tags.find("spores@v1.0.0", live.root), live.root)
    assert ended(pid) == 0
    assert host.current("spores", root=live.root) == host.folder(tags.find("spores@v1.1.0", live.root), live.root)


def test_a_lock_of_a_group_is_for_the_group(live: Project) -> None:
    live.path("deployments/spores/.lock").unlink()
    old = os.umask(0o002)
    try:
        sync("spores", root=live.root)
    finally:
        os.umask(old)
    assert live.path("deployments/spores/.lock").stat().st_mode & 0o777 == 0o664
