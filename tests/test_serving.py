"""What is live answers over HTTP: with the version that gave the answer, and never with a guess or a 500 for input."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from conftest import Project
from gaia import files
from gaia.errors import GaiaError
from gaia.runtime import answers
from gaia.runtime.load import load
from gaia.serving import access, settings
from gaia.serving.problems import Refused
from gaia.serving.work import Work
from released import judged
from served import GREEN, RED, ROW, photos, serving, set_serving, workspace

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with serving(root, megabytes=0.2, inputs=5) as client:
        yield client


def refused(response: Any, status: int) -> str:
    """The sentence of an answer that is problem details."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status and said["title"] and said["problems"]
    assert "Traceback" not in response.text
    return str(said["detail"])


def test_photos_are_answered_with_who_answered(client: TestClient, root: Path) -> None:
    said = client.post("/lines/plants/predict", files=photos(RED, GREEN)).json()
    assert [(each["input"], each["answer"]) for each in said["answers"]] == [
        ("photo.png", "dandelion"), ("photo.png (2)", "grass"),
    ]  # fmt: skip
    assert said["version"] is None and "last build of the workspace" in said["note"]
    assert said["sha256"] == files.sha256(root / "data/models/plants/manifest.json")
    for each in said["answers"]:
        assert sum(each["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert said["milliseconds"] > 0 and said["problems"] == []


def test_rows_are_answered(client: TestClient) -> None:
    said = client.post("/lines/cultures/predict", json={"rows": [ROW, {"species": "shiitake", "days_since": "30"}]})
    assert said.status_code == 200
    assert [each["input"] for each in said.json()["answers"]] == ["row 1", "row 2"]


def test_one_bad_of_three_costs_itself_only(client: TestClient) -> None:
    said = client.post("/lines/plants/predict", files=photos(RED, b"no photo", GREEN)).json()
    assert [each["answer"] for each in said["answers"]] == ["dandelion", "grass"]
    assert said["problems"] == [{"input": "photo.png (2)", "found": "photo.png (2): not an image.", "mend": ""}]
    said = client.post("/lines/cultures/predict", json={"rows": [ROW, {"species": "enoki", "days": 1}]}).json()
    assert len(said["answers"]) == 1 and "training never saw" in said["problems"][0]["found"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"", JSON, 422, "the body is empty"),
        (b"{", JSON, 422, "the body is no JSON"),
        (b"[" * 100_000, JSON, 422, "the body is no JSON"),
        (b"\xff\xfe", JSON, 422, "the body is no JSON"),
        (b"[]", JSON, 422, 'should be {"rows"'),
        (b'{"rows": []}', JSON, 422, "a row at least"),
        (b'{"rows": {}}', JSON, 422, "a row at least"),
        (b'{"rows": [1]}', JSON, 422, "row 1 is 1; a row maps each feature"),
        (b'{"rows": [null]}', JSON, 422, "row 1 is null"),
        (b'{"rows": [{}]}', JSON, 422, "row 1 lacks 'species'"),
        (b'{"rows": [{"species": "oyster"}]}', JSON, 422, "lacks 'days'"),
        (b'{"rows": [{"species": "oyster", "days": "three"}]}', JSON, 422, "no number"),
        (b'{"rows": [{"species": "oyster", "days": {"a": 1}}]}', JSON, 422, "no number"),
        (b'{"rows": [{"species": "oyster", "days": [1]}]}', JSON, 422, "no number"),
        (b'{"rows": [{"species": "oyster", "days": 1e999}]}', JSON, 422, "no number"),
        (b'{"rows": [{"species": "oyster", "days": true}]}', JSON, 422, "no number"),
        (b'{"rows": [{"species": "\\ud800", "days": 1}]}', JSON, 422, "training never saw"),
        (b'{"rows": [{"species": "\\u001b[2J", "days": 1}]}', JSON, 422, "training never saw"),
        (b'{"rows": [{"species": 3, "days": 1}]}', JSON, 422, "training never saw"),
        (json.dumps({"rows": [ROW] * 6}).encode(), JSON, 413, "6 inputs are over 5"),
        (b'{"rows": ' + b" " * 300_000 + b"[]}", JSON, 413, "over 0.2 MB"),
        (b"a;b", {"content-type": "text/csv"}, 415, "content type is 'text/csv'"),
        (b"x", {}, 415, "content type is missing"),
        (b"x", {"content-type": "multipart/form-data"}, 422, "the form can't be read"),
        (b"x", {"content-type": "multipart/form-data; boundary=b"}, 422, "the form can't be read"),
        (b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}, 422, "the body is null"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_rows_is_refused_in_a_sentence(
    client: TestClient, content: bytes, kind: dict[str, str], status: int, sentence: str
) -> None:
    said = refused(client.post("/lines/cultures/predict", content=content, headers=kind), status)
    assert sentence in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "empty file"), (RED[:60], "truncated"), (RED[:8], "not an image"), (b"<svg/>", "not an image")],
)
def test_a_photo_that_can_t_be_read_is_refused_in_a_sentence(
    client: TestClient, content: bytes, sentence: str
) -> None:  # fmt: skip
    assert sentence in refused(client.post("/lines/plants/predict", files=photos(content)), 422)


