"""Values of the compiler -> messages of `sagitta.semantic.v1`; `read_query.py` beside it is the way back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct
from google.protobuf.struct_pb2 import Value as JsonValue
from google.protobuf.timestamp_pb2 import Timestamp
from sagitta.semantic.v1 import diagnostic_pb2, model_pb2, result_pb2
from sagitta_compiler.diagnostics import Diagnostic, Severity
from sagitta_compiler.discovery.health import Health
from sagitta_compiler.model.resolved import (
    Column,
    CumulativeMetric,
    DataObject,
    DerivedMetric,
    Dimension,
    Measure,
    Metric,
    NestedSource,
    PeriodOverPeriodMetric,
    ResolvedModel,
    TableSource,
)
from sagitta_compiler.model.types import AbstractType, Cardinality
from sagitta_compiler.query.query import FilterGroup, FilterNode
from sagitta_compiler.sql.result import CompiledQuery, Explain, JoinStep, Leg, OutputColumn, Role

from sagitta_server.cache import Freshness

SEVERITY = {
    Severity.ERROR: diagnostic_pb2.SEVERITY_ERROR,
    Severity.WARNING: diagnostic_pb2.SEVERITY_WARNING,
    Severity.INFO: diagnostic_pb2.SEVERITY_INFO,
}
CARDINALITY = {
    Cardinality.MANY_TO_ONE: model_pb2.CARDINALITY_MANY_TO_ONE,
    Cardinality.ONE_TO_ONE: model_pb2.CARDINALITY_ONE_TO_ONE,
    Cardinality.MANY_TO_MANY: model_pb2.CARDINALITY_MANY_TO_MANY,
}

DEFAULT_FORMAT = "#,##0.00"
"""The display pattern of fractional measures that state none."""
TYPE_HINTS = {
    AbstractType.STRING: "string",
    AbstractType.JSON: "string",
    AbstractType.INT: "number",
    AbstractType.FLOAT: "number",
    AbstractType.BOOLEAN: "boolean",
    AbstractType.DATE: "datetime",
    AbstractType.TIME: "datetime",
    AbstractType.TIME_TZ: "datetime",
    AbstractType.TIMESTAMP: "datetime",
    AbstractType.TIMESTAMP_TZ: "datetime",
}
"""The documented hint of each declared type."""


def is_number(kind: Any) -> bool:
    """Whether an Arrow type is numeric."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def type_hint(kind: Any) -> str:
    """The documented hint of an Arrow type."""
    if is_number(kind):
        return "number"
    if pa.types.is_temporal(kind):
        return "datetime"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "binary" if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) else "string"


