"""One object to or from a file: in parts side by side, if it is large; hashed as it passes, taken up where it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaia import files
from gaia.storage.errors import STORE_ANEW, Corrupted, from_connection
from gaia.storage.s3 import multipart
from gaia.storage.s3.wire import THREADS, Wire

PART = 16 * 2**20  # bytes; what is larger goes in parts of this size
_PIECE = 2**20  # bytes in memory at a time, of each connection
_TRIES = 4  # of a connection that breaks while an object passes
Progress = Callable[[int], object]  # called with the number of bytes that have just passed


def read(
    wire: Wire, bucket: str, key: str, piece: Callable[[bytes], object], progress: Progress | None = None,
    start: int = 0, stop: int | None = None, begun: Any = None,
) -> None:  # fmt: skip
    """Stream an object through `piece`, or its bytes from `start` until before `stop`; of the answer that has `begun`,
    if it has."""
    from urllib3.exceptions import HTTPError, IncompleteRead

    at, broken = start, 0
    while stop is None or at < stop:
        answer, begun = begun or wire.get(bucket, key, at, stop), None
        end = at + int(answer.headers["Content-Length"])  # of this answer, which may be of more than is wanted
        stop = end if stop is None else stop
        try:
            for chunk in answer.stream(_PIECE):
                wanted = chunk[: stop - at]
                piece(wanted)
                at += len(wanted)
                if progress:
                    progress(len(wanted))
                if at == stop < end:
                    answer.close()
                    return
            if at < min(stop, end):  # a connection that ends too early doesn't say so
                raise IncompleteRead(at - start, stop - at)
            answer.release_conn()
        except (HTTPError, OSError) as error:
            answer.close()
            broken += 1
            if broken == _TRIES:
                raise from_connection(error, wire.endpoint) from None


def download(
    wire: Wire, bucket: str, key: str, path: Path, md5: str | None = None, progress: Progress | None = None,
    parts: Path | None = None,
) -> None:  # fmt: skip
    """Fetch an object into a file, which is placed by a rename when it is whole, and has the `md5`, if one is given.

    A large one is gathered in `parts`, if that is given, a file where a process that follows a killed one goes on.
    Raises Corrupted if the content is another one; then nothing is placed, and nothing kept.
    """
    answer = wire.get(bucket, key)
    size = int(answer.headers["Content-Length"])
    if size > PART and parts:
        _gather(wire, bucket, key, path, size, md5, progress, answer, parts)
        return
    with files.replaced(path) as beside:
        digest = _fill(wire, bucket, key, beside, size, progress, answer)
        _compare(digest, md5, wire, bucket, key)


def _gather(
    wire: Wire, bucket: str, key: str, path: Path, size: int, md5: str | None, progress: Progress | None, begun: Any,
    parts: Path,
) -> None:  # fmt: skip
    with _alone(parts):  # another process that wants the same waits, and finds it here
        if md5 and files.md5(path) == md5:
            begun.close()
            return
        done = Path(f"{parts}.done")
        digest = _fill(wire, bucket, key, parts, size, progress, begun, done)
        done.unlink()
        try:
            _compare(digest, md5, wire, bucket, key)
        except Corrupted:
            parts.unlink()
            raise
        path.parent.mkdir(parents=True, exist_ok=True)
        parts.replace(path)


def _fill(
    wire: Wire, bucket: str, key: str, path: Path, size: int, progress: Progress | None, begun: Any,
    done: Path | None = None,
) -> str:  # fmt: skip
    """Write an object into a file, and give its md5. `done` notes which of its parts are written: one byte for each."""
    if size <= PART:
        pieces: list[bytes] = []
        read(wire, bucket, key, pieces.append, progress, begun=begun)
        path.write_bytes(content := b"".join(pieces))
        return files.digest(content).hexdigest()
    starts = range(0, size, PART)
    if not done or not path.exists() or not done.exists() or path.stat().st_size != size:
        for made, length in ((path, size), (done, len(starts))):
            if made:
                with made.open("wb") as empty:
                    empty.truncate(length)
    noted = done.read_bytes() if done else bytes(len(starts))

    def bring(number: int, begun: Any = None) -> None:
        start, stop = starts[number], min(starts[number] + PART, size)
        if noted[number]:
            if begun:
                begun.close()
            if progress:
                progress(stop - start)
            return
        with path.open("rb+") as file:
            file.seek(start)
            read(wire, bucket, key, file.write, progress, start, stop, begun)
        if done:
            with done.open("rb+") as file:
                file.seek(number)
                file.write(b"\1")

    digest = files.digest()
    with ThreadPoolExecutor(THREADS) as pool:
        coming = [pool.submit(bring, number, None if number else begun) for number in range(len(starts))]
        try:
            with path.open("rb") as written:
                for part in coming:  # hashed in order, behind those that come
                    part.result()
                    for piece in _pieces(written, PART):
                        digest.update(piece)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return digest.hexdigest()


def _compare(digest: str, md5: str | None, wire: Wire, bucket: str, key: str) -> None:
    if md5 and digest != md5:
        raise Corrupted(f"{bucket}/{key} at {wire.endpoint} is damaged: its content has the md5 {digest}", STORE_ANEW)


def upload(
    wire: Wire, path: Path, bucket: str, key: str, md5: str | None = None, progress: Progress | None = None,
    metadata: Mapping[str, str] | None = None, noted: Path | None = None,
) -> None:  # fmt: skip
    """Store a file. The object appears whole or not at all, also where the connection breaks.

    Of a large one the parts that a process before had sent, which `noted` the same file, needn't go again.
    Raises Corrupted if the file hasn't the `md5`, if one is given; then nothing is stored.
    """
    said = {f"x-amz-meta-{name}": value for name, value in (metadata or {}).items()}
    if (size := path.stat().st_size) <= PART:
        content = path.read_bytes()
        digest = files.digest(content)
        _refuse(digest.hexdigest(), md5, path)
        wire.put(bucket, key, content, digest.digest(), said)
        if progress:
            progress(size)
        return
    spans = multipart.spans(size, PART)

    def send(upload: str, number: int, there: str) -> str:
        start, stop = spans[number - 1]
        with path.open("rb") as file:
            file.seek(start)
            piece = file.read(stop - start)
        sent = there if there and there.strip('"') == files.digest(piece).hexdigest() else ""
        etag = sent or wire.put(bucket, key, piece, partNumber=str(number), uploadId=upload)
        if progress:
            progress(len(piece))
        return etag

    def check() -> None:
        if md5:
            _refuse(str(files.md5(path)), md5, path)

    with _alone(noted):
        multipart.store(wire, bucket, key, len(spans), send, headers=said, meanwhile=check, noted=noted)


def copy(wire: Wire, source: str, bucket: str, key: str, size: int, part: int, metadata: Mapping[str, str]) -> None:
    """Copy an object of `size` bytes, its `source` as bucket/key, within the server; in parts if it is larger than one.
    The copy appears whole or not at all."""
    said = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    if size <= part:
        wire.copy(bucket, key, source, said | {"x-amz-metadata-directive": "REPLACE"})
        return
    spans = multipart.spans(size, part)

    def send(upload: str, number: int, there: str) -> str:
        start, stop = spans[number - 1]
        span = {"x-amz-copy-source-range": f"bytes={start}-{stop - 1}"}
        return wire.copy(bucket, key, source, span, partNumber=str(number), uploadId=upload)

    multipart.store(wire, bucket, key, len(spans), send, headers=said)


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """No other process that works with the file, if one is given."""
    if file is None:
        yield
        return
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        yield


def _refuse(digest: str, md5: str | None, path: Path) -> None:
    if md5 and digest != md5:
        raise Corrupted(f"{path} is damaged: its content has the md5 {digest}", "nothing was stored")


def _pieces(file: Any, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(_PIECE, size))):
        size -= len(piece)
        yield piece
