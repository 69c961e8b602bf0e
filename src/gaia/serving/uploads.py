"""What a request carries -> photos or rows, within the limits and in memory alone."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gaia.errors import GaiaError, printable, shown
from gaia.serving.problems import Refused
from gaia.serving.settings import Limits


class Carried(NamedTuple):
    """What a request carried: photos as (name, content), each name once, and JSON; empty where it carried none."""

    photos: list[tuple[str, bytes]]
    content: Any


class _InMemory(MultiPartParser):
    spool_max_size = 2**40  # bytes; Starlette would write larger parts to disk


async def read(request: Request, limits: Limits) -> Carried:
    """The photos of a multipart form (field `files`; one field `json` may stand beside), or a JSON document.

    Raises GaiaError for what is empty or malformed, and Refused for what is too much or of another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _form(request, limits)
    if kind == "application/json" or kind.endswith("+json"):
        return Carried([], parsed(await body(request, limits)))
    raise Refused(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"the content type is {shown(kind) if kind else 'missing'}",
        'send photos as multipart/form-data in the field files, or rows as application/json: {"rows": [{...}]}',
    )


async def body(request: Request, limits: Limits) -> bytes:
    """The whole body. Raises Refused if it is larger than the limit, as soon as that is known."""
    return b"".join([chunk async for chunk in _stream(request, limits)])


def parsed(text: bytes) -> Any:
    """A JSON document. Raises GaiaError if it is none."""
    if not text:
        raise GaiaError("the body is empty", 'send {"rows": [{...}]}')
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GaiaError(f"the body is no JSON ({printable(str(error))[:200]}).") from None


def rows(content: Any, limits: Limits) -> dict[str, Any]:
    """The rows of {"rows": [...]} by their names, `row 1` and on. Raises GaiaError for anything else, or too many."""
    given = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(given, list) or not given:
        raise GaiaError(f"the body is {shown(content)}", 'it should be {"rows": [{...}]}, with a row at least')
    few(len(given), limits)
    return {f"row {at}": row for at, row in enumerate(given, start=1)}


def few(count: int, limits: Limits) -> None:
    """Raises Refused if so many inputs are too many for one request."""
    if count > limits["inputs"]:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{count} inputs are over {limits['inputs']}", "send them in parts"
        )


async def _form(request: Request, limits: Limits) -> Carried:
    stream: Any = _stream(request, limits)
    parser = _InMemory(request.headers, stream, max_files=math.inf, max_fields=8)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise GaiaError(f"the form can't be read ({printable(error.message).rstrip('.')}).") from None
    parts = form.multi_items()
    files = [(part.filename or "", await part.read()) for _, part in parts if isinstance(part, UploadFile)]
    if strange := {name for name, part in parts if name != ("files" if isinstance(part, UploadFile) else "json")}:
        raise GaiaError(f"the form has the field {shown(min(strange))}", "photos go into files, a row into json")
    texts = [part for _, part in parts if isinstance(part, str)]
    few(len(files), limits)
    return Carried(list(_named(files)), parsed(texts[0].encode()) if texts else None)


def _named(files: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Each under a name that no other has: `a.jpg`, `a.jpg (2)`."""
    taken: set[str] = set()
    for at, (given, content) in enumerate(files, start=1):
        first = name = printable(given)[:200] or f"photo {at}"
        count = 1
        while name in taken:
            count += 1
            name = f"{first} ({count})"
        taken.add(name)
        yield name, content


async def _stream(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    most = int(limits["megabytes"] * 1e6)
    too_large = Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {limits['megabytes']:g} MB", "send less at once"
    )
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        yield chunk
