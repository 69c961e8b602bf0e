"""What was withdrawn does not go live, what was undeployed is live nowhere, what was rolled back from stays back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Project
from deployed import back, go, live
from gaia.deployments import plan as deploy
from gaia.deployments.current import current
from gaia.deployments.sync import sync
from gaia.errors import GaiaError
from gaia.registry import history, tags
from gaia.versions import withdraw
from released import clone, share


def out(project: Project, name: str, reason: str = "wrong labels") -> None:
    withdraw.carry_out(withdraw.withdraw(name, reason, project.root), project.root)


def pair(released: Project, tmp_path: Path) -> Project:
    """The project is shared; another host that follows it, with the same cache."""
    share(released)
    released.path(".dvc/config.local").write_text(f"[cache]\n    dir = {released.path('.dvc/cache')}\n")
    return clone(released, tmp_path / "other")


def test_a_withdrawn_version_is_refused_by_name_with_who_when_and_why(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0", "v1.0.0")
    done = released.run("gaia", "withdraw", "spores@v1.1.0", "--reason", "wrong\nlabels", "--yes")
    assert done.stdout == "spores@v1.1.0 is withdrawn (spores@v1.1.0!)\n"
    for act in (
        lambda: deploy.deploy("spores@v1.1.0", root=released.root),
        lambda: deploy.rollback("spores@v1.1.0", "why", root=released.root),
    ):
        with pytest.raises(GaiaError, match=r"spores@v1\.1\.0 was withdrawn 20\d\d-\d\d-\d\d by test: wrong labels;"):
            act()
    assert (
        "is withdrawn already, " in released.run("gaia", "withdraw", "spores@v1.1.0", "--reason", "x", "--yes").stdout
    )
    row = json.loads(released.run("gaia", "versions", "spores", "--json").stdout)[1]
    assert (row["version"], row["withdrawn"]["reason"]) == ("v1.1.0", "wrong labels")
    assert "withdrawn 20" in released.run("gaia", "versions", "spores").stdout
    assert live(released) == "v1.0.0"


def test_a_withdrawal_can_be_taken_back_as_the_sentence_says(released: Project) -> None:
    out(released, "spores@v1.2.0")
    with pytest.raises(GaiaError) as refused:
        deploy.deploy("spores@v1.2.0", root=released.root)
    released.run("bash", "-ec", str(refused.value).split("`")[1])
    go(released, "v1.2.0")


def test_neither_the_newest_nor_the_one_before_is_a_withdrawn_version(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0", "v1.2.0")
    out(released, "spores@v1.1.0")
    back(released)
    assert live(released) == "v1.0.0"
    out(released, "spores@v1.2.0")
    with pytest.raises(GaiaError, match="nothing was live in prod before"):
        back(released)
    done = released.run("gaia", "deploy", "spores", "--yes")
    assert "warning: spores@v1.2.0 is newer, and withdrawn." in done.stdout
    assert "spores@v1.0.0 is live in prod already" in done.stdout


def test_what_is_live_is_not_withdrawn_before_something_else_is(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    with pytest.raises(GaiaError, match="spores@v1.1.0 is live in prod; `gaia rollback spores --stage prod --reason"):
        out(released, "spores@v1.1.0")
    back(released)
    out(released, "spores@v1.1.0")
    for name in ("spores", "spores@v9.0.0", "../x@v1.0.0"):
        with pytest.raises(GaiaError, match="no version"):
            out(released, name)
    with pytest.raises(GaiaError, match="needs a reason"):
        out(released, "spores@v1.2.0", " ")
    assert released.run("gaia", "withdraw", "spores@v1.2.0", "--reason", "x", ok=False).returncode == 1
    assert len(history.look("spores", released.root).withdrawn) == 1, "nobody was asked"


def test_a_host_says_so_where_a_live_version_was_withdrawn_and_keeps_what_it_has(
    released: Project, tmp_path: Path
) -> None:
    other = pair(released, tmp_path)
    go(released, "v1.0.0")
    sync(root=other.root)
    go(released, "v1.1.0")
    released.run("git", "tag", "-a", "spores@v1.1.0!", "-m", "Deregistering", "spores@v1.1.0^{}")
    released.run("git", "push", "--quiet", "--no-verify", "origin", "refs/tags/spores@v1.1.0!")
    done = other.run("gaia", "sync", ok=False)
    assert (done.returncode, "spores@v1.1.0 was withdrawn" in done.stdout) == (1, True)
    assert other.path("deployments/spores/current").readlink().name.startswith("v1.0.0")
    assert "is live in prod, and hosts don't follow: spores@v1.1.0 was withdrawn" in other.run(
        "gaia", "status", ok=False
    ).stdout.replace("\n", " ")
    back(released)
    other.run("gaia", "sync")
    assert live(other) == "v1.0.0"


def test_undeployed_here_is_undeployed_on_every_host(released: Project, tmp_path: Path) -> None:
    other = pair(released, tmp_path)
    go(released, "v1.0.0", "v1.1.0")
    sync(root=other.root)
    done = released.run("gaia", "undeploy", "spores", "--reason", "the field is fallow", "--yes").stdout
    assert "nothing of spores is live in prod, v1.1.0 was until now (spores#prod!#4)" in done
    assert not released.path("deployments/spores/current").is_symlink()
    assert current(root=released.root) == []
    assert live(other) == "v1.1.0"
    assert other.run("gaia", "sync").stdout == "nothing of spores is live in prod\n"
    assert not other.path("deployments/spores/current").is_symlink()
    assert other.run("gaia", "sync").stdout == "nothing of spores is live in prod, as before\n"
    row = other.run("gaia", "history", "spores").stdout.splitlines()[-1].split()
    assert row[2:] == ["prod", "-", "v1.1.0", "test", "the", "field", "is", "fallow"]
    assert json.loads(released.run("gaia", "history", "spores", "--json").stdout)[-1]["version"] is None
    with pytest.raises(GaiaError, match="nothing of spores is live in prod"):
        deploy.undeploy("spores", "again", root=released.root)
    back(released)
    assert live(released) == "v1.1.0", "a rollback goes back to what was live last"


def test_a_host_that_was_stopped_before_its_link_went_is_named_and_completed(released: Project) -> None:
    go(released, "v1.0.0")
    link = released.path("deployments/spores/current")
    there = link.readlink()
    released.run("gaia", "undeploy", "spores", "--reason", "why", "--yes")
    link.symlink_to(there)
    (found,) = current(root=released.root)
    assert "spores#prod!#2 says that nothing is live in prod, and this host has v1.0.0_" in found.problem
    released.run("bash", "-ec", found.mend)
    assert current(root=released.root) == []


def test_to_undeploy_is_planned_confirmed_and_has_a_reason(released: Project) -> None:
    go(released, "v1.0.0", stage="staging")
    asked = ("gaia", "undeploy", "spores", "--stage", "staging")
    assert "needs a reason" in released.run(*asked, "--yes", ok=False).stdout
    done = released.run(*asked, "--reason", "why", ok=False)
    assert "spores@v1.0.0 is live in staging; nothing would be" in done.stdout
    assert live(released, stage="staging") == "v1.0.0"
    with pytest.raises(GaiaError, match="nothing of spores is live in prod"):
        deploy.undeploy("spores", "why", root=released.root)
    done = json.loads(released.run(*asked, "--reason", "why", "--yes", "--json").stdout)
    assert (done["action"], done["version"], done["from"], done["folder"]) == ("undeploy", None, "v1.0.0", None)


def test_what_was_rolled_back_from_goes_live_again_by_its_name_only(released: Project) -> None:
    go(released, "v1.1.0", "v1.2.0")
    back(released, reason="false alarms")
    refused = released.run("gaia", "deploy", "spores", "--yes", ok=False)
    assert refused.returncode == 1
    assert "error: spores@v1.2.0 was rolled back from in prod on 20" in refused.stdout
    assert ": false alarms; `gaia deploy spores@v1.2.0` deploys it nevertheless." in refused.stdout
    with pytest.raises(GaiaError, match="rolled back from in prod"):
        deploy.deploy("spores", "staging", root=released.root)
    assert live(released) == "v1.1.0"
    row = json.loads(released.run("gaia", "versions", "spores", "--json").stdout)[0]
    assert (row["version"], row["rolled_back"]["reason"]) == ("v1.2.0", "false alarms")
    assert (
        f"rolled back {row['rolled_back']['at'][:10]}: false alarms"
        in released.run("gaia", "versions", "spores").stdout
    )
    done = released.run("gaia", "deploy", "spores@v1.2.0", "--yes")
    assert "warning: spores@v1.2.0 was rolled back from in prod on" in done.stdout
    assert live(released) == "v1.2.0"
    assert history.rolled_back(history.read("spores", released.root)) == {}
    assert "rolled back" not in released.run("gaia", "versions", "spores").stdout


def test_a_rollback_that_happens_while_the_plan_is_looked_at_counts(released: Project, tmp_path: Path) -> None:
    other = pair(released, tmp_path)
    go(released, "v1.1.0")
    plan = deploy.deploy("spores", root=other.root)
    go(released, "v1.2.0")
    back(released, reason="false alarms")
    with pytest.raises(GaiaError, match="rolled back from in prod .*: false alarms"):
        deploy.carry_out(plan, other.root)
    assert len(tags.deployments("spores", released.root)) == 3


def test_forms_that_are_not_followed_are_named(released: Project) -> None:
    go(released, "v1.0.0")
    named = {
        "spores@v1.3.0-rc.1": "is a pre-release or a build, which isn't followed",
        "spores#canary": "has no counter, which isn't followed",
        "spores@deprecated": "speaks of the line as a whole, which isn't followed",
        "spores@v1.0.0#7": "counts a version",
    }
    for name in named:
        released.run("git", "tag", "-a", name, "-m", "by gto")
    for verb, code in ((("versions", "spores"), 0), (("status",), 0)):
        done = released.run("gaia", *verb, ok=False)
        assert done.returncode == code, done.stdout
        for name, why in named.items():
            assert f"{name} {why}" in done.stdout
    assert "warning" not in released.run("gaia", "current").stdout
    assert live(released) == "v1.0.0"


def test_a_rollback_after_an_end_and_the_tags_for_gto_alone_say_what_they_are(released: Project) -> None:
    """`the first of spores`, `rolled back from -`, and an end of what was not live."""
    go(released, "v1.0.0", "v1.1.0")
    released.run("gaia", "undeploy", "spores", "--reason", "fallow", "--yes")
    about = [tag.facts | {"said": tag.message.split("\n")[0]} for tag in tags.read("spores", released.root).decisions]
    assert [each["said"] for each in about[2:]] == [
        "spores: v1.0.0 is not what GTO goes back to in prod: fallow",
        "spores: v1.1.0 is live in prod no longer: fallow",
    ]
    plan = deploy.rollback("spores", "sown again", root=released.root)
    assert deploy.changes(plan, released.root) == ["spores@v1.1.0 would be live in prod, where nothing is now"]
    deploy.carry_out(plan, released.root)
    newest = tags.deployments("spores", released.root)[-1]
    assert newest.message.startswith("spores: v1.1.0 is live in prod, once more, where nothing was: sown again")
    assert "rolled back after nothing" in released.run("gaia", "history", "spores").stdout
