"""The query object in the OpenAPI document. The engine reads it; every mistake is answered with 422, code and path."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_FILTERS: Schema = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/QueryFilterNode"}}
_GRAIN: Schema = {"type": "string", "description": "`year`, `quarter`, `month`, `week`, `day`, `hour`, ..."}
_AS: Schema = {"type": "string", "description": "The label in the result; the name without it."}

QUERY_SCHEMAS: dict[str, Schema] = {
    "QueryObject": {
        "type": "object",
        "title": "QueryObject",
        "description": "Measures by dimensions, or raw fields. Keys are also read in their other spelling: `order_by` "
        "and `orderBy`, `usePathNames` and `use_path_names`, `op` and `operator`.",
        "required": ["select"],
        "properties": {
            "select": {"$ref": "#/components/schemas/QuerySelect", "description": "What to return."},
            "where": {**_FILTERS, "description": "Predicates on rows, joined by AND."},
            "having": {**_FILTERS, "description": "Predicates on finished rows, joined by AND."},
            "order_by": {
                "type": ["array", "null"],
                "items": {"$ref": "#/components/schemas/QueryOrder"},
                "description": "Sort keys, the most important first.",
            },
            "limit": {"type": ["integer", "null"], "minimum": 0, "description": "Rows to return at most."},
            "offset": {"type": ["integer", "null"], "minimum": 0, "description": "Rows to skip first."},
            "usePathNames": {
                "type": ["array", "null"],
                "items": {"$ref": "#/components/schemas/QueryPathChoice"},
                "description": "Secondary joins to take instead of the primary ones.",
            },
            "dimensionsExclude": {
                "type": ["boolean", "null"],
                "description": "Asks for the combinations of dimension members that do not occur.",
            },
            "allowFanOut": {"type": ["boolean", "null"], "description": "Silences the warning about mixed grains."},
            "grouping": {"enum": ["rollup", "cube", None], "description": "Subtotals."},
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
                "description": "Columns to group by: `Name`, `Name:grain`, or an object.",
                "items": {"anyOf": [_NAME, {"$ref": "#/components/schemas/QueryDimension"}]},
            },
            "measures": {
                "type": "array",
                "description": "Measures and metrics: the name, or an object.",
                "items": {"anyOf": [_NAME, {"$ref": "#/components/schemas/QueryMeasure"}]},
            },
            "fields": {
                "type": "array",
                "description": "Raw columns, `Object.Column`; then neither dimensions nor measures.",
                "items": {"type": "string"},
            },
            "distinct": {"type": "boolean", "description": "Whether raw rows are returned once each."},
        },
    },
    "QueryDimension": {
        "type": "object",
        "title": "QueryDimension",
        "description": "A dimension with a grain or a label, or several as one.",
        "properties": {
            "dimension": {**_NAME, "description": "The dimension."},
            "grain": _GRAIN,
            "coalesce": {
                "type": "array",
                "items": _NAME,
                "description": "Instead of `dimension`: the first of these that is not NULL; needs `as`.",
            },
            "as": _AS,
        },
    },
    "QueryMeasure": {
        "type": "object",
        "title": "QueryMeasure",
        "description": "A measure or metric with filters of its own or a label.",
        "required": ["measure"],
        "properties": {
            "measure": {**_NAME, "description": "The measure or metric."},
            "filter": {**_FILTERS, "description": "Predicates for this measure alone, joined by AND."},
            "as": _AS,
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
            "value": {
                "description": "A scalar; a list for `in` and `between`; for `relative` an object such as "
                "`{unit: month, count: 3}`.",
                "anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, {"type": "object"}],
            },
            "subquery": {
                "$ref": "#/components/schemas/QuerySubquery",
                "description": "The target of `exists` and `nonexists`.",
            },
        },
    },
    "QueryFilterGroup": {
        "type": "object",
        "title": "QueryFilterGroup",
        "required": ["filters"],
        "properties": {
            "logic": {"enum": ["and", "or"]},
            "filters": {**_FILTERS, "description": "At least one; an `or` of none holds for no row."},
            "negated": {"type": "boolean"},
        },
    },
    "QuerySubquery": {
        "type": "object",
        "title": "QuerySubquery",
        "description": "Rows of another data object that must (or must not) exist.",
        "required": ["dataObject"],
        "properties": {
            "dataObject": {**_NAME, "description": "The data object."},
            "pathName": {"type": ["string", "null"], "description": "The secondary join to it."},
            "filter": {**_FILTERS, "description": "Predicates on its rows, joined by AND."},
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
