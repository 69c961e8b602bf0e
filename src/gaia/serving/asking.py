"""What asks the models: predictions, what they hang on, and inspections."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from gaia.errors import GaiaError
from gaia.registry.names import PROD
from gaia.runtime.answers import Answers
from gaia.serving import inspection, openapi, saliency, uploads
from gaia.serving.live import Served
from gaia.serving.openapi import Carrying, Inspection, Prediction
from gaia.serving.problems import Refused, members
from gaia.serving.server import Server
from gaia.serving.uploads import Carried

Stage = Annotated[str, Query(description="which stage answers", examples=["prod", "staging"])]


def install(app: FastAPI, server: Server) -> None:
    """Add the routes that answer."""
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
