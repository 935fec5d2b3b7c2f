"""The one table of errors: what goes wrong in the engine -> `google.rpc.Status` with one `ErrorInfo`.

    ServiceError            a rule of the service, named by its reason
    CompileError            mistakes in a model or a query, all of them
    SourceError             the warehouse failed, was busy, was cancelled or ran too long
    AuthenticationError, PermissionDeniedError

Other parts add their own exceptions to `HANDLERS`. Whatever is not in the table is a defect: the caller learns the
request id and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from sagitta.semantic.v1 import diagnostic_pb2
from sagitta_compiler import CompileError, Diagnostic

from sagitta_server.auth import AuthenticationError, PermissionDeniedError
from sagitta_server.execution.source import (
    SourceBusyError,
    SourceError,
    StatementCancelledError,
    StatementTimeoutError,
)
from sagitta_server.rpc.convert import diagnostic_message

DOMAIN = "sagitta"
UNSUPPORTED_DIALECT = "UNSUPPORTED_DIALECT"
"""The compiler's code for a dialect it does not write; it has a reason of its own."""
DETAIL_BYTES = 6_000
"""Diagnostics sent among the details, at most: a peer refuses metadata over 8 KiB unless it is told otherwise."""


class Reason(StrEnum):
    """The documented reasons; a test compares them with `error_reason.proto`."""

    INVALID_REQUEST = "INVALID_REQUEST"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    ARTEFACT_NOT_FOUND = "ARTEFACT_NOT_FOUND"
    NO_MODEL = "NO_MODEL"
    AMBIGUOUS_MODEL = "AMBIGUOUS_MODEL"
    TOO_MANY_SESSIONS = "TOO_MANY_SESSIONS"
    SESSION_RATE_LIMITED = "SESSION_RATE_LIMITED"
    TOO_MANY_MODELS = "TOO_MANY_MODELS"
    MODELS_CURATED = "MODELS_CURATED"
    SESSION_PROTECTED = "SESSION_PROTECTED"
    SESSION_LIST_DISABLED = "SESSION_LIST_DISABLED"
    MODEL_INVALID = "MODEL_INVALID"
    QUERY_INVALID = "QUERY_INVALID"
    UNSUPPORTED_DIALECT = "UNSUPPORTED_DIALECT"
    UNKNOWN_TIMEZONE = "UNKNOWN_TIMEZONE"
    EXECUTION_UNAVAILABLE = "EXECUTION_UNAVAILABLE"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    WAREHOUSE_BUSY = "WAREHOUSE_BUSY"
    QUERY_TIMEOUT = "QUERY_TIMEOUT"
    QUERY_CANCELLED = "QUERY_CANCELLED"
    INVALID_SPARQL = "INVALID_SPARQL"
    SPARQL_TIMEOUT = "SPARQL_TIMEOUT"
    INVALID_YAML = "INVALID_YAML"
    CONVERSION_FAILED = "CONVERSION_FAILED"
    HEARTBEAT_DISABLED = "HEARTBEAT_DISABLED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    REFERENCE_NOT_FOUND = "REFERENCE_NOT_FOUND"
    BATCH_INVALID = "BATCH_INVALID"
    SQL_TRANSLATION_FAILED = "SQL_TRANSLATION_FAILED"
    INTERNAL = "INTERNAL"
    STATE_UNAVAILABLE = "STATE_UNAVAILABLE"


_NOT_FOUND = (
    Reason.SESSION_NOT_FOUND,
    Reason.SESSION_EXPIRED,
    Reason.MODEL_NOT_FOUND,
    Reason.ARTEFACT_NOT_FOUND,
    Reason.NO_MODEL,
    Reason.HEARTBEAT_DISABLED,
    Reason.REFERENCE_NOT_FOUND,
)
_INVALID = (
    Reason.INVALID_REQUEST,
    Reason.MODEL_INVALID,
    Reason.QUERY_INVALID,
    Reason.UNSUPPORTED_DIALECT,
    Reason.UNKNOWN_TIMEZONE,
    Reason.INVALID_SPARQL,
    Reason.INVALID_YAML,
    Reason.CONVERSION_FAILED,
    Reason.BATCH_INVALID,
    Reason.SQL_TRANSLATION_FAILED,
)
_EXHAUSTED = (Reason.TOO_MANY_SESSIONS, Reason.SESSION_RATE_LIMITED, Reason.TOO_MANY_MODELS, Reason.WAREHOUSE_BUSY)
_DENIED = (
    Reason.MODELS_CURATED,
    Reason.SESSION_PROTECTED,
    Reason.SESSION_LIST_DISABLED,
    Reason.PERMISSION_DENIED,
)

