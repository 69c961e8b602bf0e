"""How fast what is live answers: `gaia serve` against the runtime alone, and against plain peers, in one run.

`python benchmarks/serving.py [--seconds 5] [--peers FOLDER] [--swaps 60]`; writes serving.md here. Peers live in an
environment of their own (FOLDER, made and filled if it isn't there), and serve the same ONNX file to the same photo.
The clients are raw sockets in processes of their own, on the same cores. `--swaps`: so many seconds of load by four
clients on a project of its own, with a deployment every five.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from gaia.runtime.load import load
from gaia.serving.work import cores

ROOT = Path(__file__).parent.parent
PHOTO = min((ROOT / "data/raw/demo_plants/grass").glob("*.jpg"))
BAG = min((ROOT / "data/raw/demo_bags/healthy").glob("*.jpg"))
ROW = {"species": "oyster", "substrate": "straw", "days": 12, "humidity": 85.5, "co2": 900}
BOUNDARY = "b0undary"


def form(photo: Path) -> bytes:
    """A photo as a form's field."""
    about = 'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    return f"--{BOUNDARY}\r\n{about}\r\n\r\n".encode() + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def request(path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def exchange(connection: socket.socket, asked: bytes) -> tuple[int, bytes]:
    """Status and body of one request on a kept connection."""
    connection.sendall(asked)
    said = b""
    while b"\r\n\r\n" not in said:
        said += (more := connection.recv(65536))
        assert more, said
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body


def client(port: int, asked: bytes, seconds: float, found: Any) -> None:
    """Ask again and again; put the seconds of each request, and how many failed."""
    took, failed = [], 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            status, _ = exchange(connection, asked)
            took.append(time.perf_counter() - start)
            failed += status != 200
    found.put((took, failed))


def load_test(port: int, asked: bytes, clients: int, seconds: float) -> dict[str, float]:
    """Requests a second, and the median and 99th percentile of a request in ms."""
    found: Any = multiprocessing.Queue()
    askers = [multiprocessing.Process(target=client, args=(port, asked, seconds, found)) for _ in range(clients)]
    for asker in askers:
        asker.start()
    results = [found.get() for _ in askers]
    for asker in askers:
        asker.join()
    took = sorted(each for result, _ in results for each in result)
    assert not sum(failed for _, failed in results), "requests failed"
    return {"per_second": round(len(took) / seconds, 1), "p50_ms": round(1e3 * statistics.median(took), 2),
            "p99_ms": round(1e3 * took[int(0.99 * (len(took) - 1))], 2)}  # fmt: skip


def runtime_alone(line: str, photo: Path, seconds: float, threads: int = 1) -> float:
    """Photos a second: read and answered, one after the other, in this process."""
    model, content = load(ROOT / "data/models" / line, threads=threads), photo.read_bytes()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.decide(model.probabilities(model.read_photos([(content, "a.jpg")])))
        count += 1
    return count / (time.perf_counter() - start)


def on_all_cores(line: str, photo: Path, seconds: float) -> float:
    """The same in as many processes as cores."""
    with multiprocessing.get_context("spawn").Pool(cores()) as pool:
        return sum(pool.starmap(runtime_alone, [(line, photo, seconds)] * cores()))


@contextmanager
def started(
    command: list[str], port: int, ask: bytes, folder: Path = ROOT, **environment: str
) -> Iterator[tuple[float, int]]:
    """A server, its seconds from the process's start to its first answer, and its pid."""
    start = time.perf_counter()
    log = Path(f"/tmp/bench-{port}.log")
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, env=os.environ | environment, start_new_session=True
        )
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                    status, body = exchange(connection, ask)
                    if status == 200:
                        break
                    assert status >= 500, body
            except (OSError, AssertionError, TypeError):
                assert process.poll() is None and time.perf_counter() - start < 60, log.read_text()[-2000:]
            time.sleep(0.02)
        yield time.perf_counter() - start, process.pid
    finally:
        family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        for each in family:
            each.terminate()
        psutil.wait_procs([each for each in family if isinstance(each, psutil.Process)], 10)
        process.wait(10)


