"""What can go wrong in a review, as one kind of error with a stable code.

The code decides the HTTP and the gRPC status; the message is for people and never holds secrets or filter values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HTTP_STATUS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "unsupported_link",
            "invalid_link",
            "link_host_mismatch",
            "source_kind_not_supported",
            "invalid_dataset_selection",
            "empty_update",
            "ambiguous_field_update",
            "value_too_long",
            "invalid_effective_value",
            "value_requires_manual_override",
            "mapping_method_not_applicable",
            "semantic_source_invalid",
            "invalid_answer",
            "invalid_version_header",
            "invalid_status_transition",
            "mapping_not_approvable",
            "question_not_open",
            "question_not_current",
        ),
        400,
    ),
    "unauthenticated": 401,
    "permission_denied": 403,
    "session_forbidden": 403,
    "publish_forbidden": 403,
    **dict.fromkeys(
        (
            "session_not_found",
            "field_not_found",
            "candidate_not_found",
            "mapping_not_found",
            "question_not_found",
            "environment_not_found",
            "source_not_found",
            "semantic_source_not_found",
            "artifact_not_found",
            "run_not_found",
            "version_not_found",
        ),
        404,
    ),
    **dict.fromkeys(
        (
            "session_not_active",
            "run_in_progress",
            "run_not_running",
            "dataset_unresolved",
            "template_invalid",
            "required_values_missing",
            "mapping_invalid",
            "launch_blocked",
            "blocking_findings",
            "mappings_unapproved",
            "preview_missing",
            "preview_stale",
            "dataset_changed",
            "launch_in_progress",
            "database_not_launchable",
            "not_read_only",
            "template_marks_in_sql",
            "session_version_conflict",
            "idempotency_key_reused",
            "result_expired",
            "publish_disabled",
            "field_not_accepted",
            "semantics_overwritten",
        ),
        409,
    ),
    "upload_too_large": 413,
    "unsupported_media_type": 415,
    "validation_error": 422,
    "rate_limited": 429,
    "too_many_sessions": 429,
    "internal_error": 500,
    "superset_error": 502,
    "superset_unreachable": 503,
    "superset_timeout": 504,
}
"""HTTP status of every error code."""

_FAILED_PRECONDITION_400 = frozenset(
    {"invalid_status_transition", "mapping_not_approvable", "question_not_open", "question_not_current"}
)
_GRPC_BY_HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_GRPC_BY_CODE = {
    **dict.fromkeys(_FAILED_PRECONDITION_400, "FAILED_PRECONDITION"),
    "session_version_conflict": "ABORTED",
    "idempotency_key_reused": "ALREADY_EXISTS",
}


def http_status(code: str) -> int:
    """The HTTP status of an error code."""
    return HTTP_STATUS[code]


def grpc_status(code: str) -> str:
    """The name of the gRPC status of an error code."""
    return _GRPC_BY_CODE.get(code) or _GRPC_BY_HTTP[HTTP_STATUS[code]]


@dataclass(frozen=True, slots=True)
class Violation:
    """One part of a request that breaks its schema; `field` is a dotted path."""

    field: str
    message: str


class ReviewError(Exception):
    """A request that cannot be fulfilled, for a reason the caller can act on."""

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details) if details is not None else None
        self.violations = tuple(violations)
        assert code in HTTP_STATUS


def validation_error(*violations: Violation) -> ReviewError:
    """A request whose parts do not fit the schema."""
    return ReviewError(
        "validation_error", "; ".join(f"{v.field}: {v.message}" for v in violations), violations=violations
    )
