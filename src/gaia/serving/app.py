"""The application: what can be asked of what is live."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from gaia.errors import GaiaError, nearest
from gaia.registry import history
from gaia.registry.names import PROD
from gaia.runtime.answers import Answers
from gaia.runtime.settings import Settings, band
from gaia.serving import access, inspection, openapi, problems, protocol, saliency, static, uploads
from gaia.serving.afterwards import Afterwards, Asked, of
from gaia.serving.live import Live, Served
from gaia.serving.metrics import Metrics, counted
from gaia.serving.openapi import Carrying, Inspection, Prediction
from gaia.serving.problems import Refused, members
from gaia.serving.uploads import Carried
from gaia.serving.work import Work
from gaia.versions import diff, record, table

Stage = Annotated[str, Query(description="which stage answers", examples=["prod", "staging"])]


class Server:
    """What one server holds: the models, the threads that ask them, the counters, and what is done afterwards."""

    def __init__(self, settings: Settings, root: Path = Path()) -> None:
        self.settings, self.root = settings, root
        self.live, self.work, self.metrics = Live(root), Work(settings["limits"]), Metrics()
        self.afterwards = Afterwards(self.live, settings, self.metrics, root)

    def served(self, line: str, stage: str) -> Served:
        """What answers. Raises Refused for a line or stage that there isn't (404), or that nothing answers on (503)."""
        if found := self.live.served.get((line, stage)):
            return found
        lines = sorted({*self.live.lines, *(each for each, _ in self.live.served)})
        if line not in lines:
            are = f"there are {', '.join(lines)}{nearest(line, lines)}"
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no line '{line}'", are)
        stages = [at for each, at in self.live.served if each == line]
        if stage != PROD and (line, stage) not in self.live.problems:
            where = f"it is live in {', '.join(stages) or 'no stage'}"
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing of {line} is live in '{stage}'", where)
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, *self.live.lacking(line, stage), retry=5)

    async def ask(self, served: Served, given: dict[str, Any]) -> Answers:
        """The answers to photos (bytes) or rows by their names, counted, and noted for afterwards."""
        found = await self.answered(served, partial(of, served, given, band(self.settings, served.line)))
        if found.answers:
            self.afterwards.add(Asked(served, given, found.answers))
        return found

    async def answered(self, served: Served, task: Callable[[], Answers]) -> Answers:
        """What a task finds, in a thread for such work, and counted."""
        start, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            found = await self.work.do(task)
            status = int(HTTPStatus.OK)
        except GaiaError as error:
            status = problems.details(error)["status"]
            raise
        finally:
            self.metrics.request(served, status, time.perf_counter() - start)
        self.metrics.answered(served, found.answers, len(found.problems))
        return found


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
    _health(app, server)
    _lines(app, server)
    _answers(app, server)
    protocol.install(app, server)
    openapi.install(app, server.live)
    app.add_middleware(access.Guard, key=key)
    return app


def _health(app: FastAPI, server: Server) -> None:
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


def _lines(app: FastAPI, server: Server) -> None:
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

    @app.get("/lines/{line}/shadow", tags=["lines"])
    async def shadow(line: str) -> dict[str, Any]:
        """The stage that is asked beside prod, of how many inputs, on how many it disagreed, and the last of these."""
        found = [each for each in list(server.afterwards.disagreements) if each["line"] == known(line)]
        compared, disagreed = (counted(each, line) for each in (server.metrics.shadowed, server.metrics.disagreed))
        return {"stage": server.settings["shadow"], "compared": compared, "disagreed": disagreed,
                "disagreements": found[::-1]}  # fmt: skip


