"""The application: what can be asked of what is live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from gaia.serving import access, asking, lines, openapi, problems, protocol, state, static
from gaia.serving.live import Live
from gaia.serving.server import Server
from gaia.serving.settings import Settings


def make(
    settings: Settings, root: Path = Path(), key: str | None = None, changed: Callable[[Live], None] = lambda live: None
) -> FastAPI:
    """The application over the project in `root`; with a `key`, whoever asks has to show it.

    Its models are loaded when it starts. `changed` is called then, and whenever what answers has changed.
    """
    server = Server(settings, root)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server.live.looked = changed
        await run_in_threadpool(server.live.look)
        server.live.watch()
        server.afterwards.start()
        yield
        server.live.stop()
        server.afterwards.stop()
        server.work.close()

    app = FastAPI(
        title="Gaia Vision", lifespan=lifespan, docs_url=None, redoc_url=None,
        description="What is live answers. Errors are RFC 9457 problem details.",
    )  # fmt: skip
    app.state.server = server
    problems.install(app)
    static.install(app)
    for routes in (state, lines, asking, protocol):
        routes.install(app, server)
    openapi.install(app, server.live)
    app.add_middleware(access.Guard, key=key)
    return app
