"""The Open Inference Protocol v2, which KServe, Triton, MLServer and Seldon speak, over what is live."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from gaia.errors import GaiaError
from gaia.registry.names import PROD
from gaia.runtime.answers import Answers, of_inputs
from gaia.serving import problems, tensors, uploads
from gaia.serving.live import Served
from gaia.serving.metrics import WORKSPACE
from gaia.serving.problems import Refused
from gaia.serving.server import Server
from gaia.serving.settings import band


def install(app: FastAPI, server: Server) -> None:
    """Add the routes under /v2. Errors are the protocol's: {"error": "..."}."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])
    live, limits = server.live, server.settings["limits"]

    def served(line: str, version: str | None) -> Served:
        if version is None:
            return server.served(line, PROD)
        for found in live.served.values():
            if found.line == line and (found.version or WORKSPACE) == version:
                return found
        server.served(line, PROD)
        raise Refused(
            HTTPStatus.NOT_FOUND, f"{line}@{version} is live on no stage of this host", f"/lines/{line} says what is"
        )

    def versions(line: str) -> list[str]:
        return sorted({each.version or WORKSPACE for each in live.served.values() if each.line == line})

    @router.get("")
    async def about() -> dict[str, Any]:
        return {"name": "gaia", "version": "2", "extensions": ["binary_tensor_data"]}

    @router.get("/health/live")
    async def alive() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        lacking = bool(live.unanswered())
        return JSONResponse({"ready": not lacking}, HTTPStatus.SERVICE_UNAVAILABLE if lacking else HTTPStatus.OK)

    @router.get("/models/{line}")
    @router.get("/models/{line}/versions/{version}")
    async def model(line: str, version: str | None = None) -> JSONResponse:
        try:
            return JSONResponse(tensors.metadata(served(line, version).model.contract, versions(line)))
        except GaiaError as error:
            return _error(error)

    @router.get("/models/{line}/ready")
    @router.get("/models/{line}/versions/{version}/ready")
    async def model_ready(line: str, version: str | None = None) -> JSONResponse:
        try:
            return JSONResponse({"name": served(line, version).line, "ready": True})
        except GaiaError as error:
            return _error(error)

    @router.post("/models/{line}/infer")
    @router.post("/models/{line}/versions/{version}/infer")
    async def infer(request: Request, line: str, version: str | None = None) -> Response:
        try:
            found = served(line, version)
            body = await uploads.body(request, limits)
            asked = tensors.read(body, request.headers.get(tensors.HEADER))
            answers = await _ask(server, found, asked)
            if answers.problems:  # a tensor has no place for them
                raise GaiaError.several(answers.problems.values())
            said, head = tensors.written(found.model.contract, found.version or WORKSPACE, asked, answers.answers)
        except GaiaError as error:
            return _error(error)
        if head is None:
            return Response(said, media_type="application/json")
        return Response(said, headers={tensors.HEADER: str(head)}, media_type="application/octet-stream")

    app.include_router(router)


async def _ask(server: Server, served: Served, asked: tensors.Request) -> Answers:
    limits, model = server.settings["limits"], served.model
    if model.contract["input"]["kind"] != "photo":
        rows = tensors.rows(model, asked.inputs)
        return await server.ask(served, uploads.rows({"rows": rows}, limits))
    pixels, files = tensors.photos(model, asked.inputs)
    uploads.few(len(files) if pixels is None else len(pixels), limits)
    if pixels is None:
        return await server.ask(served, {f"photo {at}": content for at, content in enumerate(files, start=1)})
    names = [f"photo {at}" for at in range(1, len(pixels) + 1)]
    doubted = band(server.settings, served.line)
    job = server.work.do(lambda: Answers(of_inputs(model, pixels, names, doubted), {}))
    return await server.counted(served, job)


def _error(error: GaiaError) -> JSONResponse:
    said = problems.details(error)
    status = HTTPStatus.BAD_REQUEST if said["status"] == HTTPStatus.UNPROCESSABLE_ENTITY else said["status"]
    return JSONResponse({"error": said["detail"]}, status)
