"""Spans of gRPC calls: from the first byte of the request until the last of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, get_current_span

from sagitta_server.observability.tracing.failures import end_call, read_status, status_reason
from sagitta_server.observability.tracing.provider import Tracing, within
from sagitta_server.rpc.handlers import AroundHandlers, Behaviour, outcome

STATUS_DETAILS = "grpc-status-details-bin"
_ASKED_ALWAYS = frozenset({"/sagitta.semantic.v1.SettingsService/GetHealth"})
"""Methods that watchers call every few seconds: traced only as a part of somebody's trace."""


class TracedCalls(AroundHandlers):
    """Gives every call of our own services a span; the outermost interceptor."""

    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self._tracing = tracing

    def around_one(self, behaviour: Behaviour, method: str) -> Behaviour:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            span = self._span(method, context)
            try:
                with within(span):
                    return behaviour(request, context)
            finally:
                _end(span, context)

        return handle

    def around_many(self, behaviour: Behaviour, method: str) -> Behaviour:
        def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            span = self._span(method, context)
            responses = behaviour(request, context)
            try:
                while True:
                    with within(span):
                        response = next(responses, None)
                    if response is None:
                        return
                    yield response
            finally:
                with within(span):
                    responses.close()
                _end(span, context)

        return handle

    def _span(self, method: str, context: grpc.ServicerContext) -> Span:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        parent = extract(metadata)
        if method in _ASKED_ALWAYS and not get_current_span(parent).get_span_context().is_valid:
            return get_current_span(parent)  # a span that records nothing
        name = method.removeprefix("/")
        about = {"rpc.system.name": "grpc", "rpc.method": name}
        if request_id := metadata.get("x-request-id"):
            about["sagitta.request_id"] = request_id[:128]
        return self._tracing.tracer.start_span(name, parent, SpanKind.SERVER, about)


def _end(span: Span, context: Any) -> None:
    if not span.is_recording():
        return
    code = outcome(context)
    status = read_status(dict(context.trailing_metadata() or ()).get(STATUS_DETAILS)) if code != "OK" else None
    end_call(span, code, status_reason(status) if status is not None else "")
