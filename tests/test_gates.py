"""Gates: what is asked for is measured on the artifact itself, and a number that is missing passes none."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Project
from gaia.config import yaml
from gaia.config.schema import Gates
from gaia.errors import GaiaError
from gaia.runtime import artifact
from gaia.versions.gates import Gate, judge

ASKED = {key: field.annotation for key, field in Gates.model_fields.items() if field.is_required()}
OFF = Gates.model_validate({key: False if kind is bool else None for key, kind in ASKED.items()})


@pytest.fixture
def line(chronicle: Path, tmp_path: Path) -> Project:
    """What is built of the line, to be spoiled at will."""
    for folder in ("data/models", "data/prepared"):
        shutil.copytree(chronicle / "project" / folder, tmp_path / folder)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Project(tmp_path)


def judged(line: Project, live: dict[str, Any] | None = None, metrics: Any = None, **asked: Any) -> list[Gate]:
    return judge("cultures", OFF.model_copy(update=asked), metrics or {}, live, line.root)


def test_what_is_not_asked_for_is_not_judged(line: Project) -> None:
    assert judged(line) == []


@pytest.mark.parametrize(
    ("asked", "metrics", "live", "found", "passed"),
    [
        ({"accuracy_low": 0.8}, {"accuracy_low": 0.8}, None, 0.8, True),
        ({"accuracy_low": 0.8}, {"accuracy": 0.9, "accuracy_low": 0.799}, None, 0.799, False),
        ({"recall": 0.7}, {"per_class": {"a": {"recall": 0.7}}}, None, 0.7, True),
        ({"recall": 0.7}, {"per_class": {"a": {"recall": None}}}, None, "no number", False),
        ({"drop": 0.02}, {"accuracy": 0.88}, {"accuracy": 0.9}, 0.02, True),
        ({"drop": 0.02}, {"accuracy": 0.87}, {"accuracy": 0.9}, 0.03, False),
        ({"drop": 0.02}, {"accuracy": 0.99}, {"accuracy": 0.9}, -0.09, True),
        ({"drop": 0.02}, {"accuracy": 0.1}, None, None, True),
    ],
)
def test_metrics_are_held_against_their_limits(
    line: Project, asked: dict, metrics: dict, live: dict | None, found: float | str | None, passed: bool
) -> None:
    (gate,) = judged(line, live, metrics, **asked)
    assert (gate.found, gate.passed) == (found, passed)


def test_every_class_has_its_own_floor(line: Project) -> None:
    metrics = {"per_class": {"healthy": {"recall": 0.95}, "contaminated": {"recall": 0.4}}}
    gates = judged(line, metrics=metrics, recall=0.7)
    assert [(g.gate, g.passed) for g in gates] == [("recall of healthy", True), ("recall of contaminated", False)]


def test_size_and_time_are_measured(line: Project) -> None:
    folder = line.path("data/models/cultures")
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    small, fast = judged(line, megabytes=size * 1.1, latency_ms=5000)
    large, slow = judged(line, megabytes=size * 0.9, latency_ms=1e-6)
    assert small.found == large.found == pytest.approx(size, abs=1e-3)
    assert (small.passed, large.passed) == (True, False)
    assert (fast.passed, slow.passed) == (True, False)
    assert 0 < slow.found < 5000


def test_answers_that_are_not_the_sealed_ones_stop_a_release(line: Project) -> None:
    folder = line.path("data/models/cultures")
    assert judged(line, golden=True)[0].passed
    golden = artifact.read_json(folder / "golden.json")
    golden["probabilities"][0] = golden["probabilities"][0][::-1]
    artifact.write_json(folder / "golden.json", golden)
    manifest = artifact.read_json(folder / "manifest.json")
    artifact.seal(folder, {key: value for key, value in manifest.items() if key != "files"})
    (gate,) = judged(line, golden=True)
    assert not gate.passed
    assert "golden answers differ" in gate.found


def test_an_artifact_that_is_not_whole_is_refused_not_judged(line: Project) -> None:
    line.path("data/models/cultures/model.cbm").write_bytes(b"half")
    with pytest.raises(GaiaError, match="model.cbm is not the file"):
        judged(line, megabytes=1.0)


def leak(line: Project, spoil: Any) -> Gate:
    """The leakage gate after `spoil` has changed the rows of the index."""
    file = line.path("data/prepared/cultures/index.csv")
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    spoil({split: [r for r in rows if r["split"] == split and not r["reason"]] for split in ("train", "test")})
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    (gate,) = judged(line, leakage=True)
    return gate


def test_an_item_in_two_splits_is_a_leak(line: Project) -> None:
    assert judged(line, leakage=True) == [Gate("leakage", 0, 0, True)]

    def spoil(rows: dict[str, list[dict[str, str]]]) -> None:
        rows["test"][0] |= {key: rows["train"][0][key] for key in ("sha256", "label")}

    assert leak(line, spoil) == Gate("leakage", 0, 1, False)


def test_a_near_duplicate_in_another_split_is_a_leak_whatever_is_said_of_it(line: Project) -> None:
    def spoil(rows: dict[str, list[dict[str, str]]]) -> None:
        for twin in (rows["train"][1], rows["test"][0]):
            twin["group"] = rows["train"][0]["group"]

    assert leak(line, spoil) == Gate("leakage", 0, 1, False)


def test_what_people_are_told_of_an_item_is_no_finding(line: Project) -> None:
    def spoil(rows: dict[str, list[dict[str, str]]]) -> None:
        rows["test"][0]["reason"] = f"much like {rows['train'][0]['source']}"

    assert leak(line, spoil).passed


def test_a_quarantined_item_leaks_nothing(line: Project) -> None:
    def spoil(rows: dict[str, list[dict[str, str]]]) -> None:
        rows["test"][0] |= {"sha256": rows["train"][0]["sha256"], "verdict": "quarantined", "split": ""}

    assert leak(line, spoil).passed


@pytest.mark.parametrize("option", ["default", "strict"])
def test_the_gates_that_ship_ask_for_every_kind(option: str) -> None:
    asked = yaml.read(ROOT / "conf/gates/default.yaml") | yaml.read(ROOT / f"conf/gates/{option}.yaml")
    asked.pop("defaults", None)
    gates = Gates.model_validate(asked)
    assert None not in {value for key, value in gates.model_dump().items() if key != "branch"}