def megabytes(pid: int) -> float:
    """Resident memory of a process and its children (shared pages counted once each: PSS)."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return round(sum(each.memory_full_info().pss for each in family) / 1e6)


def ours(seconds: float) -> dict[str, Any]:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    asked = {
        "plants": request("/lines/plants/predict", form(PHOTO), kind),
        "bags": request("/lines/bags/predict", form(BAG), kind),
        "cultures": request("/lines/cultures/predict", json.dumps({"rows": [ROW]}).encode(), "application/json"),
    }
    command, port = [sys.executable, "-m", "gaia", "serve", "--port", "8790"], 8790
    found: dict[str, Any] = {}
    with (
        started(command, port, asked["cultures"]) as (first, pid),
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        begun = time.perf_counter()
        assert all(exchange(connection, ask)[0] == 200 for ask in asked.values())
        found["start_to_all_three_s"] = round(first + time.perf_counter() - begun, 2)
        for line, ask in asked.items():
            found[line] = {f"{n}": load_test(port, ask, n, seconds) for n in (1, 4, 8)}
        found["memory_mb"] = megabytes(pid)
    return found


def peers(folder: Path, seconds: float) -> dict[str, Any]:
    """The same photo and ONNX file, with as many workers as cores, as each one's manual says it."""
    python, here = folder / "bin" / "python", ROOT / "benchmarks" / "peers"
    if not python.exists():
        subprocess.run(["uv", "venv", "--python", sys.executable, str(folder)], check=True)
        wanted = ["mlflow", "litserve", "bentoml", "onnxruntime", "pillow", "numpy"]
        subprocess.run(["uv", "pip", "install", "--python", str(python), *wanted], check=True)
    model = str(ROOT / "data/models/plants/model.onnx")
    given = {"MODEL": model, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "WORKERS": str(cores())}
    saved = Path(tempfile.mkdtemp()) / "photo"
    subprocess.run([python, "mlflow_save.py", saved], cwd=here, env=os.environ | given, check=True, capture_output=True)
    content = PHOTO.read_bytes()
    frame = {"dataframe_split": {"columns": ["photo"], "data": [[base64.b64encode(content).decode()]]}}
    multipart = form(PHOTO).replace(b'name="files"', b'name="content"')
    servers = {
        "mlflow models serve": (
            ["mlflow", "models", "serve", "-m", str(saved), "--env-manager", "local", "-p", "8791", "-w", str(cores())],
            request("/invocations", json.dumps(frame).encode(), "application/json"),
        ),
        "LitServe": (
            [str(python), "litserve_photo.py", "8792", str(cores())],
            request("/predict", multipart, f"multipart/form-data; boundary={BOUNDARY}"),
        ),
        "BentoML": (
            ["bentoml", "serve", "bentoml_photo:Photo", "--port", "8793", "--host", "127.0.0.1"],
            request("/predict", multipart, f"multipart/form-data; boundary={BOUNDARY}"),
        ),
    }
    found: dict[str, Any] = {}
    for at, (name, (command, ask)) in enumerate(servers.items()):
        with started(
            [str(folder / "bin" / command[0]) if at != 1 else command[0], *command[1:]], 8791 + at, ask, here, **given
        ):
            found[name] = {f"{n}": load_test(8791 + at, ask, n, seconds) for n in (1, 4, 8)}
    return found


