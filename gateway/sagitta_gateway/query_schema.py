"""The query object in the OpenAPI document. The engine reads it; every mistake is answered with 422, code and path."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_FILTERS: Schema = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/QueryFilterNode"}}
_ORDER: Schema = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/QueryOrder"}}
_PATHS: Schema = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/QueryPathChoice"}}

QUERY_SCHEMAS: dict[str, Schema] = {
    "QueryObject": {
        "type": "object",
        "title": "QueryObject",
        "description": "Measures by dimensions, or raw fields. `order_by` and `orderBy` are the same key.",
        "required": ["select"],
        "properties": {
            "select": {"$ref": "#/components/schemas/QuerySelect"},
            "where": {**_FILTERS, "description": "Predicates on rows, joined by AND."},
            "having": {**_FILTERS, "description": "Predicates on finished rows, joined by AND."},
            "order_by": _ORDER,
            "orderBy": _ORDER,
            "limit": {"type": ["integer", "null"], "minimum": 1},
            "offset": {"type": ["integer", "null"], "minimum": 0},
            "use_path_names": _PATHS,
            "usePathNames": _PATHS,
            "dimensionsExclude": {"type": ["boolean", "null"]},
            "allowFanOut": {"type": ["boolean", "null"]},
            "grouping": {"enum": ["rollup", "cube", None]},
        },
        "example": {
            "select": {"dimensions": ["Customer Country"], "measures": ["Revenue"]},
            "where": [{"field": "Customer Segment", "op": "in", "value": ["SMB", "MidMarket"]}],
            "order_by": [{"field": "Revenue", "direction": "desc"}],
            "limit": 1000,
        },
    },
    "QuerySelect": {
        "type": "object",
        "title": "QuerySelect",
        "properties": {
            "dimensions": {
                "type": "array",
                "description": "`Name`, `Name:grain`, or an object: `dimension`, `grain`, `as`; `coalesce`, `as`.",
                "items": {"anyOf": [_NAME, {"type": "object"}]},
            },
            "measures": {
                "type": "array",
                "description": "Measures and metrics: the name, or an object with `measure`, `filter`, `as`.",
                "items": {"anyOf": [_NAME, {"type": "object"}]},
            },
            "fields": {"type": "array", "description": "Raw columns, `Object.Column`.", "items": {"type": "string"}},
            "distinct": {"type": "boolean"},
        },
    },
    "QueryFilterNode": {
        "anyOf": [{"$ref": "#/components/schemas/QueryFilter"}, {"$ref": "#/components/schemas/QueryFilterGroup"}]
    },
    "QueryFilter": {
        "type": "object",
        "title": "QueryFilter",
        "required": ["field", "op"],
        "properties": {
            "field": {"type": "string", "description": "A dimension, `Object.Column`, or in `having` a measure."},
            "op": {"type": "string", "description": "`equals`, `=`, `in`, `between`, `contains`, `relative`, ..."},
            "value": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, {"type": "object"}]},
            "subquery": {"type": "object", "description": "The target of `exists` and `nonexists`."},
        },
    },
    "QueryFilterGroup": {
        "type": "object",
        "title": "QueryFilterGroup",
        "required": ["filters"],
        "properties": {
            "logic": {"enum": ["and", "or"]},
            "filters": {**_FILTERS, "minItems": 1},
            "negated": {"type": "boolean"},
        },
    },
    "QueryOrder": {
        "type": "object",
        "title": "QueryOrder",
        "required": ["field"],
        "properties": {
            "field": {"type": "string", "description": "An output label, or a 1-based position as digits."},
            "direction": {"enum": ["asc", "desc"]},
            "nulls": {"enum": ["first", "last"]},
        },
    },
    "QueryPathChoice": {
        "type": "object",
        "title": "QueryPathChoice",
        "required": ["source", "target", "pathName"],
        "properties": {"source": {"type": "string"}, "target": {"type": "string"}, "pathName": {"type": "string"}},
    },
}
"""Components of the document."""
