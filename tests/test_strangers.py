"""What others wrote into tags costs nobody else anything: neither time, nor other lines, nor the terminal."""

from __future__ import annotations

import json
import subprocess

import pytest

from conftest import Project
from deployed import back, go, live
from gaia.deployments import plan as deploy
from gaia.deployments.sync import sync
from gaia.errors import GaiaError, printable
from gaia.registry import history, tags
from gaia.status import status
from released import judged

DEEP = "spores: deep\n\n" + "[" * 30_000
LARGE = f'spores: large\n\n{{"action": "deploy", "reason": "{"x" * 70_000}"}}'
EVIL = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202egnp.exe\nspores@v9.9.9 is live in prod\u2028"


def tag(project: Project, name: str, message: str, revision: str = "HEAD", who: str = "test") -> None:
    """A tag as somebody else makes it."""
    environment = project.environment | {"GIT_COMMITTER_NAME": who}
    command = ["git", "tag", "-a", "--cleanup=verbatim", "-F", "-", name, f"{revision}^{{}}"]
    subprocess.run(command, cwd=project.root, env=environment, input=message, text=True, check=True)


BAD = {  # name, message, and what is said of it
    "spores#prod#2": (DEEP, "has a message nested too deep to be read"),
    "spores#prod#3": (LARGE, "has a message of 70,0"),
    "spores#prod#999999999": ("m", "counts on from"),
    "spores#prod#9999999999": ("m", "has the counter 9999999999"),
    "spores#Prod#1": ("m", "is of a stage 'Prod'"),
}


def test_bad_records_stop_neither_their_line_nor_another(released: Project) -> None:
    go(released, "v1.0.0", "v1.1.0")
    deploy.carry_out(deploy.deploy("cultures", root=released.root), released.root)
    released.run("git", "tag", "-d", "spores#prod#2")
    released.path("deployments/spores").rename(released.path("deployments/gone"))
    for name, (message, _) in BAD.items():
        tag(released, name, message, "spores@v1.2.0")
    released.run("git", "tag", "spores#prod#4", "spores@v1.2.0^{}")  # light
    tree = released.run("git", "rev-parse", "HEAD^{tree}").stdout.strip()
    released.run("git", "tag", "-a", "-m", "m", "spores#prod#5", tree)
    for verb in (
        ("current",),
        ("history", "spores"),
        ("versions", "spores"),
        ("sync",),
        ("deploy", "spores@v1.1.0", "--yes"),
    ):
        done = released.run("gaia", *verb)
        assert "Traceback" not in done.stdout
        assert "spores#prod#2 has a message nested too deep" in done.stdout
        assert len(done.stdout) < 3000, "a message is printed whole"
    assert live(released) == "v1.1.0"
    assert live(released, "cultures") == "v1.1.0"
    counters = [event.tag.name.counter for event in history.read("spores", released.root)]
    assert counters == [1, 6], "a taken counter is passed over, an absurd one is not counted on from"
    back(released)
    assert live(released) == "v1.0.0"
    found = {check.found.partition(" ")[0]: check for check in status(released.root) if check.part == "tags"}
    for name, (_, why) in {
        **BAD,
        "spores#prod#4": ("", "is not annotated"),
        "spores#prod#5": ("", "names no commit"),
    }.items():
        assert why in found[name].found
        released.run("bash", "-ec", found[name].mend.split("`")[1])
    assert history.look("spores", released.root).foreign == []


def test_a_version_with_a_message_that_is_none_is_left_out_alone(released: Project) -> None:
    tag(released, "spores@v1.3.0", DEEP)
    tag(released, "spores@v1.4.0", 'm\n\n{"gates": [{"gate": 1}], "metrics": [1], "number": "x"}')
    tag(
        released,
        "spores@v1.5.0",
        f'm\n\n{{"gates": [], "metrics": {{"accuracy": 1{"0" * 4000}, "n": true}}, "number": {{}}}}',
    )
    rows = json.loads(released.run("gaia", "versions", "spores", "--json").stdout.partition("\n")[2])
    assert [(row["version"], row["judged"]) for row in rows[:3]] == [
        ("v1.5.0", True),
        ("v1.4.0", False),
        ("v1.2.0", True),
    ]
    assert rows[0]["accuracy"] is None
    assert "Traceback" not in released.run("gaia", "versions", "spores").stdout


