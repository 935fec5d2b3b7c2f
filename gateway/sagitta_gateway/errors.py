"""The one table of HTTP errors: the reason of a gRPC status -> status code and body."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import grpc
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sagitta.semantic.v1 import diagnostic_pb2
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sagitta_gateway.allowed import allowed_methods
from sagitta_gateway.bodies import made_of, says_json
from sagitta_gateway.convert import Body, to_body
from sagitta_gateway.middleware import REQUEST_ID
from sagitta_gateway.observed import NOBODY
from sagitta_gateway.presence import ClientGone

log = logging.getLogger(__name__)

STATUS: Mapping[str, int] = MappingProxyType(
    {
        "INVALID_REQUEST": 400,
        "SESSION_NOT_FOUND": 404,
        "SESSION_EXPIRED": 410,
        "MODEL_NOT_FOUND": 404,
        "ARTEFACT_NOT_FOUND": 404,
        "NO_MODEL": 404,
        "AMBIGUOUS_MODEL": 409,
        "TOO_MANY_SESSIONS": 429,
        "SESSION_RATE_LIMITED": 429,
        "TOO_MANY_MODELS": 429,
        "MODELS_CURATED": 403,
        "SESSION_PROTECTED": 403,
        "SESSION_LIST_DISABLED": 403,
        "MODEL_INVALID": 422,
        "QUERY_INVALID": 422,
        "UNSUPPORTED_DIALECT": 400,
        "UNKNOWN_TIMEZONE": 400,
        "EXECUTION_UNAVAILABLE": 503,
        "STATE_UNAVAILABLE": 503,
        "EXECUTION_FAILED": 502,
        "WAREHOUSE_BUSY": 503,
        "QUERY_TIMEOUT": 504,
        "QUERY_CANCELLED": 503,
        "INVALID_SPARQL": 400,
        "SPARQL_TIMEOUT": 400,
        "INVALID_YAML": 400,
        "CONVERSION_FAILED": 422,
        "HEARTBEAT_DISABLED": 404,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "REFERENCE_NOT_FOUND": 404,
        "BATCH_INVALID": 422,
        "SQL_TRANSLATION_FAILED": 400,
        "INTERNAL": 500,
    }
)
"""A test compares the reasons with `error_reason.proto`."""

QUERY_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "FANOUT_ERROR": "Query fanout detected",
        "UNSUPPORTED_AGGREGATION": "Unsupported aggregation",
        "UNSUPPORTED_GROUPING": "Unsupported grouping",
        "UNSUPPORTED_FUNCTION": "Unsupported function",
        "UNSUPPORTED_NESTED_ACCESS": "Unsupported nested access",
        "AMBIGUOUS_TABLE_REFERENCE": "Ambiguous table reference",
    }
)
"""Mistakes of queries that have a title of their own."""

RESOLUTION_FAILED = "Query resolution failed"


@dataclass(frozen=True, slots=True)
class HttpError:
    """What is answered."""

    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer."""
        return Response(orjson.dumps(self.body), self.status, dict(self.headers), media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Details:
    """The details of a status that matter here."""

    reason: str
    metadata: Mapping[str, str]
    diagnostics: tuple[Body, ...]
    omitted: int
    retry_after: int | None


def http_error(error: Any, key_header: str) -> HttpError:
    """The answer for a failed call (an `AioRpcError`) of a client whose API key would be in that header."""
    status = rpc_status.from_call(error)
    if status is None:
        return _transport(error)
    details = _details(status)
    code = STATUS.get(details.reason, 500)
    headers = {"Retry-After": str(details.retry_after)} if details.retry_after is not None else {}
    if code == 401:
        headers["WWW-Authenticate"] = _challenge(details, key_header)
    return HttpError(code, {"detail": _detail(status.message, details), "code": _code(details)}, headers)


def _code(details: _Details) -> str:
    """The code that every surface gives: that of the first mistake in a model or a query, else the reason."""
    return details.metadata.get("code") or details.reason or "INTERNAL"


def _challenge(details: _Details, key_header: str) -> str:
    return f'ApiKey header="{key_header}"' if details.metadata.get("code") == "AUTH_REQUIRED" else "Bearer"


def _detail(message: str, details: _Details) -> Any:
    match details.reason:
        case "QUERY_INVALID":
            return _query_detail(message, details)
        case "MODEL_INVALID":
            return _model_detail(details)
        case "SQL_TRANSLATION_FAILED":
            return {"error": "Semantic SQL translation failed", "message": message, "errors": list(details.diagnostics)}
        case "UNSUPPORTED_DIALECT" if "dialect" in details.metadata:
            return f"Unsupported dialect: '{details.metadata['dialect']}'"
        case "UNAUTHENTICATED" | "PERMISSION_DENIED" if "code" in details.metadata:
            return {"code": details.metadata["code"], "message": message}
        case _:
            return message


def _query_detail(message: str, details: _Details) -> Body:
    errors = [item for item in details.diagnostics if item["severity"] == "error"]
    first = errors[0] if errors else None
    title = QUERY_ERRORS.get(first["code"]) if first else None
    if first is not None and title is not None:
        return {"error": title, "message": first["message"], **(first["context"] or {}), "errors": errors}
    return {"error": RESOLUTION_FAILED, "message": message, "errors": errors, **_omitted(details)}


def _model_detail(details: _Details) -> Body:
    errors = [item for item in details.diagnostics if item["severity"] == "error"]
    told = "; ".join(f"[{item['code']}] {item['message']} (at {item['path'] or '(root)'})" for item in errors)
    return {
        "message": f"Invalid OBML model: {told}",
        "errors": errors,
        "warnings": [item for item in details.diagnostics if item["severity"] != "error"],
        **_omitted(details),
    }


def _omitted(details: _Details) -> Body:
    return {"omitted": details.omitted} if details.omitted else {}


def _details(status: status_pb2.Status) -> _Details:
    info, listed = error_details_pb2.ErrorInfo(), diagnostic_pb2.Diagnostics()
    retry, retry_after = error_details_pb2.RetryInfo(), None
    for detail in status.details:
        if not (detail.Unpack(info) or detail.Unpack(listed)) and detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds
    diagnostics = tuple(to_body(item) for item in listed.diagnostics)
    return _Details(info.reason, dict(info.metadata), diagnostics, listed.omitted, retry_after)


def _transport(error: Any) -> HttpError:
    """A call that failed before the engine could say why."""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return HttpError(
                503,
                {"detail": "The engine cannot be reached; retry later", "code": "UNAVAILABLE"},
                {"Retry-After": "1"},
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return HttpError(504, {"detail": "The engine did not answer in time", "code": "DEADLINE_EXCEEDED"})
        case grpc.StatusCode.CANCELLED:
            return HttpError(503, {"detail": "The call was cancelled", "code": "CANCELLED"})
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return HttpError(
                413, {"detail": "The request is larger than the engine accepts", "code": "REQUEST_TOO_LARGE"}
            )
        case _:
            log.error("the engine answered %s without details: %s", error.code(), error)
            return HttpError(500, {"detail": "Internal server error", "code": "INTERNAL"})


def validation_error(error: RequestValidationError) -> HttpError:
    """The answer for a body or parameter that FastAPI refused; unknown keys are named as the API names them."""
    found = [{"loc": list(item["loc"]), "msg": _message(item), "type": item["type"]} for item in error.errors()]
    body: Body = {"detail": found, "code": "INVALID_REQUEST"}
    unknown = [item for item in found if item["type"] == "extra_forbidden"]
    if unknown and len(unknown) == len(found):
        body |= {
            "code": "UNKNOWN_PROPERTY",
            "message": f"Unknown property: {', '.join(str(item['loc'][-1]) for item in unknown)}",
            "errors": [
                {
                    "code": "UNKNOWN_PROPERTY",
                    "message": f"Unknown property '{item['loc'][-1]}'",
                    "path": ".".join(str(part) for part in item["loc"][1:]),
                }
                for item in unknown
            ],
            "warnings": [],
        }
    return HttpError(422, body)


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid" and "ctx" in item:
        return f"{item['msg']}: {item['ctx']['error']}"
    return str(item["msg"])


def not_json(request: Request) -> HttpError | None:
    """The answer to a body that is not said to be JSON, as `curl -d` sends it; None where it is.

    It is not read all the same: a page of another site could send it without the browser asking first.
    """
    content_type = request.headers.get("content-type", "")
    if says_json(content_type):
        return None
    kind = content_type.partition(";")[0].strip()
    given = f"'{kind}'" if kind else "nothing"
    message = f"The body must be JSON: send the header Content-Type: application/json, not {given}."
    return HttpError(422, {"detail": message, "code": "INVALID_REQUEST"})


def _redirect(app: FastAPI, path: str, query: str) -> Response | None:
    """To the same path without its last slash, where that leads somewhere; relative, thus right behind proxies."""
    short = path.rstrip("/")
    if short == path or not allowed_methods(app, short):
        return None
    target = f"../{quote(short.rpartition('/')[2])}"
    return Response(status_code=307, headers={"Location": f"{target}?{query}" if query else target})


def install(app: FastAPI) -> None:
    """Answers every exception through this table."""

    async def on_call(_: Request, error: Exception) -> Response:
        assert isinstance(error, grpc.aio.AioRpcError)
        size = sum(len(value) for _, value in error.trailing_metadata() or ())
        return await made_of(size, lambda: http_error(error, app.state.settings.api_key_header).response())

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        whole = any(tuple(item["loc"]) == ("body",) and item["type"] != "missing" for item in error.errors())
        return ((not_json(request) if whole else None) or validation_error(error)).response()

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed_methods(app, request.url.path) or headers.get("Allow", "")
        elif error.status_code == HTTPStatus.NOT_FOUND:
            redirect = _redirect(app, request.url.path, request.url.query)
            if redirect is not None:
                return redirect
        unread = error.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
        code = "INVALID_REQUEST" if unread else HTTPStatus(error.status_code).name
        body = {"detail": error.detail, "code": code}
        return HttpError(error.status_code, body, headers).response()

    async def on_defect(_: Request, error: Exception) -> Response:
        log.error("request %s failed", REQUEST_ID.get(), exc_info=error)
        return HttpError(500, {"detail": "Internal server error", "code": "INTERNAL"}).response()

    async def on_gone(_: Request, error: Exception) -> Response:
        assert isinstance(error, ClientGone)
        return Response(status_code=NOBODY)

    app.add_exception_handler(grpc.aio.AioRpcError, on_call)
    app.add_exception_handler(ClientGone, on_gone)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_defect)
