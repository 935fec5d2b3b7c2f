"""Spans of HTTP calls that reviews make, of Superset: from the first byte sent until the last one read."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind

from sagitta_server.observability.tracing.provider import Tracing, fail


def traced_transport(tracing: Tracing, transport: httpx.BaseTransport) -> httpx.BaseTransport:
    """The transport with a span for each of its calls, which it tells to the other side."""
    return _TracedTransport(tracing, transport)


class _TracedTransport(httpx.BaseTransport):
    def __init__(self, tracing: Tracing, transport: httpx.BaseTransport) -> None:
        self._tracing = tracing
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        about: dict[str, str | int] = {"http.request.method": request.method, "server.address": request.url.host}
        if request.url.port is not None:
            about["server.port"] = request.url.port
        span = self._tracing.tracer.start_span(request.method, kind=SpanKind.CLIENT, attributes=about)
        carrier: dict[str, str] = {}
        inject(carrier, trace.set_span_in_context(span))
        request.headers.update(carrier)
        try:
            response = self._transport.handle_request(request)
        except Exception as error:
            fail(span, type(error).__name__)
            span.end()
            raise
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 400:
            fail(span, str(response.status_code))
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Observed(response.stream, span)
        return response

    def close(self) -> None:
        self._transport.close()


class _Observed(httpx.SyncByteStream):
    """The body of an answer; its span ends when it is closed."""

    def __init__(self, stream: httpx.SyncByteStream, span: Span) -> None:
        self._stream, self._span = stream, span

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._span.end()
