"""A host follows what is live, tidies up after itself, and says where it disagrees."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Project, Store
from deployed import at, back, folder, go, live
from gaia.deployments import cleanup, host
from gaia.deployments.current import current
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.status import status
from released import clone, model, share


def test_sync_converges_and_repeats_nothing(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    released.path("deployments/spores/current").unlink()
    assert [each.moved for each in sync(root=released.root)] == [True]
    assert live(released) == "v1.1.0"
    before = {path: path.lstat().st_mtime_ns for path in released.path("deployments/spores").iterdir()}
    assert [each.moved for each in sync(root=released.root)] == [False]
    links = ("current", "deployment_history.json")
    assert {p: p.lstat().st_mtime_ns for p in before if p.name in links} == {
        p: time for p, time in before.items() if p.name in links
    }


def test_sync_keeps_watching_and_outlives_a_remote_that_is_gone_for_a_while(released: Project, tmp_path: Path) -> None:
    share(released)
    released.path(".dvc/config.local").write_text(f"[cache]\n    dir = {released.path('.dvc/cache')}\n")
    other = clone(released, tmp_path / "other")
    go(released, "v1.0.0")
    command = ["gaia", "sync", "--watch", "0.2"]
    with subprocess.Popen(command, cwd=other.root, env=other.environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as watcher:  # fmt: skip
        assert watcher.stdout
        try:
            assert watcher.stdout.readline() == "spores@v1.0.0 is live in prod\n"
            bare = released.path("../project.git")
            bare.rename(bare.with_suffix(".away"))
            assert "error: origin can't be asked for its tags: git ls-remote" in watcher.stdout.readline()
            bare.with_suffix(".away").rename(bare)
            go(released, "v1.1.0")
            while "spores@v1.1.0 is live" not in (said := watcher.stdout.readline()):
                assert said, "the watcher ended"
        finally:
            watcher.terminate()
    assert model(other, "spores") == model(released, "spores")


def test_cleanup_shows_first_and_spares_what_is_live_and_what_a_rollback_takes(released: Project) -> None:
    go(released, "v1.2.0", stage="staging")
    go(released, "v1.1.0", "v1.2.0", "v1.0.0")
    back(released)  # v1.2.0 is live in prod and staging; v1.1.0 is what a rollback takes
    before = released.run("git", "for-each-ref").stdout
    shown = json.loads(released.run("gaia", "cleanup", "spores", "--keep", "0", "--json").stdout)
    assert [Path(each["folder"]).name for each in shown["folders"]] == [folder(released, "spores@v1.0.0").name]
    assert folder(released, "spores@v1.0.0").exists(), "a dry run removed something"
    assert "1 versions" in released.run("gaia", "cleanup", "spores", "--keep", "0", "--yes").stdout
    assert {path.name for path in host.versions("spores", released.root).iterdir()} == {
        folder(released, f"spores@{version}").name for version in ("v1.1.0", "v1.2.0")
    }
    assert released.run("git", "for-each-ref").stdout == before
    assert live(released) == live(released, stage="staging") == "v1.2.0"
    back(released)
    back(released, "spores@v1.2.0")
    go(released, "v1.0.0")  # what was removed comes back


def test_cleanup_spares_what_is_live_here_though_the_tags_are_ahead(released: Project) -> None:
    go(released, "v1.0.0")
    for counter, version in ((2, "v1.1.0"), (3, "v1.2.0")):
        at(released, counter, version, "2026-07-11T12:00:00+0000")
    assert cleanup.cleanup("spores", 0, True, released.root) == []
    assert host.current("spores", root=released.root) == folder(released, "spores@v1.0.0")


def test_cleanup_keeps_the_newest_as_numbers_go(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0", "v1.2.0", "v1.0.0", "v1.1.0")
    assert cleanup.cleanup("spores", 1, root=released.root) == []
    with pytest.raises(GaiaError, match="--keep is -1"):
        cleanup.cleanup("spores", -1, root=released.root)


def test_cleanup_of_the_buckets_removes_only_what_no_branch_and_no_tag_needs(released: Project, store: Store) -> None:
    store.empty()
    store.connect(released)
    released.run("dvc", "push", "--all-tags")
    wanted = objects_of(store)
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(turn=25))
    released.repro()
    released.run("dvc", "push")
    released.run("git", "reset", "--quiet", "--hard")
    assert objects_of(store) > wanted
    shown = released.run("gaia", "cleanup", "spores", "--remote").stdout
    for _, key in objects_of(store) - wanted:
        assert key in shown
    assert "nothing was removed yet; repeat with --yes" in shown
    assert objects_of(store) > wanted
    released.run("gaia", "cleanup", "spores", "--remote", "--yes")
    assert objects_of(store) == wanted


def objects_of(store: Store) -> set[tuple[str, str]]:
    names = store.settings.buckets.values()
    return {(bucket, found.key) for bucket in names for found in store.client.list_objects(bucket, "files/md5")}


def named(project: Project) -> dict[str, str]:
    """Each disagreement, with what mends it."""
    return {f"{check.part}: {check.found}": check.mend for check in status(project.root) if check.mend}


def test_status_agrees_with_itself(released: Project) -> None:
    go(released, "v1.0.0")
    assert named(released) == {}
    shown = released.run("gaia", "status").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [
        "git", "data", "lock", "cache", "storage", "tags", "disk"
    ]  # fmt: skip
    assert "spores@v1.0.0 is live in prod, and here" in shown


def test_status_names_every_disagreement_with_what_mends_it(released: Project, store: Store) -> None:
    share(released)
    store.empty()
    store.connect(released)
    go(released, "v1.0.0")
    path = folder(released, "spores@v1.0.0") / "contract.json"
    path.unlink()
    path.write_text("{}")
    released.path("make.py").write_text(released.path("make.py").read_text() + "# changed\n")
    released.run("git", "tag", "-a", "spores#staging#1", "spores@v1.1.0^{}", "-m", "never pushed")
    released.path("data/raw/own").mkdir(parents=True)
    released.edit("params.yaml", lambda params: params["lines"]["spores"].update(raw="own"))
    found = named(released)
    expected = {
        "data: data/raw/own is kept by neither DVC nor Git": "dvc add data/raw/own",
        "git: main, 2 files are not committed": "git add --all && git commit",
        "lock: changed since it was built: ": "dvc repro",
        "storage: data/models/cultures is missing": "gaia push",
        "tags: spores#staging#1 is not at origin": "git push --no-verify origin 'refs/tags/spores#staging#1'",
        "disk: deployments/spores/versions/v1.0.0": "gaia sync spores",
    }
    for beginning, mend in expected.items():
        assert [m for text, m in found.items() if text.replace(f"{released.root}/", "").startswith(beginning)], (
            beginning
        )
        assert any(mend in m for m in found.values()), mend
    done = released.run("gaia", "status", ok=False)
    assert done.returncode == 1
    assert re.search(r"error: \d+ disagreements, named above[.]\n$", done.stdout)


def test_a_process_that_ended_between_record_and_switch_is_named_and_completed(released: Project) -> None:
    go(released, "v1.0.0")
    at(released, 2, "v1.1.0", f"{int(time.time()) + 60} +0000")
    (name,) = named(released)
    assert "spores#prod#2 says that spores@v1.1.0 is live in prod, and this host has v1.0.0_" in name
    assert "`gaia sync spores` mends it" in released.run("gaia", "current").stdout
    done = released.run("gaia", "deploy", "spores@v1.1.0", "--yes")
    assert "is live in prod already (spores#prod#2); this host follows now" in done.stdout
    assert named(released) == {}


def test_a_clone_where_nothing_is_live_disagrees_with_nothing(released: Project) -> None:
    go(released, "v1.0.0")
    released.path("deployments").rename(released.path("../elsewhere"))
    assert named(released) == {}
    assert current("spores", released.root)[0].here is None
