"""Deployments are tags: decided, rolled back, read, followed and cleaned up, with nothing lost and nothing guessed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from conftest import Project, Store
from gaia import tags
from gaia.deployments import cleanup, deploy, history, host
from gaia.deployments.current import current
from gaia.deployments.history import DEPLOY, ROLLBACK, Event
from gaia.deployments.status import status
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.tags import Deployment, Tag, Version
from released import clone, model, share


def go(project: Project, *names: str, stage: str = "prod") -> None:
    """Make versions of spores live, one after the other."""
    for name in names:
        deploy.carry_out(deploy.deploy(f"spores@{name}", stage, root=project.root), project.root)


def back(project: Project, name: str = "spores", reason: str = "why") -> None:
    deploy.carry_out(deploy.rollback(name, reason, root=project.root), project.root)


def live(project: Project, line: str = "spores", stage: str = "prod") -> str:
    """The version that is live, by the tags and on this host, which agree."""
    (found,) = (each for each in current(line, project.root) if each.stage == stage)
    assert found.event and found.here and not found.problem
    return found.event.version.name.number


def folder(project: Project, version: str) -> Path:
    return host.folder(tags.find(version, project.root), project.root)


def everything(root: Path, *but: str) -> dict[str, bytes]:
    """The bytes of every file of a project, except under some paths."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {name: path.read_bytes() for path in files if not (name := str(path.relative_to(root))).startswith(but)}


# -- deploy and rollback


def test_the_story_on_two_clones_with_one_storage(released: Project, store: Store, tmp_path: Path) -> None:
    store.connect(released)
    released.run("dvc", "push", "--all-tags")
    share(released)
    released.run("gaia", "deploy", "spores@v1.0.0", "--yes")
    first = model(released, "spores")
    assert "v1.0.0 was until now" in released.run("gaia", "deploy", "spores@v1.1.0", "--yes").stdout
    assert model(released, "spores") != first
    released.run("gaia", "deploy", "cultures", "--yes")
    before = everything(released.root, "deployments/spores", ".git")
    done = released.run("gaia", "rollback", "spores", "--reason", "false alarms on wet grass", "--yes")
    assert "spores@v1.0.0 is live in prod, v1.1.0 was until now (spores#prod#3)" in done.stdout
    assert model(released, "spores") == first
    assert everything(released.root, "deployments/spores", ".git") == before, "code, data or another line moved"
    assert released.run("git", "status", "--porcelain").stdout == ""
    other = clone(released, tmp_path / "other")
    other.run("gaia", "sync")
    assert model(other, "spores") == first
    assert model(other, "cultures") == model(released, "cultures")
    assert other.run("gaia", "history", "spores").stdout == released.run("gaia", "history", "spores").stdout


def test_what_was_released_goes_live_comes_back_and_is_followed(versioned: Project, tmp_path: Path) -> None:
    """The story with everything real: pipeline, gates, storage, remote."""
    done = versioned.run("gaia", "deploy", "cultures@v1.0.0", "--yes").stdout
    assert "8 golden answers agree" in done
    first = model(versioned, "cultures")
    shown = versioned.run("gaia", "deploy", "cultures@v1.1.0", ok=False).stdout
    for part in ("model.depth: 6 -> 3", "answers: ", "accuracy: ", "labels: "):
        assert part in shown, part
    versioned.run("gaia", "deploy", "cultures", "--yes")
    assert model(versioned, "cultures") != first
    assert [row["live"] for row in json.loads(versioned.run("gaia", "versions", "cultures", "--json").stdout)] == [
        ["prod"], [],
    ]  # fmt: skip
    versioned.run("gaia", "rollback", "cultures", "--reason", "false alarms", "--yes")
    other = clone(versioned, tmp_path / "other")
    other.run("gaia", "sync")
    assert model(other, "cultures") == model(versioned, "cultures") == first


def test_deploy_shows_what_changes_and_asks(released: Project) -> None:
    go(released, "v1.0.0")
    done = released.run("gaia", "deploy", "spores", ok=False)
    assert done.returncode == 1
    assert "not a terminal, and no --yes was given" in done.stdout
    for part in ("config\n  turn: 10 -> 18", "answers: ", "labels: healthy, contaminated", "metrics\n"):
        assert part in done.stdout, part
    assert on_a_terminal(released, "n\n", "deploy", "spores") == (1, "v1.0.0")
    assert on_a_terminal(released, "y\n", "deploy", "spores") == (0, "v1.2.0")


