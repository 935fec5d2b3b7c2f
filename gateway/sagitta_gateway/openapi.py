"""Pieces of the OpenAPI document: what routes say about their answers, and how the whole is put together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from google.protobuf.message import Message

from sagitta_gateway.query_schema import QUERY_SCHEMAS
from sagitta_gateway.schemas import COMPONENTS, Components, Schema

COMPONENT_SCHEMAS = Components()
"""The schemas of messages that routes refer to."""

DESCRIPTION = """
The semantic layer over HTTP: sessions hold models, models answer queries. Every operation is a call to the engine's
gRPC services of the same names; use those, or Arrow Flight SQL, where speed matters.
"""

ERROR_BODY: Schema = {
    "type": "object",
    "title": "ErrorBody",
    "description": "What went wrong: a text, an object with `error` or `message` and the `errors` found, or a list.",
    "properties": {
        "detail": {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": True},
                {"type": "array", "items": {"type": "object", "additionalProperties": True}},
            ]
        }
    },
    "required": ["detail"],
}

_ERRORS: dict[int, tuple[str, Any]] = {
    400: ("The request has no meaning here.", "Unsupported dialect: 'oracle'"),
    401: ("A credential is needed.", {"code": "AUTH_REQUIRED", "message": "API key required"}),
    403: ("The server does not allow this.", "Single-model mode: model upload is disabled."),
    404: ("There is no such thing.", "Session 'a1b2c3d4e5f6' not found."),
    409: (
        "Several sessions or models exist.",
        "Several models are loaded; use the paths below /v1/sessions/{session_id}.",
    ),
    410: ("The session has expired.", "Session 'a1b2c3d4e5f6' has expired; open a new one."),
    413: ("The body is too large.", "Request body too large, at most 1 MB"),
    422: (
        "The body has mistakes.",
        {
            "error": "Query resolution failed",
            "errors": [
                {"code": "UNKNOWN_MEASURE", "message": "Unknown measure 'Revenu'", "path": "select.measures[0]"}
            ],
        },
    ),
    429: ("Too many; the header Retry-After says when to come again.", "500 sessions are open; retry later."),
    500: ("A defect of the server.", "Internal server error"),
    502: ("The warehouse failed.", "Catalog Error: Table with name orders does not exist!"),
    503: ("The engine or the warehouse is not available.", "Query execution is not available."),
    504: ("The warehouse or the engine took too long.", "The query ran longer than it may."),
}
EXAMPLE = "x-example"
"""Holds an example as text until the document is put together: FastAPI would drop the nulls in it."""
COMPONENT = "x-component"
"""Marks a schema that stands for a component of this name: pydantic resolves references itself, and only its own."""
EVERYWHERE = (401, 403, 500, 503, 504)
"""What any call to the engine may answer."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may fail with these statuses, and those of every call."""
    return {status: error_response(status) for status in sorted({*statuses, *EVERYWHERE})}


def error_response(status: int) -> dict[str, Any]:
    """A failure in the document."""
    description, example = _ERRORS[status]
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"{COMPONENTS}ErrorBody"}, "example": {"detail": example}}},
    }
    if status == 429:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return response


def answers(
    schema: Schema, description: str, example: Any = None, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers JSON of a schema."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content[EXAMPLE] = json.dumps(example)
    return {status: {"description": description, "content": {"application/json": content}}}


def body_of(message: type[Message]) -> Schema:
    """A reference to the schema of a message's body."""
    return COMPONENT_SCHEMAS.reference(message)


def list_of(message: type[Message]) -> Schema:
    """The schema of a bare array of a message's bodies."""
    return {"type": "array", "items": body_of(message)}


def install(app: FastAPI, tags: Iterable[dict[str, str]]) -> None:
    """Makes the application's document complete."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, list(tags))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, tags: list[dict[str, str]]) -> dict[str, Any]:
    document = get_openapi(
        title="Sagitta",
        version=version("sagitta"),
        description=DESCRIPTION.strip(),
        routes=app.routes,
        tags=tags,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": app.root_path or "/"}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(COMPONENT_SCHEMAS.schemas)
    schemas.update(QUERY_SCHEMAS)
    schemas["ErrorBody"] = ERROR_BODY
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": app.state.settings.api_key_header},
    }
    document["security"] = [{}, {"bearer": []}, {"apiKey": []}]
    _mend(document)
    return document


def _refer(node: Any) -> None:
    """Replaces marked schemas by references, in place."""
    items = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    if isinstance(node, dict) and COMPONENT in node:
        name = node[COMPONENT]
        node.clear()
        node["$ref"] = f"{COMPONENTS}{name}"
        return
    for item in items:
        _refer(item)


def _exemplify(document: dict[str, Any]) -> None:
    """Gives an example to every success that has none of its own; a shortcut has that of its operation."""
    known: dict[str, Any] = json.loads(files(__package__).joinpath("examples.json").read_text(encoding="utf-8"))
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation.get("operationId", "").removesuffix("_shortcut")
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if (text := content.pop(EXAMPLE, None)) is not None:
                        content["example"] = json.loads(text)
            for status in ("200", "201"):
                content = operation["responses"].get(status, {}).get("content", {}).get("application/json")
                if content is not None and name in known:
                    content.setdefault("example", known[name])


def _mend(document: dict[str, Any]) -> None:
    """Names the body of our own 422 where FastAPI put its own, and adds what a body may meet."""
    _refer(document)
    _exemplify(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation.get("responses", {})
            found = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if found.get("$ref", "").endswith("HTTPValidationError"):
                responses["422"] = error_response(422)
            if "requestBody" in operation:
                responses["413"] = error_response(413)
                responses.setdefault("400", error_response(400))
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