def test_a_long_reason_is_not_printed_whole(released: Project) -> None:
    go(released, "v1.0.0")
    tag(released, "spores#prod#2", tags.message("m", {"reason": "x" * 50_000}), "spores@v1.1.0")
    for verb in ("current", "history"):
        assert len(released.run("gaia", verb, "spores").stdout) < 5000


def test_a_second_name_for_a_commit_takes_nothing_over(released: Project) -> None:
    """GTO makes one version for each commit; somebody with `git tag` may make another."""
    go(released, "v1.0.0", "v1.2.0")
    for name in ("spores@v0.0.1", "spores@v9.0.0"):
        released.run("git", "tag", "-a", "-m", "by hand", name, "spores@v1.2.0^{}")
    assert live(released) == "v1.2.0"
    back(released)
    assert live(released) == "v1.0.0"


def test_a_date_that_none_can_read_costs_its_tag_only(released: Project) -> None:
    go(released, "v1.0.0")
    commit = released.run("git", "rev-parse", "spores@v1.1.0^{}").stdout.strip()
    for counter, when in ((2, "99999999999999 +0000"), (3, "4200000000 +0000"), (4, "x")):
        text = f"object {commit}\ntype commit\ntag spores#prod#{counter}\ntagger x <x> {when}\n\nm\n"
        oid = subprocess.run(["git", "hash-object", "-t", "tag", "-w", "--literally", "--stdin"], cwd=released.root,
                             input=text, text=True, capture_output=True, check=True).stdout.strip()  # fmt: skip
        released.run("git", "update-ref", f"refs/tags/spores#prod#{counter}", oid)
    assert [str(event.tag.name) for event in history.read("spores", released.root)] == ["spores#prod#1"]
    assert len(history.look("spores", released.root).foreign) == 3
    go(released, "v1.1.0")
    assert live(released) == "v1.1.0"


def test_what_others_wrote_reaches_no_terminal_raw(released: Project) -> None:
    """Escapes clear no screen, and newlines forge no row."""
    go(released, "v1.0.0", "v1.1.0")
    for counter, action in ((3, "deploy"), (4, "rollback")):
        message = tags.message(EVIL, {"line": "spores", "action": action, "reason": EVIL})
        tag(released, f"spores#prod#{counter}", message, f"spores@v1.{4 - counter}.0", "ad\x1b[31ma\x9b2J")
    facts = {
        "gates": [{"gate": EVIL, "limit": EVIL, "found": 1, "passed": True}],
        "number": {"bump": "x", "why": [EVIL]},
    }
    tag(released, "spores@v1.3.0", tags.message(EVIL, facts))
    tag(released, "spores@v1.3.0!", tags.message(EVIL, {"reason": EVIL}))
    verbs = [("current",), ("history", "spores"), ("versions", "spores"), ("status",), ("deploy", "spores", "--yes"),
             ("deploy", "spores@v1.3.0", "--yes"), ("sync",), ("rollback", "spores", "--reason", "x")]  # fmt: skip
    for verb in verbs:
        said = released.run("gaia", *verb, ok=False).stdout
        assert not [c for c in said if c != "\n" and printable(c) != c], verb
        assert not [line for line in said.splitlines() if line.startswith("spores@v9.9.9")], verb
    assert len(released.run("gaia", "history", "spores").stdout.splitlines()) == 6
    (row,) = [
        row
        for row in json.loads(released.run("gaia", "history", "spores", "--json").stdout)
        if row["action"] == "rollback"
    ]
    assert "\\x1b[2J" in row["reason"]


