"""Measures and metrics as trees of values: what is aggregated, and what is computed from what."""

from __future__ import annotations

import datetime as dt

from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import (
    CumulativeMetric,
    DerivedMetric,
    Expression,
    FilterContext,
    Grain,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.types import GrainMode
from sagitta_compiler.plan.scalars import Literal
from sagitta_compiler.plan.typing import COUNTS, kept_type, measure_type, metric_type
from sagitta_compiler.query.bound import (
    BoundDimension,
    Clause,
    CompareValue,
    CumulativeValue,
    FormulaValue,
    LeafValue,
    NestedValue,
    Predicate,
    Value,
    WindowValue,
)
from sagitta_compiler.query.names import dimension_member
from sagitta_compiler.query.operands import operand
from sagitta_compiler.query.predicates import MEASURE_CODES, PredicateBinder

_TOTAL = Grain(GrainMode.FIXED)


class ValueBinder:
    """Makes one value per measure or metric and set of query-time filters, and remembers those of the model."""

    def __init__(self, model: ResolvedModel, out: Diagnostics, now: dt.datetime | None) -> None:
        self._model = model
        self._out = out
        self._now = now
        self._made: dict[tuple[str, tuple[Predicate, ...]], Value | None] = {}
        self._open: list[str] = []

    def value(self, name: str, filters: tuple[Predicate, ...] = (), path: str = "select.measures") -> Value | None:
        """The value of that name; None after reporting why there is none."""
        key = (name, filters)
        if key in self._made:
            return self._made[key]
        memo = self._model.derived
        shared = ("value", name, self._now.date() if self._now else None)
        if not filters and shared in memo:
            remembered: Value = memo[shared]
            return remembered
        said = len(self._out)
        made = self._make(name, filters, path)
        self._made[key] = made
        if made is not None and not filters and len(self._out) == said:
            memo[shared] = made  # nothing was said about it that the next query would miss
        return made

    def _make(self, name: str, filters: tuple[Predicate, ...], path: str) -> Value | None:
        if name in self._open:
            chain = " -> ".join([*self._open, name])
            self._out.error("INVALID_METRIC", f"The metric '{name}' is defined by itself: {chain}", path)
            return None
        self._open.append(name)
        try:
            if (measure := self._model.measures.get(name)) is not None:
                return self._measure(measure, filters, path)
            if (metric := self._model.metrics.get(name)) is not None:
                return self._metric(metric, filters, path)
        finally:
            self._open.pop()
        self._unknown(name, path)
        return None

    def _unknown(self, name: str, path: str) -> None:
        candidates = [*self._model.measures, *self._model.metrics]
        suggestions = self._out.near(name, candidates)
        hint = (
            f"Did you mean '{suggestions[0]}'?" if suggestions else "List the measures of the model to see their names."
        )
        if name in self._model.dimensions:
            hint = f"'{name}' is a dimension: put it under `dimensions`."
        self._out.error(
            "UNKNOWN_MEASURE",
            f"There is no measure or metric '{name}'",
            path,
            hint=hint,
            context={"measure": name},
            suggestions=suggestions,
        )

    def _measure(self, measure: Measure, filters: tuple[Predicate, ...], path: str) -> Value | None:
        if measure.expression is not None and measure.expression.measures:
            return self._nested(measure, filters, path)
        own = self._own_filters(measure)
        if own is None:
            return None
        return LeafValue(
            measure.name,
            measure,
            measure_type(self._model, measure),
            (*own, *filters),
            _TOTAL if measure.total else measure.grain,
            measure.filter_context,
            self._included(measure),
            _empty(measure),
            kept_type(self._model, measure),
            len(own),
        )

    def _own_filters(self, measure: Measure) -> tuple[Predicate, ...] | None:
        """The measure's filters; None after reporting what is wrong with one."""
        binder = PredicateBinder(self._model, self._out, f"measures.{measure.name}.filters", self._now, MEASURE_CODES)
        return binder.all_rows(measure.filters)

    def _included(self, measure: Measure) -> tuple[Clause, ...]:
        context: FilterContext | None = measure.filter_context
        if context is None or not context.include:
            return ()
        path = f"measures.{measure.name}.filterContext.include"
        return tuple(PredicateBinder(self._model, self._out, path, self._now, MEASURE_CODES).clauses(context.include))

    def _nested(self, measure: Measure, filters: tuple[Predicate, ...], path: str) -> Value | None:
        """A nested aggregation; its own filters narrow what its formula reads."""
        expression, own = measure.expression, self._own_filters(measure)
        assert expression is not None
        inner = None if own is None else self._formula(measure.name, None, expression, (*own, *filters), path)
        if inner is None:
            return None
        names = dict.fromkeys((*measure.over, *(measure.grain.include if measure.grain else ())))
        return NestedValue(
            measure.name,
            measure,
            measure_type(self._model, measure),
            inner,
            tuple(bound_dimension(self._model, name) for name in names),
            _TOTAL if measure.total else measure.grain,
            measure.filter_context,
            self._included(measure),
            _empty(measure),
            kept_type(self._model, measure),
        )

    def _metric(self, metric: Metric, filters: tuple[Predicate, ...], path: str) -> Value | None:
        type_ = metric_type(self._model, metric)
        match metric:
            case DerivedMetric():
                return self._formula(metric.name, metric, metric.expression, filters, path)
            case CumulativeMetric():
                value = self.value(metric.measure, filters, path)
                return None if value is None else CumulativeValue(metric.name, metric, value, type_)
            case PeriodOverPeriodMetric():
                value = self._compared(metric, filters, path)
                return None if value is None else CompareValue(metric.name, metric, value, type_)
            case WindowMetric():
                value = None if metric.measure is None else self.value(metric.measure, filters, path)
                if value is None and metric.measure is not None:
                    return None
                return WindowValue(metric.name, metric, value, type_)

    def _compared(self, metric: PeriodOverPeriodMetric, filters: tuple[Predicate, ...], path: str) -> Value | None:
        """The compared value: the measure that the expression is, or the formula that it writes."""
        if (name := metric.expression.alone) is not None:
            return self.value(name, filters, path)
        return self._formula(metric.name, None, metric.expression, filters, path)

    def _formula(
        self, name: str, metric: DerivedMetric | None, expression: Expression, filters: tuple[Predicate, ...], path: str
    ) -> FormulaValue | None:
        inputs = tuple((part, self.value(part, filters, path)) for part in expression.measures)
        if any(value is None for _, value in inputs):
            return None
        bound = tuple((part, value) for part, value in inputs if value is not None)
        return FormulaValue(name, metric, expression, bound, metric_type(self._model, metric) if metric else None)


def _empty(measure: Measure) -> Literal | None:
    """The value over no rows: 0 for a count, else the default."""
    if measure.aggregation in COUNTS:
        return Literal(0)
    return None if measure.default_value is None else operand(measure.default_value, None)


def bound_dimension(model: ResolvedModel, name: str) -> BoundDimension:
    """A dimension of the model at its own grain, under its own name."""
    dimension = model.dimensions[name]
    member = dimension_member(model, dimension, dimension.time_grain)
    return BoundDimension(name, (member,), name, (name,), dimension.format)
