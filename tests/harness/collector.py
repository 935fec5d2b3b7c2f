"""A receiver of OpenTelemetry's protocol, as a collector is one: a gRPC server that keeps the spans it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it arrived."""

    service: str
    instance: str
    """Tells processes apart."""
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int
    ended: int
    """Nanoseconds since 1970."""
    attributes: dict[str, Any]
    is_error: bool
    message: str
    events: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    """Trace and span of each link."""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """The spans that have arrived."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.raw: list[bytes] = []
        """Every export as it travelled."""
        self._spans: list[SeenSpan] = []
        self._arrived = threading.Condition()

    def Export(self, request: Any, context: Any) -> Any:
        with self._arrived:
            self.raw.append(request.SerializeToString())
            self._spans += _read(request)
            self._arrived.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def spans(self) -> tuple[SeenSpan, ...]:
        with self._arrived:
            return tuple(self._spans)

    def of_trace(self, trace_id: str) -> tuple[SeenSpan, ...]:
        return tuple(span for span in self.spans if span.trace_id == trace_id)

    def wait(self, enough: Callable[[Sequence[SeenSpan]], bool], seconds: float = 20.0) -> tuple[SeenSpan, ...]:
        """The spans once there are enough."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while not enough(self._spans):
                left = deadline - time.monotonic()
                if left <= 0:
                    listed = "\n".join(str(span) for span in self._spans)
                    raise AssertionError(f"the spans did not arrive; there are\n{listed}")
                self._arrived.wait(left)
            return tuple(self._spans)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process send its spans here, without waiting for a batch of them."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    """Runs a collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()


_KINDS = {0: "unspecified", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_ERROR = 2


def _read(request: Any) -> Iterator[SeenSpan]:
    for group in request.resource_spans:
        about = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield SeenSpan(
                    service=about["service.name"],
                    instance=about.get("service.instance.id", ""),
                    name=span.name,
                    kind=_KINDS[span.kind],
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    started=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    is_error=span.status.code == _ERROR,
                    message=span.status.message,
                    events=tuple(event.name for event in span.events),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
