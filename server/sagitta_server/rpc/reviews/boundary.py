"""The edge of the review services: who calls is found out, and every failure becomes one kind of status."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from sagitta_server.auth import AuthenticationError, Authenticator, PermissionDeniedError, Principal
from sagitta_server.reviews.errors import ReviewError, Violation, grpc_status, http_status, validation_error
from sagitta_server.reviews.json_text import dump
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.values import Review
from sagitta_server.rpc.access import REQUEST_ID, SESSION_VERSION, metadata_of
from sagitta_server.rpc.reviews import convert

log = logging.getLogger("sagitta.rpc")
ERROR_KEY = "review-error-bin"
REPLAY_KEY = "idempotent-replay"

Context = grpc.ServicerContext
R = TypeVar("R")


class Handlers:
    """What the handlers of every review service need."""

    def __init__(self, service: ReviewService, authenticator: Authenticator, waiting: Waiting) -> None:
        self._service = service
        self._authenticator = authenticator
        self._waiting = waiting

    def caller(self, context: Context) -> Principal:
        """Who calls.

        Raises:
            AuthenticationError: no usable token came with the call.
        """
        return self._authenticator.authenticate(metadata_of(context).get("authorization"))


H = TypeVar("H", bound=Handlers)
Q = TypeVar("Q")
M = TypeVar("M", bound=Message)


def answers(handler: Callable[[H, Q, Context, Principal], R]) -> Callable[[H, Q, Context], R]:
    """A handler with one answer, which gets the caller beside the request."""

    @wraps(handler)
    def handle(self: H, request: Q, context: Context) -> R:
        try:
            caller = self.caller(context)
            return handler(self, readable(request), context, caller)
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
            fail(context, error)

    return handle


def streams(
    handler: Callable[[H, Q, Context, Principal], Iterator[R]],
) -> Callable[[H, Q, Context], Iterator[R]]:
    """A handler with many answers, which gets the caller beside the request."""

    @wraps(handler)
    def handle(self: H, request: Q, context: Context) -> Iterator[R]:
        try:
            caller = self.caller(context)
            yield from handler(self, readable(request), context, caller)
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
            fail(context, error)

    return handle


def readable(request: Q) -> Q:
    """A request, or a stream of them, that can be stored: a text with a NUL character is refused when it comes.

    Raises:
        ReviewError: `validation_error`, naming the field; of a stream, when the message is read.
    """
    if isinstance(request, Message):
        return _without_nul(request)
    messages: Any = request
    return cast("Q", map(_without_nul, messages))


def _without_nul(message: M, place: str = "body") -> M:
    """No database stores a NUL character in a text, and nobody means one."""
    for field, value in message.ListFields():
        for part in value if field.is_repeated else (value,):
            if isinstance(part, Message):
                _without_nul(part, f"{place}.{field.name}")
            elif isinstance(part, str) and "\x00" in part:
                raise validation_error(Violation(f"{place}.{field.name}", "must not hold a NUL character"))
    return message


def fail(context: Context, error: Exception) -> NoReturn:
    """Ends a call with the status of an error."""
    known = as_review_error(error, metadata_of(context).get(REQUEST_ID, "")[:128])
    detail = convert.error_detail(known, http_status(known.code), "" if known.details is None else dump(known.details))
    info = AnyMessage()
    info.Pack(error_details_pb2.ErrorInfo(reason=known.code.upper(), domain="sagitta.review"))
    code = grpc.StatusCode[grpc_status(known.code)]
    status = status_pb2.Status(code=code.value[0], message=known.message, details=[info])
    packed = rpc_status.to_status(status)
    context.set_trailing_metadata((*(packed.trailing_metadata or ()), (ERROR_KEY, detail.SerializeToString())))
    context.abort(code, known.message)
    raise AssertionError("unreachable")


def as_review_error(error: Exception, request_id: str = "") -> ReviewError:
    """Every failure as an error of the contract; a defect tells its trace id and nothing else."""
    match error:
        case ReviewError():
            return error
        case AuthenticationError():
            return ReviewError("unauthenticated", str(error))
        case PermissionDeniedError():
            return ReviewError("permission_denied", str(error), {"required": list(error.required)})
        case _:
            trace_id = uuid.uuid4().hex
            log.error("review call failed (trace %s)", trace_id, exc_info=error, extra={"request_id": request_id})
            return ReviewError(
                "internal_error", f"Something went wrong here (trace {trace_id}).", {"trace_id": trace_id}
            )


def expected(request: Any) -> int | None:
    """The version that a mutation is about."""
    return request.expected_version if request.HasField("expected_version") else None


def tell(context: Context, review: Review, *, replayed: bool = False) -> None:
    """Sends the session's version with the answer."""
    extra = ((REPLAY_KEY, "true"),) if replayed else ()
    context.set_trailing_metadata(((SESSION_VERSION, str(review.session.version)), *extra))


def end_of(context: Context, principal: Principal) -> Callable[[], bool]:
    """What tells whether a stream should end: its reader is gone, or has a token no more.

    Raises (when called):
        AuthenticationError: the token has expired.
    """

    def ended() -> bool:
        if not context.is_active():
            return True
        if principal.expires_at is not None and datetime.now(UTC) >= principal.expires_at:
            raise AuthenticationError("The token has expired; get a new one.")
        return False

    return ended


class Waiting:
    """Counts the streams that wait for something to happen, because each holds a thread of the server."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = threading.BoundedSemaphore(limit)

    def admit(self, stream: Iterator[R]) -> Iterator[R]:
        """The stream, if there is room for it.

        Raises:
            ReviewError: `rate_limited`.
        """
        if not self._free.acquire(blocking=False):
            raise ReviewError(
                "rate_limited", f"{self._limit} streams wait for events already; try again.", {"retry_after_s": 5}
            )
        try:
            yield from stream
        finally:
            self._free.release()