def test_rollback_asks_for_its_reason_on_a_terminal_and_demands_it_elsewhere(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    assert "needs a reason" in released.run("gaia", "rollback", "spores", "--yes", ok=False).stdout
    assert on_a_terminal(released, "too many alarms\ny\n", "rollback", "spores") == (0, "v1.0.0")
    assert history.read("spores", released.root)[-1].reason == "too many alarms"


def on_a_terminal(project: Project, typed: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a command whose input is a terminal, and what is live then."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.run(["gaia", *arguments], cwd=project.root, env=project.environment, stdin=theirs, timeout=60,
                          capture_output=True)  # fmt: skip
    os.close(ours)
    os.close(theirs)
    return done.returncode, live(project)


def test_what_is_live_already_gets_no_second_record(released: Project) -> None:
    go(released, "v1.0.0")
    done = released.run("gaia", "deploy", "spores@v1.0.0", "--yes")
    assert "is live in prod already (spores#prod#1); nothing to do" in done.stdout
    assert len(tags.deployments("spores", released.root)) == 1


def test_a_second_rollback_goes_further_back_and_never_forth_again(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0", "v1.2.0")
    back(released)
    assert live(released) == "v1.1.0"
    back(released)
    assert live(released) == "v1.0.0"
    with pytest.raises(GaiaError, match="nothing was live in prod before spores@v1.0.0 that was not rolled back from"):
        back(released)
    back(released, "spores@v1.1.0")  # by its name any version that was live once
    assert live(released) == "v1.1.0"
    back(released)
    assert live(released) == "v1.0.0"


PREVIOUS = [  # what was made live ("<" marks a rollback to it), and what a rollback would go back to
    ("", None), ("A", None), ("A B", "A"), ("A B C", "B"), ("A B A", "B"), ("A A B", "A"),
    ("A B <A", None), ("A B C <B", "A"), ("A B C <A", None), ("A B C <B D", "B"), ("A B <A B", "A"),
    ("A B C A <B", "A"), ("A B <A C <A", None), ("A B C <A <C", "A"),
]  # fmt: skip


@pytest.mark.parametrize(("lived", "expected"), PREVIOUS)
def test_the_version_before(lived: str, expected: str | None) -> None:
    events = []
    for counter, step in enumerate(lived.split(), start=1):
        version = Tag(Version("x", ord(step[-1]) - ord("A"), 0, 0), "", "", "", "")
        tag = Tag(Deployment("x", "prod", counter), "", "", "", "")
        events.append(Event(tag, version, None, ROLLBACK if "<" in step else DEPLOY, ""))
    found = history.previous(events)
    assert (chr(found.name.major + ord("A")) if found else None) == expected


def test_a_version_that_was_never_live_is_no_place_to_roll_back_to(released: Project) -> None:
    with pytest.raises(GaiaError, match="spores was never live in prod"):
        back(released)
    go(released, "v1.0.0")
    with pytest.raises(GaiaError, match="spores@v1.2.0 was never live in prod; `gaia deploy spores@v1.2.0`"):
        back(released, "spores@v1.2.0")


def test_stages_are_apart(released: Project) -> None:
    go(released, "v1.2.0", stage="staging")
    go(released, "v1.0.0")
    assert (live(released, stage="staging"), live(released)) == ("v1.2.0", "v1.0.0")
    assert released.path("deployments/spores/current-staging").resolve() == folder(released, "spores@v1.2.0")
    assert [str(tag.name) for tag in tags.deployments("spores", released.root)] == ["spores#prod#1", "spores#staging#1"]


REFUSED_LINES = [
    "", "spore", "Spores", "SPORES", " spores", "spores ", "spores\n", "*", "spores*", "sp?res", "[a-z]*", "../spores",
    "spores/..", "/etc", "..", ".", "spöres", "spores\u200b", "spores@", "@v1.0.0", "spores@v1.0", "spores@1.0.0",
    "spores@V1.0.0", "spores@v1.0.0/../v1.1.0", "spores@v1.3.0", "spores@*", "cultures@v1.2.0", "spores@v1.0.0@v1.1.0",
    "spores#prod#1", "-spores", "--yes", "spores@latest", "refs/tags/spores@v1.0.0", "v1.0.0", "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_LINES)
def test_a_name_that_is_not_exactly_in_the_tags_touches_nothing(kept: Project, name: str) -> None:
    before = kept.run("git", "for-each-ref").stdout
    acts = (
        lambda: deploy.deploy(name, root=kept.root),
        lambda: deploy.rollback(name, "why", root=kept.root),
        lambda: cleanup.cleanup(name, 0, True, root=kept.root),
        lambda: sync(name, root=kept.root),
        lambda: current(name, root=kept.root),
    )
    for act in acts:
        with pytest.raises(GaiaError, match="^there is no version|names no version"):
            act()
    assert not kept.path("deployments").exists()
    assert kept.run("git", "for-each-ref").stdout == before


@pytest.mark.parametrize("stage", ["", "prd", "Prod", "../prod", "prod/x", "*", "current", "prod\n", "pröd", "-prod"])
def test_a_stage_that_is_not_exactly_one_touches_nothing(kept: Project, stage: str) -> None:
    for act in (deploy.deploy, lambda name, at, root: deploy.rollback(name, "why", at, root=root), sync):
        with pytest.raises(GaiaError, match="there is no stage"):
            act("spores", stage, root=kept.root)
    assert not kept.path("deployments").exists()


def test_the_nearest_spelling_is_named(kept: Project) -> None:
    for name, meant in (("spore", "spores"), ("spores@v1.0.1", "spores@v1.0.0")):
        with pytest.raises(GaiaError, match=re.escape(f"(did you mean '{meant}'?)")):
            deploy.deploy(name, root=kept.root)
    with pytest.raises(GaiaError, match=re.escape("(did you mean 'prod'?)")):
        deploy.deploy("spores", "prd", root=kept.root)


# -- history


def test_history_says_who_when_from_to_and_why_and_is_never_cut(released: Project) -> None:
    go(released, *["v1.0.0", "v1.1.0"] * 6)
    back(released, reason="wet\ngrass")
    rows = json.loads(released.run("gaia", "history", "spores", "--json").stdout)
    assert len(rows) == 13
    last = rows[-1]
    assert (last["from"], last["version"], last["action"]) == ("v1.1.0", "v1.0.0", "rollback")
    assert (last["reason"], last["by"]) == ("wet grass", "test <test@example.org>")
    assert json.loads(released.path("deployments/spores/deployment_history.json").read_text())["deployments"] == rows
    shown = released.run("gaia", "history", "spores").stdout.splitlines()
    assert len(shown) == 14
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d  prod +v1.0.0 +rolled back from v1.1.0 +test +wet grass", shown[-1])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"deployments": []}', None])
def test_a_damaged_rendering_of_the_history_is_written_anew(released: Project, content: bytes | None) -> None:
    go(released, "v1.0.0", "v1.1.0")
    file = released.path("deployments/spores/deployment_history.json")
    was = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    assert len(history.read("spores", released.root)) == 2
    sync("spores", root=released.root)
    assert file.read_bytes() == was


def at(project: Project, counter: int, version: str, date: str) -> None:
    """A deployment as another tool makes it, at a date."""
    project.environment["GIT_COMMITTER_DATE"] = date
    project.run("git", "tag", "-a", f"spores#prod#{counter}", f"spores@{version}^{{}}", "-m", "Assigning stage")


def test_what_was_live_then_and_the_newest_counter_wins(released: Project) -> None:
    at(released, 2, "v1.1.0", "2026-07-11T12:00:00+0000")
    at(released, 1, "v1.0.0", "2026-07-10T12:00:00+0000")
    at(released, 9, "v1.2.0", "2026-07-12T12:00:00+0000")
    at(released, 10, "v1.0.0", "2026-07-12T12:00:00+0000")  # in the same second, and after 9 as numbers go
    expected = {
        "2026-07-09": [], "2026-07-10": ["v1.0.0"], "2026-07-11T11:59Z": ["v1.0.0"], "2026-07-11T12:00Z": ["v1.1.0"],
        "2026-07-11": ["v1.1.0"], "2026-07-13": ["v1.0.0"], "2026-07-12T13:30+02:00": ["v1.1.0"],
    }  # fmt: skip
    for time, versions in expected.items():
        shown = json.loads(released.run("gaia", "history", "spores", "--at", time, "--json").stdout)
        assert [row["version"] for row in shown] == versions, time
    assert [event.before and event.before.number for event in history.read("spores", released.root)] == [
        None, "v1.0.0", "v1.1.0", "v1.2.0",
    ]  # fmt: skip


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01", "11.07.2026", "2999-01-01", "2999-01-01T10:00"])
def test_no_time_is_guessed_and_the_future_is_not_known(time: str) -> None:
    with pytest.raises(GaiaError, match="is no time; write 2026-07-11|is yet to come"):
        history.moment(time)


def test_today_is_until_now() -> None:
    assert history.moment(datetime.now().date().isoformat()) <= datetime.now().astimezone()


def test_a_deployment_of_no_version_is_named_and_stops_its_line_alone(released: Project) -> None:
    go(released, "v1.0.0")
    deploy.carry_out(deploy.deploy("cultures", root=released.root), released.root)
    released.commit("no version")
    released.run("git", "tag", "-a", "spores#prod#2", "-m", "by hand")
    problems = {each.line: each.problem for each in sync(root=released.root)}
    assert problems["cultures"] == ""
    assert "spores#prod#2 deploys a commit that is no version of spores" in problems["spores"]
    done = released.run("gaia", "sync", ok=False)
    assert done.returncode == 1
    assert "error: spores: spores#prod#2" in done.stdout


# -- this host


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
            assert "error: git fetch" in watcher.stdout.readline()
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


# -- status


def named(project: Project) -> dict[str, str]:
    """Each disagreement, with what mends it."""
    return {f"{check.part}: {check.found}": check.mend for check in status(project.root) if check.mend}


def test_status_agrees_with_itself(released: Project) -> None:
    go(released, "v1.0.0")
    assert named(released) == {}
    shown = released.run("gaia", "status").stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["git", "lock", "cache", "storage", "tags", "disk"]
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
    found = named(released)
    expected = {
        "git: main, 1 files are not committed": "git commit",
        "lock: changed since it was built: ": "dvc repro",
        "storage: data/models/cultures is missing": "dvc push",
        "tags: spores#staging#1 is not at origin": "git push origin 'refs/tags/spores#staging#1'",
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
    at(released, 2, "v1.1.0", "2026-07-11T12:00:00+0000")
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


# -- for scripts, in Python, and in time


def test_every_verb_speaks_json(released: Project) -> None:
    run = lambda *arguments: json.loads(released.run("gaia", *arguments, "--json").stdout)  # noqa: E731
    done = run("deploy", "spores@v1.0.0", "--yes")
    assert (done["version"], done["tag"], done["new"]) == ("v1.0.0", "spores#prod#1", True)
    assert done["golden"]["inputs"] == 6
    assert done["golden"]["difference"] < 1e-3
    run("deploy", "spores", "--yes")
    assert run("rollback", "spores", "--reason", "why", "--yes")["from"] == "v1.2.0"
    (now,) = run("current")
    assert (now["line"], now["stage"], now["version"], now["problem"]) == ("spores", "prod", "v1.0.0", "")
    assert run("sync") == [{"line": "spores", "stage": "prod", "version": "v1.0.0", "moved": False, "problem": ""}]
    assert run("cleanup", "spores") == {"removed": False, "folders": [], "objects": []}
    assert {check["part"] for check in run("status")} == {"git", "lock", "cache", "storage", "tags", "disk"}


def test_the_manager_does_what_the_commands_do(released: Project) -> None:
    from gaia import ModelVersionManager

    manager = ModelVersionManager(released.root)
    assert manager.get_current_version("spores") is None
    assert manager.deploy_model("spores", "v1.0.0")["golden"]["inputs"] == 6
    manager.deploy_model("spores")
    assert manager.get_current_version("spores") == "v1.2.0" == live(released)
    assert manager.rollback_to_version("spores", "v1.0.0", reason="why")["action"] == "rollback"
    assert [row["version"] for row in manager.get_deployment_history("spores")] == ["v1.0.0", "v1.2.0", "v1.0.0"]
    assert [row["version"] for row in manager.list_versions("spores")] == ["v1.2.0", "v1.1.0", "v1.0.0"]
    manager.deploy_model("spores", "v1.1.0")
    manager.deploy_model("spores", "v1.0.0")
    (gone,) = manager.cleanup_old_versions("spores", keep=0)
    assert gone == str(folder(released, "spores@v1.2.0"))
    assert Path(gone).exists()
    assert manager.cleanup_old_versions("spores", keep=0, remove=True) == [gone]
    assert not Path(gone).exists()
    with pytest.raises(GaiaError, match="did you mean 'spores'"):
        manager.deploy_model("spore")


def test_a_rollback_imports_nothing_that_it_does_not_need(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    for arguments in (["rollback", "spores", "--reason", "why", "--yes"], ["current"], ["history", "spores"]):
        code = f"import sys, gaia.cli; gaia.cli.run({arguments!r}); print('LOADED', *sys.modules)"
        loaded = released.run("python", "-c", code).stdout.rpartition("LOADED")[2].split()
        assert not {"dvc", "dvc_objects", "botocore", "s3fs", "torch", "tensorflow", "sklearn", "asyncio"} & set(loaded)
        if arguments[0] != "rollback":
            assert not {"numpy", "pandas", "rich", "ruamel.yaml"} & set(loaded)
