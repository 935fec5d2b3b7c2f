"""Traces of calls, compilations and statements: switched on by OpenTelemetry's own `OTEL_*` variables, else absent.

Nothing here is on the way of a call unless tracing is on: the parts that trace are put around the others when an engine
is built (`sagitta_server.app`), and this module alone is imported before that is known.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sagitta_server.observability.settings import TracingSettings

if TYPE_CHECKING:
    from sagitta_server.observability.tracing.provider import Tracing

log = logging.getLogger("sagitta.tracing")

TRACEPARENT: ContextVar[str | None] = ContextVar("sagitta_traceparent", default=None)
"""The span of the call that runs on this thread, as W3C writes it; for work that goes on after its call."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def tracing_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment names an exporter, or an endpoint for the usual one."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", "").strip():
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


def open_tracing(settings: TracingSettings, environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """What traces an engine; None where nobody asked for it, or where it cannot be had, which the log tells.

    An engine without traces serves as well as one with: a variable that an operator sets for every program of a machine
    must not keep one from starting.
    """
    if not tracing_wanted(environment):
        return None
    try:
        from sagitta_server.observability.tracing.provider import (  # noqa: PLC0415 (an extra of the package)
            ExporterError,
            start_tracing,
        )
    except ImportError:
        log.warning("traces are asked for (OTEL_*), but not installed: pip install 'sagitta[tracing]'")
        return None
    try:
        return start_tracing(settings, environment)
    except ExporterError as error:
        log.warning("there are no traces: %s", error)
        return None
