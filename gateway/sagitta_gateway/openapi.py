"""Pieces of the OpenAPI document: what routes say about their answers, and how the whole is put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from google.protobuf.message import Message

from sagitta_gateway.convert import key_of
from sagitta_gateway.error_schema import ERROR_SCHEMAS, error_response
from sagitta_gateway.query_schema import QUERY_SCHEMAS
from sagitta_gateway.schemas import COMPONENTS, Components, Schema, described

COMPONENT_SCHEMAS = Components()
"""The schemas of messages that routes refer to."""

DESCRIPTION = """
The semantic layer over HTTP: sessions hold models, models answer queries. Every operation is a call to the engine's
gRPC services of the same names; use those, or Arrow Flight SQL, where speed matters.
"""

EXAMPLE = "x-example"
"""Holds an example as text until the document is put together: FastAPI would drop the nulls in it."""
COMPONENT = "x-component"
"""Marks a schema that stands for a component of this name: pydantic resolves references itself, and only its own."""


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


def properties_of(message: type[Message]) -> dict[str, Schema]:
    """The schemas of all fields of a message by their keys, for a body that has them beside others."""
    descriptor: Any = message.DESCRIPTOR
    return COMPONENT_SCHEMAS.fields(descriptor.fields)


def object_of(
    message: type[Message],
    title: str,
    *,
    keys: Iterable[str] | None = None,
    also: Mapping[str, Schema] | None = None,
    unset_left_out: bool = False,
    required: Iterable[str] = (),
) -> Schema:
    """The schema of a body that is made of a message's fields and is not quite the message's own.

    `keys` are the fields that it has (all of them if None), `also` what it has besides or instead; with
    `unset_left_out` fields without a value are no null but not there, save those that are `required` all the same.
    """
    descriptor: Any = message.DESCRIPTOR
    fields = [field for field in descriptor.fields if keys is None or field.name in keys]
    comments = {key_of(field): described(field.full_name) for field in fields}
    given = {key: {**comments.get(key, {}), **schema} for key, schema in (also or {}).items()}
    wanted = [field for field in fields if key_of(field) not in given]
    always = [key_of(field) for field in wanted if not (unset_left_out and field.has_presence)]
    own = COMPONENT_SCHEMAS.fields(wanted, nullable_fields=not unset_left_out)
    properties = {key_of(field): own.get(key_of(field)) or given[key_of(field)] for field in fields}
    names = dict.fromkeys([*always, *required])
    body = {"type": "object", "title": title, **described(descriptor.full_name)}
    return {**body, "properties": {**properties, **given}, "required": list(names)}


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
        servers=[{"url": app.state.settings.root_path or "/"}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(COMPONENT_SCHEMAS.schemas)
    schemas.update(QUERY_SCHEMAS)
    schemas.update(ERROR_SCHEMAS)
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
        reference = {"$ref": f"{COMPONENTS}{node[COMPONENT]}"}
        said = {key: node[key] for key in ("description",) if key in node}
        node.clear()
        node.update(reference | said)
        return
    for item in items:
        _refer(item)


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return found


def _exemplify(document: dict[str, Any]) -> None:
    """Gives an example to every body and to every success without its own; a shortcut has that of its operation."""
    known, asked = _read("examples.json"), _read("request_examples.json")
    for operations in document["paths"].values():
        for operation in operations.values():
            whole = operation.get("operationId", "")
            name = whole.removesuffix("_shortcut").removesuffix("_without_session")
            example = asked.get(whole, asked.get(name))
            if example is not None:
                operation["requestBody"]["content"]["application/json"]["example"] = example
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if (text := content.pop(EXAMPLE, None)) is not None:
                        content["example"] = json.loads(text)
            for status in ("200", "201"):
                content = operation["responses"].get(status, {}).get("content", {}).get("application/json")
                if content is not None and name in known:
                    content.setdefault("example", known[name])


def _named(node: Any, components: dict[str, Schema]) -> Any:
    """The node with a reference in place of every object schema that has a title: generators name types by them.

    Raises:
        ValueError: two schemas that differ have the same title.
    """
    if isinstance(node, list):
        return [_named(item, components) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value if key in _VALUES else _named(value, components) for key, value in node.items()}
    if not (kept.get("type") == "object" and isinstance(title := kept.get("title"), str)):
        return kept
    if components.setdefault(title, kept) != kept:
        raise ValueError(f"two schemas are called {title}")
    return {"$ref": f"{COMPONENTS}{title}"}


_VALUES = frozenset({"example", "examples", "default", "enum"})
"""Keys whose values are no schemas."""


def _link(paths: dict[str, Any]) -> None:
    """Says which operations take the ids that opening a session and loading a model answer.

    Queries name their model in the body, where a link cannot put one id without the rest.
    """
    made = {
        ("/v1/sessions", frozenset({"session_id"})): {"session_id": "$response.body#/session_id"},
        ("/v1/sessions/{session_id}/models", frozenset({"session_id", "model_id"})): {
            "session_id": "$request.path.session_id",
            "model_id": "$response.body#/model_id",
        },
    }
    for (path, wanted), parameters in made.items():
        paths[path]["post"]["responses"]["201"]["links"] = {
            operation["operationId"]: {"operationId": operation["operationId"], "parameters": parameters}
            for target, operations in paths.items()
            for operation in operations.values()
            if target.startswith("/v1/") and "/query/" not in target and wanted == _ids_in_path(operation)
        }


def _ids_in_path(operation: dict[str, Any]) -> set[str]:
    return {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"} - {"name", "example_name"}


def _mend(document: dict[str, Any]) -> None:
    """Names the body of our own 422 where FastAPI put its own, and adds what a body may meet."""
    _refer(document)
    _exemplify(document)
    components = document["components"]["schemas"]
    document["paths"] = _named(document["paths"], components)
    _link(document["paths"])
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
