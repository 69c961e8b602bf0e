"""Who may do what with the server: without the keys nobody gets anything, and a clone without them is told where they
are."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conftest import Project, Store, free_ports, until
from gaia.errors import GaiaError
from gaia.storage.s3 import client, settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import certificate, docker, embedded, server

NOBODY = 65534
INTRUDER = Path(__file__).with_name("intruder.py")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every account may look into, as a user's projects are; pytest's own are closed. Its server is the
    embedded one, also where a Docker engine would run MinIO."""
    monkeypatch.setattr(docker, "available", lambda: False)
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def running(folder: Path) -> Iterator[Store]:
    """An embedded server with an object in each bucket, small and in parts."""
    store = Store(folder)
    try:
        fill(store.client, store.settings.buckets.values())
        yield store
    finally:
        store.end()


def fill(s3: S3Client, buckets: object) -> None:
    with tempfile.NamedTemporaryFile() as file:
        for size in (100, 100_000, 5_000_000):
            Path(file.name).write_bytes(os.urandom(size))
            for bucket in buckets:  # type: ignore[attr-defined]
                s3.upload_file(file.name, bucket, f"files/{size}")


def contents(store: Store) -> dict[str, str]:
    """Every object, and the hash of what is read from it."""
    return {
        f"{bucket}/{found.key}": store.client.read(bucket, found.key, lambda piece: None)
        for bucket in store.settings.buckets.values()
        for found in store.client.list_objects(bucket)
    }


