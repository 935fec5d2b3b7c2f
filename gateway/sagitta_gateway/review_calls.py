"""Calls to the review services: stubs, versions, keys, and the headers of answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from fastapi import APIRouter, Request
from google.protobuf.message import Message
from sagitta.review.v1 import (
    clarification_service_pb2_grpc,
    mapping_review_service_pb2_grpc,
    preview_launch_service_pb2_grpc,
    review_environments_service_pb2_grpc,
    review_exports_service_pb2_grpc,
    review_sessions_service_pb2_grpc,
    semantic_review_service_pb2_grpc,
)
from starlette.responses import Response

from sagitta_gateway.engine import metadata
from sagitta_gateway.openapi import answers, body_of
from sagitta_gateway.review_errors import Refusal, ReviewRoute
from sagitta_gateway.review_json import json_answer, to_json

BASE = "/api/dataset-orchestration"
VERSION = "X-Session-Version"
_TAG = re.compile(r'(?:W/)?"v(?P<version>\d{1,18})"')


class ReviewStubs:
    """The stubs of every review service on one channel."""

    def __init__(self, channel: Any) -> None:
        self.sessions = review_sessions_service_pb2_grpc.ReviewSessionsServiceStub(channel)
        self.semantics = semantic_review_service_pb2_grpc.SemanticReviewServiceStub(channel)
        self.clarification = clarification_service_pb2_grpc.ClarificationServiceStub(channel)
        self.mappings = mapping_review_service_pb2_grpc.MappingReviewServiceStub(channel)
        self.launch = preview_launch_service_pb2_grpc.PreviewLaunchServiceStub(channel)
        self.exports = review_exports_service_pb2_grpc.ReviewExportsServiceStub(channel)
        self.environments = review_environments_service_pb2_grpc.ReviewEnvironmentsServiceStub(channel)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with what came beside it."""

    message: Any
    version: int | None
    replayed: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every answer about a session carries."""
        headers = {} if self.version is None else {VERSION: str(self.version), "ETag": f'"v{self.version}"'}
        return {**headers, "Idempotent-Replay": "true"} if self.replayed else headers


def review_router(tag: str) -> APIRouter:
    """A router whose failures are worded as the review contract says."""
    return APIRouter(prefix=BASE, tags=[tag], default_response_class=Response, route_class=ReviewRoute)


def review_stubs(request: Request) -> Any:
    """The stubs of the application."""
    state = request.app.state
    if not hasattr(state, "review_stubs"):
        state.review_stubs = ReviewStubs(state.channel)
    return state.review_stubs


async def call(request: Request, method: Any, message: Message) -> Answer:
    """Calls a unary method and waits for what comes with its answer."""
    pending = method(message, metadata=metadata(request))
    reply = await pending
    trailing = dict(await pending.trailing_metadata() or ())
    version = trailing.get("session-version")
    return Answer(reply, int(version) if version is not None else None, trailing.get("idempotent-replay") == "true")


def reply(answer: Answer, message: Message, status: int = 200, **headers: str) -> Response:
    """An answer with a message as its body."""
    return json_answer(to_json(message), status, {**answer.headers, **headers})


async def rest(stream: Any) -> AsyncIterator[Any]:
    """The messages of a stream whose first one was read; the call ends when nobody reads on."""
    try:
        while (item := await stream.read()) is not grpc.aio.EOF:
            yield item
    finally:
        stream.cancel()


def expected_version(request: Request) -> dict[str, Any]:
    """The version that a mutation is about, from `If-Match` or `X-Session-Version`, as a field of its request.

    Raises:
        Refusal: the header cannot be read.
    """
    tag, number = request.headers.get("if-match"), request.headers.get(VERSION)
    if tag is not None and tag.strip() != "*":
        match = _TAG.fullmatch(tag.strip())
        if match is None:
            raise Refusal(400, "invalid_version_header", 'If-Match must look like "v7".')
        return {"expected_version": int(match["version"])}
    if number is not None:
        if not number.strip().isdigit() or len(number.strip()) > 18:
            raise Refusal(400, "invalid_version_header", f"{VERSION} must be a number.")
        return {"expected_version": int(number)}
    return {}


def idempotency_key(request: Request) -> str:
    """The request's idempotency key, empty without one."""
    return request.headers.get("idempotency-key", "")


def wants_no_wait(request: Request) -> bool:
    """The client asks for an answer at once."""
    return "respond-async" in request.headers.get("prefer", "").lower()


def documented(
    message: type[Message], description: str, status: int, *failures: int
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its success and the failures that the contract lists."""
    return {**answers(body_of(message), description, status=status), **failing(*failures)}


def failing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Failures with the contract's error body."""
    return {
        status: {"description": _FAILURES[status], "content": {"application/json": {"schema": _ERROR}}}
        for status in statuses
    }


_FAILURES = {
    400: "Invalid request",
    401: "Authentication required",
    403: "Access denied",
    404: "Resource not found",
    409: "The state of the session does not allow it",
    413: "Too large",
    422: "Schema validation error",
    502: "Superset refuses, or answers nonsense",
    503: "Superset cannot be reached",
    504: "Superset does not answer in time",
}
_ERROR = {
    "type": "object",
    "title": "ReviewErrorBody",
    "required": ["error_code", "message"],
    "properties": {
        "error_code": {"type": "string"},
        "message": {"type": "string"},
        "details": {},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def body_schema(model: Any, *, required: bool = True) -> dict[str, Any]:
    """The documentation of a body that is read by hand."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
