"""What a version is can be told from its tag alone, anywhere: on the host that made it, and in a fresh clone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from conftest import Project, Store
from gaia.errors import GaiaError
from gaia.registry import git, history
from gaia.versions import diff, number, record, release, table
from gaia.versions.record import Record

NAMES = [
    "cultures", "cultures@", "cultures@v1", "cultures@1.1.0", "culture@v1.1.0", "cultures@v1.1.0 ", "Cultures@v1.1.0",
    "cultures@v9.9.9", "cultures@v01.1.0", "../cultures@v1.1.0", "cultures@v1.1.0/../x", "*@v1.1.0", "", "@v1.1.0",
    "cultures@v1.*", "HEAD", "main", "cultures#prod#1", "cultures@v１.1.0", "-x",
]  # fmt: skip
LINES = ["culture", "Cultures", "../cultures", "*", "cultures*", "", "cultures@v1.1.0", "c?ltures", "[a-z]*"]


@pytest.fixture
def fresh(versioned: Project, store: Store, tmp_path: Path) -> Project:
    """What somebody else has: a clone of the shared repository, and the storage."""
    versioned.run("git", "push", "--quiet", "origin", "main")
    versioned.run("git", "clone", "--quiet", "../origin.git", str(tmp_path / "fresh"))
    return store.connect(Project(tmp_path / "fresh"))


def test_the_table_shows_number_accuracy_and_reason_and_what_is_live(versioned: Project) -> None:
    versioned.run("git", "tag", "-a", "-m", "plain", "cultures#prod#9", "cultures@v1.1.0^{}")
    versioned.run("git", "tag", "-a", "-m", "plain", "cultures#prod#10", "cultures@v1.0.0^{}")
    versioned.run("git", "tag", "-a", "-m", "plain", "cultures#staging#1", "cultures@v1.1.0^{}")
    rows = json.loads(versioned.run("gaia", "versions", "cultures", "--json").stdout)
    assert [(row["version"], row["live"]) for row in rows] == [("v1.1.0", ["staging"]), ("v1.0.0", ["prod"])]
    assert [row["bump"] for row in rows] == ["minor", "first"]
    assert rows[0]["why"] == ["model.depth: 6 -> 3"]
    for row in rows:
        found = json.loads(git.read(row["commit"], "data/reports/cultures/metrics.json", versioned.root) or b"")
        assert row["accuracy"] == found["accuracy"]
        assert row["bytes"] == found["artifact_bytes"]
    shown = versioned.run("gaia", "versions", "cultures").stdout
    assert f"{rows[0]['accuracy']:.3f} ({rows[0]['accuracy_low']:.3f} - {rows[0]['accuracy_high']:.3f})" in shown
    assert "minor: model.depth: 6 -> 3" in shown


def test_a_tag_made_by_hand_is_a_version_without_a_verdict(versioned: Project) -> None:
    versioned.run("git", "tag", "cultures@v1.2.0")
    rows = table.versions("cultures", versioned.root)
    assert (rows[0]["version"], rows[0]["judged"], rows[0]["why"]) == ("v1.2.0", False, [])
    shown = json.loads(versioned.run("gaia", "show", "cultures@v1.2.0", "--json").stdout)
    assert rows[0]["accuracy"] == shown["metrics"]["accuracy"]
    for asked in (("versions", "cultures"), ("show", "cultures@v1.2.0")):
        assert "no verdict" in versioned.run("gaia", *asked).stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_exactly_a_version_is_refused(versioned: Project, name: str) -> None:
    with pytest.raises(GaiaError, match="names no version|there is no version"):
        record.of(name, versioned.root)


@pytest.mark.parametrize("name", LINES)
def test_what_is_not_exactly_a_line_is_refused(versioned: Project, name: str) -> None:
    with pytest.raises(GaiaError, match="there is no version of a line"):
        table.versions(name, versioned.root)


def test_the_nearest_name_is_offered_with_exit_code_1(versioned: Project) -> None:
    for verb, name, meant in (
        ("show", "cultures@v1.1.1", "cultures@v1.1.0"),
        ("versions", "culture", "cultures"),
        ("reproduce", "cultures@v1.1.1", "cultures@v1.1.0"),
    ):
        done = versioned.run("gaia", verb, name, ok=False)
        assert done.returncode == 1
        assert f"did you mean '{meant}'?" in done.stdout


def test_a_version_is_told_from_its_tag_in_a_fresh_clone_as_where_it_was_made(
    versioned: Project, fresh: Project
) -> None:
    here, there = (json.loads(p.run("gaia", "show", "cultures@v1.1.0", "--json").stdout) for p in (versioned, fresh))
    assert here == there
    assert not fresh.path("data/models/cultures").exists()
    assert here["commit"] == versioned.run("git", "rev-parse", "cultures@v1.1.0^{}").stdout.strip()
    assert here["config"]["model"]["depth"] == 3
    assert [list(each["listing"]) for each in here["data"]] == [["data/raw/demo_cultures/cultures.csv"]]
    assert here["packages"]["numpy"]
    assert here["metrics"]["per_class"]
    assert here["manifest"]["architecture"] == "catboost.CatBoostClassifier"
    assert {gate["gate"] for gate in here["gates"]} >= {"accuracy_low", "golden", "leakage"}
    versioned.run("git", "checkout", "--quiet", "cultures@v1.1.0")
    files = {p.name for p in versioned.path("data/models/cultures").iterdir()}
    assert {Path(name).name for name in here["artifact"]["listing"]} == files


def test_the_card_is_markdown_that_says_what_the_model_is(versioned: Project) -> None:
    card = versioned.run("gaia", "show", "cultures@v1.1.0", "--card").stdout
    said = ModelCard(card).data  # as the hub reads it
    assert (said.pipeline_tag, said.library_name) == ("tabular-classification", "catboost")
    accuracy = next(each for each in said.eval_results if each.metric_type == "accuracy")
    assert (
        accuracy.metric_value
        == json.loads(versioned.run("gaia", "show", "cultures@v1.1.0", "--json").stdout)["metrics"]["accuracy"]
    )
    assert "\n# cultures@v1.1.0\n" in card
    for heading in ("Input", "Performance", "Gates", "Data", "Training", "Identity"):
        assert f"\n## {heading}\n" in card
    assert "| contaminated |" in card
    assert "co2 (number)" in card
    assert str(versioned.root) not in card


def test_the_difference_of_settings_is_named_and_so_are_the_answers_it_changed(versioned: Project) -> None:
    found = json.loads(versioned.run("gaia", "diff", "cultures@v1.0.0", "cultures@v1.1.0", "--json").stdout)
    assert found["config"] == ["model.depth: 6 -> 3"]
    assert found["data"] == {"added": [], "removed": [], "relabelled": []}
    assert found["inputs"] == []
    assert (found["packages"], found["code"]) == ([], [])
    old, new = (json.loads(git.read(f"cultures@{v}", "data/reports/cultures/metrics.json", versioned.root) or b"")
                for v in ("v1.0.0", "v1.1.0"))  # fmt: skip
    interval = ("accuracy", "accuracy_low", "accuracy_high")
    assert found["metrics"]["accuracy"] == [[old[key] for key in interval], [new[key] for key in interval]]
    changed = found["answers"]["changed"]
    assert found["answers"]["compared"] == old["n"]
    right = sum((item["to"] == item["label"]) - (item["from"] == item["label"]) for item in changed)
    assert right == round((new["accuracy"] - old["accuracy"]) * old["n"])
    shown = versioned.run("gaia", "diff", "cultures@v1.0.0", "cultures@v1.1.0").stdout
    assert "model.depth: 6 -> 3" in shown
    assert f"answers: {len(changed)} of {old['n']} common test inputs changed" in shown


def test_the_difference_of_data_is_named_item_by_item(versioned: Project) -> None:
    new = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
    found = diff.diff(record.of("cultures@v1.1.0", versioned.root), new)
    assert len(found["data"]["added"]) == len(found["data"]["removed"]) == len(found["data"]["relabelled"]) == 1
    assert found["data"]["removed"] == ["cultures.csv:2"]
    assert found["inputs"] == ["data/raw/demo_cultures is gone", "data/raw/own is new"]
    assert "1 added, 1 removed, 1 relabelled" in "\n".join(diff.text(found))
    same = diff.diff(new, new)
    assert "data: the same" in diff.text(same)
    assert "config: the same" in diff.text(same)


def test_the_difference_of_code_is_named_by_file(versioned: Project) -> None:
    versioned.path("src/gaia/inputs/tables.py").write_text("# another\n")
    versioned.path("README.md").write_text("no code\n")
    versioned.commit("code")
    new = Record("cultures", git.commit("HEAD", versioned.root), root=versioned.root)
    assert diff.diff(record.of("cultures@v1.1.0", versioned.root), new)["code"] == ["src/gaia/inputs/tables.py changed"]


def test_a_version_from_before_the_code_had_rooms_is_shown_and_compared(versioned: Project) -> None:
    """Its lock names modules that are gone, and its index has fewer columns."""
    versioned.run("git", "checkout", "--quiet", "-b", "old", "cultures@v1.1.0")
    file = versioned.path("data/prepared/cultures/index.csv")
    rows = list(csv.DictReader(io.StringIO(file.read_text(), newline="")))
    file.unlink()
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, [key for key in rows[0] if key != "group"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    versioned.run("dvc", "commit", "--force", "prepare@cultures")
    lock = versioned.path("dvc.lock").read_text()
    for now, then in (("inputs", "tables.py"), ("data/dataset.py", "augmentation.py")):
        assert f"path: src/gaia/{now}\n" in lock
        lock = lock.replace(f"path: src/gaia/{now}\n", f"path: src/gaia/{then}\n")
        versioned.path("src/gaia", then).write_text("# it stood here\n")
    versioned.path("dvc.lock").write_text(lock)
    versioned.commit("as it was built then")
    versioned.run("git", "tag", "-a", "-m", "then", "cultures@v1.1.1")
    versioned.run("git", "checkout", "--quiet", "--force", "main")
    old, new = record.of("cultures@v1.1.1", versioned.root), record.of("cultures@v1.1.0", versioned.root)
    found = diff.diff(old, new)
    assert (found["config"], found["inputs"]) == ([], [])
    assert found["data"] == {"added": [], "removed": [], "relabelled": []}
    assert "src/gaia/tables.py" in old.code
    step = number.change(release.facts(old), release.facts(new))
    assert step.bump == "patch"
    assert [reason.partition(": ")[0] for reason in step.why] == ["code"]
    shown = versioned.run("gaia", "show", "cultures@v1.1.1").stdout
    assert "data      data/raw/demo_cultures, 1 file," in shown


def test_the_audit_finds_what_can_no_longer_be_restored(versioned: Project, fresh: Project, store: Store) -> None:
    assert fresh.run("gaia", "audit").stdout.count("ok") == 2
    fresh.run("rm", "-rf", ".dvc/cache")
    model = record.of("cultures@v1.1.0", versioned.root)
    md5 = model.files(model.artifact)["data/models/cultures/model.cbm"]
    key = f"files/md5/{md5[:2]}/{md5[2:]}"
    store.client.delete_object(store.settings.buckets["models"], key)
    done = fresh.run("gaia", "audit", ok=False)
    assert done.returncode == 1
    assert "cultures@v1.0.0  ok" in done.stdout
    assert "cultures@v1.1.0  LOST" in done.stdout
    assert "data/models/cultures/model.cbm (missing)" in done.stdout
    said = versioned.run("gaia", "audit").stdout  # this host has it in its cache
    assert "1 in this cache alone" in said
    cached = versioned.path(".dvc/cache", key)
    cached.chmod(0o644)
    cached.write_bytes(b"x" * cached.stat().st_size)
    assert versioned.run("gaia", "audit", ok=False).returncode == 1


def test_without_a_storage_the_audit_judges_the_cache(versioned: Project) -> None:
    versioned.environment["S3_ENDPOINT"] = "http://127.0.0.1:9"
    found = json.loads(versioned.run("gaia", "audit", "--json").stdout)
    assert all(each["restorable"] and "no storage answers" in each["only_here"][0] for each in found)


def test_a_lost_version_does_not_stop_the_next_release(versioned: Project, store: Store) -> None:
    store.empty()
    md5 = record.of("cultures@v1.1.0", versioned.root).artifact.md5
    versioned.run("rm", "-f", f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")
    done = versioned.run("gaia", "release", "cultures", "--push", ok=False)
    assert done.returncode == 1
    assert "--bump major" in done.stdout
    assert "v2.0.0 is made" in versioned.run("gaia", "release", "cultures", "--push", "--bump", "major").stdout


def test_listing_versions_imports_neither_dvc_nor_a_framework(versioned: Project) -> None:
    code = """if True:
        import sys
        from gaia.cli import run
        run(["versions", "cultures", "--json"])
        print(*{"dvc", "catboost", "pandas", "botocore", "hydra", "pydantic"} & set(sys.modules), file=sys.stderr)"""
    done = versioned.run("python", "-c", code)
    assert done.stdout.splitlines()[-1] == ""


def test_live_is_the_newest_counter_whatever_the_dates_say(versioned: Project) -> None:
    versioned.environment["GIT_COMMITTER_DATE"] = "2026-01-02T00:00:00Z"
    for counter, version in ((2, "v1.0.0"), (10, "v1.1.0"), (9, "v1.0.0")):
        versioned.run("git", "tag", "-a", "-m", "x", f"cultures#prod#{counter}", f"cultures@{version}^{{}}")
    found = {
        stage: event.version for (_, stage), event in history.live(history.read("cultures", versioned.root)).items()
    }
    assert {stage: str(tag.name) for stage, tag in found.items()} == {"prod": "cultures@v1.1.0"}
