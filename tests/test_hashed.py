"""What people put into data/raw: `prepare` reads what DVC hashes and nothing else, and what DVC stops at is named."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import test_tables
from conftest import ROOT, Project, checkout
from gaia.console import console
from gaia.data import dataset, hashed, table
from gaia.data import photos as photos_of
from gaia.errors import GaiaError
from gaia.versions import ready
from pictures import encoded, picture
from test_photos import config

RAW = Path("data/raw/own")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A DVC project with a few photos in data/raw/own, which is the current folder."""
    project = Project.empty(tmp_path / "project")
    project.run("dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvcignore", project.root)
    monkeypatch.chdir(project.root)
    for number, label in enumerate("ab"):
        (RAW / label).mkdir(parents=True)
        for i in range(20):
            (RAW / label / f"{i:02}.png").write_bytes(encoded(picture(100 * number + i)))
    yield project
    for path in RAW.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700)


def in_dvc(project: Project) -> set[str]:
    """The files that DVC hashes of the folder, by its own listing."""
    project.run("dvc", "add", "--quiet", str(RAW))
    md5 = next(line.split()[-1] for line in Path(f"{RAW}.dvc").read_text().splitlines() if "md5: " in line)
    return {entry["relpath"] for entry in json.loads(Path(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").read_text())}


def prepared(out: Path, **changes: object) -> dataset.Dataset:
    photos_of.prepare("line", RAW, config(**changes), 1, None, out)
    return dataset.load(out)


def test_what_is_read_is_what_dvc_hashes(own: Project) -> None:
    """Before: what .dvcignore names was trained on, and DVC saw no change of it."""
    Path(".dvcignore").write_text(Path(".dvcignore").read_text() + "draft*\nold/\n*.tmp.png\n!keep.tmp.png\n")
    before = prepared(own.root / "out").table["source"].tolist()
    for name in ("a/draft1.png", "a/draft/x.png", "old/x.png", "b/old/but.png", "b/.git/x.png", "b/keep.tmp.png",
                 "b/x.tmp.png", "b/__pycache__/x.png", "b/IMG_1.AAE", "b/IMG_1.xmp", "b/desktop.ini", "b/Thumbs.db",
                 "b/.DS_Store", "b/._x.png", ".hidden/x.png", "b/deep/er/x.png"):  # fmt: skip
        (RAW / name).parent.mkdir(parents=True, exist_ok=True)
        (RAW / name).write_bytes(encoded(picture(7)))
    (RAW / "b/linked.png").symlink_to(own.root / "out/../data/raw/own/a/00.png")
    (RAW / "empty/er").mkdir(parents=True)
    found = hashed.look(RAW)
    files = {file.as_posix() for file in found.files}
    sidecars = {"b/IMG_1.AAE", "b/IMG_1.xmp", "b/desktop.ini"}
    assert in_dvc(own) == files | sidecars | {"b/._x.png", ".hidden/x.png"}
    assert prepared(own.root / "out").table["source"].tolist() == sorted(files)
    assert files == {*before, "b/deep/er/x.png", "b/linked.png", "b/keep.tmp.png"}
    assert {path.as_posix(): why for path, why in found.left_out.items()} == {
        **dict.fromkeys(("a/draft", "a/draft1.png", "b/old", "b/x.tmp.png", "b/__pycache__", "b/Thumbs.db", "old"),
                        "named by .dvcignore"),
        **dict.fromkeys(sidecars, "no photos by their names"),
        "empty": "empty",
    }  # fmt: skip


def test_sidecar_files_are_counted_and_are_no_damage(own: Project) -> None:
    """Before: quarantined as "not an image", and more than one in twenty stopped the run."""
    own.run("dvc", "add", "--quiet", str(RAW / "a"), str(RAW / "b"))
    for i in range(20):
        (RAW / "a" / f"{i:02}.AAE").write_text("<plist/>")
    with console.capture() as said:
        found = prepared(own.root / "out", max_quarantined=0.0)
    assert len(found.table) == len(found.inputs) == 40
    assert "left out 22 that are no photos by their names: a.dvc, a/00.AAE, a/01.AAE\n" in said.get()


def test_a_table_that_dvc_does_not_hash_is_not_read(own: Project) -> None:
    shutil.rmtree(RAW)
    RAW.mkdir()
    for name in ("kept.csv", "ignored.csv"):
        (RAW / name).write_text("x,label\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(60)))
    Path(".dvcignore").write_text("ignored.csv")
    lines = {"categories": {}, "numbers": {"x": "x"}}
    table.prepare("line", RAW, test_tables.config(**lines), 1, None, own.root)
    assert "kept.csv:2" in (own.root / "index.csv").read_text()
    (RAW / "kept.csv").unlink()
    with pytest.raises(GaiaError, match=r"found none; ignored\.csv is named by \.dvcignore"):
        table.prepare("line", RAW, test_tables.config(**lines), 1, None, own.root)
    (RAW / "parts").symlink_to(own.root)
    with pytest.raises(GaiaError, match="parts is a link to a folder"):
        table.prepare("line", RAW, test_tables.config(**lines), 1, None, own.root)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


def linked(there: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(there)


def file(mode: int = 0o600) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(b"*.tmp" if path.name == ".dvcignore" else encoded(picture(8)))
        path.chmod(mode)

    return make


def folder(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        file()(path / "x.png")
        path.chmod(mode)

    return make


def subproject(path: Path) -> None:
    (path / ".dvc").mkdir(parents=True)
    file()(path / "x.png")


ENDS, WAITS = ", at which DVC ends", ", at which DVC may wait for ever"
LINK, AT = "a link to a folder, of which DVC pins nothing", "data/raw/own/a/"
ODD = [  # name, how it comes, what is said, whether DVC stops there
    ("nowhere.png", linked("no.png"), f"is a link that leads nowhere{ENDS}; `rm {AT}nowhere.png` removes it.", True),
    ("round.png", linked("round.png"), f"can't be opened{ENDS}: Too many levels of symbolic links; `rm ", True),
    ("pipe.jpg", pipe, f"is a named pipe{WAITS}; `rm {AT}pipe.jpg` removes it.", True),
    ("it's endless", linked("/dev/zero"), f"is a device{WAITS}; `rm '{AT}it'", True),
    ("socket.jpg", unix_socket, f"is a socket{WAITS}; `rm ", True),
    ("b\udcff'\n.png", file(), r"/b\xff\x27\x0a.png' $'data/raw/own/a/b_\x27\x0a.png'` renames it.", True),
    (".dvcignore", file(), f"lies in what DVC hashes{ENDS}; `rm {AT}.dvcignore`", True),
    ("closed.png", file(0), f"can't be read{ENDS}; `chmod u+r {AT}closed.png` allows it.", True),
    ("closed", folder(0), f"can't be read{ENDS}; `chmod -R u+rX {AT}closed` allows it.", True),
    ("other", linked("../b"), f"is {LINK}; `rm {AT}other` removes it, `rm {AT}other && cp -r ", False),
    ("loop", linked(".."), f"is {LINK}; `rm {AT}loop` removes it.", False),
    (
        "inner",
        subproject,
        f"is a DVC project of its own, of which this one's pins nothing; `rm -r {AT}inner/.dvc`",
        False,
    ),
]


@pytest.mark.parametrize(("name", "make", "sentence", "stops"), ODD, ids=[repr(each[0]) for each in ODD])
def test_what_dvc_cannot_pin_is_named_with_what_mends_it(
    own: Project, name: str, make: Callable[[Path], None], sentence: str, stops: bool
) -> None:
    """C1, C4 and their siblings: DVC ends or hangs at some, and leaves the others out without a word; before, `prepare`
    read these. Each cure is executed, until none is needed, and DVC takes the folder then."""
    make(RAW / "a" / name)
    if "closed" in name and os.access(RAW / "a" / name, os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(GaiaError) as caught:
        prepared(own.root / "out")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert stops == stopped(own)
    cure = caught.value.problems[0].mend.split("`")[-2]
    subprocess.run(["bash", "-c", cure], check=True, cwd=own.root, env=own.environment)
    assert hashed.look(RAW).problems == []
    assert not stopped(own)
    prepared(own.root / "out")


def stopped(project: Project) -> bool:
    """Whether `dvc add` fails, or takes more than six seconds for these few photos."""
    try:
        done = subprocess.run(["dvc", "add", "--quiet", str(RAW)], cwd=project.root, env=project.environment,
                              capture_output=True, timeout=6)  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def test_behind_a_link_that_leaves_the_folder_nothing_is_named_or_hashed(own: Project) -> None:
    """B6: /etc as a class; its names and hashes were in the index."""
    (RAW / "c").symlink_to("/etc")
    with pytest.raises(GaiaError, match="data/raw/own/c is a link to a folder") as caught:
        prepared(own.root / "out")
    assert "passwd" not in str(caught.value)
    assert not (own.root / "out/index.csv").exists()
    assert not [file for file in hashed.look(RAW).files if file.parts[0] == "c"]


def test_many_are_named_ten_at_a_time(own: Project) -> None:
    for i in range(25):
        (RAW / "a" / f"{i}.link").symlink_to("nowhere")
    with pytest.raises(GaiaError) as caught:
        hashed.check(["own", "own", "missing"])
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1].found == "data/raw/own holds 15 more of such"


def test_whatever_else_is_wrong_in_params_is_left_to_others(own: Project) -> None:
    (RAW / "a/x").symlink_to("nowhere")
    lines = {"a": {"raw": "../../.."}, "b": {"raw": "/etc"}, "c": {"raw": ["x"]}, "d": None, "e": {"raw": "own"}}
    for text, problems in (("lines: [", 0), ("lines: 3", 0), (f"lines: {json.dumps(lines)}", 1)):
        Path("params.yaml").write_text(text)
        with pytest.raises(GaiaError) if problems else nullcontext() as caught:
            hashed.check_all()
        assert not problems or len(caught.value.problems) == problems


def test_compose_names_them_before_dvc_hashes_the_folder(tmp_path: Path) -> None:
    """C4, with a real `dvc repro`, whose compose runs first; and the look of `make repro`, where compose has nothing to
    do or DVC would hash what it keeps already before it, of `gaia status`, `gaia release` and `git commit`."""
    project = checkout(tmp_path / "project")
    own = project.path("data/raw/own/dandelion")
    own.mkdir(parents=True)
    project.path("data/raw/own/grass").mkdir()
    project.edit("params.yaml", lambda params: params["lines"]["plants"].update(raw="own"))
    os.mkfifo(own / "pipe.jpg")
    (own / "nowhere.png").symlink_to("no.png")
    project.path(".venv").symlink_to(sys.prefix)
    looks = ("python", "-m", "gaia.data.hashed"), ("gaia", "status"), (".githooks/pre-commit",)
    for command in (("dvc", "repro", "prepare@plants"), *looks):
        done = subprocess.run(["timeout", "40", *command], cwd=project.root, env=project.environment, text=True,
                              capture_output=True)  # fmt: skip
        assert done.returncode not in (0, 124), command
        said = done.stdout + done.stderr
        assert "data/raw/own/dandelion/pipe.jpg is a named pipe" in said
        assert "data/raw/own/dandelion/nowhere.png is a link that leads nowhere" in said
    with pytest.raises(GaiaError, match=r"pipe\.jpg is a named pipe"):
        ready.check_pipeline("plants", project.root)
    assert not project.path("data/config/plants.yaml").exists()
    recipe = (ROOT / "Makefile").read_text().partition("\nrepro:")[2].splitlines()[1:]
    assert recipe[:2] == ["\t@python -m gaia.data.hashed", "\t@python -m gaia.storage.dvc"]
    assert "\tdvc repro" in recipe[2:]


def test_a_name_that_a_spreadsheet_would_run_is_text_in_the_index_and_itself_in_memory(own: Project) -> None:
    """B6: only predictions.csv was written so."""
    for number, label in enumerate(("=cmd|x!A1", "'@b", "-1")):
        (RAW / label).mkdir()
        for i in range(20):
            (RAW / label / f"{i:02}.png").write_bytes(encoded(picture(1000 * (number + 1) + i)))
    found = prepared(own.root / "out")
    assert found.labels == ["'@b", "-1", "=cmd|x!A1", "a", "b"]
    assert found.table["label"].tolist() == sorted(20 * found.labels)
    assert found.truth.tolist() == [found.labels.index(label) for label in found.table["label"]]
    with (own.root / "out/index.csv").open(encoding="utf-8", newline="") as opened:
        read = [cell for row in csv.reader(opened) for cell in row]
    assert {"'=cmd|x!A1/00.png", "'=cmd|x!A1", "''@b", "-1", "a/00.png"} <= set(read)
    assert {cell for cell in read if cell.startswith(tuple("=+-@"))} == {"-1"}
