"""The documented REST bodies, row by row: every key that the API's reference names, with the type of its example.

Written by hand from the reference, and from nothing that the gateway says about itself. `str`, `int`, `float` (any
number) and `bool` are types, a list holds the shape of its items, a dict the keys that must be there (more may be);
`Maybe` may be null, `Left` may be left out, and `object` is anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Maybe:
    """A value or null."""

    shape: Any


@dataclass(frozen=True)
class Left:
    """A key that is left out where it has no value."""

    shape: Any


@dataclass(frozen=True)
class Row:
    """A row of the reference: how it is asked, and what it answers."""

    number: int
    method: str
    path: str
    shape: Any
    body: Any = None
    status: int = 200
    failures: tuple[int, ...] = ()
    """The failures that the reference names for it."""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The path with the names of its parameters."""
        return self.path.replace("{S}", "/v1/sessions/{session_id}").replace("{M}", SCOPE)


SCOPE = "/v1/sessions/{session_id}/models/{model_id}"


class Moment(str):
    """The type of ISO 8601 texts in UTC, ending in Z."""

    __slots__ = ()


WARNING = {
    "code": str,
    "severity": str,
    "message": str,
    "path": Maybe(str),
    "hint": Maybe(str),
    "context": Maybe(dict),
}
SESSION = {
    "session_id": str,
    "created_at": Moment,
    "last_accessed_at": Moment,
    "model_count": int,
    "metadata": {},
}
HEALTH = {
    "status": str,
    "data_objects": int,
    "joins": int,
    "orphan_data_objects": [str],
    "fan_trap_risks": [{"tables": [str], "reason": str, "suggested_pattern": str}],
    "unreachable_dimensions": [str],
    "warnings_count": int,
}
COUNTS = {"model_id": str, "data_objects": int, "dimensions": int, "measures": int, "metrics": int}
JOIN = {"from_object": str, "to_object": str}
EXPLAIN = {
    "planner": str,
    "planner_reason": str,
    "base_object": str,
    "base_object_reason": str,
    "joins": [{**JOIN, "join_columns": [str], "reason": str}],
    "where_filter_count": int,
    "having_filter_count": int,
    "has_totals": bool,
    "cfl_legs": int,
}
COMPILED = {
    "sql": str,
    "dialect": str,
    "sql_valid": bool,
    "explain": EXPLAIN,
    "warnings": [WARNING],
    "physical_tables": [str],
}
CACHE = {
    "cached": bool,
    "cached_at": Maybe(Moment),
    "ttl_seconds": Maybe(int),
    "ttl_source": Maybe(str),
    "ttl_limiting_table": Maybe(str),
}
EXECUTED = {
    **COMPILED,
    "columns": [{"name": str, "type": str, "format": Left(str)}],
    "rows": [[object]],
    "row_count": int,
    "execution_time_ms": float,
    "resolved": {"fact_tables": [str], "dimensions": [str], "measures": [str]},
    **CACHE,
}
PLAN = {
    "status": str,
    "planner": Maybe(str),
    "planner_reason": Maybe(str),
    "physical_tables": [str],
    "join_path": [{**JOIN, "cardinality": str, "fk": str}],
    "filters_applied": int,
    "warnings": [WARNING],
    "would_compile": bool,
    "compiled_sql_length_estimate": int,
    "database_explain": Maybe({"dialect": str, "compiled_sql": str, "explain_output": str, "explain_format": str}),
}
BATCH = {
    "session_id": str,
    "model_id": str,
    "model_persisted": bool,
    "model_load": str,
    "results": [
        {
            "id": str,
            "status": str,
            "sql": Left(str),
            "dialect": Left(str),
            "sql_valid": Left(bool),
            "executed": bool,
            "columns": Left([{"name": str, "type": str}]),
            "rows": Left([[object]]),
            "row_count": Left(int),
            "execution_time_ms": Left(float),
            "warnings": [WARNING],
            "error": Left({"code": str, "message": str, "path": Maybe(str), "hint": Maybe(str)}),
        }
    ],
    "batch_warnings": [WARNING],
}
VALIDATION = {
    "schema_valid": bool,
    "semantic_valid": bool,
    "schema_errors": [str],
    "semantic_errors": [str],
    "semantic_warnings": [str],
}
CONVERSION = {"output_yaml": str, "warnings": [str], "validation": VALIDATION, "input_validation": Maybe(VALIDATION)}
OWNER = {"owner": Maybe(str)}
DIMENSION = {
    "name": str,
    "data_object": str,
    "column": str,
    "result_type": str,
    "time_grain": Maybe(str),
    **OWNER,
}
MEASURE = {
    "name": str,
    "aggregation": str,
    "result_type": str,
    "columns": [{"data_object": str, "column": str}],
    "expression": Maybe(str),
    "total": bool,
    **OWNER,
}
METRIC = {"name": str, "expression": Maybe(str), "component_measures": [str], **OWNER}
SCHEMA = {
    "model_id": str,
    "version": float,
    **OWNER,
    "data_objects": [
        {
            "name": str,
            "code": str,
            "database": str,
            "schema": str,
            "columns": [{"name": str, "code": str, "abstract_type": str}],
            "join_targets": [str],
            **OWNER,
        }
    ],
    "dimensions": [DIMENSION],
    "measures": [MEASURE],
    "metrics": [METRIC],
}
DESCRIPTION = {
    "model_id": str,
    "data_objects": [{"label": str, "code": str, "columns": [str], "join_targets": [str]}],
    "dimensions": [
        {"name": str, "result_type": str, "data_object": str, "column": str, "time_grain": Maybe(str)},
    ],
    "measures": [{"name": str}],
    "metrics": [{"name": str}],
}
LINEAGE = {"name": str, "type": str, "lineage": [{"type": str, "name": str, "detail": Maybe(str)}]}
FOUND = {
    "query": str,
    "results": [{"name": str, "type": str, "match_field": str, "score": float}],
    "exact_matches": [{"name": str, "type": str, "match_field": str, "score": float}],
    "synonym_matches": [{"name": str, "type": str, "match_field": str, "score": float}],
    "fuzzy_matches": [{"name": str, "kind": str, "score": float, "reason": str}],
}
GRAPH = {"nodes": [str], "edges": [{**JOIN, "cardinality": str, "secondary": bool}]}
EXAMPLES = {"examples": [{"name": str, "description": str, "intent_tags": [str]}], "suggestion": Maybe(str)}
EXAMPLE = {
    "name": str,
    "description": str,
    "intent_tags": [str],
    "query": {"select": {"dimensions": Left([object]), "measures": Left([object])}},
    "compiled_sql_preview": Maybe(str),
}
SPARQL = {"type": str, "variables": [str], "results": [{}], "boolean": Maybe(bool)}
STATS = {
    "backend": str,
    "entry_count": int,
    "total_size_bytes": int,
    "max_size_bytes": int,
    "hit_count_total": int,
    "miss_count_total": int,
    "hit_rate": float,
    "oldest_entry": Maybe(Moment),
    "next_sweep_at": Maybe(Moment),
    "tracked_physical_tables": int,
    "heartbeat_invalidations_total": int,
}
SETTINGS = {
    "version": str,
    "api_version": str,
    "single_model_mode": bool,
    "model_yaml": Left(str),
    "session_ttl_seconds": int,
    "session_max_age_seconds": int,
    "max_sessions": int,
    "max_models_per_session": int,
    "query_execute": bool,
    "flight": Left(dict),
    "model_settings": Left(
        {
            "defaultTimezone": Left(str),
            "defaultDialect": Left(str),
            "overrideDatabaseTimezone": Left(bool),
            "defaultNumericDataType": Left(str),
        }
    ),
    "timezone": {
        "model": Maybe(str),
        "host": Maybe(str),
        "database": Maybe(str),
        "effective": str,
        "override_database_timezone": bool,
        "now": str,
        "utc": Moment,
    },
    "dialect": {"model": Left(str), "env": Left(str), "effective": str},
    "oneshot_batch": {
        "max_queries": int,
        "max_parallelism": int,
        "default_timeout_ms": int,
        "batch_timeout_ms": int,
    },
}
CAPABILITIES = {
    f"supports_{name}": bool
    for name in ("cte", "qualify", "arrays", "window_filters", "ilike", "time_travel", "semi_structured")
}
DIALECTS = {"dialects": [{"name": str, "capabilities": CAPABILITIES}]}


