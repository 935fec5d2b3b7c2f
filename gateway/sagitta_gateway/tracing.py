"""Traces of requests, switched on by OpenTelemetry's own `OTEL_*` variables: a request's span, and its calls' spans.

Nothing here is on the way of a request unless tracing is on: then a middleware and a channel of this module are put
around the others when the application is built.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagitta_gateway.spans import Tracing

log = logging.getLogger(__name__)

EXPORTERS = "opentelemetry_traces_exporter"
"""The group of entry points by which OpenTelemetry's exporters are found."""
OTLP: Mapping[str, str] = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""The exporter of each protocol of OTLP."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class ExporterError(Exception):
    """The exporter that the environment names cannot be had; the message says why."""


def tracing_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment names an exporter, or an endpoint for the usual one."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", "").strip():
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


def open_tracing(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """What traces a gateway; None where nobody asked for it, or where it cannot be had, which the log tells."""
    if not tracing_wanted(environment):
        return None
    try:
        from sagitta_gateway.spans import start_tracing  # noqa: PLC0415 (an extra of the package)
    except ImportError:
        log.warning("traces are asked for (OTEL_*), but not installed: pip install 'sagitta[tracing]'")
        return None
    try:
        return start_tracing(exporters(environment), environment)
    except ExporterError as error:
        log.warning("there are no traces: %s", error)
        return None


def exporters(environment: Mapping[str, str]) -> list[Any]:
    """The classes of the exporters that `OTEL_TRACES_EXPORTER` lists.

    Raises:
        ExporterError: there is no such exporter, or OTLP has no such protocol.
    """
    listed = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    traces, common = (environment.get(f"OTEL_EXPORTER_OTLP_{part}PROTOCOL") for part in ("TRACES_", ""))
    protocol = traces or common or "grpc"
    names = [name.strip() for name in listed.split(",")]
    if "otlp" in names and protocol not in OTLP:
        raise ExporterError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, not one of {', '.join(OTLP)}")
    return [_exporter(OTLP[protocol] if name == "otlp" else name) for name in names if name not in {"", "none"}]


def _exporter(name: str) -> Any:
    found = next(iter(entry_points(group=EXPORTERS, name=name)), None)
    if found is None:
        known = sorted({"otlp", "none"} | {entry.name for entry in entry_points(group=EXPORTERS)})
        raise ExporterError(f"OTEL_TRACES_EXPORTER names {name!r}, which is none of {', '.join(known)}")
    return found.load()


def service(environment: Mapping[str, str]) -> dict[str, str]:
    """What tells the gateway from other services, where the environment does not say it."""
    named = environment.get("OTEL_SERVICE_NAME") or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    about = {"service.version": version("sagitta")}
    return about if named else {**about, "service.name": "sagitta-gateway"}
