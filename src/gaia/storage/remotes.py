"""What DVC needs to know beyond the tracked .dvc/config: endpoint and keys, in the git-ignored .dvc/config.local; and
what it must not hear of: the profiles and proxies that this host has for other services. Where a profile or a role of
AWS's is to give the keys, it hears of just these.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from gaia import files
from gaia.errors import GaiaError
from gaia.storage.s3.settings import Settings

LOCAL = Path(".dvc/config.local")
PROFILE = Path(".storage/profile")  # for AWS's libraries, in place of the files in HOME
_PROFILE = """\
# DVC asks for the storage with this profile, which says nothing, so that none of yours does.
[{name}]
[profile {name}]
{addressing}"""
_NAME = "gaia"
_UNPROXIED = ("127.0.0.1", "localhost")
# The options of a remote that the settings say; a server's own `ssl_verify = false` is a user's, and stays.
_OURS = (
    "url", "endpointurl", "region", "access_key_id", "secret_access_key", "session_token", "profile", "configpath",
    "credentialpath", "ssl_verify",
)  # fmt: skip
# What AWS's chain of keys reads; .githooks/environment has the same.
CHAIN = (
    "PROFILE|DEFAULT_PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|LOGIN_CACHE_DIRECTORY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|"
    "SESSION_TOKEN|CREDENTIAL_EXPIRATION|ROLE_[A-Z_]+|WEB_IDENTITY_TOKEN_FILE|CONTAINER_[A-Z_]+|EC2_METADATA_[A-Z_0-9]+"
)


def write(settings: Settings, root: Path = Path()) -> None:
    """Point DVC's three remotes at the storage, past this host's profiles (mode 600; other settings in the file stay).

    Raises GaiaError if the project is none of DVC's, or its configuration can't be read.
    """
    from dvc.config import Config, ConfigError

    file = root / LOCAL
    try:
        if not file.parent.is_dir():
            raise GaiaError(f"{file.parent} is missing", "run this in the project's folder")
        profile = root / PROFILE
        if settings.chain:
            profile.unlink(missing_ok=True)
        else:
            profile.parent.mkdir(mode=0o700, exist_ok=True)
            with files.replaced(profile, mode=0o600) as beside:
                beside.write_text(_profile(settings), encoding="utf-8")
        with files.replaced(file, mode=0o600) as beside:
            if file.exists():
                shutil.copyfile(file, beside)
            config = Config(dvc_dir=str(file.parent))
            config.files["local"] = str(beside)  # DVC itself would write into the file
            with config.edit("local", validate=False) as local:
                for name, values in _wanted(settings, root).items():
                    there = local.setdefault("remote", {}).get(name, {})
                    kept = {option: value for option, value in there.items() if not _is_ours(option, value)}
                    local["remote"][name] = {**kept, **values}
    except ConfigError as error:
        raise GaiaError(f"{file}: {error}.") from None
    except OSError as error:
        raise GaiaError(f"{file} can't be written: {error.strerror}.") from None


def agree(settings: Settings, root: Path = Path()) -> bool:
    """Whether DVC's remotes are those of the settings, and what they name is there."""
    from dvc.config import Config, ConfigError

    try:
        remotes = Config(dvc_dir=str(root / LOCAL.parent)).get("remote", {})
    except ConfigError as error:
        raise GaiaError(f"{root / LOCAL.parent}: {error}.") from None
    profile, wanted = root / PROFILE, _wanted(settings, root)
    said = profile.read_text(encoding="utf-8") if profile.is_file() else None
    return said == (None if settings.chain else _profile(settings)) and all(
        {option: str(value) for option, value in remotes.get(name, {}).items() if _is_ours(option, value)}
        == {option: str(value) for option, value in values.items()}
        for name, values in wanted.items()
    )


def environment(root: Path = Path()) -> dict[str, str]:
    """The variables for a DVC that a verb starts: those of this process, without what leads elsewhere.

    DVC can't be told by its settings of the proxy that leads to no server here, nor not to read ~/.aws/config.
    """
    heard = re.compile(f"(?!AWS_).*|AWS_(CA_BUNDLE{f'|{CHAIN}' if _by_chain(root) else ''})", re.DOTALL)
    given = {name: value for name, value in os.environ.items() if heard.fullmatch(name)}
    known = given.get("no_proxy") or given.get("NO_PROXY") or ""
    passed = known if known == "*" else ",".join(filter(None, (known, *_UNPROXIED)))
    given |= dict.fromkeys(("no_proxy", "NO_PROXY"), passed)
    profile = (root / PROFILE).resolve()
    return given | ({"AWS_CONFIG_FILE": str(profile)} if profile.is_file() else {})


def in_the_way(settings: Settings) -> tuple[str, str] | None:
    """What of this shell keeps a `dvc push` in it from the storage, and what would do; None if nothing does."""
    from urllib.request import getproxies_environment, proxy_bypass

    host, scheme = settings.address[0], settings.endpoint.partition(":")[0]
    if settings.here and scheme in getproxies_environment() and not proxy_bypass(host):
        name = next(name for name in os.environ if name.lower() == f"{scheme}_proxy")
        var = "no_proxy" if "no_proxy" in os.environ else "NO_PROXY"
        return (f"{name} sends `dvc push` and `dvc pull` to a proxy, which can't reach {settings.endpoint}",
                f"`export {var}=${{{var}:+${var},}}{host}` in this shell lets them pass by")  # fmt: skip
    return None


def _by_chain(root: Path) -> bool:
    """Whether DVC's remotes were told no keys, since AWS's chain gives them."""
    try:
        told = (root / LOCAL).read_text(encoding="utf-8")
    except OSError:
        return False
    return "endpointurl" in told and "access_key_id" not in told


def _is_ours(option: str, value: object) -> bool:
    return option in _OURS and (option, str(value).lower()) != ("ssl_verify", "false")


def _profile(settings: Settings) -> str:
    addressing = "s3 =\n    addressing_style = virtual\n" if settings.virtual else ""
    return _PROFILE.format(name=_NAME, addressing=addressing)


def _wanted(settings: Settings, root: Path) -> dict[str, dict[str, Any]]:
    from dvc.config_schema import RelPath

    profile = RelPath((root / PROFILE).resolve())  # as DVC keeps one from its file on: so that a project can be moved
    own = {
        "access_key_id": settings.access_key,
        "secret_access_key": settings.secret_key,
        "session_token": settings.session_token,
        **{"profile": _NAME, "configpath": profile, "credentialpath": profile},
    }
    common = {
        "endpointurl": settings.endpoint,
        "region": settings.region,
        "ssl_verify": settings.ca_bundle or settings.here,  # here: not AWS_CA_BUNDLE
        **({"profile": settings.profile} if settings.chain else own),
    }
    return {
        name: {"url": f"s3://{bucket}", **{option: value for option, value in common.items() if value}}
        for name, bucket in settings.buckets.items()
    }
