"""The result types of measures and metrics (first match wins): declared, counts, quotients, whole sums, the default."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.model.resolved import (
    DerivedMetric,
    Expression,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
)
from sagitta_compiler.model.types import BIGINT, AbstractType, Aggregation, Comparison, DataType

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
