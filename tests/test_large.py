"""Data of any size: prepared some rows at a time, from one file or many, to the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import test_photos
from conftest import ROOT
from gaia.data import dataset, index, photos, splits, table
from gaia.errors import GaiaError
from test_tables import HEADER, asked, config, rows


def bytes_of(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def prepared(raw: Path, out: Path, **changes: Any) -> dict[str, str]:
    out.mkdir()
    table.prepare("line", raw, config(**changes), 1, None, out)
    return bytes_of(out)


def frame(count: int = 90) -> pd.DataFrame:
    """With copies, gaps, a rare category, a group and a date."""
    rng = np.random.default_rng(3)
    columns = {"kind": rng.choice(["x", "y", "z"], count), "days": rng.integers(0, 9, count).astype(str)}
    columns |= {"co2": (rng.integers(0, 12, count) / 8).astype(str), "label": rng.choice(["yes", "no"], count)}
    columns |= {
        "plant": rng.integers(0, 20, count).astype(str),
        "day": [f"2026-01-{1 + i % 28:02d}" for i in range(count)],
    }
    found = pd.DataFrame(columns)
    found.loc[7, "kind"], found.loc[8, "co2"], found.loc[9, "days"], found.loc[10, "label"] = "rare", "", "many", ""
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"group": "plant"},
        {"duplicates": False},
        {"splits": asked(by="day")},
        {"categories": "rest", "numbers": "rest", "without": ["day"]},
        {"classes": ["yes", "no"], "dates": {"day": "day"}},
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_read_in_parts_give_the_bytes_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], suffix: str
) -> None:
    raw = tmp_path / f"table{suffix}"
    frame().to_csv(raw, index=False) if suffix == ".csv" else frame().to_parquet(raw)
    whole = prepared(raw, tmp_path / "whole", **changes)
    for module, name in ((table, "ROWS"), (index, "_AT_ONCE"), (splits, "_BLOCK"), (dataset, "_AT_ONCE")):
        monkeypatch.setattr(module, name, 7)
    assert prepared(raw, tmp_path / "parts", **changes) == whole
    read = dataset.load(tmp_path / "whole").table
    assert read["source"].tolist() == [f"table{suffix}:{i + 1 + (suffix == '.csv')}" for i in range(90)]
    few = dataset.load(tmp_path / "whole", ["label", "split", "verdict"])
    assert few.table.to_dict("list") == read[["label", "split", "verdict"]].to_dict("list")


def test_a_table_in_parts_is_prepared_as_one(tmp_path: Path) -> None:
    raw, content = tmp_path / "raw", frame()
    content.to_parquet(tmp_path / "one.parquet")
    for number in range(3):
        part = raw / f"part-{number}.parquet"
        part.parent.mkdir(exist_ok=True)
        content.iloc[30 * number : 30 * (number + 1)].to_parquet(part)
    one, parts = prepared(tmp_path / "one.parquet", tmp_path / "a"), prepared(raw, tmp_path / "b")
    assert {name for name in one if one[name] != parts[name]} == {"index.csv"}
    first, second = (dataset.load(tmp_path / name).table for name in "ab")
    assert second["source"].iloc[[0, 29, 30, 89]].tolist() == [
        "part-0.parquet:1", "part-0.parquet:30", "part-1.parquet:1", "part-2.parquet:30",
    ]  # fmt: skip
    same = ["label", "split", "sha256", "group", "size", "verdict"]
    assert first[same].to_dict("list") == second[same].to_dict("list")


def test_folders_that_say_a_value_are_a_column(tmp_path: Path) -> None:
    raw, content = tmp_path / "raw", frame().assign(kind=["x", "y", "z"] * 30)
    for kind, part in content.groupby("kind"):
        (raw / f"kind={kind}").mkdir(parents=True)
        part.drop(columns="kind").to_parquet(raw / f"kind={kind}" / "0.parquet")
    prepared(raw, tmp_path / "out")
    found = dataset.load(tmp_path / "out")
    assert found.table["source"].iloc[0] == "kind=x/0.parquet:1"
    usable = (found.table["verdict"] == "ok").to_numpy()
    assert found.inputs["kind"][usable].tolist() == np.repeat(["x", "y", "z"], 30)[usable].tolist()


def test_parts_with_other_columns_are_refused_by_name(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    frame().to_parquet(raw / "a.parquet")
    frame().rename(columns={"day": "date"}).to_parquet(raw / "b.parquet")
    with pytest.raises(GaiaError, match=r"b.parquet has other columns than a.parquet \(date, day\); give all parts"):
        prepared(raw, tmp_path / "out")
    (raw / "b.parquet").rename(raw / "b.csv")
    with pytest.raises(GaiaError, match=r"should hold one .csv or .parquet file, found 2 \(a.parquet, b.csv\)"):
        prepared(raw, tmp_path / "other")


def photo_folder(raw: Path) -> Path:
    """Two classes with a copy, a stray, a damaged and an empty one; the names are not in the order of the shards."""
    rng = np.random.default_rng(5)
    for i in range(40):
        file = raw / "ab"[i % 2] / f"{i * 7 % 40}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((48, 48), Image.Resampling.BICUBIC).save(file)
    (raw / "a/copy.png").write_bytes((raw / "a/0.png").read_bytes())
    (raw / "b/damaged.jpg").write_bytes(b"no photo")
    (raw / "b/empty.jpg").touch()
    return raw


def in_tars(raw: Path, out: Path) -> None:
    """By their names, which say the class, in two shards."""
    out.mkdir()
    for number in (1, 0):
        with tarfile.open(out / f"{number}.tar", "w") as tar:
            for file in sorted(raw.rglob("*.*"))[number::2]:
                tar.add(file, file.relative_to(raw))


def in_webdataset(raw: Path, out: Path) -> None:
    """With the class beside each, as a word or in JSON."""
    out.mkdir()
    with tarfile.open(out / "shard.tar", "w") as tar:
        for i, file in enumerate(sorted(raw.rglob("*.*"), reverse=True)):
            name = file.relative_to(raw)
            tar.add(file, name)
            said = json.dumps({"label": name.parts[0]}) if i % 2 else name.parts[0]
            about = tarfile.TarInfo(str(name.with_suffix(".json" if i % 2 else ".cls")))
            about.size = len(said)
            tar.addfile(about, io.BytesIO(said.encode()))


def in_parquet(raw: Path, out: Path) -> None:
    out.mkdir()
    files = sorted(raw.rglob("*.*"), reverse=True)
    names = [file.relative_to(raw).as_posix() for file in files]
    columns = {"file": names, "label": [name[0] for name in names], "image": [file.read_bytes() for file in files]}
    pd.DataFrame(columns).to_parquet(out / "photos.parquet", row_group_size=7)


def in_hugging_faces(raw: Path, out: Path) -> None:
    out.mkdir()
    files = sorted(raw.rglob("*.*"))
    images = [{"bytes": file.read_bytes(), "path": file.relative_to(raw).as_posix()} for file in files]
    pd.DataFrame({"image": images, "label": [file.parent.name for file in files]}).to_parquet(out / "0.parquet")


def photos_prepared(raw: Path, out: Path) -> dict[str, str]:
    out.mkdir()
    photos.prepare("line", raw, test_photos.config(), 1, None, out)
    return bytes_of(out)


@pytest.mark.parametrize("pack", [in_tars, in_webdataset, in_parquet, in_hugging_faces])
def test_photos_in_shards_give_the_bytes_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Path, Path], None]
) -> None:
    raw = photo_folder(tmp_path / "raw")
    monkeypatch.setattr(photos, "_IN_FLIGHT", 1)  # few at once
    pack(raw, tmp_path / "shards")
    assert photos_prepared(tmp_path / "shards", tmp_path / "a") == photos_prepared(raw, tmp_path / "b")


def test_shards_that_are_no_use_are_refused_by_name(tmp_path: Path) -> None:
    raw = photo_folder(tmp_path / "raw")
    shards = tmp_path / "shards"
    in_tars(raw, shards)
    (shards / "2.tar").write_bytes((shards / "1.tar").read_bytes())
    with pytest.raises(GaiaError, match=r"two photos are called a/\d+.png, in .*1.tar and .*2.tar; give each a name"):
        photos_prepared(shards, tmp_path / "out")
    (shards / "2.tar").write_bytes(b"no tar")
    with pytest.raises(GaiaError, match=r"2.tar can't be read: .*; make the shard anew"):
        photos_prepared(shards, tmp_path / "other")
    for file in shards.glob("*.tar"):
        file.unlink()
    pd.DataFrame({"pixels": [b"x"], "label": ["a"]}).to_parquet(shards / "0.parquet")
    with pytest.raises(GaiaError, match=r"has no column of photos; its columns are pixels, label; name it one of"):
        photos_prepared(shards, tmp_path / "third")


PEAK = """
import resource, sys
from pathlib import Path
from gaia.data import table
from gaia.stages.process import return_freed_memory
from test_tables import config
return_freed_memory()
table.prepare("line", Path(sys.argv[1]), config(), 1, None, Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is counted in other units")
def test_memory_grows_by_a_third_of_a_kilobyte_a_row(tmp_path: Path) -> None:
    """Before, by one and three quarters: 200 MB here."""
    peaks = []
    for count in (1_000, 120_000):
        raw, out = tmp_path / f"{count}.csv", tmp_path / str(count)
        out.mkdir()
        raw.write_text("\n".join([HEADER, *rows(count)]))
        command = [sys.executable, "-c", PEAK, str(raw), str(out)]
        path = ":".join([str(ROOT / "src"), str(ROOT / "tests")])
        done = subprocess.run(command, env={"PYTHONPATH": path, "PATH": ""}, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 130, peaks  # megabytes; 60 of them for the rows that are read at once
