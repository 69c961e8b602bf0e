"""Who may ask: on loopback everybody of this machine, elsewhere who has the key; a web page of another origin never."""

from __future__ import annotations

import hmac
import ipaddress
import os
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gaia.errors import GaiaError
from gaia.serving.problems import Refused, answer

KEY = "GAIA_API_KEY"
OPEN = ("/health", "/ready", "/v2/health/live", "/v2/health/ready")  # what a probe asks, without a key
PAGE = ("/", "/page/", "/docs", "/static-offline-docs/", "/openapi.json")  # says nothing of models


def key() -> str | None:
    """The key that requests must show. Raises GaiaError if it is too short to keep anybody out."""
    found = os.environ.get(KEY) or None
    if found is not None and (len(found) < 16 or not found.isascii() or not found.isprintable()):
        raise GaiaError(f"{KEY} is shorter than 16 characters, or not plain", "`openssl rand -hex 24` makes a good one")
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(host: str) -> str | None:
    """The key by which a server on this address is asked. Raises GaiaError if it needs one and has none."""
    found = key()
    if found is None and not is_loopback(host):
        raise GaiaError(
            f"{host} can be reached from other machines, and {KEY} is not set",
            f"set it (`export {KEY}=$(openssl rand -hex 24)`), or listen on 127.0.0.1",
        )
    return found


class Guard:
    """An ASGI layer that lets a request through, or answers it with 401 or 403.

    Without a key the server is on loopback, where a web page of another origin could ask it, too: by a name of its own
    that it points here (so the Host must be a loopback name), or by a form that it sends (so the Origin must be ours).
    """

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._refusal(scope)):
            await answer(refused)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refused | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if (origin := headers.get("origin")) is not None and _at(origin) != host:
            return Refused(HTTPStatus.FORBIDDEN, f"a page of {origin} asks, not one of this server", "open its own")
        if self.key is None:
            return None if is_loopback(_name(host)) else Refused(
                HTTPStatus.FORBIDDEN, f"the request is for {host or 'no host'}, and this server is 127.0.0.1",
                "ask it by that name",
            )  # fmt: skip
        if path in OPEN or any(path == each or (each != "/" and path.startswith(each)) for each in PAGE):
            return None
        given = headers.get("authorization", "").removeprefix("Bearer ").strip() or headers.get("x-api-key", "")
        if hmac.compare_digest(given.encode(), self.key.encode()):
            return None
        return Refused(HTTPStatus.UNAUTHORIZED, "the key is missing or wrong", "send Authorization: Bearer <the key>")


def _at(origin: str) -> str:
    """The host and port of an origin; nothing of one that is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
