"""`sagitta.semantic.v1.SettingsService`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sagitta.semantic.v1 import settings_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import json_response
from sagitta_gateway.convert import Body, to_body, without_nulls
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.openapi import answers, errors

router = APIRouter(tags=["settings"], default_response_class=Response)

_OBJECT = {"type": "object"}
_SCHEMA = {
    "type": "object",
    "title": "Settings",
    "description": "Keys without a value are left out; `timezone` and `dialect` are always there.",
    "properties": {
        "version": {"type": "string"},
        "api_version": {"type": "string", "enum": ["v1"]},
        "single_model_mode": {"type": "boolean"},
        "model_yaml": {"type": "string"},
        "session_ttl_seconds": {"type": "integer"},
        "session_max_age_seconds": {"type": "integer"},
        "max_sessions": {"type": "integer"},
        "max_models_per_session": {"type": "integer"},
        "query_execute": {"type": "boolean"},
        "flight": _OBJECT,
        "model_settings": _OBJECT,
        "timezone": _OBJECT,
        "dialect": _OBJECT,
        "oneshot_batch": _OBJECT,
        "cache": _OBJECT,
    },
    "required": [
        "version",
        "api_version",
        "single_model_mode",
        "session_ttl_seconds",
        "session_max_age_seconds",
        "max_sessions",
        "max_models_per_session",
        "query_execute",
        "timezone",
        "dialect",
        "oneshot_batch",
        "cache",
    ],
}


@router.get(
    "/v1/settings",
    operation_id="get_settings",
    summary="Returns the settings that matter to clients, resolved for a model",
    responses={**answers(_SCHEMA, "The settings."), **errors(400, 404, 410)},
)
async def get_settings(
    request: Request,
    session_id: Annotated[str | None, Query(description="The session whose model matters.")] = None,
    model_id: Annotated[str | None, Query(description="The model that matters; needs a session.")] = None,
) -> Response:
    message = pb.GetSettingsRequest(session_id=session_id or "", model_id=model_id or "")
    answer = await stubs(request).settings.GetSettings(message, metadata=metadata(request))
    return json_response(_settings(answer))


def _settings(answer: pb.GetSettingsResponse) -> Body:
    """The documented body; in the time zone block the unknown database zone is null, elsewhere nulls are left out."""
    body = without_nulls(to_body(answer))
    if answer.HasField("timezone"):
        body["timezone"] = to_body(answer.timezone)
    return body