def mismatches(value: Any, shape: Any, path: str = "body") -> Iterator[str]:
    """Where a body breaks its shape: keys that are missing, and values of another type."""
    match shape:
        case Maybe(inner) | Left(inner):
            if isinstance(shape, Left) or value is not None:
                yield from mismatches(value, inner, path)
        case list():
            if not isinstance(value, list):
                yield f"{path} is {value!r}, not a list"
                return
            for index, item in enumerate(value):
                yield from mismatches(item, shape[0], f"{path}[{index}]")
        case dict():
            if not isinstance(value, dict):
                yield f"{path} is {value!r}, not an object"
                return
            for key, inner in shape.items():
                if key in value:
                    yield from mismatches(value[key], inner, f"{path}.{key}")
                elif not isinstance(inner, Left):
                    yield f"{path}.{key} is missing"
        case type():
            if not _is(value, shape):
                yield f"{path} is {value!r}, not {shape.__name__}"


def _is(value: Any, kind: type) -> bool:
    if kind is Moment:
        return isinstance(value, str) and value.endswith("Z") and dt.datetime.fromisoformat(value).tzinfo is not None
    if kind in {int, float}:
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind)


_JSON_TYPES = {str: "string", Moment: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


def broken_promises(schema: Mapping[str, Any], shape: Any, components: Any, path: str = "body") -> Iterator[str]:
    """Where a schema of the OpenAPI document promises less than a shape, or something else."""
    schema = _resolved(schema, components)
    if isinstance(shape, Left):
        yield from broken_promises(schema, shape.shape, components, path)
        return
    variants = [_resolved(one, components) for one in schema.get("anyOf", [schema])]
    kinds = {kind for one in variants for kind in _types(one)}
    if isinstance(shape, Maybe):
        rest = [one for one in variants if one.get("type") != "null"]
        yield from broken_promises({**rest[0], **_without_null(rest[0])}, shape.shape, components, path)
        return
    match shape:
        case list():
            if kinds != {"array"}:
                yield f"{path} is {sorted(kinds)}, not an array"
                return
            yield from broken_promises(schema["items"], shape[0], components, f"{path}[]")
        case dict():
            if kinds != {"object"}:
                yield f"{path} is {sorted(kinds)}, not an object"
                return
            for key, inner in shape.items():
                if key not in schema.get("properties", {}):
                    if not isinstance(schema.get("additionalProperties"), dict):
                        yield f"{path}.{key} is not described"
                    continue
                if not isinstance(inner, Left) and key not in schema.get("required", ()):
                    yield f"{path}.{key} is not promised"
                yield from broken_promises(schema["properties"][key], inner, components, f"{path}.{key}")
        case type() if shape is not object and kinds != {_JSON_TYPES[shape]}:
            yield f"{path} is {sorted(kinds)}, not {shape.__name__}"


def _resolved(schema: Mapping[str, Any], components: Any) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", "object" if "allOf" in schema else "anything")
    return {kind} if isinstance(kind, str) else set(kind)


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = _types(schema) - {"null"}
    return {"type": next(iter(kinds))} if len(kinds) == 1 else {}
