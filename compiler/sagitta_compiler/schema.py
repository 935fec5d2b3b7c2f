"""The JSON Schemas of models and queries, generated from the classes that read them.

An editor checks a model with them (`# yaml-language-server: $schema=...`). What a schema cannot say (that names exist,
which keys of a metric belong to its type) is said by loading the model.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from sagitta_compiler.documents import DocumentNode
from sagitta_compiler.model.document import ModelDocument
from sagitta_compiler.query.document import QueryDocument

DRAFT = GenerateJsonSchema.schema_dialect


def model_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a model."""
    return _schema(ModelDocument, "An OBML model")


def query_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a query."""
    return _schema(QueryDocument, "A query")


@cache
def _generated(node: type[DocumentNode]) -> dict[str, Any]:
    return node.model_json_schema()


def _schema(node: type[DocumentNode], title: str) -> dict[str, Any]:
    plain = _plain(_generated(node))
    return {"$schema": DRAFT, **plain, "title": title}


def _plain(node: Any, inside: str = "") -> Any:
    """Copies a schema without the titles that only repeat a key, and without defaults that mean absence."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    names = inside in ("properties", "$defs")
    return {
        key: _plain(value, "" if names else key)
        for key, value in node.items()
        if names or not (key == "title" or (key == "default" and value in (None, [], {})))
    }
