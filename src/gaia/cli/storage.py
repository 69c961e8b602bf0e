"""`gaia storage`: start and stop the server, check it, look into it."""

from __future__ import annotations

import argparse
import re
from typing import Any

from gaia.cli.verb import print_json, verb
from gaia.errors import GaiaError, warn


def add(verbs: Any) -> None:
    """The parsers of its verbs."""
    storage = verbs.add_parser("storage", help="the S3 server that keeps data and models: up, verify, ls, ...")
    inner = storage.add_subparsers(dest="what", required=True, metavar="verb")
    up = verb(inner, "up", _up, help="start it (MinIO in Docker, else embedded), make keys and buckets, tell DVC")
    up.add_argument("--users", action="store_true", help="on MinIO, three users who may less: host, reader, writer")
    verb(inner, "down", _down, help="stop the server that `up` started; its data stay")
    verb(inner, "status", _status, help="which server it is, and whether it answers")
    verify = verb(inner, "verify", _verify, help="check the server, and all that dvc.lock and the versions need of it")
    verify.add_argument("--deep", action="store_true", help="hash every object, not a sample")
    verify.add_argument("--mend", action="store_true", help="first store anew what is missing or damaged there")
    verb(inner, "restore", _restore, help="bring back what was deleted from buckets that keep old versions")
    ls = verb(inner, "ls", _ls, help="the files of each version: size, hash, bucket")
    ls.add_argument("line", nargs="?")
    url = verb(inner, "url", _url, help="a link to one file of a version, for somebody without keys")
    url.add_argument("version", help="such as plants@v1.2.0")
    url.add_argument("file", nargs="?", help="such as contract.json; the model if not given")
    url.add_argument(
        "--expires", type=_seconds, default=3600, metavar="TIME", help="90s, 30m, 1h (default), 7d at most"
    )


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write it like 90s, 30m, 1h or 7d")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def _up(asked: argparse.Namespace) -> None:
    from gaia.storage import remotes
    from gaia.storage.s3 import settings
    from gaia.storage.servers import server

    now = server.up(roles=asked.users)
    _print_status(now, asked.json)
    if asked.users and not asked.json:
        print(f"keys to hand over, each as somebody's .env: {', '.join(now['users'])}")
    if obstacle := remotes.in_the_way(settings.read()):
        warn("; ".join(obstacle) + ".")


def _status(asked: argparse.Namespace) -> None:
    from gaia.storage.servers import server

    _print_status(server.status(), asked.json)


def _print_status(status: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    kind = {"embedded": "embedded server", "docker": "MinIO in Docker", "elsewhere": "a server not started from here"}
    if status["answers"]:
        print(f"{kind[status['server']]} answers at {status['endpoint']}")
    else:
        print(f"no server answers at {status['endpoint']}; `make storage` starts one, where it is this machine")


def _down(asked: argparse.Namespace) -> None:
    from gaia.storage.servers import server

    stopped = server.down()
    if asked.json:
        print_json({"stopped": stopped})
    else:
        print("nothing was running" if stopped == "none" else f"stopped ({stopped})")


def _verify(asked: argparse.Namespace) -> None:
    from gaia.console import console
    from gaia.storage.checks.verify import verify

    found = []
    for check in verify(deep=asked.deep, mend=asked.mend):
        found.append(check)
        if not asked.json:
            mark = {"ok": "[green]ok[/]    ", "failed": "[red]FAILED[/]", "skipped": "[yellow]skipped[/]"}[check.state]
            console.print(f"{mark} [bold]{check.name}[/]: ", end="")
            console.print(check.said, markup=False)
    if asked.json:
        print_json([check.facts() for check in found])
    if failed := [check.name for check in found if not check.ok]:
        raise GaiaError(f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}.")


def _restore(asked: argparse.Namespace) -> None:
    from gaia.storage.s3 import settings
    from gaia.storage.s3.client import S3Client
    from gaia.storage.servers import buckets

    client = S3Client(settings.read())
    restored = {bucket: buckets.restore(client, bucket) for bucket in client.settings.buckets.values()}
    if asked.json:
        print_json({"restored": restored})
    else:
        print(f"{sum(restored.values())} objects are back; what was deleted from a bucket without versions can't be")


def _ls(asked: argparse.Namespace) -> None:
    from gaia.storage.models import models

    found = models(asked.line)
    if asked.json:
        print_json(found)
        return
    from rich.table import Table

    from gaia.console import console

    shown = Table(box=None, header_style="bold", pad_edge=False, caption_justify="left")
    for name in ("version", "file", "size", "md5", "bucket"):
        shown.add_column(name, justify="right" if name == "size" else "left")
    stored: dict[tuple[str, str], int] = {}
    for version in found:
        for number, file in enumerate(version["files"]):
            size = "missing" if file["size"] is None else f"{file['size']:,}"
            name = "" if number else version["version"]
            shown.add_row(name, file["name"], size, file["md5"][:8], file["bucket"])
            stored[file["bucket"], file["md5"]] = file["size"] or 0
    shown.caption = f"{sum(stored.values()) / 1e6:.1f} MB in all, what versions share counted once"
    console.print(shown)


def _url(asked: argparse.Namespace) -> None:
    from gaia.storage.models import url

    link = url(asked.version, asked.file, expires=asked.expires)
    if asked.json:
        print_json({"url": link})
    else:
        print(link)