def intrude(root: Path, bucket: str) -> dict[str, list[str]]:
    """What another account gets from the server without its keys; the tests' own, where they can't be another."""
    process = embedded.process(root)
    listening = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    sockets = {c.laddr for c in process.net_connections("unix") if c.laddr}
    assert len(listening) >= 10
    assert any("grpc" in name for name in sockets)
    files = [str(path) for path in (root / ".storage").rglob("*") if path.is_file()]
    another = os.getuid() == 0  # only root becomes another account; files are open to one's own
    with tempfile.TemporaryDirectory() as own:
        Path(own).chmod(0o755)
        certificate.write(Path(own))  # a proof of the same form, which the server did not make
        Path(own, "parts.pem").chmod(0o644)
        shutil.copy(embedded._program(), own)  # it may lie where others can't look
        asked = {
            "account": NOBODY if another else None,
            "weed": f"{own}/weed",
            "ports": sorted(listening),
            "s3": settings.read(root).address[1],
            "bucket": bucket,
            "key": "files/100",
            "proof": f"{own}/parts.pem",
            "files": [*files, f"/proc/{process.pid}/environ"] if another else [],
            "sockets": sorted(sockets) if another else [],
        }
        done = subprocess.run(
            [sys.executable, INTRUDER], input=json.dumps(asked), capture_output=True, text=True, cwd="/",
            env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_earlier_versions_did(root: Path) -> None:
    """Start the server with its inner ports open, its folder for all to read: with the umask and the options of v1."""
    at = settings.read(root)
    for name in ("data", "log"):
        (root / ".storage" / name).mkdir(parents=True, exist_ok=True)
    folder = (root / ".storage").resolve()
    command = [word for word in embedded._command(folder, at.address[1]) if word != "-s3.iam=false"]
    keys = {"AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key}
    keys |= {f"WEED_JWT_{name}": "0123456789abcdef" for name in embedded._TOKENS}
    subprocess.Popen(
        command, cwd=folder, env=os.environ | keys, umask=0o022, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: client.answers(at), "the server")


# Without the keys


def test_who_has_no_keys_gets_nothing_lists_nothing_and_deletes_nothing(running: Store) -> None:
    """Every port that the process listens on, every route and method of its parts: in plain, as a page of another
    origin, over TLS without a proof, and with one that the server didn't make."""
    before = contents(running)
    assert len(before) == 9
    got = intrude(running.root, running.settings.buckets["models"])
    assert got["inner"] == []
    for line in got["s3"]:  # it answers, but that it lives is all it says
        _, method, route, status, *body = line.split(" ", 4)
        refused = int(status) >= 400
        alive = method == "GET" and route in ("/status", "/healthz", "/readyz") and not "".join(body)
        assert refused or alive, line
    assert len(got["s3"]) > 90
    assert contents(running) == before


def test_only_its_account_gets_into_the_folder(running: Store) -> None:
    found = [running.root / ".storage", *(running.root / ".storage").rglob("*")]
    assert len(found) > 20
    assert {"security.toml", "parts.pem", "lock", "start.log"} <= {path.name for path in found}
    open_to_others = {str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077}
    # the server gives this mode itself, to a volume's version and size; the folder above is closed to it, too
    assert {path for path in open_to_others if not path.endswith(".vif")} == set()


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another account")
def test_a_folder_of_another_account_is_a_sentence_whose_cure_works(folder: Path) -> None:
    (folder / ".storage").mkdir(mode=0o755)
    code = "import os; from gaia.storage.servers import embedded; from gaia.errors import GaiaError\n"
    code += f"os.setuid({NOBODY})\n"
    code += "from pathlib import Path\ntry: print(embedded.close_folder(Path('.')).stat().st_mode & 0o777)\n"
    code += "except GaiaError as error: print(error)"

    def said() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert said() == (
        f"{folder}/.storage can't be closed to other accounts: Operation not permitted; "
        '`sudo chown -R "$(id -un)" .storage` makes it yours.'
    )
    subprocess.run(["chown", "-R", str(NOBODY), ".storage"], cwd=folder, check=True)
    assert said() == str(0o700)


def test_a_server_of_an_earlier_version_is_closed_by_the_next_up_and_keeps_its_data(folder: Path) -> None:
    """The same intruder finds it open before: what it tries does get something where nothing forbids it."""
    store = Store(folder)
    try:
        store.stop()
        shutil.rmtree(folder / ".storage")
        (folder / ".storage").mkdir(mode=0o755)
        as_earlier_versions_did(folder)
        for bucket in store.settings.buckets.values():
            until(lambda bucket=bucket: store.client.create_bucket(bucket) or True, bucket)
        fill(store.client, store.settings.buckets.values())
        before, pid = contents(store), embedded.process(folder).pid
        got = "\n".join(intrude(folder, "no-such-bucket")["inner"])
        for named in ("/dir/assign 200", "/dir/lookup", "/col/delete", "ListEntries b'", "CollectionDelete", "shell "):
            assert named in got, named
        assert os.getuid() or f"file {folder}/.storage/data" in got

        server.up(folder)
        assert embedded.process(folder).pid != pid
        assert not psutil.pid_exists(pid)
        assert contents(store) == before
        assert intrude(folder, store.settings.buckets["models"])["inner"] == []
        written = [path for path in (folder / ".storage").rglob("*") if path.suffix != ".vif"]
        assert not [path for path in (folder / ".storage", *written) if stat.S_IMODE(path.stat().st_mode) & 0o077]
        assert contents(store) == before
        pid = embedded.process(folder).pid
        server.up(folder)
        assert embedded.process(folder).pid == pid  # closed once; then it is left alone
    finally:
        store.end()


def test_a_server_that_would_leave_a_port_open_is_not_left_running(
    running: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a release would that calls its settings by other names."""
    running.stop()
    monkeypatch.setattr(certificate, "_HTTPS", tuple(part for part in certificate._HTTPS if part != "admin"))
    port = running.settings.address[1] + 1
    with pytest.raises(GaiaError, match=rf"left port {port} open to every account of this machine, and was stopped; "):
        running.start()
    assert embedded.process(running.root) is None
    monkeypatch.undo()
    running.start()


def test_a_server_that_was_killed_starts_again_with_its_data_and_another_proof(running: Store) -> None:
    before, proof = contents(running), (running.root / ".storage/parts.pem").read_text()
    killed = embedded.process(running.root)
    running.kill()
    until(lambda: not psutil.pid_exists(killed.pid) or killed.status() == psutil.STATUS_ZOMBIE, "its end")
    running.start()
    assert contents(running) == before
    assert (running.root / ".storage/parts.pem").read_text() != proof


def test_a_server_that_ends_while_it_is_stopped_is_stopped(running: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is killed at that moment; its parent hasn't asked yet how it ended."""
    gone = subprocess.Popen(["true"])
    until(lambda: psutil.Process(gone.pid).status() == psutil.STATUS_ZOMBIE, "its end")
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "process", lambda root: psutil.Process(gone.pid))
        assert not embedded.stop(running.root)
    gone.wait()


def test_what_the_host_sets_for_other_servers_changes_nothing(running: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, AWS's profiles and files, and SeaweedFS's own settings in the environment and at home."""
    home = running.root / "home"
    (home / ".seaweedfs").mkdir(parents=True)
    (home / ".seaweedfs/filer.toml").write_text('[sqlite]\nenabled = true\ndbFile = "/nonexistent/x.db"\n')
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text("not = [ini")
    nowhere = "http://127.0.0.1:9"
    hostile = {
        "HOME": str(home), "HTTP_PROXY": nowhere, "http_proxy": nowhere, "HTTPS_PROXY": nowhere, "ALL_PROXY": nowhere,
        "AWS_PROFILE": "nope", "AWS_DEFAULT_PROFILE": "nope", "AWS_ENDPOINT_URL": nowhere, "AWS_REGION": "nowhere",
        "AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "other",
        "AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_CA_BUNDLE": "/nonexistent",
        "WEED_HTTPS_MASTER_KEY": "", "WEED_HTTPS_CLIENT_ENABLED": "false", "WEED_JWT_SIGNING_KEY": "",
    }  # fmt: skip
    before = contents(running)
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    assert server.status(running.root)["answers"] is True
    running.stop()
    running.start()
    running.client = S3Client(running.settings)
    assert contents(running) == before
    assert intrude(running.root, running.settings.buckets["models"])["inner"] == []


# Another clone on the same host


def test_a_clone_without_keys_is_told_where_they_are_and_left_without(
    running: Store, drafted: Project, tmp_path: Path
) -> None:
    clone = copy(drafted, tmp_path / "clone")
    address = running.settings.endpoint
    clone.environment["S3_ENDPOINT"] = address
    for given in ("in the environment", "in .env"):
        done = clone.run("gaia", "storage", "up", ok=False)
        port, pid = running.settings.address[1], embedded.process(running.root).pid
        assert done.returncode == 1
        assert done.stdout == (
            f"error: port {port} is busy: weed (pid {pid}) holds it, the server of {running.root}; copy "
            f"{running.root}/.env, which shares it, or set S3_ENDPOINT=http://127.0.0.1:<port> in .env.\n"
        ), given
        assert settings.keys(clone.root) == []
        assert not clone.path(".dvc/config.local").exists()
        clone.environment.pop("S3_ENDPOINT", None)
        clone.path(".env").write_text(f"S3_ENDPOINT={address}\n")

    shutil.copy(running.root / ".env", clone.path(".env"))  # the first cure
    up = json.loads(clone.run("gaia", "storage", "up", "--json").stdout)
    assert (up["server"], up["answers"], up["endpoint"]) == ("elsewhere", True, address)

    clone.path(".env").write_text(f"S3_ENDPOINT=http://127.0.0.1:{free_ports()}\n")  # the other
    try:
        up = json.loads(clone.run("gaia", "storage", "up", "--json").stdout)
        assert (up["server"], up["answers"]) == ("embedded", True)
    finally:
        clone.run("gaia", "storage", "down")
    assert contents(running)


def test_a_clone_with_other_keys_is_told_whose_server_it_is(running: Store, drafted: Project, tmp_path: Path) -> None:
    clone = copy(drafted, tmp_path / "clone")
    own = f"S3_ENDPOINT={running.settings.endpoint}\nS3_ACCESS_KEY=other\nS3_SECRET_KEY=another\n"
    clone.path(".env").write_text(own)
    done = clone.run("gaia", "storage", "up", ok=False)
    assert done.returncode == 1
    assert done.stdout.endswith(f".env: it is the server of {running.root}, whose .env has its keys.\n")
    assert clone.path(".env").read_text() == own


def test_who_lost_the_keys_stops_the_server_and_starts_it_with_new_ones(running: Store) -> None:
    before = contents(running)
    running.variables.pop("S3_ACCESS_KEY", None)
    lines = [f"{key}={value}\n" for key, value in running.variables.items() if "KEY" not in key]
    (running.root / ".env").write_text("".join(lines))
    with pytest.raises(GaiaError, match=r"; `gaia storage down` ends it, and `make storage` starts it with new keys"):
        server.up(running.root)
    assert settings.keys(running.root) == []
    assert server.down(running.root) == "embedded"
    running.start()
    running.settings = settings.read(running.root)
    running.client = S3Client(running.settings)
    assert contents(running) == before


def test_another_port_moves_the_server_with_its_data(running: Store) -> None:
    """One process on one folder: two on the same data would damage them."""
    before, first = contents(running), embedded.process(running.root)
    file = running.root / ".env"
    file.write_text(file.read_text().replace(running.settings.endpoint, f"http://127.0.0.1:{free_ports()}"))
    running.start()
    assert not first.is_running()
    running.settings = settings.read(running.root)
    running.client = S3Client(running.settings)
    assert contents(running) == before


def test_what_stands_in_the_way_of_its_sockets_is_named(running: Store) -> None:
    running.stop()
    taken = Path(f"/tmp/seaweedfs-master-grpc-{running.settings.address[1] + 6}.sock")
    taken.mkdir()
    try:
        with pytest.raises(GaiaError, match=rf"{taken} is in the server's way, and can't be removed: .*; set S3_ENDP"):
            running.start()
    finally:
        taken.rmdir()
    assert server.status(running.root)["pid"] is None
    running.start()


def copy(project: Project, root: Path) -> Project:
    shutil.copytree(project.root, root, symlinks=True)
    return Project(root)
