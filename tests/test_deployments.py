"""Deployments are tags: decided and rolled back, with nothing lost and nothing guessed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from conftest import Project, Store
from deployed import back, everything, folder, go, live
from gaia.deployments import cleanup
from gaia.deployments import plan as deploy
from gaia.deployments.current import current
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.registry import history, tags
from gaia.registry.history import DEPLOY, ROLLBACK, Event
from gaia.registry.tags import Deployment, Tag, Version
from released import clone, model, share


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


def test_what_is_live_can_be_asked_whatever_is_checked_out(released: Project) -> None:
    asked = ("gaia", "predict", "spores", "species=oyster", "days=15", "--json")

    def answer(*options: str) -> tuple[str | None, dict[str, float]]:
        (found,) = json.loads(released.run(*asked, *options).stdout)
        return found["version"], found["probabilities"]

    _, newest = answer()
    go(released, "v1.0.0")
    version, live_one = answer("--stage", "prod")
    assert (version, live_one != newest) == ("v1.0.0", True)
    released.run("git", "checkout", "--quiet", "spores@v1.0.0")
    assert answer() == (None, live_one)
    refused = released.run(*asked[:-1], "--stage", "staging", ok=False)
    assert (refused.returncode, refused.stdout) == (
        1,
        "error: 'spores' is not live in 'staging' on this host; live is spores in prod, and `gaia sync` follows the "
        "tags.\n",
    )


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
    assert run("sync") == [
        {"line": "spores", "stage": "prod", "version": "v1.0.0", "moved": False, "problem": "", "note": ""}
    ]
    assert run("cleanup", "spores") == {"removed": False, "folders": [], "objects": [], "kept": {}}
    assert {check["part"] for check in run("status")} == {"git", "data", "lock", "cache", "storage", "tags", "disk"}


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
