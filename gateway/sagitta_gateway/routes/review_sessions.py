"""`sagitta.review.v1.ReviewSessionsService`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import grpc
import orjson
from fastapi import Query, Request
from sagitta.review.v1 import review_pb2
from sagitta.review.v1 import review_sessions_service_pb2 as pb
from starlette.responses import Response, StreamingResponse

from sagitta_gateway.engine import metadata
from sagitta_gateway.review_bodies import StartSession, UpdateSession, enum_of, read_body
from sagitta_gateway.review_calls import (
    BASE,
    body_schema,
    call,
    documented,
    expected_version,
    failing,
    idempotency_key,
    reply,
    rest,
    review_router,
    review_stubs,
    wants_no_wait,
)
from sagitta_gateway.review_errors import refusal_of
from sagitta_gateway.review_json import json_answer, to_json

router = review_router("Session Lifecycle")


@router.get(
    "/sessions",
    operation_id="review_list_sessions",
    summary="Lists the caller's resumable review sessions",
    responses=documented(review_pb2.SessionCollection, "One page of sessions.", 200, 401, 403, 422),
)
async def list_sessions(
    request: Request,
    status: str | None = None,
    readiness_state: str | None = None,
    page: Annotated[int, Query(ge=1, le=2_147_483_647)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    message = pb.ListSessionsRequest(page=page, page_size=page_size)
    if status is not None:
        message.status = enum_of("SessionStatus", status, "query.status", invalid=422)
    if readiness_state is not None:
        message.readiness_state = enum_of("ReadinessState", readiness_state, "query.readiness_state", invalid=422)
    answer = await call(request, review_stubs(request).sessions.ListSessions, message)
    return reply(answer, answer.message.collection)


@router.post(
    "/sessions",
    operation_id="review_start_session",
    summary="Starts a review",
    status_code=201,
    responses=documented(review_pb2.SessionSummary, "The started session.", 201, 400, 401, 403, 404, 422),
    openapi_extra=body_schema(StartSession),
)
async def start_session(request: Request) -> Response:
    body = await read_body(request, StartSession, invalid=422)
    message = pb.StartSessionRequest(
        source_kind=enum_of("SourceKind", body.source_kind, "body.source_kind", invalid=422),
        source_input=body.source_input,
        environment_id=body.environment_id,
        idempotency_key=idempotency_key(request),
        no_wait=wants_no_wait(request),
    )
    answer = await call(request, review_stubs(request).sessions.StartSession, message)
    session = answer.message.session
    return reply(answer, session, 201, Location=f"{BASE}/sessions/{session.session_id}")


@router.get(
    "/sessions/{session_id}",
    operation_id="review_get_session",
    summary="Reads a session with everything that hangs off it",
    responses=documented(review_pb2.SessionDetail, "The whole session.", 200, 401, 403, 404),
)
async def get_session(request: Request, session_id: str) -> Response:
    answer = await call(request, review_stubs(request).sessions.GetSession, pb.GetSessionRequest(session_id=session_id))
    detail = answer.message.detail
    known = request.headers.get("if-none-match")
    if known is not None and known == answer.headers.get("ETag") and not _changes_by_time(detail):
        return Response(status_code=304, headers=answer.headers)
    return reply(answer, detail)


@router.patch(
    "/sessions/{session_id}",
    operation_id="review_update_session",
    summary="Changes what the owner decided: pause, resume, complete, archive, cancel",
    responses=documented(review_pb2.SessionSummary, "The session after it.", 200, 400, 401, 403, 404, 409),
    openapi_extra=body_schema(UpdateSession),
)
async def update_session(request: Request, session_id: str) -> Response:
    body = await read_body(request, UpdateSession, invalid=400)
    message = pb.UpdateSessionRequest(
        session_id=session_id,
        status=enum_of("SessionStatus", body.status, "body.status", invalid=400),
        note=body.note,
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).sessions.UpdateSession, message)
    return reply(answer, answer.message.session)


@router.delete(
    "/sessions/{session_id}",
    operation_id="review_delete_session",
    summary="Archives a session, or removes it",
    status_code=204,
    responses={204: {"description": "The session is archived or removed."}, **failing(401, 403, 404, 409)},
)
async def delete_session(request: Request, session_id: str, hard_delete: bool = False) -> Response:
    message = pb.DeleteSessionRequest(session_id=session_id, hard_delete=hard_delete, **expected_version(request))
    await call(request, review_stubs(request).sessions.DeleteSession, message)
    return Response(status_code=204)


@router.get(
    "/sessions/{session_id}/events",
    operation_id="review_watch_session",
    summary="What happens to a session, as server-sent events: first what was missed, then live",
    responses={200: {"description": "Events.", "content": {"text/event-stream": {}}}, **failing(401, 403, 404)},
)
async def watch_session(request: Request, session_id: str, after: Annotated[int, Query(ge=0)] = 0) -> Response:
    last = request.headers.get("last-event-id", "")
    sequence = int(last) if last.isdigit() and len(last) <= 18 else after
    if sequence:  # nothing may come for long: learn now whether the caller may watch at all
        await call(request, review_stubs(request).sessions.GetSession, pb.GetSessionRequest(session_id=session_id))
    message = pb.WatchSessionRequest(session_id=session_id, after_sequence=sequence)
    stream = review_stubs(request).sessions.WatchSession(message, metadata=metadata(request))
    # the engine refuses unknown and foreign sessions before the first event: wait for it or for the refusal
    first = await stream.read() if sequence == 0 else None
    if first is grpc.aio.EOF:
        return Response(status_code=200, media_type="text/event-stream")
    return StreamingResponse(
        _events(stream, first), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@router.get(
    "/sessions/{session_id}/diff",
    operation_id="review_diff_session",
    summary="What changed in meaning between two versions of a session",
    responses=documented(pb.DiffSessionResponse, "The changes.", 200, 401, 403, 404),
)
async def diff_session(
    request: Request,
    session_id: str,
    from_version: Annotated[int | None, Query(ge=0)] = None,
    to_version: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    message = pb.DiffSessionRequest(session_id=session_id, from_version=from_version, to_version=to_version)
    answer = await call(request, review_stubs(request).sessions.DiffSession, message)
    return json_answer(to_json(answer.message))


def _changes_by_time(detail: review_pb2.SessionDetail) -> bool:
    return detail.HasField("preview") and to_json(detail.preview)["preview_status"] == "stale"


async def _events(stream: object, first: pb.WatchSessionResponse | None) -> AsyncIterator[bytes]:
    """Events as text; a failure in the middle is the last event."""
    try:
        if first is not None:
            yield _event(first.event)
        async for item in rest(stream):
            yield _event(item.event)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        body = orjson.dumps({"error_code": refusal.code, "message": refusal.message}).decode()
        yield f"event: error\ndata: {body}\n\n".encode()


def _event(event: review_pb2.SessionEvent) -> bytes:
    body = orjson.dumps(to_json(event)).decode()
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: {body}\n\n".encode()
