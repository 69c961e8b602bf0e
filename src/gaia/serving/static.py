"""The page's files, which a browser may trust: they load nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
STRICT = {  # nothing from elsewhere, nothing inline, in nobody's frame, and never an old file beside a new one
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Strict(StaticFiles):
    """A folder's files, each with STRICT."""

    def file_response(self, *given: Any, **more: Any) -> Response:
        """As StaticFiles answers."""
        said = super().file_response(*given, **more)
        said.headers.update(STRICT)
        return said


def install(app: FastAPI) -> None:
    """Serve the page at /, and what it loads under /page/."""
    app.mount("/page", Strict(directory=PAGE), name="page")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers=STRICT)