def timestamp(moment: dt.datetime | None) -> Timestamp | None:
    """An aware moment as a message."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(dt.UTC))
    return message


def json_value(value: Any) -> JsonValue:
    """A JSON-like value as a message; dates and decimals become text."""
    match value:
        case None:
            return JsonValue(null_value=NULL_VALUE)
        case bool():
            return JsonValue(bool_value=value)
        case int() | float():
            return JsonValue(number_value=value)
        case str():
            return JsonValue(string_value=value)
        case Mapping():
            return JsonValue(struct_value=json_struct(value))
        case list() | tuple() | set() | frozenset():
            return JsonValue(list_value=json_list(value))
        case _:
            return JsonValue(string_value=str(value))


def json_list(values: Iterable[Any]) -> ListValue:
    """A list of JSON-like values as a message."""
    return ListValue(values=[json_value(value) for value in values])


def json_struct(values: Mapping[str, Any]) -> Struct:
    """A mapping of JSON-like values as a message."""
    return Struct(fields={str(key): json_value(value) for key, value in values.items()})


# ---------------------------------------------------------------- diagnostics


def diagnostic_message(diagnostic: Diagnostic) -> diagnostic_pb2.Diagnostic:
    """A diagnostic as a message."""
    span = diagnostic.span
    return diagnostic_pb2.Diagnostic(
        code=diagnostic.code,
        severity=SEVERITY[diagnostic.severity],
        message=diagnostic.message,
        path=diagnostic.path or None,
        hint=diagnostic.hint,
        context=json_struct(diagnostic.context) if diagnostic.context else None,
        suggestions=diagnostic.suggestions,
        span=diagnostic_pb2.Span(line=span.line, column=span.column, end_line=span.end_line, end_column=span.end_column)
        if span
        else None,
    )


def diagnostic_messages(diagnostics: Iterable[Diagnostic]) -> list[diagnostic_pb2.Diagnostic]:
    """Diagnostics as messages."""
    return [diagnostic_message(diagnostic) for diagnostic in diagnostics]


# ---------------------------------------------------------------- models


def table_of(data_object: DataObject) -> TableSource:
    """The physical table of an object; an empty one where it has none."""
    match data_object.source:
        case TableSource() as table:
            return table
        case NestedSource(fallback=TableSource() as table):
            return table
        case _:
            return TableSource("", "", "")


def column_message(column: Column) -> model_pb2.Column:
    """A column as a message."""
    about = column.about
    return model_pb2.Column(
        name=column.name,
        code="" if column.expression else column.code,
        abstract_type=column.type,
        num_class=column.num_class,
        description=about.description,
        comment=about.comment,
        owner=about.owner,
        synonyms=about.synonyms,
        primary_key=column.primary_key,
        expression=column.expression.text if column.expression else None,
    )


def data_object_message(data_object: DataObject) -> model_pb2.DataObject:
    """A data object as a message."""
    table, about = table_of(data_object), data_object.about
    return model_pb2.DataObject(
        name=data_object.name,
        code=table.code,
        database=table.database,
        schema=table.schema,
        columns=[column_message(column) for column in data_object.columns.values()],
        join_targets=list(dict.fromkeys(join.target for join in data_object.joins)),
        description=about.description,
        comment=about.comment,
        owner=about.owner,
        synonyms=about.synonyms,
    )


def dimension_message(dimension: Dimension) -> model_pb2.Dimension:
    """A dimension as a message."""
    about = dimension.about
    return model_pb2.Dimension(
        name=dimension.name,
        data_object=dimension.object,
        column=dimension.column,
        result_type=dimension.result_type,
        time_grain=dimension.time_grain,
        via=dimension.via,
        description=about.description,
        format=dimension.format,
        owner=about.owner,
        synonyms=about.synonyms,
    )


def measure_message(measure: Measure) -> model_pb2.Measure:
    """A measure as a message."""
    about, expression = measure.about, measure.expression
    columns = measure.columns or (expression.columns if expression else ())
    return model_pb2.Measure(
        name=measure.name,
        result_type=measure.result_type,
        aggregation=measure.aggregation,
        expression=expression.text if expression else None,
        columns=[model_pb2.ColumnReference(data_object=ref.object, column=ref.column) for ref in columns],
        distinct=measure.distinct,
        total=measure.total,
        default_value=None if measure.default_value is None else json_value(measure.default_value),
        description=about.description,
        format=measure.format,
        data_type=str(measure.data_type) if measure.data_type else None,
        owner=about.owner,
        synonyms=about.synonyms,
    )


def metric_message(metric: Metric) -> model_pb2.Metric:
    """A metric as a message."""
    about = metric.about
    message = model_pb2.Metric(
        name=metric.name,
        type=metric.type,
        description=about.description,
        format=metric.format,
        data_type=str(metric.data_type) if metric.data_type else None,
        owner=about.owner,
        synonyms=about.synonyms,
    )
    match metric:
        case DerivedMetric(expression=expression):
            message.expression = expression.text
            message.component_measures.extend(expression.measures)
        case PeriodOverPeriodMetric(expression=expression, time_dimension=time_dimension):
            message.expression, message.time_dimension = expression.text, time_dimension
            message.component_measures.extend(expression.measures)
        case CumulativeMetric(measure=measure, time_dimension=time_dimension):
            message.measure, message.time_dimension = measure, time_dimension
            message.component_measures.append(measure)
        case _:
            if metric.measure is not None:
                message.measure = metric.measure
                message.component_measures.append(metric.measure)
            if metric.time_dimension is not None:
                message.time_dimension = metric.time_dimension
    return message


def static_filter_messages(filters: Iterable[FilterNode]) -> list[model_pb2.StaticFilter]:
    """The leaves of the static filters as messages."""
    messages = []
    for node in filters:
        if isinstance(node, FilterGroup):
            messages += static_filter_messages(node.filters)
            continue
        data_object, _, column = node.field.partition(".")
        messages.append(
            model_pb2.StaticFilter(
                data_object=data_object,
                column=column,
                operator=node.operator,
                value=json_value(node.values[0]) if len(node.values) == 1 else None,
                values=json_list(node.values) if len(node.values) > 1 else None,
            )
        )
    return messages


def health_message(health: Health) -> model_pb2.Health:
    """The health of a model as a message."""
    return model_pb2.Health(
        status=model_pb2.HEALTH_STATUS_OK if health.status == "ok" else model_pb2.HEALTH_STATUS_WARNINGS,
        data_objects=health.data_objects,
        joins=health.joins,
        orphan_data_objects=health.orphan_data_objects,
        fan_trap_risks=[
            model_pb2.FanTrapRisk(tables=risk.tables, reason=risk.reason, suggested_pattern=risk.suggested_pattern)
            for risk in health.fan_trap_risks
        ],
        unreachable_dimensions=health.unreachable_dimensions,
        warnings_count=health.warnings_count,
    )


def counts_message(model_id: str, model: ResolvedModel) -> model_pb2.ModelCounts:
    """How many artefacts the document declares; counted rows are not declared."""
    return model_pb2.ModelCounts(
        model_id=model_id,
        data_objects=len(model.objects),
        dimensions=len(model.dimensions),
        measures=sum(not measure.synthesised for measure in model.measures.values()),
        metrics=len(model.metrics),
    )


# ---------------------------------------------------------------- plans and results


def _join_columns(join: JoinStep) -> list[str]:
    pairs = join.codes or join.columns
    return [left if left == right else f"{left} = {right}" for left, right in pairs]


def join_message(join: JoinStep) -> result_pb2.ExplainJoin:
    """A join of a plan as a message."""
    pairs = join.codes or join.columns
    return result_pb2.ExplainJoin(
        from_object=join.from_object,
        to_object=join.to_object,
        join_columns=_join_columns(join),
        reason=join.reason,
        cardinality=CARDINALITY[Cardinality(join.cardinality)],
        fk=", ".join(f"{left} = {right}" for left, right in pairs),
    )


def leg_message(leg: Leg) -> result_pb2.ExplainLeg:
    """A leg of a plan as a message."""
    return result_pb2.ExplainLeg(
        measure_source=leg.home,
        common_root=leg.root,
        reason=leg.reason,
        measures=leg.measures,
        joins=[f"{join.from_object} -> {join.to_object}" for join in leg.joins],
        grain=leg.grain,
        filters=leg.filters,
        shift=leg.shift,
    )


def cache_message(cached_at: dt.datetime | None, freshness: Freshness | None) -> result_pb2.CacheOutcome:
    """What the result cache did, as a message."""
    return result_pb2.CacheOutcome(
        cached=cached_at is not None,
        cached_at=timestamp(cached_at),
        ttl_seconds=freshness.ttl_seconds if freshness else None,
        ttl_source=freshness.source if freshness else None,
        ttl_limiting_table=freshness.limiting_table if freshness else None,
    )


def explain_message(explain: Explain) -> result_pb2.Explain:
    """A plan as a message."""
    return result_pb2.Explain(
        planner=explain.planner,
        planner_reason=explain.planner_reason,
        base_object=explain.base_object,
        base_object_reason=explain.base_object_reason,
        joins=[join_message(join) for join in explain.joins],
        where_filter_count=explain.where_filter_count,
        having_filter_count=explain.having_filter_count,
        has_totals=explain.has_totals,
        cfl_legs=len(explain.legs) if len(explain.legs) > 1 else 0,
        cfl_leg_details=[leg_message(leg) for leg in explain.legs] if len(explain.legs) > 1 else (),
        tree=explain.tree,
    )


def resolved_message(compiled: CompiledQuery) -> result_pb2.Resolved:
    """What the names of a query were resolved to, as a message."""
    by_role: dict[str, list[str]] = {}
    for column in compiled.columns:
        by_role.setdefault(column.role, []).append(column.source)
    return result_pb2.Resolved(
        fact_tables=compiled.fact_tables,
        dimensions=by_role.get("dimension", []),
        measures=[column.source for column in compiled.columns if column.role in {"measure", "metric"}],
    )


def column_messages(compiled: CompiledQuery, model: ResolvedModel, schema: Any = None) -> list[result_pb2.ResultColumn]:
    """The columns of a result; with a `pyarrow.Schema`, types that the model does not declare are taken from it."""
    fields = schema if schema is not None else [None] * len(compiled.columns)
    return [_column_message(column, model, field) for column, field in zip(compiled.columns, fields, strict=True)]


def _column_message(column: OutputColumn, model: ResolvedModel, field: Any) -> result_pb2.ResultColumn:
    kind = _column_type(column, model, field)
    pattern = column.format
    if pattern is None and column.role in {Role.MEASURE, Role.METRIC} and kind.startswith(("decimal", "double")):
        pattern = DEFAULT_FORMAT
    return result_pb2.ResultColumn(name=column.name, type=kind, format=pattern)


def _column_type(column: OutputColumn, model: ResolvedModel, field: Any) -> str:
    if column.role in {Role.MEASURE, Role.METRIC}:
        declared = column.data_type or model.settings.default_numeric_data_type
        if column.data_type is not None or (declared is not None and field is not None and is_number(field.type)):
            return str(declared)
    if field is not None:
        return type_hint(field.type)
    return TYPE_HINTS[column.type] if column.type is not None else "string"
