"""What is known of the lines: what is live and was, the versions, what distinguishes two, the shadow."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Response

from gaia.errors import GaiaError
from gaia.inputs import photos
from gaia.inputs.pillow import Image
from gaia.registry import history
from gaia.registry.names import PROD
from gaia.serving.metrics import counted
from gaia.serving.problems import members
from gaia.serving.server import Server
from gaia.versions import diff, record, table

SMALL = 112  # px, of a photo that is shown beside others
_record = lru_cache(8)(record.of)  # a version's photos are asked for one by one, and what it says never changes


def install(app: FastAPI, server: Server) -> None:
    """Add the routes under /lines that ask no model."""
    live, root = server.live, server.root

    def details(line: str) -> dict[str, Any]:
        stages = {stage: each.details() for (of_line, stage), each in live.served.items() if of_line == line}
        wrong = {stage: members(each) for (of_line, stage), each in live.problems.items() if of_line == line}
        if PROD not in stages and PROD not in wrong:
            wrong[PROD] = members(live.lacking(line, PROD))
        return {"line": line, "stages": stages, "problems": wrong}

    def known(line: str) -> str:
        if line not in live.lines:
            server.served(line, PROD)
        return line

    @app.get("/lines", tags=["lines"])
    async def lines() -> list[dict[str, Any]]:
        """Every line: on each stage, what is live, since when, by whom and why, its contract and metrics."""
        return [details(line) for line in dict.fromkeys((*live.lines, *(line for line, _ in live.served)))]

    @app.get("/lines/{line}", tags=["lines"])
    async def one(line: str) -> dict[str, Any]:
        """One line."""
        return details(known(line))

    @app.get("/lines/{line}/history", tags=["lines"])
    def decisions(line: str) -> list[dict[str, Any]]:
        """What was live: who, when, from, to, why; the oldest first."""
        return [event.facts() for event in history.read(known(line), root)]

    @app.get("/lines/{line}/versions", tags=["lines"])
    def versions(line: str) -> list[dict[str, Any]]:
        """The versions, the newest first."""
        return table.rows(history.look(known(line), root), root)

    @app.get("/lines/{line}/versions/{old}/{new}", tags=["lines"])
    def difference(line: str, old: str, new: str) -> dict[str, Any]:
        """What the version `new` has otherwise than `old`: settings, data, metrics, and the test inputs whose answer
        changed."""
        return diff.diff(record.of(f"{known(line)}@{old}", root), record.of(f"{line}@{new}", root))

    @app.get("/lines/{line}/versions/{version}/photos/{source:path}", tags=["lines"], response_class=Response)
    def photo(line: str, version: str, source: str) -> Response:
        """A photo of the data that a version was made of, small (JPEG)."""
        made = _record(f"{known(line)}@{version}", root)
        if (asked := made.contract["input"])["kind"] != "photo":
            raise GaiaError(f"{made} was made of a {asked['kind']}, not of photos.")
        limits = {key: asked[key] for key in ("max_megapixels", "min_side")}
        pixels, _ = photos.read(made.raw(source), source, size=SMALL, framing="crop", **limits)
        small = io.BytesIO()
        Image.fromarray(pixels).save(small, "JPEG")
        return Response(small.getvalue(), media_type="image/jpeg")

    @app.get("/lines/{line}/shadow", tags=["lines"])
    async def shadow(line: str) -> dict[str, Any]:
        """The stage that is asked beside prod, of how many inputs, on how many it disagreed, and the last of these."""
        found = [each for each in list(server.afterwards.disagreements) if each["line"] == known(line)]
        compared, disagreed = (counted(each, line) for each in (server.metrics.shadowed, server.metrics.disagreed))
        return {"stage": server.settings["shadow"], "compared": compared, "disagreed": disagreed,
                "disagreements": found[::-1]}  # fmt: skip
