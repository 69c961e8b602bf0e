"""Where artifacts live: an S3 server with a bucket for each DVC remote."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:  # `from gaia.storage import S3Client`, when it is asked for
    if name == "S3Client":
        from gaia.storage.s3.client import S3Client

        return S3Client
    raise AttributeError(f"module 'gaia.storage' has no attribute '{name}'")