CODES: Mapping[Reason, int] = {
    **dict.fromkeys(_NOT_FOUND, code_pb2.NOT_FOUND),
    **dict.fromkeys(_INVALID, code_pb2.INVALID_ARGUMENT),
    **dict.fromkeys(_EXHAUSTED, code_pb2.RESOURCE_EXHAUSTED),
    **dict.fromkeys(_DENIED, code_pb2.PERMISSION_DENIED),
    Reason.AMBIGUOUS_MODEL: code_pb2.FAILED_PRECONDITION,
    Reason.EXECUTION_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.STATE_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.EXECUTION_FAILED: code_pb2.ABORTED,
    Reason.QUERY_TIMEOUT: code_pb2.DEADLINE_EXCEEDED,
    Reason.SPARQL_TIMEOUT: code_pb2.DEADLINE_EXCEEDED,
    Reason.QUERY_CANCELLED: code_pb2.CANCELLED,
    Reason.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Reason.INTERNAL: code_pb2.INTERNAL,
}
"""The gRPC code of each reason."""


class ServiceError(Exception):
    """A request that the service refuses; the message is for the caller."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        diagnostics: Iterable[Diagnostic] = (),
        retry_after_seconds: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.diagnostics = tuple(diagnostics)
        self.retry_after_seconds = retry_after_seconds
        self.metadata = dict(metadata or {})
        """Every value that the message mentions."""


Handler = Callable[[Any], status_pb2.Status]


def service_status(error: ServiceError, detail_bytes: int = DETAIL_BYTES) -> status_pb2.Status:
    """The status of a `ServiceError`."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
    ]
    if error.diagnostics:
        details += _diagnostic_details(error.diagnostics, detail_bytes)
    if error.retry_after_seconds is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_after_seconds)))
    return build_status(CODES[error.reason], error.message, details)


def build_status(code: int, message: str, details: Iterable[Message]) -> status_pb2.Status:
    """A status with packed details."""
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _diagnostic_details(diagnostics: tuple[Diagnostic, ...], room: int) -> list[Message]:
    """As many diagnostics as fit, errors first; the rest is counted."""
    ordered = sorted(diagnostics, key=lambda diagnostic: not diagnostic.is_error)
    listed = diagnostic_pb2.Diagnostics()
    for position, diagnostic in enumerate(ordered):
        message = diagnostic_message(diagnostic)
        room -= message.ByteSize() + 8
        if room < 0:
            listed.omitted = len(ordered) - position
            break
        listed.diagnostics.append(message)
    return [listed]


def compile_error(error: CompileError, reason: Reason = Reason.QUERY_INVALID) -> ServiceError:
    """The mistakes of a query (or, by reason, of a model) as one refusal; its message is the first mistake."""
    errors = [diagnostic for diagnostic in error.diagnostics if diagnostic.is_error]
    first = errors[0] if errors else None
    message = first.message if first else "The query cannot be compiled."
    if len(errors) > 1:
        message = f"{message} (and {len(errors) - 1} more)"
    metadata = {"code": first.code} if first else {}
    if first is not None and first.code == UNSUPPORTED_DIALECT:
        reason, metadata = Reason.UNSUPPORTED_DIALECT, {**metadata, "dialect": str(first.context.get("dialect", ""))}
    return ServiceError(reason, message, diagnostics=error.diagnostics, metadata=metadata)


def source_error(error: SourceError) -> ServiceError:
    """A failure of the warehouse, by its kind."""
    text = str(error)
    match error:
        case SourceBusyError():
            return ServiceError(Reason.WAREHOUSE_BUSY, text, retry_after_seconds=1)
        case StatementCancelledError():
            return ServiceError(Reason.QUERY_CANCELLED, text or "The query was cancelled.")
        case StatementTimeoutError():
            return ServiceError(Reason.QUERY_TIMEOUT, text or "The query ran longer than it may.")
        case _:
            return ServiceError(Reason.EXECUTION_FAILED, text or "The warehouse failed.")


def as_service_error(error: Exception) -> ServiceError | None:
    """The refusal that an exception means; None for one that only `HANDLERS` or nobody knows."""
    match error:
        case ServiceError():
            return error
        case CompileError():
            return compile_error(error)
        case SourceError():
            return source_error(error)
        case AuthenticationError():
            return ServiceError(Reason.UNAUTHENTICATED, str(error))
        case PermissionDeniedError():
            return ServiceError(Reason.PERMISSION_DENIED, str(error), metadata={"required": ",".join(error.required)})
        case _:
            return None


HANDLERS: dict[type[Exception], Handler] = {}
"""Exceptions of other parts and how they become a status; subclasses are found through their bases."""


def to_status(error: Exception, request_id: str = "", detail_bytes: int = DETAIL_BYTES) -> status_pb2.Status:
    """The status of any exception; a defect tells the caller the request id only."""
    for kind in type(error).__mro__:
        if (handler := HANDLERS.get(kind)) is not None:
            return handler(error)
    known = as_service_error(error)
    if known is None:
        known = ServiceError(Reason.INTERNAL, "Internal server error", metadata={"request_id": request_id})
    return service_status(known, detail_bytes)


def is_defect(error: Exception) -> bool:
    """Whether an exception is nobody's mistake but ours: those are logged with their traceback."""
    return as_service_error(error) is None and not any(kind in HANDLERS for kind in type(error).__mro__)
