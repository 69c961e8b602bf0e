"""What is live for us is so for the standard tools, GTO and DVC, which go by dates; where it isn't, status says so."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from conftest import Project
from deployed import at, back, go
from gaia.deployments import plan as deploy
from gaia.registry import history, tags
from gaia.status import status


def gto(project: Project, stage: str = "prod") -> str | None:
    """The version that GTO shows on a stage."""
    said = project.run("gto", "show", f"spores#{stage}", "--json").stdout
    rows = json.loads(said[said.index("[") :])
    return rows[0]["version"] if rows else None


def dvc(project: Project, stage: str = "prod") -> str:
    """The version whose commit DVC hands out for a stage."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        commit = repo.artifacts.get_rev("spores", stage=stage)
    return next(tag.name.number for tag in tags.versions("spores", project.root) if tag.commit == commit)


def disagreement(project: Project) -> list[tuple[str, str]]:
    return [(check.found, check.mend) for check in status(project.root) if "go by dates" in check.found]


def test_a_clock_that_is_behind_makes_no_second_order(released: Project) -> None:
    """Ours was 'newest counter', theirs 'newest date': v1.0.0 here, v1.1.0 there."""
    at(released, 1, "v1.1.0", f"{int(time.time()) + 600} +0000")  # by a clock ten minutes ahead of this one
    go(released, "v1.0.0")
    assert gto(released) == dvc(released) == "v1.0.0"
    back(released, "spores@v1.1.0")
    assert gto(released) == dvc(released) == "v1.1.0"
    first, second, third = (event.tag.moment for event in history.read("spores", released.root))
    assert (second - first).total_seconds() == (third - second).total_seconds() == 1
    assert disagreement(released) == []


def test_decisions_within_a_second_have_dates_of_their_own(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0", "v1.2.0", "v1.0.0")
    moments = [event.tag.moment for event in history.read("spores", released.root)]
    assert moments == sorted(set(moments))
    assert gto(released) == dvc(released) == "v1.0.0"


def test_where_the_orders_differ_status_names_it_and_its_cure_mends_it(released: Project) -> None:
    at(released, 2, "v1.0.0", "2026-07-11T12:00:00+0000")
    at(released, 1, "v1.1.0", "2026-07-11T13:00:00+0000")  # a clock that was wrong, before dates were seen to
    del released.environment["GIT_COMMITTER_DATE"]
    assert gto(released) == dvc(released) == "v1.1.0"
    ((found, mend),) = disagreement(released)
    assert "v1.0.0 of spores is live in prod, and GTO or DVC, which go by dates, hand out v1.1.0" in found
    released.run("bash", "-ec", mend)
    assert gto(released) == dvc(released) == "v1.0.0"
    assert disagreement(released) == []
    assert len(history.read("spores", released.root)) == 3
    released.run("bash", "-ec", mend)
    assert len(history.read("spores", released.root)) == 3, "what agrees is recorded once more"


def test_a_date_that_is_yet_to_come_is_named_and_stops_no_rollback(released: Project) -> None:
    go(released, "v1.0.0")
    at(released, 2, "v1.1.0", "2099-01-01T00:00:00+0000")
    del released.environment["GIT_COMMITTER_DATE"]
    assert any("spores#prod#2 is dated 2099-01-01" in check.found for check in status(released.root))
    back(released)
    assert gto(released) == dvc(released) == "v1.0.0"
    assert history.live(history.read("spores", released.root))["spores", "prod"].version.name.number == "v1.0.0"


def test_a_tag_that_only_the_others_follow_is_named_with_what_removes_it(released: Project) -> None:
    go(released, "v1.0.0")
    released.environment["GIT_COMMITTER_DATE"] = f"{int(time.time()) + 60} +0000"
    released.run("git", "tag", "-a", "spores#prod", "spores@v1.2.0^{}", "-m", "simple")
    del released.environment["GIT_COMMITTER_DATE"]
    assert gto(released) == dvc(released) == "v1.2.0"
    ((_, mend),) = disagreement(released)
    assert "git tag -d 'spores#prod'" in mend
    released.run("bash", "-ec", mend.split("`")[1])
    assert gto(released) == dvc(released) == "v1.0.0"


def test_undeployed_is_undeployed_for_gto_too(released: Project) -> None:
    """GTO goes back to the version before, unless that is taken away as well. DVC has no word for nothing."""
    go(released, "v1.0.0", "v1.1.0", "v1.2.0")
    deploy.carry_out(deploy.undeploy("spores", "why", root=released.root), released.root)
    assert gto(released) is None
    assert disagreement(released) == []
    assert history.live(history.read("spores", released.root)) == {}
    assert [event.action for event in history.read("spores", released.root)][-1] == "undeploy"
    assert len(history.read("spores", released.root)) == 4, "what was not live is shown as ended"
    go(released, "v1.1.0")
    assert gto(released) == dvc(released) == "v1.1.0"


def test_an_end_that_gto_made_is_honoured_and_what_it_leaves_is_named(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    last = history.read("spores", released.root)[-1].tag.moment.timestamp()
    while time.time() < last + 1:  # ours may be dated a second or two ahead, and GTO writes what the clock says
        time.sleep(0.1)
    released.run("gto", "deprecate", "spores", "v1.1.0", "prod")
    assert "spores#prod!#3" in released.run("git", "tag").stdout
    assert history.live(history.read("spores", released.root)) == {}
    assert gto(released) == "v1.0.0"
    ((found, mend),) = disagreement(released)
    assert "nothing of spores is live in prod" in found
    released.run("bash", "-ec", mend)
    assert gto(released) is None
    assert disagreement(released) == []


def test_what_gto_assigns_is_followed_and_what_gto_withdraws_is_withdrawn(released: Project, tmp_path: Path) -> None:
    released.run("gto", "assign", "spores", "--version", "v1.0.0", "--stage", "prod")
    assert history.live(history.read("spores", released.root))["spores", "prod"].version.name.number == "v1.0.0"
    released.run("gto", "deprecate", "spores", "v1.2.0")
    assert [str(version) for version in history.look("spores", released.root).withdrawn] == ["spores@v1.2.0"]


@pytest.mark.parametrize("verb", ["withdraw"])
def test_gto_reads_what_we_withdraw(released: Project, verb: str) -> None:
    released.run("gaia", verb, "spores@v1.1.0", "--reason", "why", "--yes")
    shown = released.run("gto", "show", "spores").stdout
    assert "v1.2.0" in shown and "v1.1.0" not in shown
