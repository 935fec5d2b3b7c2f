"""Warnings: what is allowed, and may not be what the author means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sagitta_compiler.model.resolved import (
    ColumnRef,
    CumulativeMetric,
    Dimension,
    Join,
    Measure,
    NestedSource,
    PeriodOverPeriodMetric,
    ResolvedModel,
    TableSource,
)
from sagitta_compiler.model.rules.columns import source_objects
from sagitta_compiler.model.rules.expressions import figure_references
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.model.types import AbstractType, Aggregation, CumulativeType, GrainMode, TimeGrain
from sagitta_compiler.source import Path

_NOT_ADDITIVE = frozenset({*Aggregation} - {Aggregation.SUM, Aggregation.COUNT, Aggregation.MIN, Aggregation.MAX})
_FINENESS = {
    grain: at
    for at, grain in enumerate(
        (
            *(TimeGrain.SECOND, TimeGrain.MINUTE, TimeGrain.HOUR, TimeGrain.DAY, TimeGrain.WEEK, TimeGrain.MONTH),
            *(TimeGrain.QUARTER, TimeGrain.FISCAL_QUARTER, TimeGrain.YEAR, TimeGrain.FISCAL_YEAR),
        )
    )
}


_MAX_WALK = 200
"""How many names are looked at inside one metric: a warning is worth no more."""


def check_risks(model: ResolvedModel, scope: Scope) -> None:
    """Warns of what a model does and its author may not expect."""
    if scope.joins_are_whole:
        _warn_of_orphans(model, scope)
        _warn_of_missing_via(model, scope)
    _warn_of_zones(model, scope)
    _warn_of_contracts(model, scope)
    for metric in model.metrics.values():
        match metric:
            case PeriodOverPeriodMetric():
                _warn_of_comparison(model, scope, metric)
            case CumulativeMetric():
                _warn_of_running_value(model, scope, metric)


def orphans(model: ResolvedModel) -> tuple[str, ...]:
    """Returns the objects that nothing connects to another, in a model of several."""
    if len(model.objects) < 2:
        return ()
    connected = {name for join in model.joins for name in (join.source, join.target)}
    for data_object in model.objects.values():
        others = source_objects(model, data_object)
        if isinstance(data_object.source, NestedSource):
            others = {data_object.source.parent}
        connected |= {data_object.name, *others} if others else set()
    return tuple(name for name in model.objects if name not in connected)


def _warn_of_orphans(model: ResolvedModel, scope: Scope) -> None:
    for name in orphans(model):
        message = f"'{name}' is joined to nothing: no query can combine it with another data object"
        hint = "Declare a join, or leave it if it stands alone on purpose."
        scope.report.warning("ORPHAN_DATA_OBJECT", message, ("dataObjects", name), hint, context={"object": name})


def _warn_of_missing_via(model: ResolvedModel, scope: Scope) -> None:
    contested = _contested(model)
    for dimension in model.dimensions.values():
        facts = contested.get(dimension.object)
        if dimension.via is not None or facts is None:
            continue
        named = ", ".join(facts[:5]) + (f", … ({len(facts)} in all)" if len(facts) > 5 else "")
        message = f"'{dimension.name}' can be reached from {named}, by keys that are not its primary key"
        hint = "Set `via` to say which join path is meant, or declare the primary key."
        scope.report.warning("MISSING_VIA", message, ("dimensions", dimension.name), hint, context={"objects": facts})


def _contested(model: ResolvedModel) -> dict[str, list[str]]:
    """Returns the objects that several facts join to, not all by the primary key, each with the facts."""
    sources = {ref.object for measure in model.measures.values() for ref in _arguments(measure)}
    facing: dict[str, list[Join]] = defaultdict(list)
    for join in model.joins:
        if not join.secondary and join.source in sources and join.target in model.objects:
            facing[join.target].append(join)
    found: dict[str, list[str]] = {}
    for target, joins in facing.items():
        key = set(model.objects[target].primary_key)
        facts = sorted({join.source for join in joins})
        if len(facts) > 1 and any(set(join.columns_to) != key for join in joins):
            found[target] = facts
    return found


def _arguments(measure: Measure) -> tuple[ColumnRef, ...]:
    return measure.columns if measure.expression is None else measure.expression.columns


def _warn_of_zones(model: ResolvedModel, scope: Scope) -> None:
    if model.settings.query_timezone is None or model.settings.default_timezone is not None:
        return
    naive = [
        f"{o.name}.{c.name}"
        for o in model.objects.values()
        for c in o.columns.values()
        if c.type is AbstractType.TIMESTAMP
    ]
    if naive:
        shown = ", ".join(naive[:5]) + (f", … ({len(naive)} in all)" if len(naive) > 5 else "")
        message = f"Timestamps without a zone are not converted to 'queryTimezone': {shown}"
        hint = "Set `defaultTimezone` to the zone that they are in."
        path: Path = ("settings", "queryTimezone")
        scope.report.warning("UNDECLARED_TIMESTAMP_ZONE", message, path, hint, context={"columns": naive})


def _warn_of_contracts(model: ResolvedModel, scope: Scope) -> None:
    by_table: dict[str, list[str]] = defaultdict(list)
    for data_object in model.objects.values():
        if isinstance(data_object.source, TableSource) and data_object.refresh is not None:
            by_table[data_object.source.qualified].append(data_object.name)
    for table, names in by_table.items():
        if len({model.objects[name].refresh for name in names}) > 1:
            message = f"{', '.join(names)} read the table '{table}' under different freshness contracts"
            hint = "The strictest one holds for all of them; make them equal."
            scope.report.warning(
                "SHARED_TABLE_CONTRACT_DISAGREEMENT",
                message,
                ("dataObjects", names[-1], "refresh"),
                hint,
                context={"table": table, "objects": names},
            )


def _leaf_measures(model: ResolvedModel, names: tuple[str, ...]) -> Iterator[Measure]:
    """Yields the measures that names lead to, through derived metrics."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting and len(seen) < _MAX_WALK:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in model.measures:
            yield model.measures[name]
        waiting += figure_references(model, name)


