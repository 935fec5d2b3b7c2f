"""Spans of gRPC calls: from the first byte of the request until the last of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, get_current_span

from sagitta_server.observability.tracing.failures import end_call, read_status, status_reason
from sagitta_server.observability.tracing.provider import Tracing, within

Behaviour = Callable[[Any, grpc.ServicerContext], Any]
STATUS_DETAILS = "grpc-status-details-bin"
_ASKED_ALWAYS = frozenset({"/sagitta.semantic.v1.SettingsService/GetHealth"})
"""Methods that watchers call every few seconds: traced only as a part of somebody's trace."""


class TracedCalls(grpc.ServerInterceptor):
    """Gives every call of our own services a span; the outermost interceptor."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        if (known := self._wrapped.get(method)) is not None:
            return known
        handler = continuation(handler_call_details)
        if handler is None or not method.startswith("/sagitta."):
            return handler
        wrapped = self._wrapped[method] = self._wrap(handler, method)
        return wrapped

    def _wrap(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        coders = (handler.request_deserializer, handler.response_serializer)
        match handler:
            case grpc.RpcMethodHandler(unary_unary=behaviour) if behaviour is not None:
                return grpc.unary_unary_rpc_method_handler(self._single(behaviour, method), *coders)
            case grpc.RpcMethodHandler(unary_stream=behaviour) if behaviour is not None:
                return grpc.unary_stream_rpc_method_handler(self._many(behaviour, method), *coders)
            case grpc.RpcMethodHandler(stream_unary=behaviour) if behaviour is not None:
                return grpc.stream_unary_rpc_method_handler(self._single(behaviour, method), *coders)
            case _:
                both: Any = handler.stream_stream
                return grpc.stream_stream_rpc_method_handler(self._many(both, method), *coders)

    def _single(self, behaviour: Behaviour, method: str) -> Behaviour:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            span = self._span(method, context)
            try:
                with within(span):
                    return behaviour(request, context)
            finally:
                _end(span, context)

        return handle

    def _many(self, behaviour: Behaviour, method: str) -> Behaviour:
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
    code = context.code()
    name = ("OK" if context.is_active() else "CANCELLED") if code is None else getattr(code, "name", str(code))
    status = read_status(dict(context.trailing_metadata() or ()).get(STATUS_DETAILS)) if name != "OK" else None
    end_call(span, name, status_reason(status) if status is not None else "")
