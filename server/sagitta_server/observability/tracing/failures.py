"""What a trace tells of a failure: its gRPC code and the documented reason, never its message."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.trace import Span

from sagitta_server.errors import to_status
from sagitta_server.observability.tracing.provider import fail

OURS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that are an error of the server; the others are its answer (semantic conventions of gRPC servers)."""
REASON = "sagitta.reason"


def reason_of(error: Exception) -> str:
    """The reason that an exception is told with on every surface."""
    return status_reason(to_status(error)) or type(error).__name__


def status_reason(status: status_pb2.Status) -> str:
    """The reason in the details of a status; empty without one."""
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "")


def read_status(details: object) -> status_pb2.Status | None:
    """A status as it travels; None where there is none."""
    if not isinstance(details, bytes) or not details:
        return None
    try:
        return status_pb2.Status.FromString(details)
    except DecodeError:
        return None


def end_call(span: Span, code: str, reason: str, *, meant: str = "") -> None:
    """Ends the span of a call: `code` is what the caller saw, `meant` what a surface with all codes would show."""
    span.set_attribute("rpc.response.status_code", code)
    if reason:
        span.set_attribute(REASON, reason)
    if code != "OK":
        fail(span, reason or code, is_error=(meant or code) in OURS)
    span.end()


def code_name(code: int) -> str:
    """The name of a gRPC code."""
    name: str = code_pb2.Code.Name(code)
    return name