def test_what_a_line_doesn_t_take_is_named(client: TestClient) -> None:
    assert "answers from a table" in refused(client.post("/lines/cultures/predict", files=photos(RED)), 422)
    assert "answers from photos" in refused(client.post("/lines/plants/predict", json={"rows": [ROW]}), 422)
    assert "field 'pictures'" in refused(client.post("/lines/plants/predict", files={"pictures": RED}), 422)


def test_an_unknown_line_stage_or_path_is_named(client: TestClient) -> None:
    said = refused(client.post("/lines/plant/predict", files=photos(RED)), 404)
    assert "there is no line 'plant'" in said and "did you mean 'plants'" in said
    assert "not live in 'canary'" not in said
    assert "'canary'" in refused(client.post("/lines/plants/predict?stage=canary", files=photos(RED)), 404)
    assert "/nowhere" in refused(client.get("/nowhere"), 404)
    refused(client.get("/lines/plants/predict"), 405)


def test_a_line_that_has_nothing_makes_the_server_unready_and_the_others_answer(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "params.yaml").write_text("lines: {plants: {}, cultures: {}, bags: {}}\n")
    with serving(root) as client:
        response = client.get("/ready")
        assert response.status_code == 503
        assert response.json()["problems"][0]["line"] == "bags"
        assert client.get("/health").json() == {"status": "alive"}
        said = client.post("/lines/bags/predict", files=photos(RED))
        assert "nothing of bags is live in prod" in refused(said, 503) and said.headers["retry-after"]
        assert client.post("/lines/plants/predict", files=photos(RED)).status_code == 200


def test_while_a_build_is_made_anew_the_one_before_answers(tmp_path: Path) -> None:
    """DVC removes what a stage makes before the stage begins."""
    root = workspace(tmp_path)
    folder = root / "data/models/plants"
    with serving(root) as client:
        live = client.app.state.server.live  # type: ignore[attr-defined]
        before = client.post("/lines/plants/predict", files=photos(RED)).json()["sha256"]
        folder.rename(tmp_path / "kept")
        live.look()
        assert client.get("/ready").status_code == 200
        assert client.post("/lines/plants/predict", files=photos(RED)).json()["sha256"] == before
        shutil.copytree(tmp_path / "kept", folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"best_epoch": 3}))
        live.look()
        assert client.post("/lines/plants/predict", files=photos(RED)).json()["sha256"] != before


