"""The result types of measures and metrics (first match wins): declared, counts, quotients, whole sums, the default."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.model.resolved import (
    Column,
    CumulativeMetric,
    DerivedMetric,
    Expression,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.types import (
    BIGINT,
    AbstractType,
    Aggregation,
    Comparison,
    CumulativeType,
    DataType,
    WindowFunction,
)

QUOTIENT = DataType("decimal", 18, 6)
DEFAULT_NUMERIC = DataType("decimal", 18, 2)
COUNTS = frozenset({Aggregation.COUNT, Aggregation.COUNT_DISTINCT})


def measure_type(model: ResolvedModel, measure: Measure) -> DataType | None:
    """The type to which a measure is cast; None leaves it as the warehouse gives it."""
    if measure.data_type is not None:
        return measure.data_type
    if measure.aggregation in COUNTS:
        return BIGINT
    if measure.expression is not None and divides(measure.expression):
        return QUOTIENT
    if measure.aggregation not in (Aggregation.SUM, Aggregation.AVG):
        return None
    if measure.aggregation is Aggregation.SUM and measure.result_type is AbstractType.INT:
        return BIGINT
    return _widened(model, measure, model.settings.default_numeric_data_type or DEFAULT_NUMERIC)


def metric_type(model: ResolvedModel, metric: Metric) -> DataType | None:
    """The type to which a metric is cast; None leaves it as its components give it."""
    if metric.data_type is not None:
        return metric.data_type
    match metric:
        case DerivedMetric():
            if divides(metric.expression):
                return QUOTIENT
            return model.settings.default_numeric_data_type or DEFAULT_NUMERIC
        case PeriodOverPeriodMetric(comparison=Comparison.RATIO | Comparison.PERCENT_CHANGE):
            return QUOTIENT
        case _:
            return None


_PICKS = frozenset({Aggregation.MIN, Aggregation.MAX, Aggregation.ANY_VALUE, Aggregation.MODE})
SHIFTS = frozenset({WindowFunction.LAG, WindowFunction.LEAD, WindowFunction.FIRST_VALUE, WindowFunction.LAST_VALUE})
_WIDEST = 38


def shown_type(model: ResolvedModel, name: str) -> DataType | None:
    """The type in which rows show a measure or metric, as far as the model tells: a cast, else what is made of one.

    None where the warehouse decides. Sums and differences of exact numbers get the digits that engines give them.
    """
    if (measure := model.measures.get(name)) is not None:
        picked = picked_column(model, measure)
        return measure_type(model, measure) or (None if picked is None else column_type(picked))
    metric = model.metrics[name]
    return metric_type(model, metric) or _made(model, metric)


def column_type(column: Column) -> DataType | None:
    """The type of a column whose digits the model declares."""
    if not column.sql_precision or not column.type.is_numeric:
        return None
    return DataType("decimal", column.sql_precision, column.sql_scale or 0)


def picked_column(model: ResolvedModel, measure: Measure) -> Column | None:
    """The column of which a measure shows one value as it is."""
    return model.column(measure.columns[0]) if _picks(measure) and len(measure.columns) == 1 else None


def _picks(measure: Measure) -> bool:
    return measure.aggregation in _PICKS or measure.percentile_discrete


def kept_type(model: ResolvedModel, measure: Measure) -> AbstractType | None:
    """The type of a measure that gives one of the values that it aggregates, or a list; None where it computes."""
    if measure.aggregation is Aggregation.LISTAGG:
        return AbstractType.STRING
    if not _picks(measure):
        return None
    if (picked := picked_column(model, measure)) is not None:
        return picked.type
    inner = measure.expression and model.measures.get(measure.expression.alone or "")
    return (kept_type(model, inner) if inner else None) or measure.result_type


def _made(model: ResolvedModel, metric: Metric) -> DataType | None:
    match metric:
        case WindowMetric(function=function, measure=measure):
            shifted = function in SHIFTS and measure is not None
            return shown_type(model, measure) if shifted and measure is not None else BIGINT
        case CumulativeMetric(function=CumulativeType.COUNT):
            return BIGINT
        case CumulativeMetric(function=CumulativeType.MIN | CumulativeType.MAX, measure=measure):
            return shown_type(model, measure)
        case CumulativeMetric(function=CumulativeType.SUM, measure=measure):
            return _digits(shown_type(model, measure), _WIDEST)
        case PeriodOverPeriodMetric(comparison=comparison, expression=expression) if expression.alone is not None:
            return _compared(comparison, shown_type(model, expression.alone))
        case _:
            return None


def _compared(comparison: Comparison, kind: DataType | None) -> DataType | None:
    if comparison is Comparison.PREVIOUS_VALUE or kind is None or kind.precision is None:
        return kind
    return _digits(kind, min(_WIDEST, kind.precision + 1))


def _digits(kind: DataType | None, precision: int) -> DataType | None:
    """An exact type with other digits; None for inexact ones."""
    if kind is None or (kind != BIGINT and kind.precision is None):
        return None
    return DataType("decimal", precision, kind.scale or 0)


def divides(expression: Expression) -> bool:
    """Whether a formula has a division."""
    return "/" in expression.text and expression.tree.find(exp.Div) is not None


def _widened(model: ResolvedModel, measure: Measure, default: DataType) -> DataType:
    """The default with room for the integer digits of its source columns."""
    if default.precision is None:
        return default
    refs = measure.columns or (measure.expression.columns if measure.expression else ())
    digits = default.precision - (default.scale or 0)
    for ref in refs:
        column = model.column(ref)
        if column.sql_precision is not None and column.sql_scale is not None:
            digits = max(digits, column.sql_precision - column.sql_scale)
    return DataType("decimal", digits + (default.scale or 0), default.scale)
