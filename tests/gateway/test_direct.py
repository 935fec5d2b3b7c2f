"""The short way answers as the general way does, or leaves the request to it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sagitta_gateway.bodies import json_response
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.middleware import BodyLimit
from sagitta_gateway.routes.direct import DirectRoute, DirectRoutes
from starlette.responses import Response


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    query: dict[str, Any] = Field(default_factory=dict)
    often: bool = False


class Shown(BaseModel):
    shape: str | None = Field(default=None, max_length=8)
    small: bool = False


def application(*, direct: bool) -> FastAPI:
    router = APIRouter(route_class=DirectRoute, default_response_class=Response)

    @router.post("/named/{session}")
    async def named(
        request: Request, session: str, body: Annotated[Asked, Body()], shown: Annotated[Shown, Query()]
    ) -> Response:
        return json_response([request.url.path, session, body.model_dump(), shown.model_dump()])

    @router.post("/free")
    async def free(body: Annotated[dict[str, Any], Body()], request: Request, dialect: str | None = None) -> Response:
        return json_response([request.method, body, dialect])

    @router.post("/failing/{how}")
    async def failing(request: Request, how: str, body: Annotated[Asked, Body()]) -> Response:
        raise {"known": KnownError(body.name), "http": HTTPException(418, "short")}.get(how) or RuntimeError(how)

    async def on_known(_: Request, error: Exception) -> Response:
        return json_response(str(error), 444)

    app = FastAPI(exception_handlers={LookupError: on_known})
    app.router.routes.extend(router.routes)
    if direct:
        app.add_middleware(DirectRoutes, routes=app.routes)
    app.add_middleware(BodyLimit, settings=GatewaySettings())  # hands the body over in one piece
    return app


class KnownError(LookupError):
    """What the application has a handler for."""


BODIES = [
    b'{"name": "a", "query": {"n": 12345678901234567890123, "x": [1.5, null, true, "\\u00e9"]}}',
    b'{"name": "a", "often": "yes"}',
    b'{"name": 1}',
    b'{"name": "a", "other": 1}',
    b'{"name": "a", "query": []}',
    b'{"name": "a", "name": "b"}',
    b'{"name": "\\ud800"}',
    b'\xef\xbb\xbf{"name": "a"}',
    b'{"name": "\xff"}',
    b'{"name": "a"',
    b"[]",
    b"null",
    b"",
]
TYPES = ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "text/plain", ""]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "path",
    [
        "/named/s%20one",
        "/named/s?shape=long&small=1",
        "/named/s?shape=far-too-long",
        "/free",
        "/free/",
        "/failing/known",
        "/failing/http",
        "/failing/else",
    ],
)
def test_both_ways_answer_alike(path: str, body: bytes) -> None:
    for content_type in TYPES:
        headers = {"content-type": content_type} if content_type else {}
        general, direct = (asyncio.run(answer(way, path, body, headers)) for way in (False, True))
        assert direct == general, content_type


async def answer(direct: bool, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    return await asked(application(direct=direct), path, body, headers)


async def asked(app: FastAPI, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        got = await client.post(path, content=body, headers=headers)
    return got.status_code, got.text


def test_the_usual_request_goes_the_short_way() -> None:
    """The route's own way is broken here: only the short one can answer."""
    app = application(direct=True)
    for route in app.routes:
        if isinstance(route, DirectRoute):
            route.app = None  # type: ignore[assignment]
    got = asyncio.run(asked(app, "/named/s", b'{"name": "a"}', {"content-type": "application/json"}))
    assert got[0] == 200
    assert asyncio.run(asked(app, "/named/s?small=1", b'{"name": "a"}', {"content-type": "application/json"}))[0] == 500
