"""After the answer: the log holds what was answered, for as long as was said; the shadow is asked, and nobody waits."""

from __future__ import annotations

import json
import shutil
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from conftest import ROOT, Project
from deployed import go
from gaia.errors import GaiaError
from gaia.runtime.load import load
from gaia.serving import afterwards, answerlog
from served import GREEN, RED, ROW, photos, serving, set_serving, workspace


def until(found: Callable[[], Any], seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.02)
    assert value
    return value


def logged(root: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for file in sorted(root.glob("answers/*.jsonl")) for row in file.read_text().splitlines()]


def ask(client: TestClient) -> None:
    client.post("/lines/plants/predict", files=photos(RED, b"bad", GREEN))
    client.post("/lines/cultures/predict", json={"rows": [ROW]})


def test_nothing_is_written_unless_it_was_asked_for(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    with serving(root) as client:
        before = {path for path in root.rglob("*") if path.is_file()}
        ask(client)
    assert {path for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kept", [False, True])
def test_the_answer_log_holds_who_answered_what_to_which_input(tmp_path: Path, kept: bool) -> None:
    root = workspace(tmp_path)
    set_serving(root, lambda said: said["log"].update(folder="answers", inputs=kept))
    with serving(root) as client:
        ask(client)
    rows = logged(root)
    assert [(row["line"], row["answer"]) for row in rows[:2]] == [("plants", "dandelion"), ("plants", "grass")]
    assert rows[0]["input_sha256"] == afterwards.sha256(RED) and rows[2]["input_sha256"] == afterwards.sha256(ROW)
    assert rows[0]["version"] is None and set(rows[0]["probabilities"]) == {"dandelion", "grass"}
    assert all(("input" in row) is kept for row in rows)
    (file,) = root.glob("answers/*.jsonl")
    assert file.stem == str(datetime.now(UTC).date())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_was_kept_is_asked_again(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    set_serving(root, lambda said: said["log"].update(folder="answers", inputs=True))
    with serving(root) as client:
        ask(client)
        ask(client)
    with next(root.glob("answers/*.jsonl")).open("a") as file:
        file.write('{"line": "plants", "inp')  # a kill
    for line, answers in (("plants", ["dandelion", "grass"]), ("cultures", ["healthy"])):
        (found,) = answerlog.answers(root / "answers", load(root / "data/models" / line))
        assert [each["answer"] for each in found.answers] == answers, "each input once"
    with pytest.raises(GaiaError, match="keeps no input of bags"):
        list(answerlog.inputs(root / "answers", "bags"))


def test_old_days_go(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=age) for age in (1, 7, 8, 300)]
    for day in days:
        (tmp_path / f"{day}.jsonl").write_text("{}\n")
    (tmp_path / "notes.jsonl").write_text("mine")
    answerlog.write(tmp_path, [{"a": 1}], days=7)
    assert {file.stem for file in tmp_path.iterdir()} == {str(today), str(days[0]), str(days[1]), "notes"}


def test_a_log_that_can_t_be_written_stops_no_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = workspace(tmp_path)
    (root / "answers").write_text("a file, not a folder")
    set_serving(root, lambda said: said["log"].update(folder="answers"))
    with serving(root) as client:
        assert client.post("/lines/plants/predict", files=photos(RED)).status_code == 200
        until(lambda: "gaia_dropped_total 1.0" in client.get("/metrics").text)
    assert "answers can't be logged" in capfd.readouterr().err


@pytest.fixture
def project(released: Project) -> Project:
    shutil.copytree(ROOT / "conf" / "serving", released.path("conf/serving"))
    set_serving(released.root, lambda said: said.update(inspect=None, shadow="staging"))
    return released


def test_the_shadow_is_asked_beside_prod_and_its_disagreements_are_named(project: Project) -> None:
    go(project, "v1.0.0")
    go(project, "v1.2.0", stage="staging")
    days = [{"species": "oyster", "days": day} for day in range(31)]
    with serving(project.root) as client:
        said = client.post("/lines/spores/predict", json={"rows": days}).json()
        shadow = client.post("/lines/spores/predict?stage=staging", json={"rows": days}).json()
        pairs = zip(said["answers"], shadow["answers"], strict=True)
        flips = [ours["input"] for ours, theirs in pairs if ours["answer"] != theirs["answer"]]
        assert flips
        labels = 'line="spores",stage="staging",version="v1.2.0"'
        until(lambda: f"gaia_shadow_disagreed_total{{{labels}}} {float(len(flips))}" in client.get("/metrics").text)
        assert f"gaia_shadow_asked_total{{{labels}}} 31.0" in client.get("/metrics").text
        found = client.get("/lines/spores/shadow").json()
        assert (found["stage"], found["compared"], found["disagreed"]) == ("staging", 31, len(flips))
        assert sorted(each["input"] for each in found["disagreements"]) == sorted(flips)
        assert all((each["version"], each["shadow"]) == ("v1.0.0", "v1.2.0") for each in found["disagreements"])
        assert client.get("/lines/cultures/shadow").json()["disagreements"] == []


def test_a_slow_shadow_makes_nobody_wait(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    go(project, "v1.0.0")
    go(project, "v1.2.0", stage="staging")
    rows = {"rows": [{"species": "oyster", "days": 1}]}
    with serving(project.root) as client:
        server = client.app.state.server  # type: ignore[attr-defined]
        slow = server.afterwards._compare
        monkeypatch.setattr(server.afterwards, "_compare", lambda asked: (time.sleep(0.3), slow(asked)))
        start = time.monotonic()
        for _ in range(260):
            assert client.post("/lines/spores/predict", json=rows).status_code == 200
        assert time.monotonic() - start < 260 * 0.3 / 2
        monkeypatch.undo()
