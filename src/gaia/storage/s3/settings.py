"""Where the storage is and how to get in: the environment over the git-ignored `.env` over defaults."""

from __future__ import annotations

import os
import re
import secrets
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gaia import files
from gaia.errors import GaiaError
from gaia.paths import BUCKETS
from gaia.storage.s3 import dotenv

ENV = Path(".env")  # Docker Compose reads this file, too
KEYS = ("S3_ACCESS_KEY", "S3_SECRET_KEY")
TOKEN = "S3_SESSION_TOKEN"
BUCKET_KEYS = ("S3_BUCKET_MODELS", "S3_BUCKET_IMAGES", "S3_BUCKET_DATA")
OPTIONAL = (TOKEN, "S3_PROFILE", "S3_CA_BUNDLE", "S3_ADDRESSING")
DEFAULTS = {
    "S3_ENDPOINT": "http://127.0.0.1:9000",
    "S3_REGION": "us-east-1",
    **dict(zip(BUCKET_KEYS, BUCKETS, strict=True)),
}
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AWS = re.compile(r"https?://(?:.+\.)?s3(?:[.-](?:fips|dualstack))*(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?"
                  r"(?:\.vpce)?\.amazonaws\.com(?:\.cn)?(?::\d+)?")  # fmt: skip


class Credentials(NamedTuple):
    """What signs a request; `token` is None for keys that are good for ever. Its repr shows none of them."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True)
class Settings:
    """An S3 server, the way in, and the bucket of each DVC remote. Its repr shows no key.

    Without keys of its own, `credentials` finds them by AWS's usual chain, in `profile` where one is named.
    """

    endpoint: str
    region: str
    buckets: dict[str, str]
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    profile: str = ""
    ca_bundle: str = ""  # a file of certificates, absolute
    addressing: str = ""  # path or virtual; as the endpoint needs it if empty

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        url = urlsplit(self.endpoint)
        return str(url.hostname), url.port or (443 if self.tls else 80)

    @property
    def tls(self) -> bool:
        """Whether the endpoint is one of https."""
        return self.endpoint.startswith("https:")

    @property
    def here(self) -> bool:
        """Whether the endpoint is this very machine."""
        return self.address[0] in ("127.0.0.1", "localhost")

    @property
    def ours(self) -> bool:
        """Whether a server may be started for it: here, in plain http, with keys that are made for it."""
        return self.here and not self.tls and not self.chain

    @property
    def aws(self) -> bool:
        """Whether the endpoint is one of AWS."""
        return bool(_AWS.fullmatch(self.endpoint))

    @property
    def chain(self) -> bool:
        """Whether AWS's chain of profiles and roles gives the keys."""
        return not self.access_key and (bool(self.profile) or self.aws)

    @property
    def source(self) -> str:
        """Where the keys are from, for a sentence."""
        of_aws = (
            f"the profile '{self.profile}' (S3_PROFILE)" if self.profile else "AWS's usual chain of profiles and roles"
        )
        return of_aws if self.chain else "S3_ACCESS_KEY and S3_SECRET_KEY in .env"

    @property
    def known(self) -> bool:
        """Whether there are keys, or a chain that gives them."""
        return self.chain or bool(self.access_key and self.secret_key)

    @property
    def virtual(self) -> bool:
        """Whether a bucket is named in the host, as AWS wants it, and not in the path."""
        return self.addressing == "virtual" or (not self.addressing and self.aws)

    def bucket_url(self, bucket: str) -> str:
        """Where a bucket's objects are: a key follows after a slash."""
        if self.virtual and not (self.tls and "." in bucket):  # a wildcard's certificate is for one level of names
            return self.endpoint.replace("://", f"://{bucket}.", 1)
        return f"{self.endpoint}/{bucket}"

    @property
    def authorities(self) -> str | None:
        """The file of certificates by which the server's is judged; None: the usual ones. AWS_CA_BUNDLE, by which a
        company's proxy is known, is not asked on the way to this machine."""
        return self.ca_bundle or (not self.here and os.environ.get("AWS_CA_BUNDLE")) or None


def read(root: Path = Path(), *, keyless: bool = False) -> Settings:
    """The settings that hold in a project.

    Raises GaiaError if there is no way in yet, which is empty where that is `keyless`, or if a setting can't be what it
    says it is.
    """
    given = dict.fromkeys((*KEYS, *OPTIONAL), "") | _given(root)
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
    if given["S3_ADDRESSING"] not in ("", "path", "virtual"):
        raise GaiaError(f"S3_ADDRESSING is '{given['S3_ADDRESSING']}'", "it may be path or virtual, or left out")
    at = Settings(
        endpoint,
        given["S3_REGION"],
        dict(zip(BUCKETS, names, strict=True)),
        access_key=given["S3_ACCESS_KEY"],
        secret_key=given["S3_SECRET_KEY"],
        session_token=given[TOKEN],
        profile=given["S3_PROFILE"],
        ca_bundle=_authorities(given["S3_CA_BUNDLE"], root),
        addressing=given["S3_ADDRESSING"],
    )
    if not keyless and not at.known:
        missing = [key for key in KEYS if not given[key]]
        raise GaiaError(
            f"the storage is not set up: {' and '.join(missing)} {'are' if missing[1:] else 'is'} set neither in the "
            f"environment nor in {ENV}",
            "`make storage` starts one here and makes the keys" if at.ours
            else f"set those of {endpoint} there",
        )  # fmt: skip
    return at