def swaps(seconds: float) -> dict[str, Any]:
    """Load by four clients while another version goes live every five seconds: what failed, what was mixed, and the
    memory of the server before and after."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        given = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
        subprocess.run([sys.executable, "-c", SMALL, str(root)], check=True, env=given, capture_output=True)
        ask = request("/lines/spores/predict", b'{"rows": [{"species": "oyster", "days": 12}]}', "application/json")
        versions = ("v1.0.0", "v1.1.0")
        deploy(root, versions[0])
        command = [sys.executable, "-m", "gaia", "serve", "--port", "8799"]
        with started(command, 8799, ask, root) as (_, pid):
            queue: Any = multiprocessing.Queue()
            askers = [multiprocessing.Process(target=watcher, args=(8799, ask, seconds, queue)) for _ in range(4)]
            for asker in askers:
                asker.start()
            time.sleep(min(10, seconds / 4))
            before, turn, end = megabytes(pid), 0, time.perf_counter() + seconds - 10
            while time.perf_counter() < end:
                turn += 1
                deploy(root, versions[turn % 2])
                time.sleep(5)
            after, results = megabytes(pid), [queue.get() for _ in askers]
    said = {answer for answers, _, _ in results for answer in answers}
    mixed = len(said) - len({version for version, *_ in said})  # each version has one hash, and one answer to this row
    return {"requests": sum(count for _, count, _ in results), "failed": sum(failed for _, _, failed in results),
            "swaps": turn, "mixed": mixed, "memory_mb": [before, after]}  # fmt: skip


def watcher(port: int, asked: bytes, seconds: float, found: Any) -> None:
    """Ask again and again; put which (version, sha256, probability) came, how many requests, and how many failed."""
    answers, count, failed = set(), 0, 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            status, body = exchange(connection, asked)
            count += 1
            if status != 200:
                failed += 1
                continue
            said = json.loads(body)
            answers.add((said["version"], said["sha256"], said["answers"][0]["probabilities"]["healthy"]))
    found.put((answers, count, failed))


SMALL = """
import shutil, sys
from pathlib import Path
from conftest import ROOT, Project
from released import release
from served import set_serving
project = Project.empty(Path(sys.argv[1]))
release(project)
shutil.copytree(ROOT / "conf" / "serving", project.path("conf/serving"))
set_serving(project.root, lambda said: said.update(inspect=None))
"""


def deploy(root: Path, version: str) -> None:
    command = [sys.executable, "-m", "gaia", "deploy", f"spores@{version}", "--yes"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def page(found: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    ours, alone = found["gaia"], found["runtime"]
    told = f"On {found['cores']} cores; load of the machine before {found['load']:.1f}; {found['seconds']:g} s each."
    rows = ["| line, clients | requests a second | p50 | p99 | of the runtime alone |", "|---|---:|---:|---:|---:|"]
    for line in ("plants", "bags", "cultures"):
        for clients, row in ours[line].items():
            best = alone.get(line, {}).get("one" if clients == "1" else "all")
            share = f"{row['per_second'] / best:.2f}" if best else ""
            cells = (
                f"{line}, {clients}",
                f"{row['per_second']:.0f}",
                f"{row['p50_ms']} ms",
                f"{row['p99_ms']} ms",
                share,
            )
            rows.append(f"| {' | '.join(cells)} |")
    rates = "; ".join(
        f"{line} {rate['one']:.0f} photos a second in one thread, {rate['all']:.0f} in a process for each core"
        for line, rate in alone.items()
    )
    start, memory = ours["start_to_all_three_s"], ours["memory_mb"]
    parts = [
        "# Serving\n",
        (__doc__ or "").rstrip(),
        told,
        f"First answers of all three lines {start} s after the process's start; {memory:.0f} MB after the load.",
        "\n".join(rows),
        f"The runtime alone: {rates}. The clients share the cores with the server; what waits is answered together.",
    ]
    if "peers" in found:
        table = ["| plants | 1 client | 4 | 8 | `gaia serve` is |", "|---|---:|---:|---:|---:|"]
        mine = found["gaia_again"]["plants"]
        everyone = {"gaia serve": ours["plants"], **found["peers"], "gaia serve, once more": mine}
        for name, each in everyone.items():
            times = mine["8"]["per_second"] / each["8"]["per_second"]
            rates = " | ".join(f"{row['per_second']:.0f}" for row in each.values())
            table.append(f"| {name} | {rates} | {times:.2f} times |")
        parts += ["## Peers, requests a second", "\n".join(table)]
    if "swaps" in found:
        said = found["swaps"]
        before, after = said["memory_mb"]
        counts = f"{said['failed']} failed, {said['mixed']} answers of two versions"
        parts += [
            "## A deployment every five seconds, under load",
            f"{said['requests']:,} requests, {said['swaps']} deployments: {counts}; {before:.0f} to {after:.0f} MB.",
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--swaps", type=float, metavar="SECONDS")
    asked = parser.parse_args()
    found: dict[str, Any] = {"load": os.getloadavg()[0], "cores": cores(), "seconds": asked.seconds, "runtime": {}}
    for line, photo in (("plants", PHOTO), ("bags", BAG)):
        alone = {"one": runtime_alone(line, photo, asked.seconds), "all": on_all_cores(line, photo, asked.seconds)}
        found["runtime"][line] = alone
    found["gaia"] = ours(asked.seconds)
    if asked.peers:
        found["peers"] = peers(asked.peers, asked.seconds)
        found["gaia_again"] = ours(asked.seconds)
    if asked.swaps:
        found["swaps"] = swaps(asked.swaps)
    text = page(found)
    (ROOT / "benchmarks/serving.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
