"""Push and pull with DVC against the AWS command line, on the same embedded server: `make bench`.

Writes storage.json and storage.md here. The peer is `aws` (awscli) from the PATH or the variable AWS: no dependency of
the project, and where it is missing nothing is measured.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from gaia import files
from gaia.storage import server, settings
from gaia.storage.client import S3Client
from gaia.storage.verify import verify

HERE = Path(__file__).parent
ROUNDS = 5
LARGE, FILES, SMALL = 138_000_000, 500, 200_000  # bytes, number, bytes
FLOOR = {"up": 66.0, "down": 132.0}  # MB/s: the predecessor's figures
BUCKET = "plants-images"  # the default remote
CLIENT = """
import sys
from gaia.storage.client import S3Client
way, file, bucket, key, md5 = sys.argv[1:]
client = S3Client()
client.upload_file(file, bucket, key) if way == "up" else client.download_file(bucket, key, file, md5=md5)
"""  # what `gaia` itself transfers with, as a whole process
console = Console(stderr=True)


def main() -> None:
    aws = os.environ.get("AWS") or shutil.which("aws")
    if not aws:
        console.print(
            "storage: not measured, there is no `aws` to compare with; install awscli elsewhere, and set AWS to it"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        project(work)
        server.up(work)
        try:
            found = measure(work, aws)
        finally:
            server.down(work)
    (HERE / "storage.json").write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "storage.md").write_text(page(found))
    print(page(found))


def project(work: Path) -> None:
    """A repository with this project's remotes, one large file, and a folder of many small ones."""
    subprocess.run(["git", "init", "--quiet", work], check=True)
    (work / ".dvc").mkdir()
    shutil.copy(HERE.parent / ".dvc/config", work / ".dvc")
    (work / ".env").write_text("S3_ENDPOINT=http://127.0.0.1:9800\n")
    drawn = random.Random(1)
    (work / "large").mkdir()
    (work / "large/file.bin").write_bytes(drawn.randbytes(LARGE))
    (work / "small").mkdir()
    for number in range(FILES):
        (work / f"small/{number:03}.bin").write_bytes(drawn.randbytes(SMALL))
    subprocess.run(["dvc", "add", "--quiet", "large", "small"], cwd=work, check=True)


def measure(work: Path, aws: str) -> dict[str, Any]:
    """Seconds of whole processes, medians of alternating rounds."""
    load = round(os.getloadavg()[0], 1)
    at = settings.read(work)
    client = S3Client(at)
    keys = {"AWS_ACCESS_KEY_ID": at.access_key, "AWS_SECRET_ACCESS_KEY": at.secret_key, "AWS_REGION": at.region}
    environment = os.environ | keys | {"AWS_ENDPOINT_URL": at.endpoint}

    def seconds(*command: str) -> float:
        start = time.perf_counter()
        subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)
        return time.perf_counter() - start

    def empty() -> None:
        client.delete_objects(BUCKET, [found.key for found in client.list_objects(BUCKET)])

    def forget(name: str) -> Callable[[], None]:
        def gone() -> None:
            shutil.rmtree(work / ".dvc/cache")
            shutil.rmtree(work / name)

        return gone

    there = f"s3://{BUCKET}/peer"
    peers = {
        "large": (("cp", "large/file.bin", f"{there}/file.bin"), ("cp", f"{there}/file.bin", "peer/file.bin")),
        "small": (("sync", "small", there), ("sync", there, "peer")),
    }
    times: dict[str, dict[str, list[float]]] = {}
    for number in range(ROUNDS):
        for name, (up, down) in peers.items():
            console.print(f"round {number + 1} of {ROUNDS}: {name}")
            ours, theirs = times.setdefault(f"{name} up", {}), times.setdefault(f"{name} down", {})
            empty()
            ours.setdefault("dvc", []).append(seconds("dvc", "push", name))
            forget(name)()
            theirs.setdefault("dvc", []).append(seconds("dvc", "pull", name))
            empty()
            ours.setdefault("aws", []).append(seconds(aws, "s3", *up))
            shutil.rmtree(work / "peer", ignore_errors=True)
            theirs.setdefault("aws", []).append(seconds(aws, "s3", *down))
            if name == "large":
                md5 = str(files.md5(work / "peer/file.bin"))
                for way, into in (("up", ours), ("down", theirs)):
                    asked = (way, "peer/file.bin", BUCKET, "mine", md5)
                    into.setdefault("gaia", []).append(seconds(sys.executable, "-c", CLIENT, *asked))
            seconds("dvc", "add", "large", "small")
    rows = {}
    for case, by_tool in times.items():
        dvc, peer = (statistics.median(by_tool[tool]) for tool in ("dvc", "aws"))
        size = (LARGE if case.startswith("large") else FILES * SMALL) / 1e6
        rows[case] = {
            "dvc": round(dvc, 2),
            "aws": round(peer, 2),
            "ratio": round(dvc / peer, 2),
            "dvc MB/s": round(size / dvc, 1),
        }
        if "gaia" in by_tool:
            client_s = statistics.median(by_tool["gaia"])
            rows[case] |= {"gaia": round(client_s, 2), "gaia ratio": round(client_s / peer, 2)}
    said = {check.name: check.said for check in verify(work)}
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": load,
        "rounds": ROUNDS,
        "seconds": rows,
        "verify": {name: said[name] for name in ("speed", "latency")},
    }


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    names = {"large": f"one file of {LARGE / 1e6:.0f} MB", "small": f"{FILES} files of {SMALL // 1000} kB"}
    rows = []
    for case, row in found["seconds"].items():
        name, way = case.split()
        verb = {"up": "push", "down": "pull"}[way]
        gaia = f"{row['gaia']:.2f} s | {row['gaia ratio']:.2f}" if "gaia" in row else "|"
        rows.append(
            f"| {verb} {names[name]} | {row['aws']:.2f} s | {row['dvc']:.2f} s | {row['ratio']:.2f} "
            f"| {row['dvc MB/s']:.0f} | {gaia} |"
        )
    return f"""# Storage

Written by `make bench` ({found["machine"]}, which server and client share; load before: {found["load"]}).
Figures: `storage.json`. Whole processes, medians of {found["rounds"]} alternating rounds: `dvc push` and `dvc pull`
(with `verify`: what is pulled is hashed) against `aws s3 cp` and `aws s3 sync`. S3Client is what `gaia` itself
transfers with, verified by hash, too. The predecessor moved {FLOOR["up"]:.0f} MB/s up, {FLOOR["down"]:.0f} MB/s down.

| | aws | DVC | ratio | DVC, MB/s | S3Client | ratio |
|---|---:|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

What DVC takes longer is its own work around the transfer: starting, asking what is there, hashing, copying from its
cache, and keeping books a file. So: few large outputs.

`gaia storage verify`: {found["verify"]["speed"]}; {found["verify"]["latency"]}.
"""


if __name__ == "__main__":
    main()
