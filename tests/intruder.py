"""What an account without a proof gets from a running server: standard input says where, standard output what it got.

A script of its own: it becomes another account when it has read what it needs of Python."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc

# the HTTP routes of SeaweedFS's master, volume server, filer and admin, and what S3, IAM and STS take at one address
READ = (
    "/", "/ui/index.html", "/status", "/healthz", "/readyz", "/metrics", "/health", "/debug/pprof/", "/api/config",
    "/dir/assign", "/dir/assign?collection={bucket}", "/dir/lookup?volumeId=1&collection={bucket}",
    "/dir/lookup?fileId=1,01637037d6&read=yes", "/dir/status", "/vol/status", "/vol/grow?count=1",
    "/vol/vacuum?garbageThreshold=0.0001", "/col/delete?collection={bucket}", "/collection/info?collection={bucket}",
    "/cluster/status", "/cluster/healthz", "/cluster/raft", "/raft/stats", "/stats/health", "/stats/counter",
    "/stats/memory", "/stats/disk", "/1,01637037d6", "/buckets/", "/buckets/{bucket}/", "/buckets/{bucket}/{key}",
    "/{bucket}", "/{bucket}/{key}", "/?Action=ListUsers&Version=2010-05-08", "/?proxyChunkId=1,01637037d6",
)  # fmt: skip
WRITE = (
    ("POST", "/submit"), ("POST", "/dir/assign"), ("POST", "/col/delete?collection={bucket}"),
    ("POST", "/vol/grow?count=1"), ("PUT", "/1,01637037d6"), ("POST", "/1,01637037d6"), ("DELETE", "/1,01637037d6"),
    ("DELETE", "/buckets/{bucket}?recursive=true"), ("DELETE", "/buckets/{bucket}/{key}"),
    ("PUT", "/buckets/{bucket}/new"), ("POST", "/buckets/{bucket}/new"), ("PUT", "/{bucket}/new"),
    ("DELETE", "/{bucket}/{key}"), ("DELETE", "/{bucket}"), ("POST", "/{bucket}?delete"),
    ("POST", "/?Action=CreateUser&UserName=x&Version=2010-05-08"),
    ("POST", "/?Action=AssumeRole&RoleArn=x&RoleSessionName=name&Version=2011-06-15"),
    ("PATCH", "/.tus/x"), ("POST", "/.tus/"),
)  # fmt: skip
PAGE = {"Origin": "http://example.org", "Sec-Fetch-Mode": "no-cors"}


def text(number: int, value: str) -> bytes:
    """A field of a gRPC message."""
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def calls(bucket: str) -> dict[str, bytes]:
    """gRPC's methods, and what is sent to them."""
    return {
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": text(7, "*"),
        "master_pb.Seaweed/VolumeList": b"",
        "master_pb.Seaweed/CollectionList": b"",
        "master_pb.Seaweed/Assign": b"\x08\x01",
        "master_pb.Seaweed/CollectionDelete": text(1, bucket),
        "volume_server_pb.VolumeServer/VolumeServerStatus": b"",
        "volume_server_pb.VolumeServer/DeleteCollection": text(1, bucket),
        "filer_pb.SeaweedFiler/GetFilerConfiguration": b"",
        "filer_pb.SeaweedFiler/ListEntries": text(1, "/buckets"),
        "filer_pb.SeaweedFiler/DeleteCollection": text(1, bucket),
        # recursive, with its data
        "filer_pb.SeaweedFiler/DeleteEntry": text(1, "/buckets") + text(2, bucket) + b"\x20\x01\x28\x01",
        "iam_pb.SeaweedIdentityAccessManagement/GetConfiguration": b"",
        "s3_pb.SeaweedS3/Configure": b"",
        "worker_pb.WorkerService/WorkerStream": b"",
    }


def over_http(port: int, own_proof: str, names: dict[str, str]) -> list[str]:
    """Every answer that HTTP brings, but that of a port that speaks TLS to whom doesn't."""
    unproved = ssl._create_unverified_context()
    proved = ssl._create_unverified_context()
    proved.load_cert_chain(own_proof)
    got = []
    for tls, headers in ((None, {}), (None, PAGE), (unproved, {}), (proved, {})):
        for method, route in (*(("GET", route) for route in READ), *WRITE):
            to = ("127.0.0.1", port)
            asked = http.client.HTTPSConnection(*to, timeout=5, context=tls) if tls else None
            asked = asked or http.client.HTTPConnection(*to, timeout=5)
            with suppress(OSError, http.client.HTTPException):
                asked.request(method, route.format(**names), body="x" if method != "GET" else None, headers=headers)
                answer = asked.getresponse()
                body = answer.read(300).decode(errors="replace")
                if "HTTP request to an HTTPS server" not in body:
                    got.append(f"{port} {method} {route} {answer.status} {body}")
            asked.close()
    return got


def over_grpc(port: int, own_proof: str, bucket: str) -> list[str]:
    """Every answer that gRPC brings, be it that there is no such method."""
    proof = Path(own_proof).read_bytes()
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}")]
    with suppress(OSError):
        trusted = ssl.get_server_certificate(("127.0.0.1", port), timeout=5).encode()
        for proofs in ((), (proof, proof)):
            credentials = grpc.ssl_channel_credentials(trusted, *proofs)
            channels.append(grpc.secure_channel(f"127.0.0.1:{port}", credentials))
    got = []
    for channel in channels:
        for method, message in calls(bucket).items():
            try:
                for answer in channel.stream_stream(f"/{method}")(iter([message]), timeout=5):
                    got.append(f"{port} {method} {answer[:100]!r}")
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    got.append(f"{port} {method} {error.code()}")
        channel.close()
    return got


def by_its_own_shell(weed: str, first: int, bucket: str) -> list[str]:
    """What the server's own client prints; it waits for ever for a master that takes it."""
    verbs = f"cluster.ps\nvolume.list\ncollection.list\nfs.ls /buckets\ncollection.delete -collection={bucket} -apply\n"
    command = [weed, "shell", f"-master=127.0.0.1:{first + 2}.{first + 6}", f"-filer=127.0.0.1:{first + 4}.{first + 8}"]
    try:
        done = subprocess.run(command, input=f"{verbs}exit\n", capture_output=True, text=True, cwd="/", timeout=6)
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode()
    else:
        printed = done.stdout
    return [f"shell {line}" for line in printed.splitlines() if line.strip()]


def through_files(files: list[str], sockets: list[str]) -> list[str]:
    """The files that can be read, and the sockets that take a connection."""
    got = []
    for name in files:
        with suppress(OSError), open(name, "rb") as file:
            file.read(1)
            got.append(f"file {name}")
    for name in sockets:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.connect(name)
            got.append(f"socket {name}")
    return got


def main() -> None:
    """One list of all that was got, and one of what S3's own port says, which has to answer."""
    at = json.load(sys.stdin)
    names = {"bucket": at["bucket"], "key": at["key"]}
    if at["account"]:
        # at a port where nothing is: Python loads what it needs, which others may not read
        assert over_http(1, at["proof"], names) == over_grpc(1, at["proof"], at["bucket"]) == []
        os.setgroups([])
        os.setgid(at["account"])
        os.setuid(at["account"])
    inner = by_its_own_shell(at["weed"], at["s3"], at["bucket"]) + through_files(at["files"], at["sockets"])
    for port in at["ports"]:
        if port != at["s3"]:
            inner += over_http(port, at["proof"], names) + over_grpc(port, at["proof"], at["bucket"])
    json.dump({"inner": inner, "s3": over_http(at["s3"], at["proof"], names)}, sys.stdout)


if __name__ == "__main__":
    main()
