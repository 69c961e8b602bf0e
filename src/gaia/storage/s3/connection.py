"""botocore's client as the settings want it, and what its exceptions mean."""

from __future__ import annotations

import os
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from gaia.storage.errors import StorageError, from_client_error, from_connection
from gaia.storage.s3 import settings, tls
from gaia.storage.s3.settings import Settings


def connect(at: Settings, *, timeout: float, attempts: int, connections: int) -> Any:
    """botocore's client of S3. Only the settings decide: no variable, profile or file that this host has for other
    services, but by `settings.credentials` where they are to give the keys."""
    import botocore.session
    from botocore.config import Config
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as known
    from botocore.credentials import Credentials, ReadOnlyCredentials

    deaf = {name: (None, None, default, cast) for name, (_, _, default, cast) in known.items()}
    deaf |= dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = botocore.session.Session(session_vars=deaf)
    keys = Credentials("", "")  # asked before each request, since some end
    keys.get_frozen_credentials = lambda: ReadOnlyCredentials(*settings.credentials(at))
    session.register_component("credential_provider", SimpleNamespace(load_credentials=lambda: keys))
    made = session.create_client(
        "s3",
        endpoint_url=at.endpoint,
        region_name=at.region,
        verify=at.authorities or True,
        config=Config(
            signature_version="s3v4",
            connect_timeout=min(timeout, 5),
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections,
            proxies={} if at.here else None,  # no proxy leads to this very machine
            s3={
                "addressing_style": "virtual" if at.virtual else "path",
                "us_east_1_regional_endpoint": "regional",
            },
            defaults_mode="legacy",
            # of S3's servers only the newer know the other checksums
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    # before botocore's own, which takes it for an answer about regions
    made.meta.events.register_first("needs-retry.s3", lambda response, **_: _look(at, response))
    return made


def failed(error: Exception, at: Settings, what: str) -> StorageError:
    """The typed error for an exception of botocore's, asked for `what`: a bucket, or bucket/key."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        found = tls.untrusted(at) if status == HTTPStatus.BAD_REQUEST and not at.tls else None
        return found or from_client_error(error, at.endpoint, what, at.source)
    found = tls.untrusted(at, error) if at.tls or type(error).__name__ == "ConnectionClosedError" else None
    return found or from_connection(error, at.endpoint)


def _look(at: Settings, response: Any) -> None:
    if response:
        tls.refuse_redirect(at, response[0].headers)
