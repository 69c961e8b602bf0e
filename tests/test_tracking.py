"""MLflow is told of versions, stages and experiments: once each, one way, and what changes is told the next time.

MLflow's own store (SQLite) is asked in the test's process; its server where there is one: `MLFLOW=.../bin/mlflow`, or
the one on PATH, if Flask and boto3 are beside it (`pip install mlflow boto3`).
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from conftest import ROOT, Project, Store, free_ports, until
from gaia import cli
from gaia.config import yaml
from gaia.errors import GaiaError, missing_extra
from gaia.registry import history, sharing, tags
from gaia.storage import cache, models
from gaia.storage.s3.client import S3Client
from gaia.tracking import mlflow, trainings
from gaia.tracking.mlflow import CHANGED, FAILED, KEPT, NEW
from gaia.versions import record
from gaia.versions.verdict import Gate, Verdict
from released import share

METRICS = {
    "n": 40, "accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 1.0, "threshold": 0.5, "log_loss": None,
    "per_class": {label: {"precision": 0.9, "recall": 0.9, "f1": 0.9, "n": 20} for label in ("bon état", "a/b (2)")},
    "risk": [[1.0, 0.1]],
}  # fmt: skip
CURVE = b"epoch,learning_rate,validation_loss\n1,,0.7\n2,,0.5\n"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


LISTING = json.dumps([{"md5": md5(CURVE), "relpath": "history.csv"}]).encode()
ARTIFACT = f"{md5(LISTING)}.dir"


class Ledger(Project):
    """A project of one line, `spores`, of which Git alone knows; and the MLflow that is told of it."""

    uri: str

    @property
    def mlflow(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def train(self, depth: int) -> str:
        """A commit as `dvc repro` leaves it to be made, of other settings."""
        lines = {"spores": {"depth": depth}}
        composed = {"model": {"depth": depth}, "labels": ["a", "b"], "question": "which?", "weights": None, "raw": "t",
                    "separator": "", "categories": [f"value {n}" for n in range(1000)]}  # fmt: skip
        outs = [{"path": "data/models/spores", "md5": ARTIFACT, "size": 1000, "nfiles": 3}]
        stage = {"cmd": "true", "params": {"data/config/spores.yaml": composed}}
        stages = {"prepare@spores": stage, "train@spores": stage, "evaluate@spores": stage | {"outs": outs}}
        for name, content in {
            "params.yaml": yaml.dump({"lines": lines}), "data/config/spores.yaml": yaml.dump(composed),
            "dvc.lock": yaml.dump({"schema": "2.0", "stages": stages}), "requirements.lock": "numpy==2.0\n",
            "data/reports/spores/metrics.json": json.dumps(METRICS | {"accuracy": 0.9 + depth / 100}),
        }.items():  # fmt: skip
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            self.path(name).write_text(content)
        self.commit(f"depth {depth}")
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def release(self, number: str) -> None:
        gates = [Gate("accuracy_low", 0.8, 0.9, True), Gate("recall of a/b (2)", 0.5, 0.9, True)]
        said = Verdict(gates, {"accuracy": 0.9}, "minor", ["another depth"])
        sharing.create(f"spores@{number}", "HEAD", said.message(tags.version(f"spores@{number}"), "fine"), self.root)

    def decide(self, name: str, number: str, **facts: object) -> None:
        """A decision as `gaia deploy`, `rollback`, `undeploy` and `withdraw` record it."""
        said = tags.message("a decision", {"line": "spores", "version": number, "reason": "because", **facts})
        sharing.create(name, f"spores@{number}", said, self.root)

    def experiment(self, name: str, depth: int) -> str:
        """An experiment of DVC on HEAD."""
        base = self.run("git", "rev-parse", "HEAD").stdout.strip()
        commit = self.train(depth)
        self.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)
        self.run("git", "reset", "--quiet", "--hard", base)
        return commit

    def export(self) -> dict[str, str]:
        return {told.name: told.state for told in mlflow.export(self.uri, self.root)}

    def model(self, number: str):
        found = self.mlflow.search_model_versions("name='spores'")
        [model] = [each for each in found if each.tags["gaia.version"] == f"spores@{number}"]
        return model

    @property
    def aliases(self) -> dict[str, str]:
        return {alias: str(number) for alias, number in self.mlflow.get_registered_model("spores").aliases.items()}

    def runs(self):
        place = self.mlflow.get_experiment_by_name("spores")
        return {run.info.run_name: run for run in self.mlflow.search_runs([place.experiment_id])}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """Two versions and two experiments, and an MLflow that knows nothing; not to be changed."""
    folder = tmp_path_factory.mktemp("drawn")
    project = Ledger.empty(folder / "project")
    for key, value in (("user.name", "test"), ("user.email", "test@example.org"), ("tag.gpgSign", "false")):
        project.run("git", "config", key, value)
    shutil.copytree(store.root / ".dvc", project.path(".dvc"), ignore=shutil.ignore_patterns("tmp"))
    project.path(".gitignore").write_text(".env\n.dvc/config.local\n.storage\n")
    project.path("dvc.yaml").write_text("stages: {}\n")
    store.connect(project)
    for name, content in ((ARTIFACT, LISTING), (md5(CURVE), CURVE)):
        kept = project.path(".dvc/cache", cache.key(name))
        kept.parent.mkdir(parents=True)
        kept.write_bytes(content)
    for minor in (0, 1):
        project.train(2 + minor)
        project.release(f"v1.{minor}.0")
    project.experiment("shy-elm", 7)
    project.experiment("wet-elm", 8)
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()  # makes its tables, which takes seconds
    return folder


@pytest.fixture
def ledger(drawn: Path, tmp_path: Path) -> Ledger:
    """The same, to be changed."""
    shutil.copytree(drawn, tmp_path / "drawn", symlinks=True)
    project = Ledger(tmp_path / "drawn/project")
    project.uri = f"sqlite:///{tmp_path}/drawn/mlflow.db"
    return project


def test_versions_and_experiments_are_told_once(ledger: Ledger) -> None:
    ledger.decide("spores#prod#1", "v1.0.0")
    everything = ["spores@v1.0.0", "spores@v1.1.0", "shy-elm", "wet-elm"]
    assert ledger.export() == dict.fromkeys(everything, NEW)
    assert ledger.export() == dict.fromkeys(everything, KEPT)
    assert len(ledger.runs()) == 4
    first, run = ledger.model("v1.0.0"), ledger.runs()["spores@v1.0.0"]
    commit = ledger.run("git", "rev-parse", "spores@v1.0.0^{}").stdout.strip()
    assert first.run_id == run.info.run_id
    assert first.tags == {
        "gaia.version": "spores@v1.0.0", "gaia.commit": commit, "gaia.live": "prod",
        "gaia.number": "minor: another depth",
        "gaia.gates": "accuracy_low: 0.9, asked for at least 0.8: passed; "
        "recall of a/b (2): 0.9, asked for at least 0.5: passed",
    }  # fmt: skip
    assert first.source.endswith(f"/{cache.key(ARTIFACT)}")
    assert first.description.startswith("# spores@v1.0.0\n\nwhich?: bon état, a/b (2).")
    assert ledger.mlflow.get_model_version_by_alias("spores", "prod").version == first.version
    params = run.data.params
    assert (params["model.depth"], params["weights"], params["separator"]) == ("2", "null", "")
    assert params["categories"].startswith('["value 0", "value 1"')  # MLflow keeps 6,000 characters
    assert run.data.metrics["accuracy"] == 0.92
    assert run.data.metrics["per_class.bon état.recall"] == 0.9
    curve = ledger.mlflow.get_metric_history(run.info.run_id, "validation_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.7), (2, 0.5)]
    assert not {"risk", "log_loss"} & run.data.metrics.keys()
    tried = ledger.runs()["wet-elm"]
    [ref] = ledger.run("git", "for-each-ref", "--format=%(objectname)", "refs/exps/**/wet-elm").stdout.split()
    assert (tried.data.params["model.depth"], tried.data.metrics["accuracy"]) == ("8", 0.98)
    assert (tried.data.tags["gaia.experiment"], tried.data.tags["gaia.commit"]) == ("wet-elm", ref)


def test_what_is_new_or_has_changed_is_told_the_next_time(ledger: Ledger) -> None:
    ledger.decide("spores#prod#1", "v1.0.0")
    ledger.decide("spores#latest#2", "v1.0.0")
    ledger.export()
    ledger.mlflow.set_registered_model_alias("spores", "champion", "1")
    ledger.decide("spores#prod#3", "v1.1.0", hosts=["shed-*"])
    ledger.experiment("new-elm", 9)
    assert ledger.export() == {
        "spores@v1.0.0": KEPT, "spores@v1.1.0": CHANGED, "shy-elm": KEPT, "wet-elm": KEPT, "new-elm": NEW
    }  # fmt: skip
    assert ledger.model("v1.1.0").tags["gaia.live"] == "prod on shed-*"
    assert ledger.aliases == {"prod": "1", "champion": "1"}
    ledger.decide("spores#prod#4", "v1.1.0")
    assert [state for state in ledger.export().values() if state != KEPT] == [CHANGED, CHANGED]
    assert ledger.aliases == {"prod": "2", "champion": "1"}
    assert "Live: prod." in ledger.model("v1.1.0").description
    ledger.decide("spores#prod#5", "v1.0.0", action="rollback", **{"from": "v1.1.0"})
    ledger.decide("spores#prod!#6", "v1.0.0", **{"from": "v1.0.0"})
    ledger.decide("spores@v1.1.0!", "v1.1.0")
    ledger.export()
    assert ledger.aliases == {"champion": "1"}
    fate = {key: value for key, value in ledger.model("v1.1.0").tags.items() if key in mlflow.FATE.values()}
    assert {key: value[10:] for key, value in fate.items()} == dict.fromkeys(
        ("gaia.withdrawn", "gaia.rolled_back"), " by test: because"
    )
    assert "**Withdrawn**" in ledger.model("v1.1.0").description
    assert set(ledger.export().values()) == {KEPT}


def test_what_others_decided_meanwhile_is_fetched_before_anything_is_told(ledger: Ledger, tmp_path: Path) -> None:
    share(ledger)
    other = Ledger(tmp_path / "other")
    ledger.run("git", "clone", "--quiet", str(ledger.root.with_name("project.git")), str(other.root))
    ledger.run("git", "config", "--file", str(other.path(".git/config")), "user.name", "other")
    ledger.run("git", "config", "--file", str(other.path(".git/config")), "user.email", "other@example.org")
    other.decide("spores#prod#1", "v1.1.0")
    ledger.export()
    assert ledger.aliases == {"prod": "2"}


def test_what_a_killed_export_left_is_finished_by_the_next(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise KilledError

    for dies_at in ("log_batch", "set_terminated", "create_model_version", "set_registered_model_alias"):
        ledger.decide(f"spores#prod#{len(dies_at)}", "v1.0.0") if dies_at.endswith("alias") else None
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(MlflowClient, dies_at, die)
            ledger.export()
    ledger.export()
    assert (len(ledger.runs()), ledger.aliases) == (4, {"prod": "1"})
    assert len(ledger.mlflow.search_model_versions("name='spores'")) == 2
    for run in ledger.runs().values():
        assert (run.info.status, run.data.metrics["n"], "model.depth" in run.data.params) == ("FINISHED", 40, True)


def test_what_was_deleted_there_is_told_anew(ledger: Ledger) -> None:
    ledger.export()
    ledger.mlflow.delete_model_version("spores", ledger.model("v1.0.0").version)
    ledger.mlflow.delete_run(ledger.runs()["shy-elm"].info.run_id)
    told = ledger.export()
    assert (told["spores@v1.0.0"], told["spores@v1.1.0"], told["shy-elm"]) == (NEW, KEPT, NEW)


def test_one_that_cannot_be_told_costs_itself_only(ledger: Ledger) -> None:
    ledger.path("dvc.lock").unlink()
    ledger.commit("no lock")
    ledger.release("v1.2.0")
    told = mlflow.export(ledger.uri, ledger.root)
    [failed] = [each for each in told if each.state == FAILED]
    assert (failed.name, len(told)) == ("spores@v1.2.0", 5)
    assert "spores@v1.2.0: the commit holds no dvc.lock" in str(failed.why)
    assert "spores@v1.2.0" not in ledger.runs()


def test_a_card_that_is_too_long_ends_at_a_paragraph(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "TEXT", 700)
    ledger.export()
    about = ledger.model("v1.0.0").description
    assert 300 < len(about) <= 700
    assert about.endswith("\n\n`gaia show spores@v1.0.0 --card` shows the rest.")


def test_a_source_is_the_version_s_own_folder_where_that_is_whole(ledger: Ledger, store: Store) -> None:
    bucket, version = store.settings.buckets["models"], record.of("spores@v1.0.0", ledger.root)
    for name, where in (("card.md", cache.key(ARTIFACT)), ("manifest.json", "releases/spores/v1.0.0")):
        store.client.upload_file(ledger.path("dvc.lock"), bucket, f"releases/spores/v1.0.0/{name}")
        assert mlflow.source(version, S3Client(store.settings)) == f"s3://{bucket}/{where}"
    store.empty()


def test_an_experiment_is_one_of_the_lines_that_it_changed(ledger: Ledger) -> None:
    names = [(each.record.line, each.name) for each in trainings.experiments(["spores", "plants"], ledger.root)]
    assert names == [("spores", "shy-elm"), ("spores", "wet-elm")]
    base = ledger.run("git", "rev-parse", "HEAD").stdout.strip()
    ledger.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/idle-elm", base)
    ledger.run("git", "update-ref", "refs/exps/celery/stash", base)
    assert len(trainings.experiments(["spores"], ledger.root)) == 2


def test_a_deleted_experiment_of_mlflow_s_is_said_with_what_brings_it_back(ledger: Ledger) -> None:
    ledger.export()
    ledger.mlflow.delete_experiment(ledger.mlflow.get_experiment_by_name("spores").experiment_id)
    why = {each.why for each in mlflow.export(ledger.uri, ledger.root)}
    assert len(why) == 1
    mend = str(why.pop()).split("`")[1]
    environment = ledger.environment | {"MLFLOW_TRACKING_URI": ledger.uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(mend.split(), env=environment, check=True, capture_output=True)
    assert set(ledger.export().values()) == {KEPT}


@contextmanager
def another_server() -> Iterator[str]:
    """What answers, and is no MLflow."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://somebody:secret@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_failure_is_a_sentence(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("MLFLOW_TRACKING_URI", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with another_server() as other:
        for uri, sentence in {
            "": r"nothing says where MLflow is; `--uri http://127.0.0.1:5000` does, or MLFLOW_TRACKING_URI\.",
            "http://u:secret@127.0.0.1:9": r"no MLflow server answers at http://127.0.0.1:9; `mlflow server` starts",
            other: r"MLflow at http://127.0.0.1:\d+ says: .*50[0-9]|MLflow at .* says: .*40[0-9]",
            "localhost:5000": r"MLflow at localhost:5000 says: .*unsupported URI 'localhost:5000'",
        }.items():
            with pytest.raises(GaiaError, match=sentence) as raised:
                mlflow.export(uri, ledger.root)
            assert "secret" not in str(raised.value)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with (
        pytest.raises(GaiaError, match=r"mlflow is not installed; `pip install 'gaia-vision\[mlflow\]'`"),
        missing_extra(),
    ):
        mlflow.export(ledger.uri, ledger.root)


