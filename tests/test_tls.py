"""https to the storage: an authority of one's own, and what is said of a way that isn't one."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from authority import Authority, Front, in_front, program
from conftest import Project, Store, free_ports
from gaia.errors import GaiaError
from gaia.storage import remotes
from gaia.storage.checks import server_checks
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import embedded, server

KEYS = {"S3_ACCESS_KEY": "somebody", "S3_SECRET_KEY": "k" * 20}
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def front(store: Store, authority: Authority) -> Iterator[Front]:
    """The store, asked by TLS."""
    with in_front(store.settings.address[1], authority.certificate(HERE)) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    return root


def write(root: Path, **given: str) -> None:
    (root / ".env").write_text("".join(f"{key}={value}\n" for key, value in given.items()))


def up(root: Path, **given: str) -> str:
    """What `gaia storage up` says against these settings, at once, having started nothing and made no key."""
    write(root, **given)
    before, start = (root / ".env").read_text(), time.monotonic()
    with pytest.raises(GaiaError) as caught:
        server.up(root)
    assert time.monotonic() - start < 10
    assert embedded.process(root) is None
    assert (root / ".env").read_text() == before
    return str(caught.value)


def test_an_own_authority_is_trusted_by_every_client(
    small: Project, store: Store, front: Front, authority: Authority
) -> None:
    shutil.copy(authority.file, small.path("ca.pem"))
    given = settings.variables(store.settings) | {"S3_ENDPOINT": f"https://{HERE}:{front.port}"}
    write(small.root, **given, S3_CA_BUNDLE="ca.pem")
    store.empty()
    small.environment["AWS_CA_BUNDLE"] = "/nonexistent"  # another service's
    assert '"answers": true' in small.run("gaia", "storage", "up", "--json").stdout
    assert f"ssl_verify = {small.path('ca.pem')}" in small.path(".dvc/config.local").read_text()
    small.run("dvc", "push")
    shutil.rmtree(small.path(".dvc/cache"))
    small.run("gaia", "pull")

    at = settings.read(small.root)
    scratch = server_checks.Scratch(S3Client(at), at.buckets["data"], "gaia-checks/", small.root)
    assert server_checks.links(scratch) and server_checks.anonymous(scratch)
    scratch.delete()

    write(small.root, **given)  # the authority is taken back
    assert not remotes.agree(settings.read(small.root), small.root)
    remotes.write(settings.read(small.root), small.root)
    assert "ca.pem" not in small.path(".dvc/config.local").read_text()


WAYS: dict[str, tuple[Callable[[Authority, Front, int], dict[str, str]], str]] = {
    "unknown authority": (
        lambda a, f, plain: {"S3_ENDPOINT": f"https://{HERE}:{f.port}"},
        r"the certificate of https://\S+ is signed by none of the authorities that are trusted here \(.*\); "
        r"`S3_CA_BUNDLE=<file>` in .env names the certificate of the authority that has signed it\.",
    ),
    "another authority": (
        lambda a, f, plain: {"S3_ENDPOINT": f"https://{HERE}:{f.port}", "S3_CA_BUNDLE": str(other(a))},
        r"the certificate of https://\S+ is signed by none of those that \S+authority.pem trusts",
    ),
    "another name": (
        lambda a, f, plain: {"S3_ENDPOINT": f"https://localhost:{f.port}", "S3_CA_BUNDLE": str(a.file)},
        r"the certificate of https://localhost:\d+ is for another name: .*; set S3_ENDPOINT in .env to a name that it",
    ),
    "http where https is spoken": (
        lambda a, f, plain: {"S3_ENDPOINT": f"http://{HERE}:{f.port}"},
        r"the server at http://\S+ speaks https; set S3_ENDPOINT=https://127.0.0.1:\d+ in .env\.",
    ),
    "https where http is spoken": (
        lambda a, f, plain: {"S3_ENDPOINT": f"https://{HERE}:{plain}"},
        r"who listens at https://\S+ speaks no https; set S3_ENDPOINT=http://127.0.0.1:\d+ in .env",
    ),
}


def other(authority: Authority) -> Path:
    folder = authority.folder / "other"
    folder.mkdir(exist_ok=True)
    return Authority(folder).file


@pytest.mark.parametrize("way", WAYS)
def test_a_way_that_is_not_safe_is_a_sentence_of_its_own_and_not_of_the_port(
    root: Path, store: Store, front: Front, authority: Authority, way: str
) -> None:
    given, said = WAYS[way]
    keys = {key: value for key, value in settings.variables(store.settings).items() if "KEY" in key}
    assert re.match(said, up(root, **keys, **given(authority, front, store.settings.address[1])))


def test_the_cures_cure(root: Path, store: Store, front: Front, authority: Authority) -> None:
    own = settings.variables(store.settings)
    for cure in (
        {"S3_ENDPOINT": f"https://{HERE}:{front.port}", "S3_CA_BUNDLE": str(authority.file)},
        {"S3_ENDPOINT": f"http://{HERE}:{store.settings.address[1]}"},
    ):
        write(root, **own | cure)
        assert server.up(root)["answers"]


def test_a_certificate_that_has_expired_is_named(store: Store, root: Path, authority: Authority) -> None:
    with in_front(store.settings.address[1], authority.certificate(HERE, days=-1)) as late:
        said = up(root, **KEYS, S3_ENDPOINT=f"https://{HERE}:{late.port}", S3_CA_BUNDLE=str(authority.file))
    assert "is not valid now: certificate has expired; renew it there, or set the clock" in said


def test_no_http_server_is_started_for_an_https_endpoint(root: Path) -> None:
    free = free_ports()
    said = up(root, **KEYS, S3_ENDPOINT=f"https://{HERE}:{free}")
    assert said == (
        f"no server answers at https://{HERE}:{free} (S3_ENDPOINT), and one started here speaks http with own keys; "
        "start yours, or set S3_ENDPOINT=http://127.0.0.1:<port> in .env."
    )
    said = up(root, S3_ENDPOINT=f"https://{HERE}:{free}")
    assert said.endswith(f"in the environment nor in .env; set those of https://{HERE}:{free} there.")


def test_without_keys_a_port_that_speaks_https_is_said_to(root: Path, front: Front) -> None:
    said = up(root, S3_ENDPOINT=f"http://{HERE}:{front.port}")
    assert re.fullmatch(
        rf"port {front.port} is busy: \S+ \(pid {os.getpid()}\) answers there by https; "
        rf"set S3_ENDPOINT=https://127.0.0.1:{front.port} and its keys in .env if it is yours; else set .*",
        said,
    )


def test_a_server_that_sends_to_https_is_said_to(root: Path) -> None:
    """As those in front of many servers do on port 80."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", "https://s3.example.org/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer((HERE, 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        said = up(root, **KEYS, S3_ENDPOINT=f"http://{HERE}:{listening.server_port}")
        listening.shutdown()
    assert said.endswith("sends to https; set S3_ENDPOINT=https://s3.example.org in .env.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"\S+ca.pem \(S3_CA_BUNDLE\) can't be read: No such file"),
        ("x", r"\S+ holds no certificate in PEM; name"),
    ],
)
def test_a_bundle_that_is_none_is_a_sentence(root: Path, content: str | None, said: str) -> None:
    if content:
        (root / "ca.pem").write_text(content)
    write(root, **KEYS, S3_CA_BUNDLE="ca.pem")
    with pytest.raises(GaiaError, match=said):
        settings.read(root)


def test_minio_by_tls_is_used_as_it_is(root: Path, authority: Authority) -> None:
    """A user's own healthy server on this machine, which has words of its own to who asks it by http."""
    port, certificate = free_ports(), authority.certificate(HERE, "localhost")
    command = ("minio", "server", str(root / "objects"), "--address", f"{HERE}:{port}", "--certs-dir", str(certificate))
    with program(port, *command, MINIO_ROOT_USER="somebody", MINIO_ROOT_PASSWORD="k" * 20):
        assert "speaks https" in up(root, **KEYS, S3_ENDPOINT=f"http://{HERE}:{port}")
        assert "signed by none" in up(root, **KEYS, S3_ENDPOINT=f"https://{HERE}:{port}")
        write(root, **KEYS, S3_ENDPOINT=f"https://localhost:{port}", S3_CA_BUNDLE=str(authority.file))
        now = server.up(root)
    assert (now["server"], now["answers"], now["pid"]) == ("elsewhere", True, None)
