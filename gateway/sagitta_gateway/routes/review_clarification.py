"""`sagitta.review.v1.ClarificationService`."""

from __future__ import annotations

from fastapi import Request
from sagitta.review.v1 import clarification_service_pb2 as pb
from sagitta.review.v1 import review_pb2
from starlette.responses import Response

from sagitta_gateway.review_bodies import SubmitAnswer, enum_of, read_body
from sagitta_gateway.review_calls import (
    body_schema,
    call,
    documented,
    expected_version,
    reply,
    review_router,
    review_stubs,
)

router = review_router("Clarification")


@router.get(
    "/sessions/{session_id}/clarification",
    operation_id="review_get_clarification",
    summary="Reads the conversation and its current question",
    responses=documented(review_pb2.ClarificationState, "The conversation.", 200, 401, 403, 404),
)
async def get_clarification(request: Request, session_id: str) -> Response:
    message = pb.GetClarificationRequest(session_id=session_id)
    answer = await call(request, review_stubs(request).clarification.GetClarification, message)
    return reply(answer, answer.message.state)


@router.post(
    "/sessions/{session_id}/clarification/answers",
    operation_id="review_submit_answer",
    summary="Answers the current question",
    responses=documented(
        review_pb2.ClarificationAnswerResult, "What the answer changed.", 200, 400, 401, 403, 404, 409, 422
    ),
    openapi_extra=body_schema(SubmitAnswer),
)
async def submit_answer(request: Request, session_id: str) -> Response:
    body = await read_body(request, SubmitAnswer, invalid=422)
    message = pb.SubmitAnswerRequest(
        session_id=session_id,
        question_id=body.question_id,
        answer_kind=enum_of("AnswerKind", body.answer_kind, "body.answer_kind", invalid=422),
        answer_value=body.answer_value,
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).clarification.SubmitAnswer, message)
    return reply(answer, answer.message.result)


@router.post(
    "/sessions/{session_id}/clarification/resume",
    operation_id="review_resume_clarification",
    summary="Starts or resumes the conversation",
    responses=documented(review_pb2.ClarificationState, "The conversation.", 200, 401, 403, 404, 409),
)
async def resume_clarification(request: Request, session_id: str) -> Response:
    message = pb.ResumeClarificationRequest(session_id=session_id, **expected_version(request))
    answer = await call(request, review_stubs(request).clarification.ResumeClarification, message)
    return reply(answer, answer.message.state)