def test_the_command_says_what_is_new_and_what_failed(ledger: Ledger) -> None:
    ledger.environment |= {"PYTHONPATH": str(ROOT / "src")}
    with ledger.path(".env").open("a") as file:
        file.write(f"MLFLOW_TRACKING_URI={ledger.uri}\n")
    assert ledger.run("gaia", "export", "mlflow").stdout.splitlines() == [
        "new: spores@v1.0.0", "new: spores@v1.1.0", "new: shy-elm", "new: wet-elm", "4 new",
    ]  # fmt: skip
    done = ledger.run("bash", "-c", "gaia export mlflow --json 2> /dev/null").stdout
    assert json.loads(done)[0] == {"line": "spores", "name": "spores@v1.0.0", "state": "as it was", "why": None}
    with pytest.raises(GaiaError, match="'tensorboard' is no tracker, those are mlflow"):
        cli.run(["export", "tensorboard"])


def test_the_compose_profile_serves_this_machine_and_has_no_key_of_the_storage() -> None:
    service = yaml.read(ROOT / "docker-compose.yml")["services"]["mlflow"]
    assert service["profiles"] == ["mlflow"]
    assert [port.rpartition(":")[0] for port in service["ports"]] == ["127.0.0.1:${MLFLOW_PORT:-5000}"]
    assert service["image"] == "${MLFLOW_IMAGE:-ghcr.io/mlflow/mlflow:v3.16.1-full}"
    assert not {"S3_ACCESS_KEY", "S3_SECRET_KEY"} & set(re.findall(r"\$\{(\w+)", str(service)))


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[str]:
    """A server of MLflow's own, with the bucket for artifacts."""
    program = os.environ.get("MLFLOW") or shutil.which("mlflow") or ""
    python = Path(program).resolve().with_name("python")
    whole = "from importlib.metadata import version; version('mlflow'); import boto3"  # and not mlflow-skinny alone
    if not python.exists() or subprocess.run([python, "-c", whole], capture_output=True).returncode:
        pytest.skip("MLflow's server is not installed (`pip install mlflow boto3` elsewhere; MLFLOW names its program)")
    where = f"http://127.0.0.1:{(port := free_ports())}"
    bucket = store.settings.buckets["models"]
    command = [program, "server", "--port", str(port), "--workers", "1", "--artifacts-destination", f"s3://{bucket}/mlflow",
               "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]  # fmt: skip
    running = subprocess.Popen(
        command, cwd=tmp_path, env=reading(store) | {
            "PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"
        },
        stdout=(tmp_path / "server.log").open("wb"), stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip

    def answers() -> bool:
        assert running.poll() is None, (tmp_path / "server.log").read_text()
        try:
            return bool(urllib.request.urlopen(f"{where}/health").status == 200)
        except OSError:
            return False

    try:
        until(answers, "MLflow", 120)
        yield where
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def reading(store: Store) -> dict[str, str]:
    """The environment of whoever reads the bucket through MLflow."""
    at = store.settings
    return {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_S3_ENDPOINT_URL": at.endpoint, "AWS_DEFAULT_REGION": at.region,
        "AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }  # fmt: skip


def test_a_server_shows_what_was_told_and_hands_out_what_is_live(
    versioned: Project, store: Store, server: str, tmp_path: Path
) -> None:
    versioned.run(
        "dvc", "exp", "run", "-q", "--name", "deeper", "-S", "lines.cultures.model.depth=2", "evaluate@cultures"
    )
    versioned.run("git", "checkout", "--quiet", "--force", "HEAD")
    versioned.run("gaia", "deploy", "cultures@v1.0.0", "--yes")
    bucket, folder = store.settings.buckets["models"], tmp_path / "v1.0.0"
    for file in models.download("cultures@v1.0.0", folder, versioned.root).iterdir():  # as `gaia release` does
        store.client.upload_file(file, bucket, f"releases/cultures/v1.0.0/{file.name}")
    before = {stored.key for stored in store.client.list_objects(bucket)}
    told = json.loads(
        versioned.run("bash", "-c", f"gaia export mlflow --uri {server} --json 2> ../err || cat ../err").stdout
    )
    assert [(each["name"], each["state"]) for each in told] == [
        ("cultures@v1.0.0", "new"), ("cultures@v1.1.0", "new"), ("deeper", "new"),
    ]  # fmt: skip
    assert versioned.run("gaia", "export", "mlflow", "--uri", server).stdout == "3 as it was\n"
    assert {stored.key for stored in store.client.list_objects(bucket)} == before  # nothing was uploaded
    program = os.environ.get("MLFLOW") or shutil.which("mlflow")
    there = tmp_path / "there"
    fetch = [program, "artifacts", "download", "--artifact-uri", "models:/cultures@prod", "--dst-path", there]
    subprocess.run(fetch, env=reading(store) | {"MLFLOW_TRACKING_URI": server}, check=True, capture_output=True)
    assert {p.name: p.read_bytes() for p in there.rglob("*") if p.is_file()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    client = MlflowClient(server)
    run = client.get_run(client.get_model_version_by_alias("cultures", "prod").run_id)
    curve = client.get_metric_history(run.info.run_id, "validation_loss")
    assert len(curve) == len((folder / "history.csv").read_text().splitlines()) - 1
    assert [point.step for point in sorted(curve, key=lambda point: point.step)][:2] == [1, 2]
    assert history.look(root=versioned.root).events[-1].version.name.number == "v1.0.0"
    page(server, "/#/models/cultures", "v1.0.0", "prod")
    page(server, f"/#/experiments/{run.info.experiment_id}/runs", "cultures@v1.1.0", "deeper")


def page(server: str, path: str, *words: str) -> None:
    """MLflow's own page says so, in a browser."""
    if not (browser := shutil.which("chromium")):
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]) as chrome:
        tab = chrome.new_page(viewport={"width": 1600, "height": 1000})
        tab.goto(f"{server}{path}")
        for word in words:
            tab.get_by_text(word).first.wait_for(timeout=60_000)
        if shot := os.environ.get("SCREENSHOTS"):
            tab.screenshot(path=f"{shot}/mlflow-{path.rstrip('/').rpartition('/')[2]}.png", full_page=True)
