"""The spans of a gateway: one for a request, one below it for each call of the engine."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fastapi import FastAPI
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Receive, Scope, Send

from sagitta_gateway.observed import NOBODY, Answer, method_of, route_of
from sagitta_gateway.tracing import ExporterError, service

CLOSE_SECONDS = 2.0
PROBES = frozenset({"/health", "/livez"})
"""Paths that watchers ask every few seconds: traced only as a part of somebody's trace."""
CLIENT_GONE = "client_gone"
"""What a request failed with whose client went away."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """What a gateway traces with."""

    provider: TracerProvider
    tracer: Tracer
    exporters: tuple[SpanExporter, ...]

    def install(self, app: FastAPI) -> None:
        """Puts a span around every request."""
        app.add_middleware(TracedRequests, tracing=self)

    def channel(self, channel: grpc.aio.Channel) -> Any:
        """The channel with a span around every call."""
        return TracedChannel(channel, self)

    async def close(self) -> None:
        """Sends what waits to be sent, for `CLOSE_SECONDS` at most: a collector that is away holds up no stop."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        closing = threading.Thread(target=self.provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            for exporter in self.exporters:
                exporter.shutdown()  # gives up what it is trying to send


def start_tracing(classes: Sequence[Callable[[], SpanExporter]], environment: Mapping[str, str]) -> Tracing:
    """Builds the tracer; sampler, limits and batches are read from the environment by the SDK.

    Raises:
        ExporterError: the SDK refuses what the environment says.
    """
    try:
        return _tracing([exporter() for exporter in classes], environment)
    except Exception as error:
        raise ExporterError(f"OpenTelemetry refuses its variables: {error}") from error


def _tracing(exporters: Sequence[SpanExporter], environment: Mapping[str, str]) -> Tracing:
    about = Resource({**service(environment), "service.instance.id": str(uuid.uuid4())})
    provider = TracerProvider(resource=Resource.create().merge(about), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    _tell_traces_in_logs()
    return Tracing(provider, provider.get_tracer("sagitta", service(environment)["service.version"]), tuple(exporters))


class _LineFormatter(logging.Formatter):
    """A line with the trace of its request."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        context = trace.get_current_span().get_span_context()
        return f"{line} trace_id={context.trace_id:032x}" if context.is_valid else line


def _tell_traces_in_logs() -> None:
    own = logging.getLogger("sagitta_gateway")
    if any(isinstance(handler.formatter, _LineFormatter) for handler in own.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    own.addHandler(handler)


class TracedRequests:
    """Gives every request a span, from its headers until the last byte of its answer; the outermost middleware.

    A path holds the ids of sessions, and a query string values: the span tells the template of the route only.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracer = tracing.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = method_of(scope)
        about = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        parent = extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        if scope["path"] in PROBES and not trace.get_current_span(parent).get_span_context().is_valid:
            await self._app(scope, receive, send)
            return
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, about)
        attached = otel_context.attach(trace.set_span_in_context(span, parent))
        answer = Answer(send)
        try:
            await self._app(scope, receive, answer)
        except BaseException as error:
            answer.failed(error)
            raise
        finally:
            otel_context.detach(attached)
            _end_request(span, method, scope, answer)


def _end_request(span: Span, method: str, scope: Scope, answer: Answer) -> None:
    if route := route_of(scope):
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    if answer.request_id:
        span.set_attribute("sagitta.request_id", answer.request_id)
    if answer.status not in {0, NOBODY}:
        span.set_attribute("http.response.status_code", answer.status)
    if answer.gone:
        _fail(span, CLIENT_GONE)
    elif answer.status >= 500:
        _fail(span, str(answer.status))
    span.end()


def _fail(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


class TracedChannel:
    """A channel whose calls are spans of their request, and tell the engine so in their metadata.

    Calls outside of a request (the watch of the engine's health) have no span.
    """

    def __init__(self, channel: grpc.aio.Channel, tracing: Tracing) -> None:
        self._channel = channel
        self._tracer = tracing.tracer

    def unary_unary(self, method: str, *arguments: Any, **named: Any) -> Callable[..., Any]:
        return self._traced(method, self._channel.unary_unary(method, *arguments, **named))

    def unary_stream(self, method: str, *arguments: Any, **named: Any) -> Callable[..., Any]:
        return self._traced(method, self._channel.unary_stream(method, *arguments, **named))

    def stream_unary(self, method: str, *arguments: Any, **named: Any) -> Callable[..., Any]:
        return self._traced(method, self._channel.stream_unary(method, *arguments, **named))

    def stream_stream(self, method: str, *arguments: Any, **named: Any) -> Callable[..., Any]:
        return self._traced(method, self._channel.stream_stream(method, *arguments, **named))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def _traced(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        name = method.removeprefix("/")
        about = {"rpc.system.name": "grpc", "rpc.method": name}
        ending: set[asyncio.Task[None]] = set()

        def start(request: Any, *, metadata: Any = None, **options: Any) -> Any:
            if not trace.get_current_span().get_span_context().is_valid:
                return call(request, metadata=metadata, **options)
            span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=about)
            carrier: dict[str, str] = {}
            inject(carrier, trace.set_span_in_context(span))
            begun = call(request, metadata=(*(metadata or ()), *carrier.items()), **options)
            if span.is_recording():
                task = asyncio.get_running_loop().create_task(_end_call(span, begun))
                ending.add(task)
                task.add_done_callback(ending.discard)
            return begun

        return start


async def _end_call(span: Span, call: Any) -> None:
    """Ends a call's span when the call has ended, however it ends."""
    code = (await call.code()).name
    span.set_attribute("rpc.response.status_code", code)
    if code != "OK":
        _fail(span, code)
    span.end()