def _answers(app: FastAPI, server: Server) -> None:
    limits = server.settings["limits"]

    @app.post(
        "/lines/{line}/predict", tags=["answers"], openapi_extra=Carrying.EITHER, responses=openapi.of(Prediction)
    )
    async def predict(request: Request, line: str, stage: Stage = PROD) -> Response:
        """Answers of what is live: to photos (multipart, field `files`), or to rows (`{"rows": [{...}]}`)."""
        start, served = time.perf_counter(), server.served(line, stage)
        carried = await uploads.read(request, limits)
        found = await server.ask(served, _given(served, carried, server))
        return _said(served.facts() | _answered(found), start)

    @app.post("/lines/{line}/explain", tags=["answers"], openapi_extra=Carrying.PHOTO)
    async def explain(request: Request, line: str, stage: Stage = PROD) -> Response:
        """What the answer to one photo hangs on: by how much its probability falls where a part is hidden."""
        start, served = time.perf_counter(), server.served(line, stage)
        ((name, content),) = _one_photo((await uploads.read(request, limits)).photos)

        def look() -> dict[str, Any]:
            photo = served.model.read_photos([(content, name)])[0]
            return {"heat": [[round(float(v), 4) for v in row] for row in saliency.heat(served.model, photo)]}

        return _said(served.facts() | {"input": name} | await server.work.do(look), start)

    @app.get("/inspect", tags=["answers"])
    async def policy() -> dict[str, Any] | None:
        """Which lines an inspection asks, and the risks between which it doubts; null where conf/serving/ has none."""
        said = server.settings["inspect"]
        return dict(said) if said else None

    @app.post("/inspect", tags=["answers"], openapi_extra=Carrying.BOTH, responses=openapi.of(Inspection))
    async def inspect(request: Request, stage: Stage = PROD) -> Response:
        """Growing conditions first (`json`: a row), and if the risk is not clearly low, the photo (`files`)."""
        start, policy = time.perf_counter(), server.settings["inspect"]
        if policy is None:
            raise Refused(HTTPStatus.NOT_FOUND, "conf/serving/ has no policy", "set inspect there")
        asked = {key: server.served(policy[key], stage) for key in ("conditions", "photo")}
        inspection.check(policy, asked)
        carried = await uploads.read(request, limits)
        photos = carried.photos and dict(_one_photo(carried.photos))
        if not isinstance(carried.content, dict):
            raise GaiaError("there are no growing conditions", "send them as a row, in the form's field json")
        first = await _only(server, asked["conditions"], {"conditions": carried.content})
        models = [asked["conditions"].facts() | {"answer": first}]
        look = None
        if photos and inspection.needs_photo(asked["conditions"], first, policy):
            look = await _only(server, asked["photo"], photos)
            models.append(asked["photo"].facts() | {"answer": look})
        found = inspection.conclude(asked["conditions"], first, asked["photo"], look, policy)
        return _said(found._asdict() | {"models": models}, start)


def _given(served: Served, carried: Carried, server: Server) -> dict[str, Any]:
    """What a model is asked. Raises GaiaError if it takes something else, or nothing came."""
    if served.model.contract["input"]["kind"] == "photo":
        if not carried.photos:
            served.model.photo  # noqa: B018
            raise GaiaError(
                f"no photo came, and {served.line} answers from photos", "send them in the form's field files"
            )
        return dict(carried.photos)
    if carried.photos:
        served.model.photo  # noqa: B018 (which says so)
    return uploads.rows(carried.content, server.settings["limits"])


def _one_photo(photos: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    if len(photos) != 1:
        raise GaiaError(f"{len(photos)} photos came", "send one, in the form's field files")
    return photos


async def _only(server: Server, served: Served, given: dict[str, Any]) -> Any:
    found = await server.ask(served, given)
    if found.problems:
        raise GaiaError.several(found.problems.values())
    return found.answers[0]


def _answered(found: Answers) -> dict[str, Any]:
    """The answers of a request; if there is none, the problems are what it fails with."""
    if not found.answers:
        raise GaiaError.several(found.problems.values())
    wrong = [{"input": name, **members(each)} for name, each in found.problems.items()]
    return {"answers": found.answers, "problems": wrong}


def _said(content: dict[str, Any], start: float) -> Response:
    """JSON as it is: typed above, and not checked again for each request."""
    content["milliseconds"] = round((time.perf_counter() - start) * 1e3, 2)
    return Response(json.dumps(content), media_type="application/json")
