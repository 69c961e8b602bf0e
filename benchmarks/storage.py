"""`gaia push` and `gaia pull` against the AWS command line, on the same servers: `make bench`.

Writes storage.json and storage.md here. The servers are the embedded one and, where `minio` is on the PATH, MinIO. The
peer is `aws` (awscli) from the PATH or the variable AWS: no dependency of the project, and where it is missing nothing
is measured. `mc` and `rclone`, where they are on the PATH, show how far the machine could go.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from gaia.storage import remotes
from gaia.storage.checks.verify import verify
from gaia.storage.s3 import settings
from gaia.storage.s3.client import S3Client, answers
from gaia.storage.servers import server

HERE = Path(__file__).parent
ROUNDS = 5
LARGE, FILES, SMALL = 138_000_000, 500, 200_000  # bytes, number, bytes
MANY, VERSIONS = 3_000, 50  # objects of one commit, and versions, with nothing to push or pull
BUCKET = "plants-images"  # the default remote
ENDPOINT = "http://127.0.0.1:9800"
OURS = ("dvc", "gaia")
console = Console(stderr=True)


def main() -> None:
    aws = os.environ.get("AWS") or shutil.which("aws")
    if not aws:
        console.print("storage: not measured, there is no `aws` to compare with; install awscli, and set AWS to it")
        return
    found: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
        "rounds": ROUNDS,
        "servers": {},
    }
    for name, serving in {"embedded": embedded, "MinIO": minio}.items():
        if name == "MinIO" and not shutil.which("minio"):
            console.print("MinIO: not measured, there is no program `minio` on the PATH")
            continue
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            project(work)
            with serving(work):
                found["servers"][name] = measure(work, aws, name)
    (HERE / "storage.json").write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "storage.md").write_text(page(found))
    print(page(found))


def project(work: Path) -> None:
    """A repository with this project's remotes, one large file, and a folder of many small ones."""
    subprocess.run(["git", "init", "--quiet", work], check=True)
    (work / ".dvc").mkdir()
    shutil.copy(HERE.parent / ".dvc/config", work / ".dvc")
    (work / ".env").write_text(f"S3_ENDPOINT={ENDPOINT}\n")
    ignored = ("/.env", "/.storage", "/minio", "/peer", ".old*", "/.dvc/config.local", "/.dvc/cache", "/.dvc/tmp")
    (work / ".gitignore").write_text("\n".join(ignored))
    for name, content in {"dvc.yaml": "stages: {}\n", "params.yaml": "lines: {}\n"}.items():
        (work / name).write_text(content)
    draw(work, 0)


def draw(work: Path, seed: int) -> None:
    """Other files than before, which DVC keeps. Nothing is deleted: for minutes ext4 passes by the places of what was,
    one by one, before it makes a file, which would be measured then."""
    drawn = random.Random(seed)
    away(work / "large", work / "small", work / ".dvc/cache/files")
    for name, number, size in (("large", 1, LARGE), ("small", FILES, SMALL)):
        (work / name).mkdir()
        for each in range(number):
            (work / f"{name}/{each:03}.bin").write_bytes(drawn.randbytes(size))
    subprocess.run(["dvc", "add", "--quiet", "large", "small"], cwd=work, check=True)
    os.sync()


def away(*paths: Path) -> None:
    """Let nothing stand there, and nothing of it take up disk or memory."""
    for path in paths:
        if path.exists():
            beside = path.rename(Path(tempfile.mkdtemp(dir=path.parent, prefix=".old")) / path.name)
            for file in beside.rglob("*"):
                if file.is_file():
                    file.chmod(0o600)
                    os.truncate(file, 0)
    os.sync()


@contextmanager
def embedded(work: Path) -> Iterator[None]:
    """The server that comes with the project."""
    server.up(work)
    try:
        yield
    finally:
        server.down(work)


