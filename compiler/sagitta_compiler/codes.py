"""Every code that a model or a query can be answered with. Stable: a code is never given another meaning.

`docs/errors.md` is generated from this table, and a test holds that the compiler emits no other code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Stage(StrEnum):
    """When a code is given."""

    TEXT = "Reading a text"
    DOCUMENT = "The shape of a model"
    MODEL = "The meaning of a model"
    EXPRESSION = "Expressions"
    MERGE = "Extending and inheriting"
    MODEL_WARNING = "Warnings about a model"
    QUERY = "Queries"
    SQL = "SQL on a model"
    QUERY_WARNING = "Warnings about a query"
    RESERVED = "Kept for compatibility"


@dataclass(frozen=True, slots=True)
class Code:
    """A code: when it is given, what it means, and what to do."""

    name: str
    stage: Stage
    meaning: str
    remedy: str


_TEXT = {
    "YAML_PARSE_ERROR": (
        "The text is not YAML or JSON: a syntax error, a key written twice, a foreign tag, or too deep nesting.",
        "Correct the text at the line that is shown.",
    ),
    "YAML_SAFETY_ERROR": (
        "The text is larger than is read, or uses anchors, aliases or merge keys.",
        "Write values out where they are used; split a very large model with `extends`.",
    ),
}
_DOCUMENT = {
    "SCHEMA_VALIDATION": (
        "A key has a value of the wrong kind, or a required key is missing.",
        "Compare with the JSON Schema of the language.",
    ),
    "TOO_MANY_FINDINGS": ("There are more findings than are shown.", "Correct those that are shown first."),
    "UNKNOWN_PROPERTY": (
        "A key is not part of the language here.",
        "Remove it, or take the spelling that is suggested.",
    ),
    "DATA_OBJECT_PARSE_ERROR": (
        "A data object has a key, value or combination that is not allowed.",
        "Correct what is at the place that is shown.",
    ),
    "DIMENSION_PARSE_ERROR": (
        "A dimension has a key, value or combination that is not allowed.",
        "Correct what is at the place that is shown.",
    ),
    "MEASURE_PARSE_ERROR": (
        "A measure has a key, value or combination that is not allowed.",
        "Correct what is at the place that is shown.",
    ),
    "METRIC_PARSE_ERROR": (
        "A metric lacks what its type needs, or has what its type refuses.",
        "Correct what is at the place that is shown.",
    ),
    "FILTER_PARSE_ERROR": ("A static filter is not valid.", "Give it a column, an operator and fitting values."),
    "EXAMPLES_PARSE_ERROR": ("An example is not valid.", "Give it `name`, `description` and `query`."),
    "REFRESH_PARSE_ERROR": (
        "A freshness contract is not valid. A duration that cannot be read is a warning: freshness is then unknown.",
        "Write `mode`, and the durations as `15m`, `6h`, `1d` or `PT15M`.",
    ),
    "INVALID_SETTING": ("A setting has a value that is not allowed.", "Take one of the values in the hint."),
    "INVALID_COUNT_LABEL_PATTERN": (
        "`countLabelPattern` lacks `{object}` or holds another placeholder.",
        "Write `{object} Count`.",
    ),
    "INVALID_EXPOSE_COUNTS": ("`exposeCounts` is neither true nor false.", "Write `true` or `false`."),
    "INCOMPLETE_COLUMN_REF": ("A column reference lacks its `dataObject` or `column`.", "Give both."),
    "DUPLICATE_EXAMPLE_NAME": ("Two examples share a name.", "Rename one of them."),
}
_MODEL = {
    "UNKNOWN_DATA_OBJECT": ("A data object does not exist.", "Take the suggested name, or declare the object."),
    "UNKNOWN_COLUMN": ("A column does not exist in its data object.", "Take the suggested name, or declare it."),
    "UNKNOWN_MEASURE": ("A measure or metric does not exist.", "Take the suggested name, or declare it."),
    "UNKNOWN_DIMENSION": ("A dimension does not exist.", "Take the suggested name, or declare it."),
    "CUMULATIVE_UNKNOWN_TIME_DIMENSION": (
        "The time dimension of a cumulative metric does not exist.",
        "Name one that does.",
    ),
    "POP_UNKNOWN_TIME_DIMENSION": ("The time dimension of a comparison does not exist.", "Name one that does."),
    "WINDOW_UNKNOWN_TIME_DIMENSION": ("The time dimension of a window metric does not exist.", "Name one that does."),
    "UNKNOWN_PARTITION_DIMENSION": ("A dimension in `partitionBy` does not exist.", "Name one that does."),
    "UNKNOWN_GRAIN_DIMENSION": ("A dimension in `grain` or `over` does not exist.", "Name one that does."),
    "UNKNOWN_FILTER_CONTEXT_FIELD": (
        "A field in `filterContext` does not exist.",
        "Name a dimension or `Object.Column`.",
    ),
    "UNKNOWN_FILTER_DATA_OBJECT": ("A filter's data object does not exist.", "Take the suggested name."),
    "UNKNOWN_FILTER_COLUMN": ("A filter's column does not exist.", "Take the suggested name."),
    "INVALID_MEASURE_FILTER": (
        "A filter of a measure, or of its filter context, cannot be read or applied.",
        "Give it a column, an operator and fitting values.",
    ),
    "INVALID_MEASURE_FILTER_OPERATOR": (
        "A measure's filter has an unknown operator.",
        "Take one of those in the hint.",
    ),
    "DUPLICATE_IDENTIFIER": (
        "Dimensions, measures, metrics and row counts share one name space, and a name is used twice.",
        "Rename one; a row count is renamed by `countLabel`.",
    ),
    "AMBIGUOUS_NAME": ("Two names differ only in blanks around them, or a name is empty.", "Rename one of them."),
    "SECONDARY_JOIN_MISSING_PATH_NAME": (
        "A secondary join has no `pathName`.",
        "Name it, so that queries can take it.",
    ),
    "DUPLICATE_JOIN_PATH_NAME": ("Two joins between the same objects share a `pathName`.", "Rename one of them."),
    "UNKNOWN_JOIN_TARGET": ("`joinTo` names no data object.", "Take the suggested name."),
    "UNKNOWN_JOIN_COLUMN": (
        "A join names a column that does not exist.",
        "Take the suggested name (labels, not codes).",
    ),
    "EMPTY_JOIN_COLUMNS": ("A join compares no columns.", "Name at least one pair."),
    "JOIN_COLUMN_COUNT_MISMATCH": ("`columnsFrom` and `columnsTo` have different lengths.", "Name pairs."),
    "CROSS_OBJECT_JOIN_KEY": (
        "A join key is computed from another data object.",
        "Join by columns of the object itself.",
    ),
    "CYCLIC_JOIN": (
        "Primary joins run in a circle.",
        "Make one secondary, or declare a second data object over the same table.",
    ),
    "MULTIPATH_JOIN": (
        "Two primary paths lead from one object to another, and no direct join says which is meant.",
        "Join them directly, make one join secondary, or declare a second data object for the other role.",
    ),
    "NUM_CLASS_ON_NON_NUMERIC": ("`numClass` stands on a column that is no number.", "Remove it, or correct the type."),
    "TIME_GRAIN_ON_NON_TEMPORAL": (
        "`timeGrain` stands on a column that is no date.",
        "Remove it, or correct the type.",
    ),
    "WITHIN_GROUP_NOT_IN_DISTINCT_ARGS": (
        "A distinct `listagg` is ordered by another column than its own.",
        "Order by its own column, or remove `distinct`.",
    ),
    "INVALID_VIA_DATA_OBJECT": (
        "`via` names an object from which the dimension cannot be reached.",
        "Name one on the way.",
    ),
    "INVALID_ANCHOR_DATA_OBJECT": (
        "`anchor` names no object, or one that the measure's objects do not share.",
        "Name an object that the measure reads, or that all of them join to.",
    ),
    "INVALID_NESTED_SOURCE": (
        "`nestedIn` names a column that does not exist, or another object joins to the nested one.",
        "Name the parent's array column; join to the parent.",
    ),
    "NESTED_WITHIN_NESTED_UNSUPPORTED": ("A data object is nested in a nested one.", "Nest it in a table."),
    "NESTED_TOO_DEEPLY": (
        "A column, measure or metric is made of others that are made of others, more than 100 levels deep.",
        "Write some of the formulas out.",
    ),
    "CYCLIC_METRIC": ("Measures and metrics refer to each other in a circle.", "Break the circle."),
    "CYCLIC_DATA_OBJECT": ("Derived objects or unions are made of each other.", "Break the circle."),
    "POP_INVALID_OFFSET": ("A period is compared with itself.", "Give an offset other than 0."),
    "INVALID_LAG_LEAD": ("`lag` or `lead` lacks its `offset` or `timeDimension`.", "Add it."),
    "INVALID_NTILE_BUCKETS": ("`ntile` has fewer than two `buckets`.", "Add `buckets: 4`."),
}
_EXPRESSION = {
    "MALFORMED_EXPRESSION_REF": (
        "Something in an expression looks like a reference and is none: braces or brackets are missing or misplaced.",
        "Write `{Column}`, `{[Data Object].[Column]}` or `{[Measure]}`.",
    ),
    "INVALID_EXPRESSION": ("An expression is not valid SQL, or uses what has no place in one.", "Correct it."),
    "INVALID_METRIC_EXPRESSION": (
        "A metric's formula is not valid.",
        "Use operators and functions over `{[Measure]}`.",
    ),
    "UNKNOWN_DATA_OBJECT_IN_EXPRESSION": (
        "An expression names a data object that does not exist.",
        "Take the suggestion.",
    ),
    "UNKNOWN_COLUMN_IN_EXPRESSION": ("An expression names a column that does not exist.", "Take the suggested name."),
    "UNKNOWN_MEASURE_REF": ("An expression names a measure or metric that does not exist.", "Take the suggested name."),
    "UNSUPPORTED_METRIC_REF": (
        "A computed column reads a metric that runs along time.",
        "Read a measure, a derived metric or a rank.",
    ),
    "CYCLIC_COMPUTED_COLUMN": ("Computed columns refer to each other in a circle.", "Break the circle."),
    "WRONG_FUNCTION_ARITY": ("A portable function has too few or too many arguments.", "Follow its signature."),
    "UNKNOWN_TIME_UNIT": ("A date function's unit is not a quoted time unit.", "Use 'year' to 'second'."),
    "INVALID_JSON_PATH": ("`json_value` has a path that is not a literal of simple steps.", "Write '$.a[0].b'."),
    "NON_PORTABLE_FUNCTION": (
        "A function is not in the portable catalogue: a warning, or an error with `expressionMode: portable`.",
        "Use a portable function, or accept that the model is bound to its warehouse.",
    ),
}
_MERGE = {
    "INVALID_EXTENDS_INHERITS_COMBINATION": ("A model both extends and inherits.", "Keep one."),
    "EXTENDS_CONTAINS_DATA_OBJECTS": ("A fragment declares data objects.", "Move them into the model."),
    "INHERITS_CONTAINS_DATA_OBJECTS": ("A model that inherits declares data objects.", "Remove them."),
    "PARENT_HAS_EXTENDS": ("The parent model extends fragments.", "Inherit from a model that stands on its own."),
    "PARENT_HAS_INHERITS": ("The parent model inherits itself.", "Inherit from a model that stands on its own."),
    "PARENT_MODEL_NOT_FOUND": ("The parent model does not exist.", "Name a file, or the id of a loaded model."),
    "EXTENDS_MAX_DEPTH_EXCEEDED": ("Fragments extend fragments too deeply.", "List them in the model itself."),
    "CIRCULAR_EXTENDS": ("Fragments extend each other in a circle.", "Remove one reference."),
    "EXTENDS_FILE_NOT_FOUND": ("A fragment does not exist.", "Paths are relative to the file that names them."),
}
_MODEL_WARNING = {
    "ORPHAN_DATA_OBJECT": ("A data object is joined to nothing.", "Declare a join, or leave it alone on purpose."),
    "MISSING_VIA": (
        "Several facts join to a dimension's object by keys that are not its primary key.",
        "Set `via`, or declare the primary key.",
    ),
    "SHARED_TABLE_CONTRACT_DISAGREEMENT": (
        "Data objects over one table promise different freshness; the strictest holds.",
        "Make the contracts equal.",
    ),
    "UNDECLARED_TIMESTAMP_ZONE": (
        "`queryTimezone` is set, and timestamps without a zone are left as they are.",
        "Set `defaultTimezone`.",
    ),
    "MERGE_WARNING": ("A fragment, or a child model, overrides something.", "Rename one if that is not meant."),
    "GRAIN_OVERRIDE_INCOMPATIBLE": (
        "A comparison or a running value is made of a measure whose grain leaves the time dimension out.",
        "Add the time dimension to the measure's grain.",
    ),
    "FILTER_CONTEXT_OVERRIDE_INCOMPATIBLE": (
        "A comparison or running value is made of a measure whose filter context drops filters on its time dimension.",
        "Keep the time dimension in the filter context.",
    ),
    "POP_CONSTRAINT_VIOLATED": (
        "The offset of a comparison is finer than its periods.",
        "Use an `offsetGrain` at least as coarse as `grain`.",
    ),
    "CUMULATIVE_CONSTRAINT_VIOLATED": (
        "A running value adds up what does not add up, or begins anew in every row.",
        "Choose another `cumulativeType`, or a coarser `grainToDate`.",
    ),
}
_QUERY = {
    "EMPTY_SELECT": ("A query selects nothing.", "Name a dimension, a measure or a field."),
    "INVALID_SELECT": (
        "Raw fields stand next to what excludes them.",
        "Select raw fields, or dimensions and measures.",
    ),
    "INVALID_TIME_GRAIN": ("A time grain does not exist, or stands on no date.", "Use year to second, or fiscal ones."),
    "DUPLICATE_OUTPUT_LABEL": ("Two columns of the result have one label.", "Give one of them another `as`."),
    "UNKNOWN_FILTER_FIELD": (
        "A filter's field does not exist here.",
        "Name a dimension, `Object.Column`, or in `having` a measure.",
    ),
    "INVALID_FILTER_OPERATOR": ("An operator is unknown, or does not fit the field.", "Take one of those in the hint."),
    "INVALID_FILTER_VALUE": (
        "A filter's value is missing or does not fit its operator.",
        "Give it one value, two for `between`, a list for `in`.",
    ),
    "INVALID_RELATIVE_FILTER": ("A relative period is not complete.", "Give `unit`, `count` and perhaps `direction`."),
    "UNKNOWN_ORDER_BY_FIELD": ("A sort key is no column of the result.", "Select it, or name another."),
    "INVALID_ORDER_BY_POSITION": ("A sort position is outside the result.", "Count the selected columns from 1."),
    "UNREACHABLE_REQUIRED_OBJECT": (
        "No join path, and no common root, leads from any measure to a dimension or filter.",
        "Declare a join, or drop one of the two.",
    ),
    "AMBIGUOUS_JOIN_PATH": (
        "Two join paths are equally short.",
        "Set `via` on the dimension, or declare a role object.",
    ),
    "UNKNOWN_PATH_NAME": ("`usePathNames` names no secondary join.", "Take the suggested name."),
    "COALESCE_MISSING_ALIAS": ("A coalesce group has no `as`.", "Name its column."),
    "COALESCE_TOO_FEW_MEMBERS": ("A coalesce group has fewer than two members.", "Select the dimension itself."),
    "COALESCE_TYPE_MISMATCH": ("The members of a coalesce group have different types.", "Coalesce like with like."),
    "COALESCE_ALIAS_COLLISION": ("A coalesce group is named like something in the model.", "Rename it."),
    "DUPLICATE_COALESCE_ALIAS": ("Two coalesce groups share a name.", "Rename one."),
    "DIMENSIONS_EXCLUDE_INSUFFICIENT": ("`dimensionsExclude` needs two dimensions.", "Select another one."),
    "DIMENSIONS_EXCLUDE_WITH_MEASURES": ("Combinations that do not occur have no measures.", "Remove the measures."),
    "RAW_FIELD_INVALID_REF": ("A raw field is not `Object.Column`.", "Write both names."),
    "RAW_FIELD_UNKNOWN_OBJECT": ("A raw field's data object does not exist.", "Take the suggested name."),
    "RAW_FIELD_UNKNOWN_COLUMN": ("A raw field's column does not exist.", "Take the suggested name."),
    "UNKNOWN_SUBQUERY_DATA_OBJECT": ("The target of `exists` does not exist.", "Take the suggested name."),
    "NO_JOIN_PATH_TO_SUBQUERY": ("No joins connect the field with the target of `exists`.", "Declare a join."),
    "UNKNOWN_SUBQUERY_FILTER_COLUMN": ("A filter inside `exists` names no column.", "Take the suggested name."),
    "UNREACHABLE_SUBQUERY_FILTER_OBJECT": (
        "A filter inside `exists` cannot be reached from its target.",
        "Declare a join.",
    ),
    "ROW_POLICY_UNBOUND": (
        "The model has row policies, and the caller is unknown here.",
        "Ask through a server that knows its callers.",
    ),
    "GRAIN_NOT_SUBSET": ("A measure's grain needs a dimension that cannot be added to the query.", "Select it."),
    "POP_TIME_DIMENSION_NOT_IN_SELECT": ("A comparison needs its time dimension in the query.", "Select it."),
    "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT": ("A running value needs its time dimension in the query.", "Select it."),
    "WINDOW_TIME_DIMENSION_NOT_IN_SELECT": ("A shift needs its time dimension in the query.", "Select it."),
    "INVALID_METRIC": ("A metric cannot be computed as it is.", "Change its formula, or what it is made of."),
    "ANCHOR_REQUIRED_AMBIGUOUS_KEY": ("A measure over several facts has no single grain.", "Set `anchor`."),
    "MISSING_PRIMARY_KEY": (
        "A computed column reads a measure, and its data object has no key to read it by.",
        "Mark the key columns with `primaryKey: true`.",
    ),
    "FILTER_ON_CONFORMED_OBJECT": (
        "A filter stands on a fact that is brought to a common grain.",
        "Filter the other fact.",
    ),
    "UNSUPPORTED_AGGREGATION": ("The dialect has no such aggregate.", "Use another aggregate or dialect."),
    "UNSUPPORTED_FUNCTION": ("The dialect has no such function.", "Use another function or dialect."),
    "UNSUPPORTED_NESTED_ACCESS": ("The dialect cannot unnest arrays.", "Give the object a fallback `code`."),
    "AMBIGUOUS_TABLE_REFERENCE": ("The dialect needs a schema next to a database.", "Add `schema` to the data object."),
    "QUERY_TOO_LARGE": ("A query's text is larger than is read.", "Ask for less, or raise `query.max_text_bytes`."),
    "UNSUPPORTED_DIALECT": ("The dialect is unknown.", "Take one of those in the hint."),
}
_SQL = {
    "SQL_SYNTAX_ERROR": ("A statement is not valid SQL.", "Correct it where the message says."),
    "SQL_TOO_LONG": ("A statement is longer than is read.", "Ask for less in one statement."),
    "UNSUPPORTED_SQL_FEATURE": (
        "A statement holds a clause or a function that has no meaning on a model, or is not known to be harmless.",
        "Write it in SQL that models understand, or ask with a query object.",
    ),
    "RAW_SQL_REJECTED": ("A statement reads a table of the warehouse.", "Query the tables of models."),
    "WRITE_OPERATION_REJECTED": ("A statement would write.", "Change the data in the warehouse itself."),
    "NO_MODEL_AVAILABLE": ("There is no model to ask.", "Load a model first."),
    "NO_MODEL_SELECTED": (
        "A statement does not say which of several models it asks.",
        "Name it in FROM, or choose it with USE.",
    ),
    "UNKNOWN_MODEL": ("A statement names a model that does not exist.", "SHOW SCHEMAS lists the models."),
    "UNKNOWN_TABLE": ("A statement names a table that does not exist.", "SHOW TABLES lists the tables."),
    "UNKNOWN_SELECT_ITEM": (
        "A statement names a column that does not exist.",
        "Take the suggested name; quote labels that hold blanks.",
    ),
    "MIXED_RAW_AND_AGGREGATE_MODE": (
        "Labels of the model and raw fields stand in one SELECT.",
        "Select either labels of the model or `Object.Column` fields.",
    ),
    "AGGREGATION_MISMATCH": ("An aggregate is not the one that its measure declares.", 'Write MEASURE("Name").'),
    "NON_ADDITIVE_AGGREGATION": (
        "Values that do not add up over groups would be added up.",
        'Write MEASURE("Name"), with the dimensions of the result.',
    ),
    "INVALID_LITERAL": (
        "A constant is not of the type that its place takes.",
        "Write it as that type: 12, DATE '2024-01-31', INTERVAL '3' DAY.",
    ),
    "MISSING_PARAMETER": ("A parameter of a statement has no value.", "Bind a value for each."),
}
_QUERY_WARNING = {
    "FAN_TRAP_RISK": (
        "Rows of a measure reach several groups; each counts once per group, so groups overlap.",
        "Read totals from the total row, or set `allowFanOut`.",
    ),
    "FILTER_FIELD_UNREACHABLE": (
        "A filter's field does not exist for some of the measures: it is NULL there.",
        "Leave those measures out, or filter by a shared dimension.",
    ),
    "CONFORMED_GRAIN_ASSUMED": (
        "A measure over several facts was brought to the key that they share.",
        "Set `anchor`.",
    ),
    "NESTED_SOURCE_FALLBACK": (
        "The dialect cannot unnest arrays: the fallback table is read.",
        "Nothing, if it is equal.",
    ),
    "LARGE_RESULT_SET": ("A default row limit was applied, and the result may be cut.", "Set `limit`."),
    "CACHE_TTL_FLOOR_HIT": (
        "A table changes sooner than the cache keeps results; the result is not kept.",
        "Lower `CACHE_MIN_TTL_SECONDS`, or lengthen the contract.",
    ),
    "DATABASE_EXPLAIN_FAILED": ("The warehouse refused to explain the SQL.", "Look at the message."),
    "MAX_PARALLELISM_CAPPED": ("A batch asked for more parallel queries than are allowed.", "Nothing."),
    "BATCH_TIMEOUT": ("A batch took longer than is allowed.", "Ask for less, or raise the limit."),
}
_RESERVED = {
    "UNSUPPORTED_GROUPING": (
        "Groupings that a dialect lacks are written as unions.",
        "Nothing: the code is not given.",
    ),
    "FANOUT_ERROR": ("Rows that a join multiplies are counted once per group.", "Nothing: the code is not given."),
    "NESTED_OBJECT_IN_MULTI_FACT": ("Nested objects may stand next to other facts.", "Nothing: the code is not given."),
    "NESTED_OBJECT_IN_SUBQUERY": ("`exists` may ask for nested rows.", "Nothing: the code is not given."),
    "SUBQUERY_FILTER_OBJECT_NOT_JOINABLE": (
        "What cannot be joined inside `exists` cannot be reached: `UNREACHABLE_SUBQUERY_FILTER_OBJECT`.",
        "Nothing: the code is not given.",
    ),
    "INCOMPATIBLE_COMBINATION": (
        "Every feature composes with every other; what has no meaning has a code that says why.",
        "Nothing: the code is not given.",
    ),
    "SQL_VALIDATION": ("SQL is built as a tree, which is always valid.", "Nothing: the code is not given."),
    "NO_MODEL_INPUT": ("A request without a model is refused as a request.", "Send `model_yaml` or `model_json`."),
    "NESTED_SUBQUERY_NOT_SUPPORTED": ("`exists` may be nested.", "Nothing: the code is not given."),
    "POP_MULTI_MEASURE_NOT_SUPPORTED": ("A comparison may be made of any formula.", "Nothing: the code is not given."),
}

_TABLE: Final = (
    (Stage.TEXT, _TEXT),
    (Stage.DOCUMENT, _DOCUMENT),
    (Stage.MODEL, _MODEL),
    (Stage.EXPRESSION, _EXPRESSION),
    (Stage.MERGE, _MERGE),
    (Stage.MODEL_WARNING, _MODEL_WARNING),
    (Stage.QUERY, _QUERY),
    (Stage.SQL, _SQL),
    (Stage.QUERY_WARNING, _QUERY_WARNING),
    (Stage.RESERVED, _RESERVED),
)

CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {name: Code(name, stage, *words) for stage, part in _TABLE for name, words in part.items()}
)
"""Every code by its name."""


def codes_as_markdown() -> str:
    """Returns the tables of `docs/errors.md`."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for stage, part in _TABLE:
        yield f"## {stage}"
        yield ""
        yield "| code | what it means | what to do |"
        yield "| --- | --- | --- |"
        yield from (f"| `{name}` | {meaning} | {remedy} |" for name, (meaning, remedy) in part.items())
        yield ""
