"""One object stored in parts, side by side: it appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gaia import files
from gaia.storage.errors import Corrupted, StorageError, Unreachable
from gaia.storage.s3.wire import THREADS, Wire

Send = Callable[[str, int, str], str]  # (the upload's id, a part's number, the etag of what is there already) -> etag


def spans(size: int, part: int) -> list[tuple[int, int]]:
    """Where each part of an object begins and ends, in bytes: all but the last as long as `part`, or longer, since S3
    takes 10,000 parts."""
    length = max(part, -(-size // 10_000))
    return [(start, min(start + length, size)) for start in range(0, size, length)]


def store(
    wire: Wire, bucket: str, key: str, parts: int, send: Send, *, headers: Mapping[str, str] | None = None,
    meanwhile: Callable[[], object] = lambda: None, noted: Path | None = None,
) -> None:  # fmt: skip
    """Store an object by sending each of its parts; `meanwhile` is called beside, and may raise Corrupted.

    What is there when this ends early is given up, or, where `noted` names a file to write the upload's id into, gone
    on with by the next call that is given the same file, unless it is damaged, or the server takes it not together.
    What nobody goes on with ends by the rules of the bucket.
    """
    mark = [wire.endpoint, bucket, key, parts]
    upload, there = _begun(wire, bucket, key, noted, mark)
    if not upload:
        upload = wire.post(bucket, key, headers=headers, uploads="").findtext("UploadId")
        if noted:
            with files.replaced(noted) as beside:
                beside.write_text(json.dumps([mark, upload]), encoding="utf-8")
    completing = False
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            sending = [pool.submit(send, upload, number, there.get(number, "")) for number in range(1, parts + 1)]
            try:
                meanwhile()
                etags = [part.result() for part in sending]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        named = (f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
        content = f"<CompleteMultipartUpload>{''.join(named)}</CompleteMultipartUpload>"
        completing = True
        wire.post(bucket, key, content.encode(), uploadId=upload)
    except BaseException as error:
        refused = completing and isinstance(error, StorageError) and not isinstance(error, Unreachable)
        if noted and not refused and not isinstance(error, Corrupted):
            raise
        with suppress(Exception):
            wire.delete(bucket, key, uploadId=upload)
        _forget(noted)
        raise
    _forget(noted)


def _forget(noted: Path | None) -> None:
    if noted:
        noted.unlink(missing_ok=True)


def _begun(wire: Wire, bucket: str, key: str, noted: Path | None, mark: list[object]) -> tuple[str, dict[int, str]]:
    """The upload that was noted, if it is still open, and the etags of its parts that are there."""
    if noted:
        with suppress(OSError, ValueError, TypeError, StorageError):
            told, upload = json.loads(noted.read_bytes())
            if told == mark:
                return upload, wire.parts(bucket, key, upload)
    return "", {}
