"""The short way answers as the general way does, or leaves the request to it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from sagitta_gateway.bodies import json_response
from sagitta_gateway.routes.direct import DirectRoute
from starlette.responses import Response


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    query: dict[str, Any] = Field(default_factory=dict)
    often: bool = False


class Shown(BaseModel):
    shape: str | None = Field(default=None, max_length=8)
    small: bool = False


def application(route: type[APIRoute]) -> FastAPI:
    router = APIRouter(route_class=route, default_response_class=Response)

    @router.post("/named/{session}")
    async def named(
        request: Request, session: str, body: Annotated[Asked, Body()], shown: Annotated[Shown, Query()]
    ) -> Response:
        return json_response([request.url.path, session, body.model_dump(), shown.model_dump()])

    @router.post("/free")
    async def free(body: Annotated[dict[str, Any], Body()], request: Request, dialect: str | None = None) -> Response:
        return json_response([request.method, body, dialect])

    app = FastAPI()
    app.router.routes.extend(router.routes)
    return app


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
    "path", ["/named/s%20one", "/named/s?shape=long&small=1", "/named/s?shape=far-too-long", "/free"]
)
def test_both_ways_answer_alike(path: str, body: bytes) -> None:
    for content_type in TYPES:
        headers = {"content-type": content_type} if content_type else {}
        general, direct = (asyncio.run(answer(route, path, body, headers)) for route in (APIRoute, DirectRoute))
        assert direct == general, content_type


async def answer(route: type[APIRoute], path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    transport = httpx.ASGITransport(application(route), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        got = await client.post(path, content=body, headers=headers)
    return got.status_code, got.text
