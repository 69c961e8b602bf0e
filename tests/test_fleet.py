"""Many hosts: each tells what is live on it, and a version may go to some of them first."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Project
from deployed import back, folder, go
from gaia import status
from gaia.deployments import cleanup, fleet, host, servers
from gaia.deployments import plan as deploy
from gaia.deployments.current import current
from gaia.deployments.servers import Server
from gaia.deployments.sync import sync
from gaia.errors import GaiaError, Problem
from gaia.registry import history, reports
from gaia.registry.grammar import Deployment, Undeployment, Version
from gaia.registry.history import DEPLOY, ROLLBACK, UNDEPLOY, Event
from gaia.registry.tags import Tag
from gaia.serving.live import Live
from gaia.versions import withdraw
from released import clone, share

HOSTS = ("shed-1", "shed-2", "barn")


def named(project: Project, name: str) -> None:
    """Give a host its name, as its owner does."""
    with project.path(".env").open("a") as file:
        file.write(f"GAIA_HOST={name}\n")


@pytest.fixture
def hosts(released: Project, tmp_path: Path) -> dict[str, Project]:
    """Three hosts of one project, and the desk that decides, which is none of them; v1.0.0 is live on all."""
    share(released)
    named(released, "desk")
    released.path(".dvc/config.local").write_text(f"[cache]\n    dir = {released.path('.dvc/cache')}\n")
    found = {name: clone(released, tmp_path / name) for name in HOSTS}
    for name, project in found.items():
        project.path(".env").write_text(f"GAIA_HOST={name}\n")
    go(released, "v1.0.0")
    for project in found.values():
        sync(root=project.root)
    return {"desk": released, **found}


def stage(hosts: dict[str, Project], version: str, *patterns: str) -> deploy.Done:
    desk = hosts["desk"].root
    return deploy.carry_out(deploy.deploy(f"spores@{version}", hosts=patterns, root=desk), desk)


def here(hosts: dict[str, Project]) -> dict[str, str | None]:
    """The version of spores on each host, once it has followed."""
    found = {}
    for name in HOSTS:
        (synced,) = sync(root=hosts[name].root)
        there = host.current("spores", root=hosts[name].root)
        found[name] = there.name.partition("_")[0] if there else None
        assert not synced.problem and (synced.version.number if synced.version else None) == found[name]
    return found


def everywhere(version: str | None) -> dict[str, str | None]:
    return dict.fromkeys(HOSTS, version)


# Some hosts first


def test_a_version_goes_to_some_hosts_then_to_the_rest_and_back_from_all(hosts: dict[str, Project]) -> None:
    done = stage(hosts, "v1.1.0", "shed-*")
    assert (done.recorded, done.mine, done.moved) == (True, False, False)
    assert here(hosts) == {"shed-1": "v1.1.0", "shed-2": "v1.1.0", "barn": "v1.0.0"}
    assert not stage(hosts, "v1.1.0", "shed-*").recorded
    assert stage(hosts, "v1.1.0").recorded
    assert here(hosts) == everywhere("v1.1.0")
    assert not stage(hosts, "v1.1.0").recorded and not stage(hosts, "v1.1.0", "shed-*").recorded
    stage(hosts, "v1.2.0", "barn")
    assert here(hosts) == {"shed-1": "v1.1.0", "shed-2": "v1.1.0", "barn": "v1.2.0"}
    back(hosts["desk"])
    assert here(hosts) == everywhere("v1.1.0")
    with pytest.raises(GaiaError, match=r"spores@v1\.2\.0 was rolled back from"):
        deploy.deploy("spores", root=hosts["desk"].root)
    assert [row["hosts"] for row in json.loads(hosts["desk"].run("gaia", "history", "spores", "--json").stdout)] == [
        [], ["shed-*"], [], ["barn"], []
    ]  # fmt: skip


def test_every_look_says_who_has_what_while_a_version_is_on_some_hosts_alone(hosts: dict[str, Project]) -> None:
    asked = ("gaia", "deploy", "spores@v1.1.0", "--hosts", "shed-*", "--yes")
    said = hosts["desk"].run(*asked).stdout
    assert "spores@v1.1.0 is live in prod on shed-*, v1.0.0 was until now (spores#prod#2)" in said
    assert "this host is none of them, and keeps what it has" in said
    for name, (mine, elsewhere) in {"shed-1": ("v1.1.0", []), "barn": ("v1.0.0", ["v1.1.0"])}.items():
        sync(root=hosts[name].root)
        (found,) = current(root=hosts[name].root)
        assert found.event and not found.problem
        assert found.event.version.name.number == mine
        assert [event.version.name.number for event in found.elsewhere] == elsewhere
    assert "spores@v1.1.0 is live in prod on shed-* (spores#prod#2), not on this host" in (
        hosts["barn"].run("gaia", "current").stdout
    )
    barn = hosts["barn"].root
    assert ("spores@v1.1.0 is live in prod on shed-*, not on this host",) in list(status._disk(barn))
    there = host.current("spores", root=barn)
    served = Live(barn)._load(("spores", "prod"), there) if there else None
    assert served and served.event and (served.event.version.name.number, served.note) == ("v1.0.0", "")
    rows = json.loads(hosts["desk"].run("gaia", "versions", "spores", "--json").stdout)
    assert {row["version"]: row["live"] for row in rows} == {
        "v1.0.0": ["prod"],
        "v1.1.0": ["prod on shed-*"],
        "v1.2.0": [],
    }


def test_cleanup_and_withdrawal_spare_what_is_live_on_any_host(hosts: dict[str, Project]) -> None:
    desk = hosts["desk"].root
    go(hosts["desk"], "v1.1.0")
    stage(hosts, "v1.2.0", "shed-*")
    stage(hosts, "v1.0.0", "barn")
    spared = {folder(hosts["desk"], f"spores@{each}") for each in ("v1.0.0", "v1.1.0", "v1.2.0")}
    assert {each.folder for each in cleanup.cleanup("spores", 0, root=desk)} & spared == set()
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        with pytest.raises(GaiaError, match=rf"spores@{version} is live in prod"):
            withdraw.carry_out(withdraw.withdraw(f"spores@{version}", "why", desk), desk)


@pytest.mark.parametrize("pattern", ["", "shed 1", "a/b", "shed,barn", "é"])
def test_a_pattern_that_no_host_could_fit_is_refused(hosts: dict[str, Project], pattern: str) -> None:
    with pytest.raises(GaiaError, match="--hosts names"):
        stage(hosts, "v1.1.0", pattern)


def decided(*steps: tuple[str, str, Any]) -> list[Event]:
    """Decisions about one stage, as `version action hosts`, without a repository."""
    events, before = [], None
    for counter, (number, action, on) in enumerate(steps, 1):
        version = Tag(Version("a", 1, int(number), 0), number, "2026-01-01T00:00:00+00:00", "", "")
        form = Undeployment if action == UNDEPLOY else Deployment
        tag: Any = Tag(form("a", "prod", counter), number, version.date, "", "")
        events.append(Event(tag, version, before, action, "", tuple(on)))
        before = None if action == UNDEPLOY else version.name
    return events


ALL: tuple[str, ...] = ()
STORIES: dict[str, tuple[list[tuple[str, str, Any]], dict[str, str], str]] = {
    "staged": ([("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"])], {"s1": "1", "b1": "0"}, "0"),
    "never for all": ([("1", DEPLOY, ["s*"])], {"s1": "1", "b1": ""}, ""),
    "completed": ([("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("1", DEPLOY, ALL)], {"s1": "1", "b1": "1"}, "0"),
    "two waves": (
        [("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("1", DEPLOY, ["b*"])],
        {"s1": "1", "b1": "1", "c1": "0"},
        "0",
    ),
    "two versions": (
        [("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("2", DEPLOY, ["b*"])],
        {"s1": "1", "b1": "2", "c1": "0"},
        "0",
    ),
    "one over the other": (
        [("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("2", DEPLOY, ["s1"])],
        {"s1": "2", "s2": "1", "b1": "0"},
        "0",
    ),
    "back on some": ([("0", DEPLOY, ALL), ("1", DEPLOY, ALL), ("0", DEPLOY, ["s*"])], {"s1": "0", "b1": "1"}, "1"),
    "rolled back": ([("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("0", ROLLBACK, ALL)], {"s1": "0", "b1": "0"}, ""),
    "ended": ([("0", DEPLOY, ALL), ("1", DEPLOY, ["s*"]), ("1", UNDEPLOY, ALL)], {"s1": "", "b1": ""}, "0"),
    "of another tool": ([("0", DEPLOY, ALL), ("1", DEPLOY, [""])], {"s1": "0", "b1": "0"}, "0"),
}


@pytest.mark.parametrize(("steps", "live", "before"), STORIES.values(), ids=STORIES)
def test_each_host_follows_what_is_about_it_and_a_rollback_goes_to_what_was_for_all(
    steps: list[tuple[str, str, Any]], live: dict[str, str], before: str
) -> None:
    events = decided(*steps)
    for name, version in live.items():
        found = history.live(history.of_host(events, name)).get(("a", "prod"))
        assert (found.version.commit if found else "") == version, name
        held = {event.version.commit for event in history.held(events)}
        assert not version or version in held
    previous = history.previous(events)
    assert (previous.commit if previous else "") == before


@pytest.mark.parametrize("said", [[], "shed-*", [1], {"a": 1}, [["shed-1"]], 0])
def test_a_deployment_that_names_its_hosts_otherwise_is_for_none(said: Any) -> None:
    assert history._hosts(said) == ("",)
    assert history._hosts(None) == ()


# What hosts tell


def test_hosts_are_listed_with_what_is_live_who_lags_and_who_refuses(hosts: dict[str, Project]) -> None:
    stage(hosts, "v1.1.0", "shed-*")
    sync(root=hosts["shed-1"].root)
    stage(hosts, "v1.2.0", "shed-2")
    shed = hosts["shed-2"].root
    (shed / ".dvc/config.local").write_text(f"[cache]\n    dir = {shed / '.dvc/cache'}\n")
    assert "can't be had" in sync(root=shed)[0].problem
    found = {each.host: each for each in fleet.hosts(hosts["desk"].root)}
    assert sorted(found) == sorted(HOSTS), "the desk never synced"
    first, second, barn = (found[name] for name in HOSTS)
    assert (first.line, first.stage, first.version, first.wanted, first.tag, first.lag, first.health) == (
        "spores", "prod", "v1.1.0", "v1.1.0", "spores#prod#2", None, "ok"
    )  # fmt: skip
    assert (second.version, second.wanted, second.health) == ("v1.0.0", "v1.2.0", "refuses")
    assert second.lag is not None and "spores@v1.2.0 can't be had" in second.why
    assert (barn.version, barn.wanted, barn.health, barn.served) == ("v1.0.0", "v1.0.0", "ok", False)
    stage(hosts, "v1.1.0")
    found = {each.host: each for each in fleet.hosts(hosts["desk"].root)}
    assert (found["barn"].health, found["barn"].wanted) == ("behind", "v1.1.0")
    assert found["barn"].why == "the tags say v1.1.0"
    shown = hosts["desk"].run("gaia", "hosts").stdout.splitlines()
    assert shown[0].split()[:4] == ["host", "line", "stage", "live"]
    assert [row.split()[0] for row in shown[1:]] == ["barn", "shed-1", "shed-2"]
    assert len(json.loads(hosts["desk"].run("gaia", "hosts", "--json").stdout)) == 3
    refs = hosts["desk"].run("git", "ls-remote", "origin", "refs/gaia/*").stdout.split()[1::2]
    assert refs == [f"refs/gaia/hosts/{name}" for name in sorted(HOSTS)]
    assert "refs/gaia" not in clone(hosts["desk"], hosts["desk"].root.parent / "more").run("git", "for-each-ref").stdout


def test_a_host_says_nothing_twice_and_says_after_a_while_that_it_is_there(
    hosts: dict[str, Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    barn, told = hosts["barn"].root, []
    say = reports.say
    monkeypatch.setattr(reports, "say", lambda name, text, root: told.append(json.loads(text)) or say(name, text, root))
    sync(root=barn)
    assert told == []
    said = json.loads(reports.said("barn", barn) or "")
    said["seen"] = (datetime.now(UTC) - fleet.AGAIN).isoformat()
    say("barn", json.dumps(said), barn)
    sync(root=barn)
    assert [each["live"] for each in told] == [said["live"]]
    stage(hosts, "v1.1.0")
    sync(root=barn)
    assert [each["live"][0]["version"] for each in told] == ["v1.0.0", "v1.1.0"]


def test_a_host_tells_what_its_servers_say(hosts: dict[str, Project]) -> None:
    barn = hosts["barn"].root
    with servers.saying(8123, barn) as say:
        say(Server("http://127.0.0.1:8123", ["spores@v1.0.0 in prod"], [Problem("nothing of cultures is live", "")]))
        fleet.tell({}, barn)
    found = {each.host: each for each in fleet.hosts(hosts["desk"].root)}
    assert (found["barn"].served, found["barn"].why) == (True, "nothing of cultures is live")
    assert "127.0.0.1" not in (reports.said("barn", barn) or "")
    fleet.tell({}, barn)
    assert not {each.host: each for each in fleet.hosts(hosts["desk"].root)}["barn"].served


def test_telling_is_off_by_one_key_and_costs_no_synchronisation(
    hosts: dict[str, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    origin, barn = hosts["desk"].root.with_name("project.git"), hosts["barn"]
    hook = origin / "hooks/pre-receive"
    hook.write_text(
        "#!/bin/sh\nwhile read a b ref; do case $ref in refs/gaia/*) echo 'read only' >&2; exit 1; esac; done\n"
    )
    hook.chmod(0o755)
    stage(hosts, "v1.1.0")
    capsys.readouterr()
    (synced,) = sync(root=barn.root)
    assert (synced.moved, synced.problem) == (True, "")
    assert "warning: what is live here was not told to other hosts: git push" in (said := capsys.readouterr().err)
    assert "GAIA_REPORT=no in .env tells nothing" in said
    hook.unlink()
    with barn.path(".env").open("a") as file:
        file.write("GAIA_REPORT=no\n")
    sync(root=barn.root)
    found = {each.host: each for each in fleet.hosts(hosts["desk"].root)}
    assert (found["barn"].version, found["barn"].health) == ("v1.0.0", "behind")


def test_a_host_that_has_nothing_tells_nothing_and_without_a_remote_nobody_is_asked(released: Project) -> None:
    with pytest.raises(GaiaError, match="has no Git remote"):
        fleet.hosts(released.root)
    share(released)
    fleet.tell({}, released.root)
    assert fleet.hosts(released.root) == []
    assert "no host has told of itself yet" in released.run("gaia", "hosts").stdout


GOOD: dict[str, Any] = {
    "format": 1, "seen": "2026-01-01T00:00:00+00:00",
    "live": [{"line": "spores", "stage": "prod", "version": "v1.0.0", "since": None, "served": True, "problem": ""}],
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "null", json.dumps(GOOD | {"format": 2}), json.dumps(GOOD | {"seen": "yesterday"}),
     json.dumps(GOOD | {"seen": "2026-01-01T00:00:00"}), json.dumps(GOOD | {"live": [{}]}), "[" * 100_000,
     json.dumps(GOOD | {"live": [GOOD["live"][0] | {"since": 5}]})],
)  # fmt: skip
def test_what_is_no_report_is_unreadable_and_harms_no_other(text: str | None) -> None:
    (seen,) = fleet._seen("shed-1", fleet._parsed(text), [], datetime.now(UTC))
    assert (seen.host, seen.health, seen.line) == ("shed-1", "unreadable", None)


def test_a_host_that_was_not_heard_of_is_silent_and_what_it_says_is_printable() -> None:
    said = GOOD | {"problems": ["\x1b[31mred"], "live": [GOOD["live"][0] | {"problem": "line\nbreak"}]}
    moment = datetime.fromisoformat(GOOD["seen"])
    (seen,) = fleet._seen("shed-1", fleet._parsed(json.dumps(said)), [], moment + fleet.AGAIN)
    assert (seen.health, seen.why) == ("refuses", r"line\nbreak; \x1b[31mred")
    (seen,) = fleet._seen("shed-1", fleet._parsed(json.dumps(said)), [], moment + timedelta(hours=1))
    assert seen.health == "silent" and seen.why.startswith("nothing was heard of it for half an hour")


@pytest.mark.parametrize("name", ["a b", "../x", "-x", "a..b", "x.lock", "é", "a/b"])
def test_a_name_that_can_be_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"GAIA_HOST={name}\n")
    with pytest.raises(GaiaError, match="GAIA_HOST is"):
        host.name(tmp_path)


@pytest.mark.parametrize("machine", ["Shed", "shed.example.org", "my_host-1", "-", "é"])
def test_a_machine_s_name_becomes_one_that_git_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: machine)
    monkeypatch.delenv("GAIA_HOST", raising=False)
    name = host.name(tmp_path)
    subprocess.run(["git", "check-ref-format", f"refs/gaia/hosts/{name}"], check=True)
    assert host._NAME.fullmatch(name)
