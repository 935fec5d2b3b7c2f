"""`sagitta.semantic.v1.SessionService`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sagitta.semantic.v1 import session_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, body_of
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.scope import SessionId

router = APIRouter(tags=["sessions"], default_response_class=Response, route_class=LargeBodyRoute)

_EXAMPLE = {
    "session_id": "a1b2c3d4e5f6",
    "created_at": "2025-01-15T10:30:00Z",
    "last_accessed_at": "2025-01-15T10:30:00Z",
    "model_count": 0,
    "metadata": {"user": "alice", "purpose": "revenue analysis"},
    "expires_at": "2025-01-15T11:00:00Z",
    "max_expires_at": "2025-01-16T10:30:00Z",
}


MAX_METADATA = 100


def _few(value: Any) -> Any:
    """Metadata of a size that somebody would read."""
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"metadata has more than {MAX_METADATA} keys")
    return value


class CreateSession(BaseModel):
    """What the creator says about a session."""

    model_config = ConfigDict(extra="forbid")

    metadata: Annotated[dict[str, str], BeforeValidator(_few)] = Field(
        default_factory=dict, description="Kept and returned unchanged.", examples=[{"user": "alice"}]
    )


@router.post(
    "/v1/sessions",
    operation_id="create_session",
    summary="Opens a session",
    status_code=201,
    responses={**answers(body_of(pb.Session), "The session.", _EXAMPLE, 201), **errors(400, 422, 429)},
)
async def create_session(request: Request, body: Annotated[CreateSession | None, Body()] = None) -> Response:
    message = pb.CreateSessionRequest(metadata=body.metadata if body else {})
    answer = await stubs(request).sessions.CreateSession(message, metadata=metadata(request))
    return await answer_of(answer.session, status=201)


@router.get(
    "/v1/sessions",
    operation_id="list_sessions",
    summary="Lists the active sessions",
    responses={**answers(body_of(pb.ListSessionsResponse), "The sessions, oldest first."), **errors(403)},
)
async def list_sessions(request: Request) -> Response:
    answer = await stubs(request).sessions.ListSessions(pb.ListSessionsRequest(), metadata=metadata(request))
    return await answer_of(answer)


@router.get(
    "/v1/sessions/{session_id}",
    operation_id="get_session",
    summary="Describes a session and refreshes its last access",
    responses={**answers(body_of(pb.Session), "The session.", _EXAMPLE), **errors(404, 410)},
)
async def get_session(request: Request, session_id: SessionId) -> Response:
    message = pb.GetSessionRequest(session_id=session_id)
    answer = await stubs(request).sessions.GetSession(message, metadata=metadata(request))
    return await answer_of(answer.session)


@router.delete(
    "/v1/sessions/{session_id}",
    operation_id="close_session",
    summary="Closes a session and forgets its models",
    status_code=204,
    responses={204: {"description": "The session is closed."}, **errors(403, 404)},
)
async def close_session(request: Request, session_id: SessionId) -> Response:
    message = pb.CloseSessionRequest(session_id=session_id)
    await stubs(request).sessions.CloseSession(message, metadata=metadata(request))
    return Response(status_code=204)
