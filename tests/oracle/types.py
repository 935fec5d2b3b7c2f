"""Result types, as the reference's section on data types states them, and casting to them."""

from __future__ import annotations

from fractions import Fraction

from oracle import values as v
from sagitta_compiler.model.resolved import (
    CumulativeMetric,
    DerivedMetric,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.types import BIGINT, AbstractType, Aggregation, Comparison, DataType
from sqlglot import exp

QUOTIENT = DataType("decimal", 18, 6)
_DEFAULT = DataType("decimal", 18, 2)


def measure_type(model: ResolvedModel, measure: Measure) -> DataType | None:
    """Returns the type to which a measure is cast; None leaves the engine's own."""
    if measure.data_type is not None:
        return measure.data_type
    if measure.aggregation in (Aggregation.COUNT, Aggregation.COUNT_DISTINCT):
        return BIGINT
    if measure.expression is not None and _divides(measure.expression.tree):
        return QUOTIENT
    if measure.aggregation is Aggregation.SUM and measure.result_type is AbstractType.INT:
        return BIGINT
    if measure.aggregation in (Aggregation.SUM, Aggregation.AVG):
        return model.settings.default_numeric_data_type or _DEFAULT
    return None


def metric_type(model: ResolvedModel, metric: Metric) -> DataType | None:
    if metric.data_type is not None:
        return metric.data_type
    match metric:
        case DerivedMetric():
            if _divides(metric.expression.tree):
                return QUOTIENT
            return model.settings.default_numeric_data_type or _DEFAULT
        case PeriodOverPeriodMetric():
            return QUOTIENT if metric.comparison in (Comparison.RATIO, Comparison.PERCENT_CHANGE) else None
        case CumulativeMetric() | WindowMetric():
            return None


def _divides(tree: exp.Expression) -> bool:
    return tree.find(exp.Div) is not None


def cast(value: v.Value, data_type: DataType | None) -> v.Value:
    """Casts a finished value; numbers are rounded half away from zero."""
    if data_type is None or not v.is_number(value):
        return value
    match data_type.name:
        case "decimal":
            return v.round_half_away(value, data_type.scale or 0)
        case "bigint" | "integer":
            return int(v.round_half_away(value, 0))
        case "double":
            return Fraction(value)
        case _:
            raise v.UndecidedError(f"a number cast to {data_type}")