@pytest.mark.parametrize("text", ["é, 🍄\u200d🟫, non\u00a0breaking", "a b", "ö\\n"])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert printable(printable(EVIL)) == printable(EVIL)


# A version that nobody judged


def by_hand(project: Project) -> None:
    """What `gto register` and `gto assign` do, past every gate."""
    project.run("gto", "register", "spores", "HEAD", "--version", "v2.0.0")
    project.run("gto", "assign", "spores", "--version", "v2.0.0", "--stage", "prod")


@pytest.fixture
def unjudged(released: Project) -> Project:
    """v1.0.0 is live here; then another commit became a version and went live by GTO alone."""
    go(released, "v1.0.0")
    released.commit("past the gates")
    by_hand(released)
    return released


def test_no_host_follows_what_no_gate_judged(unjudged: Project) -> None:
    done = unjudged.run("gaia", "sync", ok=False)
    assert (done.returncode, "spores@v2.0.0 has no verdict: no gate judged it" in done.stdout) == (1, True)
    assert unjudged.path("deployments/spores/current").readlink().name.startswith("v1.0.0")
    with pytest.raises(GaiaError, match="has no verdict"):
        deploy.deploy("spores@v2.0.0", "staging", root=unjudged.root)
    assert "no verdict" in unjudged.run("gaia", "versions", "spores").stdout
    assert "no verdict" in unjudged.run("gaia", "status", ok=False).stdout
    back(unjudged)
    assert live(unjudged) == "v1.0.0"
    assert [each.problem for each in sync(root=unjudged.root)] == [""]


def test_a_checkout_may_say_that_it_is_followed_with_a_warning(unjudged: Project) -> None:
    config = unjudged.path("data/config/spores.yaml")
    config.write_text(config.read_text().replace("unjudged: refuse", "unjudged: warn"))
    done = unjudged.run("gaia", "sync")
    assert "warning: spores@v2.0.0 has no verdict: no gate judged it." in done.stdout
    assert live(unjudged) == "v2.0.0"
    assert (
        "spores@v2.0.0 is live in prod: spores@v2.0.0 has no verdict" in unjudged.run("gaia", "status", ok=False).stdout
    )
    assert (
        "warning: spores@v2.0.0 has no"
        in unjudged.run("gaia", "deploy", "spores@v2.0.0", "--stage", "staging", "--yes").stdout
    )


def test_the_version_s_own_commit_does_not_decide_whether_it_is_trusted(released: Project) -> None:
    config = released.path("data/config/spores.yaml")
    config.write_text(config.read_text().replace("unjudged: refuse", "unjudged: warn"))
    released.commit("trust me")
    by_hand(released)
    released.run("git", "checkout", "--quiet", "HEAD~1")
    assert ["has no verdict" in each.problem for each in sync(root=released.root)] == [True]


def test_the_table_and_the_page_agree_about_a_version_without_facts(released: Project) -> None:
    released.commit("by hand")
    released.run("git", "tag", "-a", "spores@v1.3.0", "-m", "by hand")
    found = json.loads(released.path("data/reports/spores/metrics.json").read_text())
    row = json.loads(released.run("gaia", "versions", "spores", "--json").stdout)[0]
    assert (row["accuracy"], row["accuracy_low"]) == (found["accuracy"], found["accuracy_low"])


def test_a_version_with_a_gate_that_was_not_passed_has_no_verdict(released: Project) -> None:
    released.commit("x")
    facts = {"gates": [{"gate": "recall", "limit": 0.9, "found": 0.1, "passed": False}]}
    tag(released, "spores@v1.3.0", tags.message("m", facts))
    with pytest.raises(GaiaError, match="has no verdict"):
        deploy.deploy("spores", root=released.root)
    released.commit("y")
    judged(released, "spores@v1.4.0")
    deploy.deploy("spores", root=released.root)
