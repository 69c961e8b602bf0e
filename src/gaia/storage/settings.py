"""Where the storage is and how to get in: the environment over the git-ignored `.env` over defaults."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gaia import files
from gaia.errors import GaiaError
from gaia.paths import BUCKETS
from gaia.storage import dotenv

ENV = Path(".env")  # Docker Compose reads this file, too
KEYS = ("S3_ACCESS_KEY", "S3_SECRET_KEY")
BUCKET_KEYS = ("S3_BUCKET_MODELS", "S3_BUCKET_IMAGES", "S3_BUCKET_DATA")
DEFAULTS = {
    "S3_ENDPOINT": "http://127.0.0.1:9000",
    "S3_REGION": "us-east-1",
    **dict(zip(BUCKET_KEYS, BUCKETS, strict=True)),
}
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Settings:
    """An S3 server, the keys to it, and the bucket of each DVC remote. Its repr shows no key."""

    endpoint: str
    region: str
    buckets: dict[str, str]
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        url = urlsplit(self.endpoint)
        return str(url.hostname), url.port or (443 if url.scheme == "https" else 80)

    @property
    def here(self) -> bool:
        """Whether the endpoint is this very machine, so that a server may be started for it."""
        return self.address[0] in ("127.0.0.1", "localhost")


def read(root: Path = Path(), *, keyless: bool = False) -> Settings:
    """The settings that hold in a project.

    Raises GaiaError if there are no keys yet, which are empty where that is `keyless`, or if a setting can't be what it
    says it is.
    """
    given = dict.fromkeys(KEYS, "") | _given(root)
    if not keyless and (missing := [key for key in KEYS if not given[key]]):
        raise GaiaError(
            f"the storage is not set up: {' and '.join(missing)} {'are' if missing[1:] else 'is'} set neither in the "
            f"environment nor in {ENV}",
            "`make storage` starts one here and makes the keys",
        )
    endpoint = given["S3_ENDPOINT"].rstrip("/")
    try:
        url = urlsplit(endpoint)
        sound = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not (url.path or url.username)
    except ValueError:
        sound = False
    if not sound:
        raise GaiaError(
            f"S3_ENDPOINT is '{endpoint}'", "it should be like http://127.0.0.1:9000 or https://s3.example.org"
        )
    names = [given[key] for key in BUCKET_KEYS]
    for name in names:
        if not _BUCKET_NAME.fullmatch(name):
            raise GaiaError(
                f"'{name}' can't name a bucket", "names take 3 to 63 lower-case letters, digits, - and dots"
            )
    return Settings(endpoint, given["S3_REGION"], dict(zip(BUCKETS, names, strict=True)), *(given[key] for key in KEYS))


def variables(settings: Settings) -> dict[str, str]:
    """The settings as environment variables."""
    return {
        "S3_ENDPOINT": settings.endpoint,
        "S3_REGION": settings.region,
        "S3_ACCESS_KEY": settings.access_key,
        "S3_SECRET_KEY": settings.secret_key,
        **dict(zip(BUCKET_KEYS, settings.buckets.values(), strict=True)),
    }


def of_host(key: str, root: Path = Path()) -> str:
    """What this host says of itself, in the environment or else in .env; empty if nothing."""
    return os.environ.get(key) or _given(root).get(key, "")


def keys(root: Path = Path()) -> list[str]:
    """The keys that are set, for whoever has to look for them where they must not be."""
    given = _given(root)
    return [given[key] for key in KEYS if given.get(key)]


def make_keys(root: Path = Path()) -> None:
    """Put a new pair of keys into .env (mode 600, other lines kept), unless there are keys or a foreign endpoint.

    Keys that exist stay: they are what the server's data were made with.
    """
    given = _given(root)
    if any(given.get(key) for key in KEYS) or "S3_ENDPOINT" in os.environ:
        return
    kept = [line for line in _lines(root) if line.partition("=")[0].strip() not in KEYS]
    made = [f"S3_ACCESS_KEY=gaia-{secrets.token_hex(6)}", f"S3_SECRET_KEY={secrets.token_hex(20)}"]
    with files.replaced(root / ENV, durable=True, mode=0o600) as beside:
        beside.write_text("\n".join([*kept, *made]) + "\n", encoding="utf-8")


def _given(root: Path) -> dict[str, str]:
    """What is set, an empty value counting as not set."""
    from_file = {key: value for key, value in dotenv.read(_lines(root), root / ENV).items() if value}
    from_environment = {key: os.environ[key] for key in (*DEFAULTS, *KEYS) if os.environ.get(key)}
    return DEFAULTS | from_file | from_environment


def _lines(root: Path) -> list[str]:
    try:
        return (root / ENV).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise GaiaError(
            f"{root / ENV} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        ) from None
