"""`gaia predict` takes what people have: files, folders, patterns, standard input, versions, folders of artifacts; and
`gaia replay` says which answers flip."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from PIL import Image

from conftest import ROOT, Project
from deployed import go
from gaia.cli import given
from gaia.errors import GaiaError
from gaia.runtime import answers
from gaia.runtime.load import load
from gaia.serving.replay import replay
from pictures import encoded
from served import GREEN, RED, set_serving, workspace

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = workspace(tmp_path / "project")
    for name, content in (("a.png", RED), ("deep/b.PNG", GREEN), ("deep/notes.txt", b"x"), (".hidden/c.png", RED)):
        file = root / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (root / "rows.csv").write_text("species,days_since\n" + "oyster,3\nshiitake,30\n" * 3)
    return root


def gaia(folder: Path, *words: str, ok: bool = True, stdin: bytes = b"") -> str:
    command = [sys.executable, "-m", "gaia", *words]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True)
    assert (done.returncode == 0) is ok, done.stdout.decode() + done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return (done.stdout if ok else done.stderr).decode()


def said(folder: Path, *words: str, stdin: bytes = b"") -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = json.loads(gaia(folder, "predict", *words, "--json", stdin=stdin))
    return [(each["input"], each["answer"]) for each in found]


def test_photos_come_as_files_folders_patterns_and_standard_input(root: Path) -> None:
    both = [("photos/a.png", "dandelion"), ("photos/deep/b.PNG", "grass")]
    assert said(root, "plants", "photos/a.png", "photos/deep/b.PNG") == both
    assert said(root, "plants", "photos") == both
    assert said(root, "plants", "photos/**/*.[pP][nN][gG]") == both
    assert said(root, "plants", "-", "photos/a.png", stdin=GREEN) == [("standard input", "grass"), both[0]]
    assert said(root / "photos", "plants", "deep", "*.png") == [("deep/b.PNG", "grass"), ("a.png", "dandelion")]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (["empty"], "empty holds no photo; a photo's name ends in .bmp, "),
        (["*.gif"], "nothing fits *.gif"),
        (["none.png"], "none.png: No such file"),
        (["rows.csv"], "rows.csv: not an image"),
    ],
)
def test_what_is_no_photo_is_a_sentence(root: Path, inputs: list[str], sentence: str) -> None:
    (root / "empty").mkdir()
    assert sentence in gaia(root, "predict", "plants", *inputs, ok=False)


def test_tables_come_as_files_and_standard_input(root: Path) -> None:
    rows = (root / "rows.csv").read_bytes()
    assert len(said(root, "cultures", "rows.csv", "rows.csv")) == 12
    assert [answer for _, answer in said(root, "cultures", "-", stdin=rows)] == [
        answer for _, answer in said(root, "cultures", "rows.csv")
    ]
    assert "is no file" in gaia(root, "predict", "cultures", "none.csv", ok=False)


@pytest.mark.parametrize("line", ["plants", "cultures"])
def test_answers_are_written_to_a_file_with_the_version_and_what_went_wrong(root: Path, line: str) -> None:
    (root / "photos/bad.png").write_bytes(b"bad")
    (root / "photos/=1+1.png").write_bytes(RED)
    with (root / "rows.csv").open("a") as file:
        file.write("enoki,3\n")
    given = {"plants": "photos", "cultures": "rows.csv"}[line]
    for ending in ("csv", "jsonl", "parquet"):
        assert "training never saw" in (
            error := gaia(root, "predict", line, given, "--out", f"out.{ending}", ok=False)
        ) or ("not an image" in error)
    (jsonl,) = [[json.loads(row) for row in (root / "out.jsonl").read_text().splitlines()]]
    assert pyarrow.parquet.read_table(root / "out.parquet").to_pylist() == jsonl
    with (root / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"] or None for row in rows] == [row["answer"] for row in jsonl]
    assert sum(bool(row["error"]) for row in rows) == 1
    assert {row["line"] for row in rows} == {line}
    if line == "plants":
        assert any(row["input"] == "photos/=1+1.png" for row in rows)


def test_a_file_of_answers_is_whole_or_what_it_was(root: Path) -> None:
    (root / "out.csv").write_text("before")
    (root / "rows.csv").write_bytes((root / "rows.csv").read_bytes() * 3 + b'"never closed')
    assert "can't be read as CSV" in gaia(root, "predict", "cultures", "rows.csv", "--out", "out.csv", ok=False)
    assert (root / "out.csv").read_text() == "before"
    assert "ends in none of .csv" in gaia(root, "predict", "cultures", "rows.csv", "--out", "out.xlsx", ok=False)


def test_an_artifact_s_folder_answers_outside_any_project(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "data/models/plants").rename(elsewhere / "fetched")
    (elsewhere / "a.png").write_bytes(RED)
    assert said(elsewhere, "fetched", "a.png") == [("a.png", "dandelion")]
    assert "is a folder" in gaia(elsewhere, "predict", "fetched", "a.png", "--stage", "prod", ok=False)
    (elsewhere / "fetched/model.onnx").unlink()
    assert "model.onnx is missing" in gaia(elsewhere, "predict", "fetched", "a.png", ok=False)
    assert "project" in gaia(elsewhere, "predict", "none", "a.png", ok=False)


def test_doubt_is_shown(root: Path) -> None:
    set_serving(root, lambda said: said["uncertain"].update(band=1))
    assert "uncertain: grass 0." in gaia(root, "predict", "plants", "photos/a.png")


def test_a_table_is_answered_in_parts_as_it_is_as_a_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(root / "data/models/cultures")
    whole = answers.of_table_file(model, root / "rows.csv")
    monkeypatch.setattr(answers, "ROWS", 4)
    parts = list(answers.batches_of_table_file(model, root / "rows.csv"))
    assert [len(part.answers) for part in parts] == [4, 2]
    assert [each for part in parts for each in part.answers] == whole.answers


def test_photos_are_read_a_batch_at_a_time(root: Path) -> None:
    """Of a million photos, as many are in memory as are answered at once."""
    model = load(root / "data/models/plants")
    read = 0

    def content() -> bytes:
        nonlocal read
        read += 1
        return RED

    batches = answers.batches_of_photos(model, ((str(at), content) for at in range(10 * answers.BATCH)))
    assert len(next(batches).answers) == read == answers.BATCH


def test_a_row_is_name_and_value() -> None:
    assert given.row(["species=oyster", "days=3"]) == {"species": "oyster", "days": "3"}
    with pytest.raises(GaiaError, match="given twice"):
        given.row(["days=3", "days=4"])


def test_a_version_answers_live_or_not_and_replay_names_what_flips(released: Project) -> None:
    rows = "".join(f"oyster,{day}\n" for day in range(31))
    released.path("rows.csv").write_text(f"species,days\n{rows}")
    go(released, "v1.0.0")

    def answered(version: str) -> list[str]:
        done = released.run("gaia", "predict", "spores", "rows.csv", "--version", version, "--json").stdout
        found = json.loads(done)
        assert {each["version"] for each in found} == {version}
        return [each["answer"] for each in found]

    old, new = answered("v1.0.0"), answered("v1.2.0")
    flips = sum(a != b for a, b in zip(old, new, strict=True))
    assert flips > 0
    replayed = ("gaia", "replay", "spores@v1.0.0", "spores@v1.2.0")
    said = json.loads(released.run(*replayed, "rows.csv", "--json").stdout)
    assert said["compared"] == 31 and len(said["flips"]) == flips
    assert (
        f"{flips} of 31 answers flip"
        in released.run("gaia", "replay", "spores@v1.0.0", "spores@v1.2.0", "rows.csv").stdout
    )
    assert released.run("gaia", "replay", "spores@v1.0.0", "spores@v1.2.0", ok=False).returncode == 1
    assert (
        "spores@v9.0.0" in released.run("gaia", "replay", "spores@v1.0.0", "spores@v9.0.0", "rows.csv", ok=False).stdout
    )


def test_what_can_t_be_read_is_not_compared(root: Path) -> None:
    photo = load(root / "data/models/plants")
    given = [("a", RED), ("b", b"bad"), ("c", encoded(Image.new("RGB", (9, 9))))]
    same = replay([answers.of_photos(photo, given)], [answers.of_photos(photo, given)])
    assert (same["compared"], same["flips"], list(same["problems"])) == (2, [], ["b"])


def test_what_was_written_is_said(root: Path) -> None:
    said = json.loads(gaia(root, "predict", "plants", "photos", "--out", "few.csv", "--json"))
    assert said == {"out": "few.csv", "rows": 2}
    done = subprocess.run([sys.executable, "-m", "gaia", "predict", "plants", "photos", "--out", "few.csv"], cwd=root,
                          env=ENVIRONMENT, capture_output=True, text=True)  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "2 rows in few.csv\n")
