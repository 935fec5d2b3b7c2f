"""Metrics: what each kind needs, what it refuses, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from sagitta_compiler.expressions.parse import Place, parse_expression
from sagitta_compiler.model.document import MetricDocument, PeriodOverPeriodDocument
from sagitta_compiler.model.measures import data_type
from sagitta_compiler.model.resolved import (
    CumulativeMetric,
    DerivedMetric,
    Expression,
    Metric,
    PeriodOverPeriodMetric,
    WindowMetric,
)
from sagitta_compiler.model.scope import Scope, about
from sagitta_compiler.model.types import MetricType, TimeGrain, WindowFunction
from sagitta_compiler.source import Path

_ALLOWED: dict[MetricType, frozenset[str]] = {
    MetricType.DERIVED: frozenset({"expression"}),
    MetricType.CUMULATIVE: frozenset(
        {"measure", "time_dimension", "cumulative_type", "window", "grain_to_date", "partition_by"}
    ),
    MetricType.PERIOD_OVER_PERIOD: frozenset({"expression", "period_over_period"}),
    MetricType.WINDOW: frozenset(
        {
            *("measure", "window_function", "time_dimension", "offset", "buckets"),
            *("order_direction", "default_value", "partition_by"),
        }
    ),
}
_COMMON = frozenset({"type", "data_type", "format", "description", "owner", "synonyms", "custom_extensions"})
_NO_MEASURE = frozenset({WindowFunction.ROW_NUMBER, WindowFunction.NTILE})
_SHIFTS = frozenset({WindowFunction.LAG, WindowFunction.LEAD})
_TO_DATE = frozenset(
    {
        *(TimeGrain.YEAR, TimeGrain.QUARTER, TimeGrain.MONTH, TimeGrain.WEEK),
        *(TimeGrain.FISCAL_YEAR, TimeGrain.FISCAL_QUARTER),
    }
)


def resolve_metrics(scope: Scope) -> dict[str, Metric]:
    """Returns the metrics that can be made sense of."""
    resolved: dict[str, Metric] = {}
    for name, document in scope.document.metrics.items():
        metric = _Metric(scope, name, document).resolve()
        if metric is not None:
            resolved[metric.name] = metric
    return resolved


class _Metric:
    """Resolves one metric."""

    def __init__(self, scope: Scope, name: str, document: MetricDocument) -> None:
        self._scope, self._name, self._document = scope, name, document
        self._path: Path = ("metrics", name)

    def resolve(self) -> Metric | None:
        document = self._document
        problems = list(_misuse(document))
        for code, message, key, hint in problems:
            self._scope.report.error(code, message, (*self._path, *((key,) if key else ())), hint)
        match document.type:
            case MetricType.DERIVED:
                return self._derived()
            case MetricType.CUMULATIVE:
                return self._cumulative()
            case MetricType.PERIOD_OVER_PERIOD:
                return self._period_over_period()
            case MetricType.WINDOW:
                return self._window()
            case kind:
                assert_never(kind)

    def _shared(self) -> dict[str, Any]:
        document = self._document
        return {
            "data_type": data_type(self._scope, document.data_type, "METRIC_PARSE_ERROR", (*self._path, "dataType")),
            "format": document.format,
            "about": about(document),
        }

    def _expression(self) -> Expression | None:
        if self._document.expression is None:
            return None
        parsed = parse_expression(self._document.expression, Place.METRIC)
        path: Path = (*self._path, "expression")
        for problem in parsed.problems:
            self._scope.report.error(problem.code, problem.message, path, problem.hint)
        if parsed.expression is not None:
            for name in parsed.expression.measures:
                self._scope.check_figure(name, path, "UNKNOWN_MEASURE_REF")
        return parsed.expression

    def _measure(self) -> str | None:
        if self._document.measure is None:
            return None
        name = self._document.measure.strip()
        self._scope.check_figure(name, (*self._path, "measure"), "UNKNOWN_MEASURE")
        return name

    def _time(self, name: str | None, code: str, path: Path) -> str | None:
        if name is None:
            return None
        self._scope.check_dimension(name.strip(), path, code)
        return name.strip()

    def _partition(self) -> tuple[str, ...] | None:
        if self._document.partition_by is None:
            return None
        names = tuple(name.strip() for name in self._document.partition_by)
        for name in names:
            self._scope.check_dimension(name, (*self._path, "partitionBy"), "UNKNOWN_PARTITION_DIMENSION")
        return names

    def _derived(self) -> Metric | None:
        expression = self._expression()
        shared = self._shared()
        return None if expression is None else DerivedMetric(self._name.strip(), expression, **shared)

    def _cumulative(self) -> Metric | None:
        document, measure = self._document, self._measure()
        time = self._time(document.time_dimension, "CUMULATIVE_UNKNOWN_TIME_DIMENSION", (*self._path, "timeDimension"))
        partition, shared = self._partition(), self._shared()
        if measure is None or time is None:
            return None
        return CumulativeMetric(
            name=self._name.strip(),
            measure=measure,
            time_dimension=time,
            function=document.cumulative_type,
            window=document.window,
            grain_to_date=document.grain_to_date,
            partition_by=partition,
            **shared,
        )

    def _period_over_period(self) -> Metric | None:
        comparison: PeriodOverPeriodDocument | None = self._document.period_over_period
        expression, shared = self._expression(), self._shared()
        if comparison is None:
            return None
        path: Path = (*self._path, "periodOverPeriod", "timeDimension")
        time = self._time(comparison.time_dimension, "POP_UNKNOWN_TIME_DIMENSION", path)
        if expression is None or time is None:
            return None
        return PeriodOverPeriodMetric(
            name=self._name.strip(),
            expression=expression,
            time_dimension=time,
            grain=comparison.grain,
            offset=comparison.offset,
            offset_grain=comparison.offset_grain,
            comparison=comparison.comparison,
            **shared,
        )

    def _window(self) -> Metric | None:
        document, measure = self._document, self._measure()
        time = self._time(document.time_dimension, "WINDOW_UNKNOWN_TIME_DIMENSION", (*self._path, "timeDimension"))
        partition, shared = self._partition(), self._shared()
        if document.window_function is None:
            return None
        return WindowMetric(
            name=self._name.strip(),
            function=document.window_function,
            measure=measure,
            time_dimension=time,
            offset=document.offset,
            buckets=document.buckets,
            order=document.order_direction,
            default_value=document.default_value,
            partition_by=partition or (),
            **shared,
        )


_Problem = tuple[str, str, str, str]
"""Code, message, key and hint."""


def _misuse(document: MetricDocument) -> Iterator[_Problem]:
    """Yields what a metric lacks and what it must not have."""
    kind, fields = document.type, MetricDocument.model_fields
    for name in sorted(document.model_fields_set - _ALLOWED[kind] - _COMMON):
        key = fields[name].alias or name
        owners = " and ".join(str(t) for t, allowed in _ALLOWED.items() if name in allowed)
        yield "METRIC_PARSE_ERROR", f"'{key}' has no meaning in a {kind} metric", key, f"It belongs to: {owners}."
    match kind:
        case MetricType.DERIVED:
            yield from _missing(document, "expression")
        case MetricType.CUMULATIVE:
            yield from _missing(document, "measure", "time_dimension")
            yield from _cumulative_misuse(document)
        case MetricType.PERIOD_OVER_PERIOD:
            yield from _missing(document, "expression", "period_over_period")
            if document.period_over_period is not None and document.period_over_period.offset == 0:
                message = "An offset of 0 compares a period with itself"
                yield "POP_INVALID_OFFSET", message, "periodOverPeriod", "Use -1 for the period before."
        case MetricType.WINDOW:
            yield from _missing(document, "window_function")
            yield from _window_misuse(document)
        case _:
            assert_never(kind)


def _missing(document: MetricDocument, *names: str) -> Iterator[_Problem]:
    for name in names:
        if getattr(document, name) is None:
            key = MetricDocument.model_fields[name].alias or name
            yield "METRIC_PARSE_ERROR", f"A {document.type} metric needs '{key}'", "", f"Add `{key}:`."


def _cumulative_misuse(document: MetricDocument) -> Iterator[_Problem]:
    if document.window is not None and document.grain_to_date is not None:
        message = "'window' and 'grainToDate' exclude each other"
        yield "METRIC_PARSE_ERROR", message, "window", "Keep one: a rolling window, or a value to date."
    if document.grain_to_date is not None and document.grain_to_date not in _TO_DATE:
        allowed = ", ".join(sorted(_TO_DATE))
        message = f"A value to date cannot begin anew every {document.grain_to_date}"
        yield "METRIC_PARSE_ERROR", message, "grainToDate", f"Use one of: {allowed}."


def _window_misuse(document: MetricDocument) -> Iterator[_Problem]:
    function = document.window_function
    if function is None:
        return
    if function not in _NO_MEASURE:
        yield from _missing(document, "measure")
    if function in _SHIFTS:
        if document.offset is None or document.offset < 1:
            message = f"'{function}' needs an 'offset' of at least 1"
            yield "INVALID_LAG_LEAD", message, "offset", "Add `offset: 1`."
        if document.time_dimension is None:
            message = f"'{function}' needs a 'timeDimension' to order the rows by"
            yield "INVALID_LAG_LEAD", message, "timeDimension", "Add `timeDimension:`."
    if function is WindowFunction.NTILE and (document.buckets is None or document.buckets < 2):
        yield "INVALID_NTILE_BUCKETS", "'ntile' needs at least 2 'buckets'", "buckets", "Add `buckets: 4`."