def test_a_damaged_build_is_not_served(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    with (root / "data/models/plants/model.onnx").open("ab") as file:
        file.write(b"x")
    with serving(root) as client:
        assert "is not the file that manifest.json names" in client.get("/ready").json()["problems"][0]["found"]
        refused(client.post("/lines/plants/predict", files=photos(RED)), 503)


def test_too_many_at_once_are_told_to_come_again(tmp_path: Path) -> None:
    with serving(workspace(tmp_path), waiting=0, at_once=1) as client:
        work = client.app.state.server.work  # type: ignore[attr-defined]
        work.taken = 1
        response = client.post("/lines/plants/predict", files=photos(RED))
        assert "come again" in refused(response, 503) and response.headers["retry-after"] == "1"
        work.taken = 0
        assert client.post("/lines/plants/predict", files=photos(RED)).status_code == 200
        assert work.taken == 0


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with serving(workspace(tmp_path), seconds=0.1) as client:
        server = client.app.state.server  # type: ignore[attr-defined]
        for _ in range(server.work.at_once):
            client.portal.start_task_soon(_ends_late, server.work)  # type: ignore[union-attr]
        time.sleep(0.05)  # so that each has begun
        assert "no answer within 0.1 s" in refused(client.post("/lines/plants/predict", files=photos(RED)), 503)


async def _ends_late(work: Work) -> None:
    with suppress(Refused):
        await work.do(lambda: time.sleep(0.6))


def test_a_number_that_training_never_saw_is_doubted() -> None:
    """Where the contract knows the range, which it does from format 2 on; a gap is none."""
    model = load(Path(__file__).parent / "artifacts" / "table-1")
    days = model.table["features"][1]
    days["range"] = [0.0, 30.0]
    rows = {"row 1": {"species": "oyster", "days": 31}, "row 2": {"species": "oyster", "days": 30}}
    found = answers.of_rows(model, rows | {"row 3": {"species": "oyster", "days": ""}})
    assert [each["uncertain"] for each in found.answers] == [["days is 31; training saw 0 to 30"], [], []]


def work(**limits: Any) -> Work:
    return Work({"megabytes": 1, "inputs": 8, "at_once": 1, "waiting": 99, "seconds": 5} | limits)  # type: ignore[arg-type]


def test_what_waits_is_done_together_and_one_that_fails_fails_alone() -> None:
    """While one job is done, four more of its kind come: they are the next, and of these only the third fails."""
    several: list[list[int]] = []
    busy = threading.Event()

    def do(given: list[int]) -> list[int]:
        several.append(given)
        busy.wait(5)
        if 3 in given:
            raise ValueError("three")
        return [2 * each for each in given]

    async def ask() -> list[Any]:
        pool = work()
        first = asyncio.create_task(pool.together("kind", 1, do))
        while not several:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(pool.together("kind", each, do)) for each in (2, 3, 4)]
        another = asyncio.create_task(pool.together("another", 5, do))
        while pool.taken < 5:
            await asyncio.sleep(0.01)
        busy.set()
        found = await asyncio.gather(first, *others, another, return_exceptions=True)
        while pool.taken:
            await asyncio.sleep(0.01)
        pool.close()
        return list(found)

    found = asyncio.run(ask())
    assert [each for each in found if isinstance(each, int)] == [2, 4, 8, 10]
    assert str(found[2]) == "three"
    assert several == [[1], [2, 3, 4], [2], [3], [4], [5]]


