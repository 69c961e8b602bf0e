"""What people give, and what is said of it: the cause that was seen, and the cure for that one. What is read in spite
of being odd gives the same numbers."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import test_photos
import test_tables
from gaia.console import console
from gaia.data import dataset, photos, table
from gaia.errors import GaiaError
from gaia.inputs import tables
from gaia.inputs.photos import UnusablePhoto
from pictures import chunk, encoded, picture, png, read
from test_tables import HEADER, rows, served

TEXT = "\n".join([HEADER, *rows()]) + "\n"
GERMAN = {"separator": ";", "decimal": ","}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return stream.getvalue()


def parquet(**columns: object) -> bytes:
    frame = pd.read_csv(io.StringIO(TEXT))
    return frame.assign(**columns).to_parquet()


def spelled(*labels: str) -> str:
    """The labels in turn."""
    cells = [row.rsplit(",", 1)[0] + f",{labels[i % len(labels)]}" for i, row in enumerate(rows(120))]
    return "\n".join([HEADER, *cells])


def measured() -> str:
    return "\n".join([HEADER, *(row.rsplit(",", 1)[0] + f",{(i - 29) / 1000}" for i, row in enumerate(rows(90)))])


def german(*co2: str) -> str:
    more = [f"x;{i};{cell};yes" for i, cell in enumerate(co2)]
    return "\n".join([HEADER.replace(",", ";"), *rows(separator=";", decimal=","), *more])


# What lies in a folder, by name; what is set; what is said
TABLES = [
    ({"t.csv": zipped()}, {}, "t.csv is an Excel file or another ZIP archive, not CSV; save the sheet as CSV UTF-8."),
    ({"t.csv": b"\xd0\xcf\x11\xe0old"}, {}, "t.csv is an old Excel file, not CSV; save the sheet as CSV UTF-8."),
    ({"t.csv": parquet()}, {}, "t.csv is Parquet, not CSV; name it .parquet."),
    ({"t.csv": gzip.compress(TEXT.encode())}, {}, "t.csv is compressed with gzip, not CSV; unpack it with gunzip."),
    ({"t.csv": LFS}, {}, "t.csv is a Git LFS pointer, not CSV; `git lfs pull` brings the table."),
    ({"t.parquet": LFS}, {}, "t.parquet is a Git LFS pointer, not Parquet; `git lfs pull` brings the table."),
    ({"t.parquet": TEXT}, {}, "t.parquet can't be read as Parquet"),
    ({"t.xlsx": zipped()}, {}, "should hold one .csv or .parquet file, found t.xlsx; save the sheet as CSV UTF-8 b"),
    ({"t.tsv": TEXT}, {}, 'found t.tsv; name it .csv, and set data.separator to "\\t".'),
    ({"t.csv.gz": b""}, {}, "found t.csv.gz; unpack it with gunzip."),
    ({"t.csv": TEXT.replace(",", ";")}, {}, 't.csv is separated by ";", not by ","; set data.separator to ";"'),
    ({"t.csv": TEXT.replace(",", "\t")}, {}, 't.csv is separated by "\\t", not by ","; set data.separator to "\\t"'),
    ({"t.csv": TEXT}, {"separator": ";"}, 't.csv is separated by ",", not by ";"; set data.separator to ","'),
    ({"t.csv": german("1.998", "1.050", "2.100")}, GERMAN | {"max_quarantined": 0.05},
     "co2 is not a number: '1.998', data.decimal? or thousands, to be written 1998?"),
    ({"t.csv": german(*["1.998,5"] * 3)}, GERMAN | {"max_quarantined": 0.05},
     "co2 is not a number: '1.998,5', thousands, to be written 1998,5?"),
    ({"t.csv": german("400.5", "1.5", "2.5")}, GERMAN | {"max_quarantined": 0.05}, "'400.5', data.decimal?"),
    ({"t.csv": measured()}, {}, "line: the label has 90 values, all numbers such as -0.001; name a column of classes "
     "in data.label, or the values that are classes in data.classes."),
    ({"t.csv": spelled("no", "yes", "Yes ")}, {}, "line: the label 'yes' (40 items) stands beside 'Yes' (40); write "
     "them alike, or name both in data.classes if they differ."),
    ({"t.csv": spelled("no", "yes", "YES")}, {"classes": ["no", "yes"]},
     "the label 'YES' (40 items) stands beside 'yes'"),
    ({"t.csv": spelled("no", "oui  non", "oui non")}, {},
     "the label 'oui non' (40 items) stands beside 'oui  non' (40)"),
]  # fmt: skip


def prepared(folder: Path, contents: dict[str, str | bytes], **changes: object) -> dataset.Dataset:
    raw, out = folder / "raw", folder / "out"
    for name, content in contents.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(content.encode() if isinstance(content, str) else content)
    out.mkdir()
    table.prepare("line", raw, test_tables.config(**changes), 1, None, out)
    return dataset.load(out)


@pytest.mark.parametrize(("contents", "changes", "sentence"), TABLES, ids=[each[2][-40:] for each in TABLES])
def test_of_a_table_the_cause_and_its_cure_are_named(
    contents: dict[str, str | bytes], changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(GaiaError) as caught:
        prepared(tmp_path, contents, **changes)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", "\ufeffsep=;\n"])
def test_a_first_line_that_excel_writes_says_what_separates(first: str, tmp_path: Path) -> None:
    """Before: "no column 'kind'; its columns are sep=;"."""
    found = prepared(tmp_path, {"t.csv": first + TEXT.replace(",", ";") + "x;four;4;no\n"})
    assert found.inputs["co2"].iloc[:40].tolist() == [400 + i / 8 for i in range(40)]
    assert found.table["source"].iloc[[0, -1]].tolist() == ["t.csv:3", "t.csv:43"]


def test_labels_that_are_spelled_nearly_the_same_may_both_be_named(tmp_path: Path) -> None:
    found = prepared(tmp_path, {"t.csv": spelled("no", "yes", "Yes")}, classes=["no", "yes", "Yes"])
    assert (found.table["verdict"] == "ok").all()


def test_categories_that_are_spelled_nearly_the_same_are_named(tmp_path: Path) -> None:
    with console.capture() as screen:
        prepared(tmp_path, {"t.csv": TEXT + "\n".join(f"X,{i},1,{('yes', 'no')[i % 2]}" for i in range(50))})
    assert "kind: 'X' and 'x' are two categories; write them alike if they are one\n" in screen.get()


def test_a_folder_that_is_spelled_nearly_like_a_class_is_named(tmp_path: Path) -> None:
    raw = test_photos.folder(tmp_path / "raw", labels=("a", "b", "B"))
    with pytest.raises(GaiaError, match="the label 'B' .20 items. stands beside 'b' .20.; write them alike"):
        photos.prepare("line", raw, test_photos.config(classes=["a", "b"]), 1, None, tmp_path / "out")


@pytest.mark.parametrize(
    ("co2", "said"),
    [(["900", "1.050", "1.998"], True), (["900", "1.5"], False), (["0.125"], False), (["2000", "1.050"], False)],
)  # fmt: skip
def test_points_that_may_group_thousands_are_not_read_in_silence(co2: list[str], said: bool, tmp_path: Path) -> None:
    cells = [f"{'xy'[i // 2 % 2]},{i},{co2[i % len(co2)]},{('yes', 'no')[i % 2]}" for i in range(60)]
    with console.capture() as screen:
        prepared(tmp_path, {"t.csv": "\n".join([HEADER, *cells])})
    sentence = "co2: 1.050 is read as less than a thousand; if its point groups thousands, write 1050\n"
    assert (sentence in screen.get()) == said


@pytest.mark.parametrize(
    ("decimal", "given", "read_as"),
    [
        (",", "85,5", 85.5), (",", "85.5", 85.5), (",", "-.5", -0.5), (",", "1.5e3", 1500), (",", "1998", 1998),
        (",", "0.125", 0.125), (",", 1.998, 1.998), (",", np.float32(1.5), 1.5), (",", 7, 7), (".", "85,5", 85.5),
        (".", "85.5", 85.5), (".", "1.998", 1.998), (",", "1,998", 1.998),
        (",", "1.998", None), (".", "1,998", None), (".", "1,998.5", None), (",", "1.998,5", None),
        (".", "1,2,3", None),
    ],
)  # fmt: skip
def test_a_number_given_alone_may_have_either_mark_unless_it_may_group_thousands(
    decimal: str, given: object, read_as: float | None, tmp_path: Path
) -> None:
    """`gaia predict cultures humidity=85.5`, as README has it, was refused where the table had decimal commas."""
    predictor = served(prepared(tmp_path, {"t.csv": TEXT}), decimal=decimal)
    row = {"kind": "x", "days": 1, "co2": given}
    if read_as is None:
        with pytest.raises(GaiaError, match=f"row 1: co2 is '{given}', which is no number"):
            predictor.read_rows([row])
    else:
        assert predictor.read_rows([row])["co2"].tolist() == [read_as]


def test_any_mark_in_a_file_is_the_table_s(tmp_path: Path) -> None:
    assert tables.numbers(["1.5", "1,5"], ",")[1].tolist() == [True, False]


PHOTOS = [
    (LFS, "a Git LFS pointer, not the photo: `git lfs pull` brings it"),
    (encoded(picture(1), "JPEG2000"), "JPEG 2000, which isn't read here: convert it to JPEG"),
    (encoded(picture(1), "JPEG2000", no_jp2=True), "JPEG 2000, which isn't read here: convert it to JPEG"),
    (encoded(picture(1), "AVIF"), "HEIC or AVIF, which isn't read here: convert it to JPEG"),
    (encoded(picture(1), "PDF"), "not an image"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL, which isn't read here: convert it to JPEG"),
    (b"8BPS\0\x01", "a Photoshop file, which isn't read here: convert it to JPEG"),
    (b"<html>404</html>", "not an image"),
]


@pytest.mark.parametrize(("content", "reason"), PHOTOS, ids=[f"{i} {each[1][:14]}" for i, each in enumerate(PHOTOS)])
def test_what_is_no_photo_here_is_called_what_it_is(content: bytes, reason: str) -> None:
    with pytest.raises(UnusablePhoto) as caught:
        read(content)
    assert str(caught.value) == reason


def text_of(megabytes: int) -> bytes:
    return chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(megabytes * 2**20)))


def test_a_png_with_megabytes_of_text_is_read(tmp_path: Path) -> None:
    """Before: "unreadable: Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK"."""
    pixels = b"".join(b"\0" + bytes(range(i, i + 24)) for i in range(8))
    plain = read(png(8, 8, 8, 2, pixels))
    assert (read(png(8, 8, 8, 2, pixels, text_of(3))) == plain).all()
    with pytest.raises(UnusablePhoto, match="^unreadable: too much text beside the picture$"):
        read(png(8, 8, 8, 2, pixels, text_of(17)))
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):  # everybody else's Pillow is as it was
        Image.open(io.BytesIO(png(8, 8, 8, 2, pixels, text_of(3)))).load()
