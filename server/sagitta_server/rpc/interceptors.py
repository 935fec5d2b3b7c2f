"""The boundary of the gRPC surface: every call is authenticated, timed, logged, and fails with one kind of status."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import grpc
from google.rpc import code_pb2
from grpc_status import rpc_status

from sagitta_server.errors import is_defect, to_status
from sagitta_server.observability.metrics import CALLS
from sagitta_server.rpc.access import CALL, REQUEST_ID, SESSION_VERSION, AccessControl, Call, metadata_of
from sagitta_server.rpc.handlers import AroundHandlers, Behaviour, outcome

log = logging.getLogger("sagitta.rpc")

OWN_BOUNDARY = "/sagitta.review."
"""Services whose errors are worded by a contract of their own; they authenticate and fail by themselves."""


class Boundary(AroundHandlers):
    """Wraps every handler of our own services."""

    def __init__(self, access: AccessControl) -> None:
        super().__init__()
        self._access = access

    def around_one(self, behaviour: Behaviour, method: str) -> Behaviour:
        own = method.startswith(OWN_BOUNDARY)
        return _measured(_told(behaviour, method) if own else self._unary(behaviour, method), method)

    def around_many(self, behaviour: Behaviour, method: str) -> Behaviour:
        own = method.startswith(OWN_BOUNDARY)
        return _measured_stream(_told_stream(behaviour, method) if own else self._stream(behaviour, method), method)

    def _unary(self, behaviour: Behaviour, method: str) -> Behaviour:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            started, call = time.perf_counter(), self._access.describe(context)
            try:
                self._enter(call, method, context)
                response = behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
                _fail(error, method, call, context)
            _log(method, call, "OK", started)
            return response

        return handle

    def _stream(self, behaviour: Behaviour, method: str) -> Behaviour:
        def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            started, call = time.perf_counter(), self._access.describe(context)
            try:
                self._enter(call, method, context)
                yield from behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
                _fail(error, method, call, context)
            _log(method, call, "OK", started)

        return handle

    def _enter(self, call: Call, method: str, context: grpc.ServicerContext) -> None:
        principal = self._access.authenticate(method, context)
        CALL.set(Call(call.request_id, principal, call.client, call.detail_bytes))


def _measured(behaviour: Behaviour, method: str) -> Behaviour:
    """Counts and times a call."""
    name = method.rpartition(".")[2]

    def handle(request: Any, context: grpc.ServicerContext) -> Any:
        started = time.perf_counter()
        try:
            return behaviour(request, context)
        finally:
            _observe(name, context, started)

    return handle


def _measured_stream(behaviour: Behaviour, method: str) -> Behaviour:
    """Counts and times a call that streams, to its last byte."""
    name = method.rpartition(".")[2]

    def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        started = time.perf_counter()
        try:
            yield from behaviour(request, context)
        finally:
            _observe(name, context, started)

    return handle


def _observe(method: str, context: Any, started: float) -> None:
    CALLS.labels("grpc", method, outcome(context)).observe(time.perf_counter() - started)


def _told(behaviour: Behaviour, method: str) -> Behaviour:
    """Logs a review call with its session and the version that it answered with."""

    def handle(request: Any, context: grpc.ServicerContext) -> Any:
        started, response = time.perf_counter(), None
        try:
            response = behaviour(request, context)
            return response
        finally:
            _log_review(method, session_of(request) or session_of(response), context, started)

    return handle


def _told_stream(behaviour: Behaviour, method: str) -> Behaviour:
    """Logs a review call that streams, when it ends."""

    def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        started, session_id = time.perf_counter(), session_of(request)
        try:
            for response in behaviour(request, context):
                session_id = session_id or session_of(response)
                yield response
        finally:
            _log_review(method, session_id, context, started)

    return handle


def session_of(message: Any) -> str:
    """The review session that a message is about; empty when it names none."""
    session, event = getattr(message, "session", None), getattr(message, "event", None)
    for part in (message, session, getattr(event, "summary", None)):
        if session_id := getattr(part, "session_id", ""):
            return str(session_id)[:64]
    return ""


def _log_review(method: str, session_id: str, context: Any, started: float) -> None:
    code = outcome(context)
    level = logging.DEBUG if code in {"OK", "CANCELLED"} else logging.INFO
    if not log.isEnabledFor(level):
        return
    subject: dict[str, object] = {"request_id": metadata_of(context).get(REQUEST_ID, "")[:128]}
    if session_id:
        subject["session_id"] = session_id
    version = dict(context.trailing_metadata() or ()).get(SESSION_VERSION)
    if version is not None:
        subject["session_version"] = int(version)
    log.log(level, "%s %s %.1f ms", method, code, (time.perf_counter() - started) * 1000, extra=subject)


def _fail(error: Exception, method: str, call: Call, context: grpc.ServicerContext) -> None:
    if not context.is_active():
        log.info("%s ended by its caller", method, extra={"request_id": call.request_id})
    elif is_defect(error):
        log.error("%s failed", method, exc_info=error, extra={"request_id": call.request_id})
    status = to_status(error, call.request_id, call.detail_bytes)
    log.info("%s %s", method, code_pb2.Code.Name(status.code), extra={"request_id": call.request_id})
    context.abort_with_status(rpc_status.to_status(status))


def _log(method: str, call: Call, code: str, started: float) -> None:
    if log.isEnabledFor(logging.DEBUG):
        elapsed = (time.perf_counter() - started) * 1000
        log.debug("%s %s %.1f ms", method, code, elapsed, extra={"request_id": call.request_id})