def test_photos_asked_for_at_once_are_answered_each_for_itself(client: TestClient) -> None:
    """Thirty requests at once, of other photos and names, one of them bad: nobody gets another's answer."""
    found: dict[int, Any] = {}

    def ask(at: int) -> None:
        photo = b"bad" if at == 7 else (RED, GREEN)[at % 2]
        found[at] = client.post("/lines/plants/predict", files=photos(photo, name=f"{at}.png")).json()

    askers = [threading.Thread(target=ask, args=(at,)) for at in range(30)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert "7.png: not an image" in found.pop(7)["detail"]
    for at, said in found.items():
        (answer,) = said["answers"]
        assert (answer["input"], answer["answer"]) == (f"{at}.png", ("dandelion", "grass")[at % 2])


def test_doubt_is_a_word_beside_the_answer(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    set_serving(root, lambda said: said["uncertain"].update(lines={"plants": 1.0}))
    with serving(root) as client:
        (answer,) = client.post("/lines/plants/predict", files=photos(RED)).json()["answers"]
        assert answer["answer"] == "dandelion"
        assert "within 1 of the threshold 0.5" in answer["uncertain"][0]
        assert client.post("/lines/cultures/predict", json={"rows": [ROW]}).json()["answers"][0]["uncertain"] == []
        assert 'gaia_uncertain_total{line="plants",stage="prod",version="workspace"} 1.0' in client.get("/metrics").text


def test_metrics_count_requests_answers_and_problems(tmp_path: Path) -> None:
    with serving(workspace(tmp_path)) as client:
        client.post("/lines/plants/predict", files=photos(RED, GREEN, b"bad"))
        client.post("/lines/plants/predict", files=photos(b"bad"))
        said = client.get("/metrics").text
    labels = 'line="plants",stage="prod",version="workspace"'
    assert f'gaia_answers_total{{answer="grass",{labels}}} 1.0' in said
    assert f"gaia_problems_total{{{labels}}} 2.0" in said
    assert f"gaia_request_seconds_count{{{labels}}} 2.0" in said
    assert f"gaia_live{{{labels}}} 1.0" in said


def test_the_openapi_examples_work_when_pressed(client: TestClient) -> None:
    said = client.get("/openapi.json").json()
    predict = said["paths"]["/lines/{line}/predict"]["post"]
    example = predict["requestBody"]["content"]["application/json"]["examples"]["cultures"]["value"]
    assert client.post("/lines/cultures/predict", json=example).status_code == 200
    assert "plants" in predict["parameters"][0]["examples"]
    assert "cdn" not in client.get("/docs").text
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_a_heat_map_shows_what_the_answer_hangs_on(client: TestClient) -> None:
    said = client.post("/lines/plants/explain", files=photos(RED)).json()
    assert len(said["heat"]) == 10 and all(len(row) == 10 and max(map(abs, row)) <= 1 for row in said["heat"])
    assert "2 photos came" in refused(client.post("/lines/plants/explain", files=photos(RED, GREEN)), 422)


# --- POST /inspect


def inspected(root: Path, risk: float, photo: bytes | None = None, doubt: float = 0.0, **policy: float) -> Any:
    """The answer, under a policy that is set around the risk that the conditions mean."""

    def change(said: dict[str, Any]) -> None:
        said["inspect"].update(policy)
        said["uncertain"].update(band=0, lines={"plants": doubt})

    set_serving(root, change)
    with serving(root) as client:
        if photo is None:
            return client.post("/inspect", json=ROW).json()
        return client.post("/inspect", data={"json": json.dumps(ROW)}, files=photos(photo)).json()


@pytest.fixture(scope="module")
def risk(tmp_path_factory: pytest.TempPathFactory) -> float:
    with serving(workspace(tmp_path_factory.mktemp("risk"))) as client:
        said = client.post("/lines/cultures/predict", json={"rows": [ROW]}).json()
        return float(said["answers"][0]["probabilities"]["contaminated"])


def test_the_policy_is_told(client: TestClient) -> None:
    said = client.get("/inspect").json()
    assert (said["conditions"], said["photo"], said["low"], said["high"]) == ("cultures", "plants", 0.3, 0.7)


def test_no_policy_is_no_inspection(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    set_serving(root, lambda said: said.update(inspect=None))
    with serving(root) as client:
        assert client.get("/inspect").json() is None
        assert "conf/serving/ has no policy" in refused(client.post("/inspect", json=ROW), 404)


def test_a_low_risk_needs_no_photo(tmp_path: Path, risk: float) -> None:
    said = inspected(workspace(tmp_path), risk, GREEN, low=risk + 0.01, high=1)
    assert said["answer"] == "dandelion"  # the class of the photo's model that is not the positive one
    assert [each["line"] for each in said["models"]] == ["cultures"] and not said["photo_wanted"]


def test_without_a_photo_a_risk_stays_uncertain_and_never_healthy(tmp_path: Path, risk: float) -> None:
    said = inspected(workspace(tmp_path), risk, low=0, high=1)
    assert said["answer"] == "uncertain" and said["photo_wanted"] and "no photo" in said["why"][-1]


def test_the_photo_decides_a_doubtful_risk(tmp_path: Path, risk: float) -> None:
    said = inspected(workspace(tmp_path), risk, GREEN, low=0, high=1)
    assert said["answer"] == "grass" and [each["line"] for each in said["models"]] == ["cultures", "plants"]


def test_a_photo_that_contradicts_a_high_risk_is_no_all_clear(tmp_path: Path, risk: float) -> None:
    said = inspected(workspace(tmp_path), risk, RED, low=0, high=min(risk, 0.01))
    assert said["answer"] == "uncertain" and "disagree" in said["why"][0]


def test_a_doubted_photo_is_no_all_clear(tmp_path: Path, risk: float) -> None:
    said = inspected(workspace(tmp_path), risk, RED, doubt=1.0, low=0, high=1)
    assert said["answer"] == "uncertain" and "threshold" in said["why"][1]


# --- who may ask


def test_a_web_page_of_another_origin_may_not_ask(client: TestClient) -> None:
    post = {"files": photos(RED)}
    assert client.post("/lines/plants/predict", **post, headers={"origin": "http://127.0.0.1"}).status_code == 200  # type: ignore[arg-type]
    for origin in ("http://evil.example", "null", "http://[", "http://127.0.0.1:1"):
        refused(client.post("/lines/plants/predict", **post, headers={"origin": origin}), 403)  # type: ignore[arg-type]
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"):
        refused(client.get("/lines", headers={"host": host}), 403)
    assert client.get("/lines", headers={"host": "localhost:8000"}).status_code == 200
    assert "access-control-allow-origin" not in client.get("/lines").headers


def test_with_a_key_only_probes_and_the_page_need_none(tmp_path: Path) -> None:
    key = "0123456789abcdef"
    with serving(workspace(tmp_path), key) as client:
        for path in ("/health", "/ready", "/v2/health/ready", "/", "/docs"):
            assert client.get(path).status_code == 200, path
        for path in ("/lines", "/metrics", "/v2/models/plants", "/lines/plants", "/pagex", "/docs/../lines"):
            refused(client.get(path), 401)
        assert "GAIA" not in refused(client.get("/lines", headers={"authorization": "Bearer wrong"}), 401)
        assert client.get("/lines", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/lines", headers={"x-api-key": key, "host": "gaia.example"}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "gaia.example"])
def test_nobody_listens_to_others_without_a_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(access.KEY, raising=False)
    with pytest.raises(GaiaError, match="can be reached from other machines"):
        access.check(host)
    monkeypatch.setenv(access.KEY, "short")
    with pytest.raises(GaiaError, match="shorter than 16 characters"):
        access.check(host)
    monkeypatch.setenv(access.KEY, "0123456789abcdef")
    assert access.check(host) == "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.0.1"])
def test_loopback_needs_no_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(access.KEY, raising=False)
    assert access.check(host) is None


# --- conf/serving/


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("uncertain.band", 2, "uncertain.band is 2; it should be from 0 to 1"),
        ("uncertain.lines", {"bags": -1}, "uncertain.lines.bags is -1"),
        ("limits.megabytes", "many", "limits.megabytes is 'many'"),
        ("limits.at_once", 0, "limits.at_once is 0"),
        ("limits.inputz", 3, "limits.inputz is an unknown key"),
        ("shadow", 3, "shadow is 3"),
        ("inspect.low", 0.9, "inspect.low is 0.9, above inspect.high"),
        ("log.days", None, "log.days is null"),
    ],
)
def test_what_conf_serving_may_not_say_is_named(tmp_path: Path, key: str, value: object, sentence: str) -> None:
    root = workspace(tmp_path)
    *groups, name = key.split(".")

    def change(said: dict[str, Any]) -> None:
        for group in groups:
            said = said[group]
        said[name] = value

    set_serving(root, change)
    with pytest.raises(GaiaError) as error:
        settings.read(root)
    assert sentence in str(error.value) and "conf/serving/default.yaml" in str(error.value)