def _warn_of_comparison(model: ResolvedModel, scope: Scope, metric: PeriodOverPeriodMetric) -> None:
    path: Path = ("metrics", metric.name, "periodOverPeriod")
    if _FINENESS[metric.offset_grain] < _FINENESS[metric.grain]:
        message = f"An offset in {metric.offset_grain}s moves {metric.grain}s only by part of a period"
        hint = f"Use an `offsetGrain` of {metric.grain} or coarser."
        scope.report.warning("POP_CONSTRAINT_VIOLATED", message, path, hint, context={"metric": metric.name})
    _warn_of_overrides(model, scope, metric.name, metric.expression.measures, metric.time_dimension)


def _warn_of_running_value(model: ResolvedModel, scope: Scope, metric: CumulativeMetric) -> None:
    path: Path = ("metrics", metric.name)
    dimension = model.dimensions.get(metric.time_dimension)
    grain = dimension.time_grain if dimension else None
    if metric.grain_to_date and grain and _FINENESS[metric.grain_to_date] <= _FINENESS[grain]:
        message = f"A value to date that begins anew every {metric.grain_to_date} never runs over {grain}s"
        hint = f"Use a `grainToDate` coarser than {grain}."
        scope.report.warning("CUMULATIVE_CONSTRAINT_VIOLATED", message, path, hint, context={"metric": metric.name})
    if metric.function is CumulativeType.SUM:
        for measure in _leaf_measures(model, (metric.measure,)):
            if measure.aggregation in _NOT_ADDITIVE or measure.semi_additive is not None:
                kind = "semi-additive" if measure.semi_additive else measure.aggregation
                message = f"Adding up '{measure.name}' ({kind}) over time is not its value over that time"
                hint = "Use `cumulativeType: avg`, min or max, or a measure that adds up."
                scope.report.warning(
                    "CUMULATIVE_CONSTRAINT_VIOLATED", message, path, hint, context={"metric": metric.name}
                )
                break
    _warn_of_overrides(model, scope, metric.name, (metric.measure,), metric.time_dimension)


def _warn_of_overrides(
    model: ResolvedModel, scope: Scope, name: str, inner: tuple[str, ...], time_dimension: str
) -> None:
    time = model.dimensions.get(time_dimension)
    for measure in _leaf_measures(model, inner):
        if measure.grain is not None and not _keeps(measure, time_dimension):
            message = f"'{measure.name}' has the same value in every period: its grain leaves '{time_dimension}' out"
            hint = f"Add '{time_dimension}' to the measure's grain."
            context = {"metric": name, "measure": measure.name}
            scope.report.warning("GRAIN_OVERRIDE_INCOMPATIBLE", message, ("metrics", name), hint, context=context)
        if measure.filter_context is not None and time is not None and _ignores_time(measure, time):
            message = f"Filters on '{time_dimension}' do not restrict '{measure.name}': its filter context drops them"
            hint = f"Keep '{time_dimension}' in the measure's filter context."
            context = {"metric": name, "measure": measure.name}
            scope.report.warning(
                "FILTER_CONTEXT_OVERRIDE_INCOMPATIBLE", message, ("metrics", name), hint, context=context
            )


def _keeps(measure: Measure, dimension: str) -> bool:
    grain = measure.grain
    assert grain is not None
    if dimension in grain.include:
        return True
    if grain.mode is GrainMode.FIXED or grain.keep_only:
        return dimension in grain.keep_only
    return dimension not in grain.exclude


def _ignores_time(measure: Measure, time: Dimension) -> bool:
    context = measure.filter_context
    assert context is not None
    names = {time.name, str(time.ref)}
    if context.keep_only or context.mode is GrainMode.FIXED:
        return not names & set(context.keep_only)
    return bool(names & set(context.exclude))
