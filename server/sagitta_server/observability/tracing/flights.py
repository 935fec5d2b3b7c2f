"""Spans of Flight calls: begun and ended by a middleware, present while a method of the server runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind
from pyarrow import flight

from sagitta_server.errors import to_status
from sagitta_server.flight.access import CODES, Headers
from sagitta_server.flight.errors import guarded
from sagitta_server.flight.service import FlightSqlServer
from sagitta_server.observability.tracing.failures import code_name, end_call, read_status, status_reason
from sagitta_server.observability.tracing.provider import Tracing, trace_ids, within

MIDDLEWARE = "sagitta-trace"
SERVICE = "arrow.flight.protocol.FlightService"


class TracedCall(flight.ServerMiddleware):  # type: ignore[misc]
    """One call and its span."""

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.span = span
        self._failure: Exception | None = None

    def failed(self, error: Exception) -> None:
        """Remembers the failure of a method: the Flight error that a client gets knows less."""
        self._failure = error

    def call_completed(self, exception: Exception | None) -> None:
        if exception is None:
            end_call(self.span, "OK", "")
            return
        told = read_status(getattr(exception, "extra_info", None))
        status = to_status(self._failure) if self._failure is not None else told
        end_call(
            self.span,
            CODES.get(type(exception), "UNKNOWN"),
            status_reason(status) if status is not None else "",
            meant=code_name(status.code) if status is not None else "",
        )


class TracedCalls(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Gives every call a span, those that are refused too; the first middleware."""

    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self._tracing = tracing

    def start_call(self, info: Any, headers: Headers) -> TracedCall:
        carrier = {name: values[0] for name, values in headers.items() if values and isinstance(values[0], str)}
        name = f"{SERVICE}/{''.join(part.title() for part in info.method.name.split('_'))}"
        about = {"rpc.system.name": "grpc", "rpc.method": name}
        return TracedCall(self._tracing.tracer.start_span(name, extract(carrier), SpanKind.SERVER, about))


def _present(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the server with its call's span as the present one."""
    inner: Callable[..., Any] = method.__wrapped__  # type: ignore[attr-defined]  # (without its guard: there is one around)

    @guarded
    @functools.wraps(inner)
    def call(self: Any, context: Any, *arguments: Any) -> Any:
        traced: TracedCall = context.get_middleware(MIDDLEWARE)
        caller = self.caller(context)
        caller.told.update(trace_ids(traced.span.get_span_context()))
        traced.span.set_attribute("sagitta.request_id", caller.request_id)
        if arguments and isinstance(arguments[0], flight.Action):
            traced.span.set_attribute("sagitta.flight.action", arguments[0].type[:64])
        with within(traced.span):
            try:
                return inner(self, context, *arguments)
            except Exception as error:
                traced.failed(error)
                raise

    return call


class TracedFlightSqlServer(FlightSqlServer):
    """The server with its calls' spans present."""

    get_flight_info = _present(FlightSqlServer.get_flight_info)
    get_schema = _present(FlightSqlServer.get_schema)
    do_get = _present(FlightSqlServer.do_get)
    do_put = _present(FlightSqlServer.do_put)
    do_action = _present(FlightSqlServer.do_action)
