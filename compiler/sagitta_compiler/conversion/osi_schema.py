"""The shape of an OSI 0.2.0.dev0 text, as a JSON Schema (Draft 2020-12)."""

from __future__ import annotations

from typing import Any

VERSION = "0.2.0.dev0"
DIALECTS = ("ANSI_SQL", "SNOWFLAKE", "MDX", "TABLEAU", "DATABRICKS", "MAQL", "BIGQUERY")
SQL_DIALECTS = {"ANSI_SQL": "", "SNOWFLAKE": "snowflake", "DATABRICKS": "databricks", "BIGQUERY": "bigquery"}
"""Those that are SQL, in the order in which they are preferred, and their sqlglot names."""
DATA_TYPES = ("String", "Integer", "Decimal", "Float", "Boolean", "Date", "Time", "DateTime", "DateTimeTz", "Opaque")

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_COLUMNS: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 1}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _list_of(name: str, **rest: Any) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name), **rest}


def _closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_COMMON = {"ai_context": _ref("AIContext"), "custom_extensions": _list_of("CustomExtension")}

OSI_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": f"OSI {VERSION}",
    **_closed(
        ("version", "semantic_model"),
        version={"const": VERSION},
        semantic_model=_list_of("SemanticModel"),
        dialects={"type": "array", "items": {"enum": list(DIALECTS)}},
        vendors=_TEXTS,
    ),
    "$defs": {
        "SemanticModel": _closed(
            ("name", "datasets"),
            name=_TEXT,
            description=_TEXT,
            datasets=_list_of("Dataset", minItems=1),
            relationships=_list_of("Relationship"),
            metrics=_list_of("Metric"),
            **_COMMON,
        ),
        "Dataset": _closed(
            ("name", "source"),
            name=_TEXT,
            source=_TEXT,
            primary_key=_TEXTS,
            unique_keys={"type": "array", "items": _TEXTS},
            description=_TEXT,
            fields=_list_of("Field"),
            **_COMMON,
        ),
        "Field": _closed(
            ("name", "expression"),
            name=_TEXT,
            expression=_ref("Expression"),
            dimension=_closed((), is_time={"type": "boolean"}),
            label=_TEXT,
            description=_TEXT,
            datatype={"enum": list(DATA_TYPES)},
            **_COMMON,
        ),
        "Expression": _closed(("dialects",), dialects=_list_of("DialectExpression", minItems=1)),
        "DialectExpression": _closed(("dialect", "expression"), dialect={"enum": list(DIALECTS)}, expression=_TEXT),
        "Relationship": {
            **_closed(
                ("name", "from", "to", "from_columns", "to_columns"),
                name=_TEXT,
                to=_TEXT,
                from_columns=_COLUMNS,
                to_columns=_COLUMNS,
                **{"from": _TEXT},
                **_COMMON,
            )
        },
        "Metric": _closed(
            ("name", "expression"),
            name=_TEXT,
            expression=_ref("Expression"),
            description=_TEXT,
            datatype={"enum": list(DATA_TYPES)},
            **_COMMON,
        ),
        "CustomExtension": _closed(("vendor_name", "data"), vendor_name=_TEXT, data=_TEXT),
        "AIContext": {
            "oneOf": [
                _TEXT,
                {
                    "type": "object",
                    "properties": {"instructions": _TEXT, "synonyms": _TEXTS, "examples": _TEXTS},
                },
            ]
        },
    },
}
