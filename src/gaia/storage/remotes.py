"""What DVC needs to know beyond the tracked .dvc/config: endpoint and keys, in the git-ignored .dvc/config.local."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gaia.errors import GaiaError
from gaia.storage.settings import Settings

LOCAL = Path(".dvc/config.local")


def write(settings: Settings, root: Path = Path()) -> None:
    """Point DVC's three remotes at the storage (mode 600; other settings in the file stay).

    Raises GaiaError if the project is none of DVC's, or its configuration can't be read.
    """
    from dvc.config import Config, ConfigError

    file = root / LOCAL
    try:
        if not file.parent.is_dir():
            raise GaiaError(f"{file.parent} is missing", "run this in the project's folder")
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        file.chmod(0o600)
        with Config(dvc_dir=str(file.parent)).edit("local", validate=False) as local:
            for name, values in _wanted(settings).items():
                local.setdefault("remote", {})[name] = {**local.get("remote", {}).get(name, {}), **values}
    except ConfigError as error:
        raise GaiaError(f"{file}: {error}.") from None
    except OSError as error:
        raise GaiaError(f"{file} can't be written: {error.strerror}.") from None


def agree(settings: Settings, root: Path = Path()) -> bool:
    """Whether DVC's remotes are those of the settings."""
    from dvc.config import Config, ConfigError

    try:
        remotes = Config(dvc_dir=str(root / LOCAL.parent)).get("remote", {})
    except ConfigError as error:
        raise GaiaError(f"{root / LOCAL.parent}: {error}.") from None
    return all(
        str(remotes.get(name, {}).get(option)) == str(value)
        for name, values in _wanted(settings).items()
        for option, value in values.items()
    )


def _wanted(settings: Settings) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "url": f"s3://{bucket}",
            "endpointurl": settings.endpoint,
            "region": settings.region,
            "access_key_id": settings.access_key,
            "secret_access_key": settings.secret_key,
        }
        for name, bucket in settings.buckets.items()
    }
