"""Failures of review calls: the engine's words from the trailing metadata, as the contract's bodies."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc
import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sagitta.review.v1 import review_pb2 as pb
from starlette.responses import Response

log = logging.getLogger(__name__)

ERROR_KEY = "review-error-bin"
_CHALLENGE = 'Bearer error="invalid_token"'
_TRANSPORT = {
    grpc.StatusCode.UNAVAILABLE: (503, "engine_unreachable", "The engine cannot be reached; try again later."),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "engine_timeout", "The engine took too long."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (413, "upload_too_large", "The request is larger than the engine takes."),
    grpc.StatusCode.UNIMPLEMENTED: (501, "not_implemented", "This engine does not offer reviews."),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One part of a request that breaks its schema."""

    field: str
    message: str


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer that is no success."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details, self.violations = details, violations

    def response(self) -> Response:
        """The answer."""
        body: dict[str, Any] = {"error_code": self.code, "message": self.message}
        if self.code == "validation_error":
            body["errors"] = [{"field": v.field, "message": v.message} for v in self.violations]
        elif self.details is not None:
            body["details"] = self.details
        headers = {"WWW-Authenticate": _CHALLENGE} if self.status == 401 else {}
        if isinstance(self.details, dict) and "retry_after_s" in self.details:
            headers["Retry-After"] = str(self.details["retry_after_s"])
        return Response(orjson.dumps(body), self.status, headers, media_type="application/json")


class ReviewRoute(APIRoute):
    """Answers every failure in the words of the review contract."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with its failures translated."""
        handler = super().get_route_handler()
        invalid = 400 if 400 in self.responses and 422 not in self.responses else 422

        async def translated(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                return refusal.response()
            except grpc.aio.AioRpcError as error:
                return refusal_of(error, invalid).response()
            except RequestValidationError as error:
                return _parameters(error).response()

        return translated


def refusal_of(error: grpc.aio.AioRpcError, invalid: int = 422) -> Refusal:
    """The answer for a failed call; `invalid` is the status of a request that breaks its schema."""
    packed = next((value for key, value in error.trailing_metadata() or () if key == ERROR_KEY), None)
    if isinstance(packed, bytes):
        detail = pb.ErrorDetail.FromString(packed)
        status = invalid if detail.http_status == 422 else detail.http_status
        return Refusal(
            status,
            detail.code,
            detail.message,
            details=orjson.loads(detail.details.json) if detail.HasField("details") else None,
            violations=tuple(Violation(v.field, v.message) for v in detail.violations),
        )
    status, code, message = _TRANSPORT.get(error.code(), (500, "internal_error", "Something went wrong."))
    if status == 500:
        trace_id = uuid.uuid4().hex
        log.error("a review call failed (trace %s): %s", trace_id, error.code())
        return Refusal(500, code, f"{message} (trace {trace_id})", details={"trace_id": trace_id})
    return Refusal(status, code, message)


def _parameters(error: RequestValidationError) -> Refusal:
    violations = tuple(
        Violation(".".join(str(part) for part in item["loc"]), str(item["msg"])) for item in error.errors()
    )
    message = "; ".join(f"{v.field} {v.message}" for v in violations)
    return Refusal(422, "validation_error", message, violations=violations)
