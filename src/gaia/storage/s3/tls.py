"""What is wrong with the way to a server where TLS is on one side alone, or its certificate isn't trusted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from gaia.storage.errors import Untrusted
from gaia.storage.s3.settings import ENV, Settings

_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF", "PACKET_LENGTH_TOO_LONG")


def speaks(address: tuple[str, int]) -> bool:
    """Whether who listens there speaks TLS, whoever it is."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address, timeout=5) as plain,
            anybody.wrap_socket(plain, server_hostname=address[0]),
        ):
            return True
    except OSError:  # of ssl, too
        return False


def refuse_redirect(at: Settings, headers: Mapping[str, str]) -> None:
    """Raises Untrusted where an http endpoint's answer sends to https, as who stands in front of a server may."""
    to = headers.get("Location", "")
    if not at.tls and to.startswith("https:"):
        raise Untrusted(f"{at.endpoint} sends to https", f"set S3_ENDPOINT=https://{urlsplit(to).netloc} in {ENV}")


def untrusted(at: Settings, error: Exception | None = None) -> Untrusted | None:
    """What keeps a client from a server that is there: what it said against the handshake, or, of an http endpoint
    without any sense in the answer, that TLS is spoken there. None if it is something else."""
    if not at.tls:
        if not speaks(at.address):
            return None
        secure = at.endpoint.replace("http:", "https:", 1)
        return Untrusted(f"the server at {at.endpoint} speaks https", f"set S3_ENDPOINT={secure} in {ENV}")
    said = str(error)
    if any(sign in said.upper().replace(" ", "_") for sign in _PLAIN):
        plain = at.endpoint.replace("https:", "http:", 1)
        return Untrusted(
            f"who listens at {at.endpoint} speaks no https",
            f"set S3_ENDPOINT={plain} in {ENV}, or give it a certificate",
        )
    _, failed, why = said.partition("certificate verify failed: ")
    why = why.partition(" (_ssl")[0]
    if "mismatch" in said or "doesn't match" in said:
        return Untrusted(
            f"the certificate of {at.endpoint} is for another name: {why or said[said.find('hostname') :]}",
            f"set S3_ENDPOINT in {ENV} to a name that it is for, or make it for this one, too",
        )
    if not failed:
        return None
    if "has expired" in why or "not yet valid" in why:
        return Untrusted(
            f"the certificate of {at.endpoint} is not valid now: {why}", "renew it there, or set the clock"
        )
    trusted = f"those that {at.authorities} trusts" if at.authorities else "the authorities that are trusted here"
    return Untrusted(
        f"the certificate of {at.endpoint} is signed by none of {trusted} ({why})",
        f"`S3_CA_BUNDLE=<file>` in {ENV} names the certificate of the authority that has signed it",
    )
