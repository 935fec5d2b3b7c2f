"""`sagitta.review.v1.PreviewLaunchService`."""

from __future__ import annotations

from typing import Annotated

import grpc
from fastapi import Query, Request
from sagitta.review.v1 import preview_launch_service_pb2 as pb
from sagitta.review.v1 import review_pb2
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from sagitta_gateway.engine import metadata
from sagitta_gateway.review_calls import (
    call,
    documented,
    expected_version,
    failing,
    idempotency_key,
    reply,
    review_router,
    review_stubs,
    wants_no_wait,
)
from sagitta_gateway.review_rows import ARROW, CSV, JSON, Slice, arrow_bytes, as_csv, as_page, wanted_type, whole

router = review_router("Preview and Launch")


@router.post(
    "/sessions/{session_id}/preview",
    operation_id="review_request_preview",
    summary="Compiles the dataset as the source shows it",
    responses={
        **documented(review_pb2.CompiledPreview, "The preview.", 200, 400, 401, 403, 404, 409),
        **documented(review_pb2.PreviewEnqueueResult, "It is being compiled.", 202),
    },
)
async def request_preview(request: Request, session_id: str) -> Response:
    message = pb.RequestPreviewRequest(
        session_id=session_id,
        idempotency_key=idempotency_key(request),
        force="no-cache" in request.headers.get("cache-control", "").lower(),
        no_wait=wants_no_wait(request),
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).launch.RequestPreview, message)
    if answer.message.WhichOneof("reply") == "enqueued":
        return reply(answer, answer.message.enqueued, 202)
    return reply(answer, answer.message.preview)


@router.post(
    "/sessions/{session_id}/launch",
    operation_id="review_launch",
    summary="Runs exactly the previewed text, once all gates are passed",
    status_code=201,
    responses=documented(review_pb2.LaunchResult, "The launch.", 201, 400, 401, 403, 404, 409),
)
async def launch(request: Request, session_id: str) -> Response:
    message = pb.LaunchRequest(
        session_id=session_id,
        idempotency_key=idempotency_key(request),
        no_wait=wants_no_wait(request),
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).launch.Launch, message)
    return reply(answer, answer.message.result, 201)


@router.get(
    "/sessions/{session_id}/runs/{run_context_id}",
    operation_id="review_get_run",
    summary="Reads one run of a session",
    responses=documented(review_pb2.DatasetRunContextSummary, "The run.", 200, 401, 403, 404),
)
async def get_run(request: Request, session_id: str, run_context_id: str) -> Response:
    message = pb.GetRunRequest(session_id=session_id, run_context_id=run_context_id)
    answer = await call(request, review_stubs(request).launch.GetRun, message)
    return reply(answer, answer.message.run)


@router.post(
    "/sessions/{session_id}/runs/{run_context_id}/cancel",
    operation_id="review_cancel_run",
    summary="Asks a run to stop",
    responses=documented(review_pb2.DatasetRunContextSummary, "The run.", 200, 401, 403, 404, 409),
)
async def cancel_run(request: Request, session_id: str, run_context_id: str) -> Response:
    message = pb.CancelRunRequest(session_id=session_id, run_context_id=run_context_id)
    answer = await call(request, review_stubs(request).launch.CancelRun, message)
    return reply(answer, answer.message.run)


@router.get(
    "/sessions/{session_id}/runs/{run_context_id}/result",
    operation_id="review_read_run_result",
    summary="The rows of a run: a JSON page, CSV or Arrow, by Accept",
    responses={
        200: {"description": "The rows.", "content": {JSON: {}, CSV: {}, ARROW: {}}},
        **failing(401, 403, 404, 409),
    },
)
async def read_run_result(
    request: Request,
    session_id: str,
    run_context_id: str,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    message = pb.ReadRunResultRequest(session_id=session_id, run_context_id=run_context_id)
    stream = review_stubs(request).launch.ReadRunResult(message, metadata=metadata(request))
    first = await stream.read()  # a refusal comes instead of the first bytes
    if first is grpc.aio.EOF:
        first = pb.ReadRunResultResponse()
    match wanted_type(request.headers.get("accept", "")):
        case "application/vnd.apache.arrow.stream":
            return StreamingResponse(arrow_bytes(stream, first), media_type=ARROW)
        case "text/csv":
            content = await whole(stream, first)
            return Response(await run_in_threadpool(as_csv, content), media_type=f"{CSV}; charset=utf-8")
        case _:
            content = await whole(stream, first)
            return Response(await run_in_threadpool(as_page, content, Slice(offset, limit)), media_type=JSON)
