"""What OpenAPI says beyond what the functions' types do: bodies, answers, the lines that there are, rows that work."""

from __future__ import annotations

from typing import Any, ClassVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi_offline.core import _STATIC_PATH
from pydantic import BaseModel

from gaia.runtime import golden
from gaia.serving.live import Live


class Problem(BaseModel):
    """What was found, and what would do."""

    found: str
    mend: str


class Details(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    problems: list[Problem]


class Answer(BaseModel):
    """Of one input. `uncertain`: why the answer is doubted; empty where it is not."""

    input: str
    answer: str
    probabilities: dict[str, float]
    uncertain: list[str]


class InputProblem(Problem):
    """Of one input."""

    input: str


class Facts(BaseModel):
    """Who answered. `version` is null for the last build of the workspace, which `note` says."""

    line: str
    stage: str
    version: str | None
    sha256: str
    note: str


class Prediction(Facts):
    """The answers of a request."""

    answers: list[Answer]
    problems: list[InputProblem]
    milliseconds: float


class Spoke(Facts):
    """A model that was asked, and what it said."""

    answer: Answer


class Inspection(BaseModel):
    """`answer`: a class of the photo's model, or `uncertain`."""

    answer: str
    why: list[str]
    risk: float
    photo_wanted: bool
    models: list[Spoke]
    milliseconds: float


class Carrying:
    """The bodies of requests."""

    FILES: ClassVar = {"type": "array", "items": {"type": "string", "format": "binary"}}
    ROWS: ClassVar = {
        "type": "object", "required": ["rows"],
        "properties": {"rows": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
    }  # fmt: skip
    _files: ClassVar = {"type": "object", "required": ["files"], "properties": {"files": FILES}}
    _both: ClassVar = {
        "type": "object",
        "required": ["json"],
        "properties": {"json": {"type": "string"}, "files": FILES},
    }
    EITHER: ClassVar[dict[str, Any]] = {"requestBody": {"required": True, "content": {
        "multipart/form-data": {"schema": _files}, "application/json": {"schema": ROWS}}}}  # fmt: skip
    PHOTO: ClassVar[dict[str, Any]] = {"requestBody": {"required": True, "content": {
        "multipart/form-data": {"schema": _files}}}}  # fmt: skip
    BOTH: ClassVar[dict[str, Any]] = {"requestBody": {"required": True, "content": {
        "application/json": {"schema": {"type": "object"}}, "multipart/form-data": {"schema": _both}}}}  # fmt: skip


def of(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The responses of a request for answers."""
    refused: dict[str, Any] = {"model": Details, "description": "what was found, and what would do"}
    return {200: {"model": answer}, **dict.fromkeys((401, 403, 404, 413, 415, 422, 503), refused)}


def install(app: FastAPI, live: Live) -> None:
    """Serve /openapi.json, with the lines of now and a row of each table as examples, and the page /docs, offline."""

    def schema() -> dict[str, Any]:
        found = get_openapi(title=app.title, version="1", description=app.description, routes=app.routes)
        lines = sorted({line for line, _ in live.served})
        rows = {line: {"value": {"rows": [row]}} for line, row in _rows(live).items()}
        for path, operations in found["paths"].items():
            for operation in operations.values():
                for parameter in operation.get("parameters", []):
                    if parameter["name"] == "line" and lines:
                        parameter["examples"] = {line: {"value": line} for line in lines}
                content = operation.get("requestBody", {}).get("content", {})
                if "application/json" in content and rows:
                    named = rows if path != "/inspect" else {line: {"value": row} for line, row in _rows(live).items()}
                    content["application/json"]["examples"] = named
        return found

    app.openapi = schema  # type: ignore[method-assign]
    _docs(app)


def _rows(live: Live) -> dict[str, Any]:
    """A row that each table line answers: the first of its golden answers."""
    tables = [each for each in live.served.values() if each.model.contract["input"]["kind"] == "table"]
    return {each.line: golden.read(each.folder)["inputs"][0] for each in tables}


def _docs(app: FastAPI) -> None:
    from fastapi.openapi.docs import get_swagger_ui_html
    from fastapi.staticfiles import StaticFiles

    app.mount("/static-offline-docs", StaticFiles(directory=_STATIC_PATH), name="docs")
    files = "/static-offline-docs/"

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json", title=app.title, swagger_js_url=f"{files}swagger-ui-bundle.js",
            swagger_css_url=f"{files}swagger-ui.css", swagger_favicon_url=f"{files}favicon.png",
        )  # fmt: skip