def test_an_option_of_conf_serving_is_chosen_in_params_yaml(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "conf/serving/calm.yaml").write_text(
        (root / "conf/serving/default.yaml").read_text().replace("0.05", "0.2")
    )
    (root / "params.yaml").write_text("serving: calm\nlines: {plants: {}}\n")
    assert settings.band(settings.read(root), "plants") == 0.2
    (root / "params.yaml").write_text("serving: clam\nlines: {plants: {}}\n")
    with pytest.raises(GaiaError, match="did you mean 'calm'"):
        settings.read(root)


def test_a_photo_that_a_version_was_tested_on_is_shown_small_wherever_the_workspace_went(project: Project) -> None:
    judged(project, "plants@v1.0.0")
    judged(project, "cultures@v1.0.0")
    source = next(path for path in sorted(project.path("data/raw/demo_plants").rglob("*.jpg")))
    name = source.relative_to(project.path("data/raw/demo_plants")).as_posix()
    shutil.rmtree(project.path("data/raw/demo_plants"))
    with serving(project.root) as client:
        shown = client.get(f"/lines/plants/versions/v1.0.0/photos/{name}")
        assert shown.status_code == 200 and shown.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(shown.content)).size == (112, 112)
        for line, wrong in (("plants", "grass/none.jpg"), ("plants", "../../params.yaml"), ("cultures", name)):
            said = client.get(f"/lines/{line}/versions/v1.0.0/photos/{wrong}")
            assert said.status_code in (404, 422) and "Traceback" not in said.text
