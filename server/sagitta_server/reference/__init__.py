"""The reference documents that the server hands out: the languages, their schemas, their functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from types import MappingProxyType

from sagitta_compiler.expressions.catalogue import CATALOGUE
from sagitta_compiler.schema import model_schema, query_schema

MARKDOWN, JSON, JSON_SCHEMA = "text/markdown", "application/json", "application/schema+json"


@dataclass(frozen=True, slots=True)
class ReferenceDocument:
    """A document that the server hands out."""

    name: str
    kind: str
    description: str
    media_type: str
    content: Callable[[], str]


def _page(name: str) -> Callable[[], str]:
    return lambda: files(__name__).joinpath(name).read_text(encoding="utf-8")


def _functions() -> str:
    functions = [
        {key: value for key, value in asdict(item).items() if value is not None} for item in CATALOGUE.values()
    ]
    return json.dumps({"functions": functions, "count": len(functions)}, indent=2)


_DOCUMENTS = (
    ReferenceDocument("obml", "markdown", "The model language: data objects to metrics.", MARKDOWN, _page("obml.md")),
    ReferenceDocument("query", "markdown", "The query language: what can be asked.", MARKDOWN, _page("query.md")),
    ReferenceDocument("obsql", "markdown", "SQL on a model's virtual table.", MARKDOWN, _page("obsql.md")),
    ReferenceDocument("functions", "catalog", "The portable functions of expressions.", JSON, _functions),
    ReferenceDocument(
        "schemas/obml",
        "json-schema",
        "The JSON Schema of models.",
        JSON_SCHEMA,
        lambda: json.dumps(model_schema(), indent=2),
    ),
    ReferenceDocument(
        "schemas/query",
        "json-schema",
        "The JSON Schema of queries.",
        JSON_SCHEMA,
        lambda: json.dumps(query_schema(), indent=2),
    ),
)

DOCUMENTS: Mapping[str, ReferenceDocument] = MappingProxyType({document.name: document for document in _DOCUMENTS})
"""The documents by name."""
