"""`/health` and `/robots.txt`: answered from what is known already, so that they never wait."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from sagitta_gateway.bodies import json_response
from sagitta_gateway.openapi import answers

router = APIRouter(tags=["health"])

_SCHEMA = {
    "type": "object",
    "title": "ServiceHealth",
    "properties": {
        "status": {"type": "string", "enum": ["ok", "unavailable"]},
        "version": {"type": "string"},
        "auth_mode": {"type": "string"},
    },
    "required": ["status", "version", "auth_mode"],
}


@router.get(
    "/health",
    operation_id="get_health",
    summary="Says whether the service answers, and its version",
    response_class=Response,
    responses={
        **answers(_SCHEMA, "The service answers.", {"status": "ok", "version": "0.1.0", "auth_mode": "none"}),
        **answers(_SCHEMA, "The engine does not answer.", status=503),
    },
)
async def get_health(request: Request) -> Response:
    state = request.app.state.watch.state
    body = {
        "status": "ok" if state.reachable else "unavailable",
        "version": state.version,
        "auth_mode": state.auth_mode,
    }
    return json_response(body, 200 if state.reachable else 503)


@router.get("/livez", include_in_schema=False)
async def get_livez() -> Response:
    """Whether this process answers, whatever the engine does: `/health` says whether it can serve."""
    return PlainTextResponse("alive\n")


@router.get("/robots.txt", include_in_schema=False)
async def get_robots() -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")