@contextmanager
def minio(work: Path) -> Iterator[None]:
    """MinIO, from the PATH."""
    settings.make_keys(work)
    at = settings.read(work)
    given = os.environ | {"MINIO_ROOT_USER": at.access_key, "MINIO_ROOT_PASSWORD": at.secret_key}
    address = ENDPOINT.partition("://")[2]
    command = ["minio", "server", "--quiet", "--address", address, "--console-address", "127.0.0.1:9899", "minio"]
    process = subprocess.Popen(command, cwd=work, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(at):
            time.sleep(0.1)
        for bucket in at.buckets.values():
            S3Client(at).create_bucket(bucket)
        remotes.write(at, work)
        yield
    finally:
        process.terminate()
        process.wait()


def measure(work: Path, aws: str, name: str) -> dict[str, Any]:
    """Seconds of whole processes, medians of alternating rounds."""
    at = settings.read(work)
    client = S3Client(at)
    keys = {"AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key, "AWS_REGION": at.region}
    place = f"http://{at.access_key}:{at.secret_key}@{at.endpoint.partition('://')[2]}"
    environment = os.environ | keys | {"AWS_ENDPOINT_URL": at.endpoint}
    environment |= {"MC_HOST_store": place, "MC_CONFIG_DIR": f"{work}/.storage/mc"}

    def seconds(*command: str) -> float:
        start = time.perf_counter()
        subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)
        return time.perf_counter() - start

    there = {
        "aws": f"s3://{BUCKET}/aws/",
        "rclone": f":s3,env_auth,provider=Minio,endpoint='{at.endpoint}':{BUCKET}/rclone/",
        "mc": f"store/{BUCKET}/mc/",
    }
    copies = {
        "aws": (aws, "s3", "cp", "--recursive"),
        "rclone": ("rclone", "copy", "--transfers=8"),
        "mc": ("mc", "cp", "--recursive"),
    }

    def command(tool: str, case: str, way: str, number: int) -> tuple[str, ...]:
        if tool in OURS:
            return tool, "push" if way == "up" else "pull", case
        stored, copy = f"{there[tool]}{number}/{case}/", f"peer/{tool}/{number}/{case}/"
        return *copies[tool], *((f"{case}/", stored) if way == "up" else (stored, copy))

    tools = [*OURS, "aws", *(tool for tool in ("rclone", "mc") if shutil.which(tool))]
    times: dict[str, dict[str, list[float]]] = {}
    for number in range(ROUNDS):
        console.print(f"{name}, round {number + 1} of {ROUNDS}")
        for place, tool in enumerate(tools[number % len(tools) :] + tools[: number % len(tools)]):  # none always first
            away(*work.glob("peer"))
            draw(work, 1 + place + number * len(tools))
            for way in ("up", "down"):
                if way == "down":
                    away(*(work / left for left in (".dvc/cache/files", "large", "small")))
                for case in ("large", "small"):
                    taken = seconds(*command(tool, case, way, number))
                    times.setdefault(f"{case} {way}", {}).setdefault(tool, []).append(taken)
    rows = {
        case: {tool: round(statistics.median(taken), 2) for tool, taken in by_tool.items()}
        for case, by_tool in times.items()
    }
    client.delete_objects(BUCKET, [found.key for found in client.list_objects(BUCKET)])
    draw(work, 0)
    seconds("gaia", "push")
    nothing = idle(work, seconds)
    said = {check.name: check.said for check in verify(work)}
    return {"seconds": rows, "nothing": nothing, "verify": {name: said[name] for name in ("speed", "latency")}}


def idle(work: Path, seconds: Callable[..., float]) -> dict[str, float]:
    """Push and pull with nothing to do: at many objects, and at many versions."""
    (work / "many").mkdir()
    for number in range(MANY):
        (work / f"many/{number:04}").write_text(f"{number}")
    seconds("dvc", "add", "many")
    git = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org")
    for number in range(VERSIONS):
        (work / "changing").write_text(f"{number}")
        seconds("dvc", "add", "changing")
        seconds(*git, "add", "--all")
        seconds(*git, "commit", "--quiet", "--message", f"{number}")
        seconds(*git, "tag", "--annotate", "--message", "{}", f"line@v1.{number}.0")
    commands = {"push": ("push",), "pull": ("pull",), "push --all": ("push", "--all"), "pull --all": ("pull", "--all")}
    found: dict[str, float] = {}
    for name, command in commands.items():
        seconds("gaia", *command)
        found[name] = round(statistics.median(seconds("gaia", *command) for _ in range(ROUNDS)), 2)
    return found


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    names = {"large": f"one file of {LARGE / 1e6:.0f} MB", "small": f"{FILES} files of {SMALL // 1000} kB"}
    parts = []
    for name, measured in found["servers"].items():
        rows = []
        for case, row in measured["seconds"].items():
            kind, way = case.split()
            title = f"{'push' if way == 'up' else 'pull'} {names[kind]}"
            ratio = {tool: f"{taken / row['aws']:.2f}" for tool, taken in row.items()}
            others = " | ".join(ratio.get(peer, "") for peer in ("dvc", "rclone", "mc"))
            rows.append(f"| {title} | {row['aws']:.2f} s | {row['gaia']:.2f} s | **{ratio['gaia']}** | {others} |")
        nothing = ", ".join(f"`gaia {verb}` {taken:.2f} s" for verb, taken in measured["nothing"].items())
        parts.append(f"""## {name}

| | aws | gaia | × aws | DVC, × aws | rclone, × aws | mc, × aws |
|---|---:|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

Nothing to do, at {MANY + FILES:,} objects, and with `--all` at {VERSIONS} versions more: {nothing}.

`gaia storage verify`: {measured["verify"]["speed"]}; {measured["verify"]["latency"]}.
""")
    return f"""# Storage

Written by `make bench` ({found["machine"]}, which server and client share; load before: {found["load"]}).
Figures: `storage.json`. Whole processes, medians of {found["rounds"]} alternating rounds: `gaia push` and `gaia pull`
(which hash all that passes, fill DVC's cache and lay the files out) against `aws s3 cp --recursive`, and beside
`dvc push` and `dvc pull`, rclone and MinIO's `mc`, which are compiled. Each goes with files of its own, and nothing is
deleted meanwhile.

{chr(10).join(parts)}"""


if __name__ == "__main__":
    main()
