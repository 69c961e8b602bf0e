"""Whatever is sent: no 5xx, no traceback. What the API's own description allows, and what it doesn't."""

from __future__ import annotations

import random
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as how
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from gaia.serving import app, settings
from pictures import chunk, encoded, picture, png
from served import GREEN, set_serving, workspace

HEADERS = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = workspace(tmp_path_factory.mktemp("fuzzed"))
    set_serving(root, lambda said: said["limits"].update(megabytes=2))
    server = uvicorn.Server(uvicorn.Config(app.make(settings.read(root), root), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@how(
    max_examples=30, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.data())
def ask(operation: Any, asked: list[str], data: st.DataObject) -> None:
    case = data.draw(operation.as_strategy())
    case.validate_response(case.call(), checks=(not_a_server_error,))
    asked.append(operation.label)


def test_what_the_description_allows_ends_in_no_server_error(url: str) -> None:
    description = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    asked: list[str] = []
    for operation in operations:
        ask(operation, asked)
    assert {"POST /inspect", "POST /lines/{line}/predict", "GET /lines/{line}/versions/{old}/{new}"} <= set(asked)
    assert len(asked) > 100


def files() -> list[tuple[str, bytes]]:
    """Bad photos, each of its own kind: cut, damaged, lying about their size, of other formats, huge, empty."""
    jpeg, good = encoded(picture(1), "JPEG"), encoded(picture(2))
    random.seed(7)
    found = [(f"{kind} cut at {share}%", content[: len(content) * share // 100])
             for kind, content in (("png", good), ("jpeg", jpeg), ("gif", encoded(picture(3).convert("P"), "GIF")),
                                   ("webp", encoded(picture(4), "WEBP")), ("bmp", encoded(picture(5), "BMP")),
                                   ("tiff", encoded(picture(6), "TIFF")))
             for share in (1, 5, 20, 50, 80, 95, 99)]  # fmt: skip
    for kind, content in (("png", good), ("jpeg", jpeg)):
        for at in range(12):
            spoiled = bytearray(content)
            for _ in range(1 + 3 * at):
                spoiled[random.randrange(len(spoiled))] = random.randrange(256)
            found.append((f"{kind} with {1 + 3 * at} wrong bytes", bytes(spoiled)))
    signature, end = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")
    for width, height in ((0, 0), (1, 1), (2**31 - 1, 2**31 - 1), (100_000, 100_000), (1, 10**6)):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        found.append(
            (f"png of {width} x {height}", signature + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + end)
        )
    found += [
        ("nothing", b""), ("a zero", b"\0"), ("zeros", b"\0" * 5000), ("text", b"photo"), ("html", b"<html></html>"),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("pdf", b"%PDF-1.7"), ("zip", b"PK\3\4"),
        ("heic", b"\0\0\0\x18ftypheic"), ("avif", b"\0\0\0\x18ftypavif"), ("jpeg 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
        ("ico", b"\0\0\1\0"), ("psd", b"8BPS"), ("eps", b"%!PS-Adobe-3.0 EPSF-3.0"), ("wmf", b"\xd7\xcd\xc6\x9a"),
        ("markers alone", b"\xff\xd8\xff\xd9"), ("noise", random.randbytes(4000)), ("a pickle", b"\x80\4\x95."),
        ("a bomb", png(30_000, 30_000, 1, 0, b"\0" * (30_000 // 8 + 1) * 100)),
        ("a palette that lacks", png(8, 8, 8, 3, (b"\0" + b"\xff" * 8) * 8)),
    ]  # fmt: skip
    return found


def test_bad_files_are_sentences(url: str) -> None:
    """One request for each, and one for all of them together with a good one, which is answered."""
    bad = files()
    assert len(bad) > 80
    with httpx2.Client(base_url=url, timeout=60) as client:
        answered = 0
        for name, content in bad:
            said = client.post("/lines/plants/predict", files={"files": (name, content)})
            assert said.status_code in (200, 422), (name, said.text)
            answered += said.status_code == 200  # a wrong byte may leave a photo, or a grey rest
            assert "Traceback" not in said.text and "PIL" not in said.text, (name, said.text)
        assert answered < 40
        good = [("files", ("good.png", GREEN))]
        said = client.post("/lines/plants/predict", files=[*(("files", each) for each in bad), *good])
        assert said.status_code == 200
        assert said.json()["answers"][-1]["answer"] == "grass" and len(said.json()["problems"]) > 50


BODIES = [
    "", "{", "[", '"', "nul", "NaN", "1", "[]", "{}", '{"rows"', '{"rows": "x"}', '{"rows": [[]]}', '{"rows": [[[]]]}',
    '{"rows": [""]}', '{"rows": [{"species": null}]}', '{"rows": [{"species": {}, "days": {}}]}', "[" * 5000,
    '{"rows": [{"days": ' + "9" * 5000 + "}]}", '{"rows": [{"days": -0.0, "species": "oyster\\u0000"}]}',
    '{"rows": [{"days": "1e400", "species": "oyster"}]}', '{"rows": [{"days": "0x10", "species": "oyster"}]}',
    '{"rows": [{"days": "١٢", "species": "oyster"}]}', '{"rows": [{"days": "1_0", "species": "oyster"}]}',
    '{"rows": [{"days": "1,5", "species": "oyster"}]}', '{"rows": [{"days": 1, "species": "OYSTER"}]}',
    '{"rows": [{"days": 1, "species": "oyster\\n"}], "rows": 3}', '{"rows": [' + "{}," * 300 + "{}]}",
    '{"rows": [{"\\ud83d": 1}]}', '{"__proto__": 1}', "﻿{}", "\\x00", '{"rows": [{"days": [], "species": []}]}',
]  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/lines/cultures/predict", "/lines/plants/predict", "/inspect", "/v2/models/cultures/infer"]
)
def test_bad_bodies_are_sentences(url: str, path: str) -> None:
    with httpx2.Client(base_url=url, timeout=60) as client:
        for body in BODIES:
            said = client.post(path, content=body.encode(), headers=HEADERS)
            assert said.status_code in (200, 400, 413, 422), (body[:80], said.text)
            assert "Traceback" not in said.text, body[:80]


POST = b"POST /lines/plants/predict HTTP/1.1\r\n"
CUT = [
    POST,
    POST + b"Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n",
    POST + b"Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01",
]


def test_a_client_that_goes_away_leaves_the_others(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    for cut in CUT:
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(cut)
    assert httpx2.get(f"{url}/ready").status_code == 200
