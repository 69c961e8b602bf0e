"""Whether the server is alive and ready, and what it counted."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from gaia.registry.names import PROD
from gaia.serving.problems import members
from gaia.serving.server import Server


def install(app: FastAPI, server: Server) -> None:
    """Add the routes that probes and Prometheus ask."""
    live = server.live

    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:
        """That the process is alive."""
        return {"status": "alive"}

    @app.get("/ready", tags=["state"], responses={503: {"description": "a line can't answer, and why"}})
    async def ready() -> JSONResponse:
        """Whether every line of params.yaml can answer; and what is wrong, even where an older version answers."""
        lacking = live.unanswered()
        wrong = [{"line": line, "stage": stage, **members(each)} for (line, stage), each in live.problems.items()]
        wrong += [
            {"line": line, "stage": PROD, **members(each)}
            for line, each in lacking.items() if (line, PROD) not in live.problems
        ]  # fmt: skip
        said = {"status": "not ready" if lacking else "ready", "problems": wrong}
        return JSONResponse(said, HTTPStatus.SERVICE_UNAVAILABLE if lacking else HTTPStatus.OK)

    @app.get("/metrics", tags=["state"])
    async def metrics() -> Response:
        """Counters in Prometheus's text format."""
        return Response(server.metrics.text(live), media_type="text/plain; version=0.0.4; charset=utf-8")
