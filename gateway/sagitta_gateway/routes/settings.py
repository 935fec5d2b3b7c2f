"""`sagitta.semantic.v1.SettingsService`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sagitta.semantic.v1 import settings_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.convert import Body, to_body, without_nulls
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, object_of

router = APIRouter(tags=["settings"], default_response_class=Response)

_SCHEMA = {
    **object_of(
        pb.GetSettingsResponse,
        "Settings",
        also={
            "model_settings": object_of(pb.ModelSettings, "ModelSettings", unset_left_out=True),
            "dialect": object_of(pb.DialectChain, "DialectChain", unset_left_out=True),
        },
        unset_left_out=True,
        required=("timezone", "dialect", "oneshot_batch", "cache"),
    ),
    "description": "Keys without a value are left out; `timezone` and `dialect` are always there.",
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
    return await answer_of(answer, _settings)


def _settings(answer: pb.GetSettingsResponse) -> Body:
    """The documented body; in the time zone block the unknown database zone is null, elsewhere nulls are left out."""
    body = without_nulls(to_body(answer))
    if answer.HasField("timezone"):
        body["timezone"] = to_body(answer.timezone)
    return body
