"""Errors as RFC 9457 has them (application/problem+json), with the sentences that the command line uses."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gaia.errors import GaiaError, Problem, printable


class Refused(GaiaError):
    """A request that is answered with another status than 422; `retry`: seconds after which it may do."""

    def __init__(self, status: HTTPStatus, found: str, mend: str = "", retry: int | None = None) -> None:
        super().__init__(found, mend)
        self.status, self.retry = status, retry


def details(error: GaiaError) -> dict[str, Any]:
    """The error as a problem's members: type, title, status, detail (all sentences), code, problems."""
    status = error.status if isinstance(error, Refused) else HTTPStatus.UNPROCESSABLE_ENTITY
    said = error.facts()
    code = status.name.lower() if isinstance(error, Refused) else said["code"]
    problems = [members(problem) for problem in error.problems]
    detail = "\n".join(map(printable, said["error"].split("\n")))
    return {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail,
            "code": code, "problems": problems}  # fmt: skip


def members(problem: Problem) -> dict[str, str]:
    """A problem's `found` and `mend`, printable."""
    return {"found": printable(problem.found), "mend": printable(problem.mend)}


def answer(error: GaiaError) -> JSONResponse:
    """The response that says so."""
    said = details(error)
    headers = {"Retry-After": str(error.retry)} if isinstance(error, Refused) and error.retry else None
    return JSONResponse(said, said["status"], headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Have every error of the application said so: ours, those of the router, and those of the parameters' types."""

    @app.exception_handler(GaiaError)
    async def _ours(request: Request, error: GaiaError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
        return answer(GaiaError.several(Problem(each) for each in found))

    @app.exception_handler(HTTPException)
    async def _routing(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        where = f"{request.method} {request.url.path}"
        said = answer(Refused(status, f"{where}: {status.phrase.lower()}", "/docs shows what can be asked"))
        said.headers.update(error.headers or {})
        return said

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
        return answer(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a mistake of the server's", "its log has it"))
