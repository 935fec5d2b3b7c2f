"""Expressions in their model: the names they use, the circles they make, the functions they call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from sagitta_compiler.expressions.check import check_functions
from sagitta_compiler.model.resolved import (
    ColumnRef,
    CumulativeMetric,
    DerivedMetric,
    Expression,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.rules.graphs import cycles, shown_cycle, too_deep
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.source import Path

MAX_NESTING: Final = 100
"""How deeply columns, measures and metrics may be made of one another."""
_COLUMN_CODES = ("UNKNOWN_DATA_OBJECT_IN_EXPRESSION", "UNKNOWN_COLUMN_IN_EXPRESSION")


def check_expressions(model: ResolvedModel, scope: Scope) -> None:
    """Reports unknown references, cycles and misused functions in every expression."""
    portable = model.settings.expression_mode == "portable"
    for path, expression in _expressions(model):
        for ref in expression.columns:
            scope.check_column(ref, path, object_path=path, codes=_COLUMN_CODES)
        if path[0] != "metrics":
            _check_measures(model, scope, expression, path)
        for found in check_functions(expression.tree, portable=portable):
            report = scope.report.error if found.is_error else scope.report.warning
            report(found.code, found.message, path, found.hint, context=found.context, suggestions=found.suggestions)
    _check_column_cycles(model, scope)
    _check_figure_cycles(model, scope)


def _expressions(model: ResolvedModel) -> Iterator[tuple[Path, Expression]]:
    for data_object in model.objects.values():
        for column in data_object.columns.values():
            if column.expression is not None:
                yield ("dataObjects", data_object.name, "columns", column.name, "expression"), column.expression
    for measure in model.measures.values():
        if measure.expression is not None:
            yield ("measures", measure.name, "expression"), measure.expression
    for metric in model.metrics.values():
        if isinstance(metric, DerivedMetric | PeriodOverPeriodMetric):
            yield ("metrics", metric.name, "expression"), metric.expression


def _check_measures(model: ResolvedModel, scope: Scope, expression: Expression, path: Path) -> None:
    """Checks the measures that a computed column or a nested aggregation reads."""
    for name in expression.measures:
        if not scope.check_figure(name, path, "UNKNOWN_MEASURE_REF"):
            continue
        kind = _frame_kind(name, model.metrics) if path[0] == "dataObjects" else None
        if kind is not None:
            scope.report.error(
                "UNSUPPORTED_METRIC_REF",
                f"A computed column cannot read '{name}': a {kind} metric runs along time, and a row has none",
                path,
                "Name a measure, a derived metric or a rank.",
                context={"metric": name},
            )


def _frame_kind(name: str, metrics: Mapping[str, Metric]) -> str | None:
    """Returns the kind of the metric, or of one inside it, that needs a time dimension."""
    seen, waiting = {name}, [name]
    while waiting:
        match metrics.get(waiting.pop()):
            case WindowMetric(time_dimension=None, measure=measure):
                waiting += [measure] if measure is not None and measure not in seen else []
                seen |= {measure} if measure is not None else set()
            case CumulativeMetric() | PeriodOverPeriodMetric() | WindowMetric() as metric:
                return str(metric.type).replace("_", "-")
            case DerivedMetric() as metric:
                waiting += [inner for inner in metric.expression.measures if inner not in seen]
                seen |= set(metric.expression.measures)
    return None


def _check_column_cycles(model: ResolvedModel, scope: Scope) -> None:
    edges = {
        ColumnRef(o.name, c.name): c.expression.columns
        for o in model.objects.values()
        for c in o.columns.values()
        if c.expression is not None and c.expression.columns
    }
    found = False
    for cycle in cycles(edges):
        message = f"Computed columns refer to each other: {shown_cycle(cycle)}"
        path = _formula(cycle[0])
        scope.report.error("CYCLIC_COMPUTED_COLUMN", message, path, "Break the circle in one of the columns.")
        found = True
    deep = None if found else too_deep(edges, MAX_NESTING)
    if deep is not None:
        scope.report.error("NESTED_TOO_DEEPLY", _depth_message(f"The computed column '{deep}'"), _formula(deep))


def _formula(ref: ColumnRef) -> Path:
    return ("dataObjects", ref.object, "columns", ref.column, "expression")


def _depth_message(what: str) -> str:
    return f"{what} is made of others more than {MAX_NESTING} levels deep"


def _check_figure_cycles(model: ResolvedModel, scope: Scope) -> None:
    edges = {name: figure_references(model, name) for name in chain(model.metrics, model.measures)}
    made = {name: refs for name, refs in edges.items() if refs}
    found = False
    for cycle in cycles(made):
        message = f"Measures and metrics refer to each other: {shown_cycle(cycle)}"
        scope.report.error("CYCLIC_METRIC", message, _entry(model, cycle[0]), "Break the circle in one of them.")
        found = True
    deep = None if found else too_deep(made, MAX_NESTING)
    if deep is not None:
        scope.report.error("NESTED_TOO_DEEPLY", _depth_message(f"'{deep}'"), _entry(model, deep))


def _entry(model: ResolvedModel, name: str) -> Path:
    return ("metrics" if name in model.metrics else "measures", name)


def figure_references(model: ResolvedModel, name: str) -> tuple[str, ...]:
    """Returns the measures and metrics that one of them is directly made of."""
    match model.metrics.get(name):
        case DerivedMetric() | PeriodOverPeriodMetric() as metric:
            return metric.expression.measures
        case CumulativeMetric() as metric:
            return (metric.measure,)
        case WindowMetric() as metric:
            return (metric.measure,) if metric.measure is not None else ()
    measure = model.measures.get(name)
    return measure.expression.measures if measure is not None and measure.expression is not None else ()
