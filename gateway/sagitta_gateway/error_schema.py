"""Failures in the OpenAPI document: the one body that all have, and what each status means."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_ISSUES: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/Issue"}}

ERROR_SCHEMAS: dict[str, Schema] = {
    "ErrorBody": {
        "type": "object",
        "title": "ErrorBody",
        "description": "What went wrong. Branch on `code`; `detail` is for people and differs by kind of mistake.",
        "properties": {
            "detail": {
                "description": "A text; mistakes in a model or a query; or what is wrong with a body or a parameter.",
                "anyOf": [
                    _TEXT,
                    {"$ref": "#/components/schemas/ErrorDetail"},
                    {"type": "array", "items": {"$ref": "#/components/schemas/InvalidPart"}},
                ],
            },
            "code": {"type": "string", "description": "The stable code: of the first mistake, else of the refusal."},
            "message": {"type": "string", "description": "Unknown keys of a body, in words."},
            "errors": {**_ISSUES, "description": "Unknown keys of a body, one by one."},
            "warnings": _ISSUES,
        },
        "required": ["detail", "code"],
    },
    "ErrorDetail": {
        "type": "object",
        "title": "ErrorDetail",
        "description": "Mistakes in a model or a query, or why a credential is refused. Some kinds have more keys.",
        "properties": {
            "error": {"type": "string", "description": "The kind, such as `Query resolution failed`."},
            "message": {"type": "string", "description": "All mistakes in words."},
            "code": {"type": "string", "description": "Why a credential is refused."},
            "errors": {**_ISSUES, "description": "Every mistake."},
            "warnings": _ISSUES,
            "omitted": {"type": "integer", "description": "Mistakes left out because there are too many."},
        },
        "additionalProperties": True,
    },
    "Issue": {
        "type": "object",
        "title": "Issue",
        "description": "One mistake; those of models and queries have all keys of `Diagnostic`.",
        "properties": {
            "code": {"type": "string", "description": "The stable code."},
            "message": {"type": "string", "description": "What is wrong."},
            "path": {"type": ["string", "null"], "description": "Where, dotted: `select.measures[0]`."},
            "hint": {"type": ["string", "null"], "description": "What to do about it."},
            "suggestions": {"type": "array", "items": _TEXT, "description": "Near names, at most three."},
        },
        "required": ["code", "message", "path"],
        "additionalProperties": True,
    },
    "InvalidPart": {
        "type": "object",
        "title": "InvalidPart",
        "description": "A part of the request that does not fit.",
        "properties": {
            "loc": {
                "type": "array",
                "items": {"type": ["string", "integer"]},
                "description": "The way to it, from `body`, `query` or `path` on.",
            },
            "msg": {"type": "string", "description": "What is wrong."},
            "type": {"type": "string", "description": "The kind of mistake."},
        },
        "required": ["loc", "msg", "type"],
    },
}
"""Components of the document."""

_UNKNOWN_MEASURE = {
    "code": "UNKNOWN_MEASURE",
    "severity": "error",
    "message": "Unknown measure 'Revenu'",
    "path": "select.measures[0]",
    "hint": "Did you mean 'Revenue'?",
    "context": {"measure": "Revenu"},
    "suggestions": ["Revenue"],
    "span": None,
}
_REFUSALS: dict[int, tuple[str, str, Any]] = {
    400: ("The request has no meaning here.", "UNSUPPORTED_DIALECT", "Unsupported dialect: 'oracle'"),
    401: (
        "A credential is needed.",
        "AUTH_REQUIRED",
        {"code": "AUTH_REQUIRED", "message": "API key required"},
    ),
    403: (
        "The server does not allow this.",
        "MODELS_CURATED",
        "Single-model mode: model upload is disabled.",
    ),
    404: ("There is no such thing.", "SESSION_NOT_FOUND", "Session 'a1b2c3d4e5f6' not found."),
    409: (
        "Several sessions or models exist.",
        "AMBIGUOUS_MODEL",
        "Several models are loaded; use the paths below /v1/sessions/{session_id}.",
    ),
    410: (
        "The session has expired.",
        "SESSION_EXPIRED",
        "Session 'a1b2c3d4e5f6' has expired; open a new one.",
    ),
    413: ("The body is too large.", "REQUEST_TOO_LARGE", "Request body too large, at most 1 MB"),
    422: (
        "The body has mistakes.",
        "UNKNOWN_MEASURE",
        {"error": "Query resolution failed", "message": "Unknown measure 'Revenu'", "errors": [_UNKNOWN_MEASURE]},
    ),
    429: (
        "Too many; the header Retry-After says when to come again.",
        "TOO_MANY_SESSIONS",
        "500 sessions are open; retry later.",
    ),
    500: ("A defect of the server.", "INTERNAL", "Internal server error"),
    502: (
        "The warehouse failed.",
        "EXECUTION_FAILED",
        "Catalog Error: Table with name orders does not exist!",
    ),
    503: (
        "The engine or the warehouse is not available.",
        "EXECUTION_UNAVAILABLE",
        "Query execution is not available: set QUERY_EXECUTE and DB_VENDOR.",
    ),
    504: ("The warehouse or the engine took too long.", "QUERY_TIMEOUT", "The query ran longer than it may."),
}
EVERYWHERE = (401, 403, 500, 503, 504)
"""What any call to the engine may answer."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may fail with these statuses, and those of every call."""
    return {status: error_response(status) for status in sorted({*statuses, *EVERYWHERE})}


def error_response(status: int) -> dict[str, Any]:
    """A failure in the document."""
    description, code, detail = _REFUSALS[status]
    content = {"schema": {"$ref": "#/components/schemas/ErrorBody"}, "example": {"detail": detail, "code": code}}
    response: dict[str, Any] = {"description": description, "content": {"application/json": content}}
    if status == 429:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return response
