"""AWS's own way to keys: a profile, SSO, a web identity, a container's or an instance's role, the variables AWS_*."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gaia.errors import first_line
from gaia.storage.errors import Refused


def credentials(profile: str, region: str, source: str) -> tuple[str, str, str | None]:
    """Access key, secret key and token (None if there is none) that hold now; renewed where they end soon. `source` is
    what a sentence calls the chain.

    Raises Refused if there are none, or they can't be renewed.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = _found(profile, region)
        frozen = found.get_frozen_credentials() if found else None
    except (BotoCoreError, ClientError, OSError) as error:
        raise Refused(f"{source} gives no keys: {first_line(error)}", _mend(profile, error)) from None
    if frozen is None:
        raise Refused(f"S3_ACCESS_KEY is not set, and {source} has no keys", _mend(profile))
    return frozen.access_key, frozen.secret_key, frozen.token


@lru_cache
def _found(profile: str, region: str) -> Any:
    """What the chain finds, once a process: it renews itself, under a lock."""
    import botocore.session

    session = botocore.session.Session(profile=profile or None)
    if session.get_config_variable("region") is None:  # in which a role is asked for
        session.set_config_variable("region", region)
    return session.get_credentials()


def _mend(profile: str, error: Exception | None = None) -> str:
    which = f" --profile {profile}" if profile else ""
    if error and "SSO" in f"{type(error).__name__}{error}".upper():
        return f"`aws sso login{which}` gets new ones"
    if error and type(error).__name__ not in ("ProfileNotFound", "PartialCredentialsError"):
        return f"see what `aws sts get-caller-identity{which}` says"
    return f"`aws configure{which}` sets some, or set S3_ACCESS_KEY and S3_SECRET_KEY in .env"
