"""What was live, when and why: read from the tags alone, never cut, never guessed."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from conftest import Project
from deployed import at, back, go, live
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.registry import history
from gaia.status import status


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


def test_a_record_that_cannot_hold_costs_itself_only(released: Project) -> None:
    """A stranger's tag is no emergency: every verb leaves it out and says what removes it, and rollback works."""
    go(released, "v1.0.0", "v1.1.0")
    released.commit("no version")
    released.run("git", "tag", "-a", "spores#prod#3", "-m", "by hand")
    assert {each.line: each.problem for each in sync(root=released.root)} == {"spores": ""}
    said = "warning: spores#prod#3 is on a commit that is no version of spores, and is left out; `git tag -d 'spores#"
    for verb in (("current",), ("history", "spores"), ("versions", "spores"), ("sync",)):
        assert said in released.run("gaia", *verb).stdout
    back(released)
    assert live(released) == "v1.0.0"
    assert [str(event.tag.name) for event in history.read("spores", released.root)][-1] == "spores#prod#4"
    go(released, "v1.2.0")
    assert live(released) == "v1.2.0"
    mend = next(check.mend for check in status(released.root) if check.found.startswith("spores#prod#3 "))
    released.run("bash", "-ec", mend.split("`")[1])
    assert not history.look("spores", released.root).foreign
