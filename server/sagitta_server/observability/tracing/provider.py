"""The tracer of an engine: where spans go, who made them, and how they end."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer

from sagitta_server.observability.settings import TracingSettings
from sagitta_server.observability.tracing import TRACEPARENT

EXPORTERS = "opentelemetry_traces_exporter"
"""The group of entry points by which OpenTelemetry's exporters are found."""
OTLP: Mapping[str, str] = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""The exporter of each protocol of OTLP."""
SERVICE = "sagitta-engine"
CLOSE_SECONDS = 2.0


class ExporterError(Exception):
    """The exporter that the environment names cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """What an engine traces with."""

    provider: TracerProvider
    tracer: Tracer
    settings: TracingSettings
    exporters: tuple[SpanExporter, ...] = ()

    def close(self) -> None:
        """Sends what waits to be sent, for `CLOSE_SECONDS` at most: a collector that is away holds up no stop."""
        closing = threading.Thread(target=self.provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            for exporter in self.exporters:
                exporter.shutdown()  # gives up what it is trying to send


def start_tracing(settings: TracingSettings, environment: Mapping[str, str]) -> Tracing:
    """Builds the tracer that the environment describes; sampler, limits and batches are read from it by the SDK.

    Raises:
        ExporterError: there is no such exporter, or the SDK refuses what the environment says.
    """
    classes = [found for name in exporter_names(environment) if (found := _exporter(name)) is not None]
    try:
        tracing = build_tracing(settings, environment, tuple(exporter() for exporter in classes))
    except Exception as error:
        raise ExporterError(f"OpenTelemetry refuses its variables: {error}") from error
    for handler in logging.getLogger().handlers:
        handler.addFilter(add_trace_ids)
    return tracing


def build_tracing(
    settings: TracingSettings, environment: Mapping[str, str], exporters: tuple[SpanExporter, ...] = ()
) -> Tracing:
    """A tracer that sends its spans to some exporters, in batches."""
    named = environment.get("OTEL_SERVICE_NAME") or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    about = {"service.version": version("sagitta"), "service.instance.id": str(uuid.uuid4())}
    given = Resource.create()  # what the environment says
    resource = given.merge(Resource(about if named else {**about, "service.name": SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider, provider.get_tracer("sagitta", version("sagitta")), settings, exporters)


def exporter_names(environment: Mapping[str, str]) -> list[str]:
    """The entry points of the exporters that `OTEL_TRACES_EXPORTER` lists.

    Raises:
        ExporterError: OTLP has no such protocol.
    """
    listed = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    protocol = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "grpc"
    )
    names = [name.strip() for name in listed.split(",")]
    if "otlp" in names and protocol not in OTLP:
        raise ExporterError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, not one of {', '.join(OTLP)}")
    return [OTLP[protocol] if name == "otlp" else name for name in names]


def _exporter(name: str) -> Any:
    """The class of an exporter; None for `none`."""
    if name in {"", "none"}:
        return None
    found = next(iter(entry_points(group=EXPORTERS, name=name)), None)
    if found is None:
        known = sorted({"otlp", "none"} | {entry.name for entry in entry_points(group=EXPORTERS)})
        raise ExporterError(f"OTEL_TRACES_EXPORTER names {name!r}, which is none of {', '.join(known)}")
    return found.load()


def add_trace_ids(record: logging.LogRecord) -> bool:
    """A filter that lets every record pass and tells it its trace."""
    record.__dict__.update(trace_ids(trace.get_current_span().get_span_context()))
    return True


def trace_ids(context: SpanContext) -> dict[str, str]:
    """What a line of the log tells of its trace; nothing where there is none."""
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


@contextmanager
def within(span: Span) -> Iterator[None]:
    """Makes a call's span the present one; neither ends it nor looks at exceptions, whose texts are not for traces."""
    attached = otel_context.attach(trace.set_span_in_context(span))
    told = TRACEPARENT.set(traceparent(span.get_span_context()))
    try:
        yield
    finally:
        TRACEPARENT.reset(told)
        otel_context.detach(attached)


def traceparent(context: SpanContext) -> str:
    """A span's context as W3C's `traceparent` writes it."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def fail(span: Span, error_type: str, *, is_error: bool = True) -> None:
    """Notes how something failed, by its code alone: a message may hold values, and SQL."""
    span.set_attribute("error.type", error_type)
    if is_error:
        span.set_status(Status(StatusCode.ERROR))