def credentials(at: Settings) -> Credentials:
    """What signs a request now. Ask anew for each request: the keys of a role or of SSO end after minutes or hours, and
    are renewed here in time, once for all threads of the process.

    Raises Refused if AWS's chain has no keys, or can't renew them.
    """
    if not at.chain:
        return Credentials(at.access_key, at.secret_key, at.session_token or None)
    from gaia.storage.s3 import chain

    return Credentials(*chain.credentials(at.profile, at.region, at.source))


def with_keys(at: Settings) -> Settings:
    """The same with the keys of this moment for keys of its own, for who wants to try others in their place."""
    now = credentials(at)
    return replace(at, access_key=now.access_key, secret_key=now.secret_key, session_token=now.token or "")


def trust(at: Settings) -> ssl.SSLContext:
    """How the server's certificate is judged: as every client of it does."""
    import certifi  # what botocore asks, too, of which DVC is a client

    return ssl.create_default_context(cafile=at.authorities or certifi.where())


def variables(settings: Settings) -> dict[str, str]:
    """The settings as environment variables; what isn't set is left out."""
    given = {
        "S3_ENDPOINT": settings.endpoint,
        "S3_REGION": settings.region,
        "S3_ACCESS_KEY": settings.access_key,
        "S3_SECRET_KEY": settings.secret_key,
        TOKEN: settings.session_token,
        "S3_PROFILE": settings.profile,
        "S3_CA_BUNDLE": settings.ca_bundle,
        "S3_ADDRESSING": settings.addressing,
        **dict(zip(BUCKET_KEYS, settings.buckets.values(), strict=True)),
    }
    return {name: value for name, value in given.items() if value}


def of_host(key: str, root: Path = Path()) -> str:
    """What this host says of itself, in the environment or else in .env; empty if nothing."""
    return os.environ.get(key) or _given(root).get(key, "")


def keys(root: Path = Path()) -> list[str]:
    """The keys that are set, for whoever has to look for them where they must not be."""
    given = _given(root)
    return [given[key] for key in (*KEYS, TOKEN) if given.get(key)]


def make_keys(root: Path = Path()) -> None:
    """Put a new pair of keys into .env (mode 600, other lines kept), unless there are some, or the server has its own.

    Keys that exist stay: they are what the server's data were made with.
    """
    at = read(root, keyless=True)
    if at.access_key or at.secret_key or not at.ours or "S3_ENDPOINT" in os.environ:
        return
    kept = [line for line in _lines(root) if line.partition("=")[0].strip() not in KEYS]
    made = [f"S3_ACCESS_KEY=gaia-{secrets.token_hex(6)}", f"S3_SECRET_KEY={secrets.token_hex(20)}"]
    with files.replaced(root / ENV, durable=True, mode=0o600) as beside:
        beside.write_text("\n".join([*kept, *made]) + "\n", encoding="utf-8")


def _given(root: Path) -> dict[str, str]:
    """What is set, an empty value counting as not set."""
    from_file = {key: value for key, value in dotenv.read(_lines(root), root / ENV).items() if value}
    from_environment = {key: os.environ[key] for key in (*DEFAULTS, *KEYS, *OPTIONAL) if os.environ.get(key)}
    return DEFAULTS | _of_aws(from_file | from_environment)


def _of_aws(given: dict[str, str]) -> dict[str, str]:
    """What else is set by it: a profile alone means AWS, and an endpoint of AWS is in the region that it names."""
    if "S3_PROFILE" in given and not {"S3_ENDPOINT", *KEYS} & given.keys():
        region = given.get("S3_REGION", DEFAULTS["S3_REGION"])
        given |= {"S3_ENDPOINT": f"https://s3.{region}.amazonaws.com{'.cn' * region.startswith('cn-')}"}
    named = _AWS.fullmatch(given.get("S3_ENDPOINT", "").rstrip("/"))
    return ({"S3_REGION": named[1]} if named and named[1] else {}) | given


def _authorities(given: str, root: Path) -> str:
    """S3_CA_BUNDLE as an absolute path; a relative one begins in the project."""
    if not given:
        return ""
    file = (root / Path(given).expanduser()).absolute()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:  # of ssl, too
        why = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else f"can't be read: {error.strerror}"
        raise GaiaError(
            f"{file} (S3_CA_BUNDLE) {why}", "name the file of the authority that has signed the server's certificate"
        ) from None
    return str(file)


def _lines(root: Path) -> list[str]:
    try:
        return (root / ENV).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise GaiaError(
            f"{root / ENV} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        ) from None
