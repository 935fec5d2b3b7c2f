"""May the values of a measure be added up over groups?"""

from __future__ import annotations

from collections.abc import Iterable

from sagitta_compiler.model.resolved import DerivedMetric, Measure, ResolvedModel
from sagitta_compiler.model.types import Aggregation, Cardinality

_ADDITIVE = (Aggregation.SUM, Aggregation.COUNT)


def is_additive(model: ResolvedModel, measure: Measure, dimensions: Iterable[str]) -> bool:
    """Says whether the values over groups of these dimensions add up to the value over all of them.

    They do when every row of the measure's home belongs to exactly one group: the aggregate is a sum or a count,
    nothing moves its grain or its filters, and each dimension is reached from its home along many-to-one joins.
    """
    plain = (
        measure.aggregation in _ADDITIVE
        and not measure.distinct
        and not measure.total
        and measure.grain is None
        and measure.filter_context is None
        and measure.semi_additive is None
        and not measure.over
        and not measure.allow_fan_out
        and not (measure.expression and measure.expression.measures)
    )
    homes = {column.object for column in measure.columns}
    homes.update(column.object for column in (measure.expression.columns if measure.expression else ()))
    if measure.count_of:
        homes.add(measure.count_of)
    if not plain or len(homes) != 1:
        return False
    reached = _reached(model, homes.pop())
    return all(model.dimensions[name].object in reached for name in dimensions if name in model.dimensions)


def is_local(model: ResolvedModel, name: str) -> bool:
    """Says whether a measure's or metric's value of a group depends on the rows of that group alone.

    Then leaving groups out of an answer says the same as leaving their rows out of the question.
    """
    if measure := model.measures.get(name):
        nested = measure.expression.measures if measure.expression is not None else ()
        alone = not measure.total and measure.grain is None and measure.filter_context is None
        return alone and all(is_local(model, inner) for inner in nested)
    metric = model.metrics.get(name)
    return isinstance(metric, DerivedMetric) and all(is_local(model, inner) for inner in metric.expression.measures)


def _reached(model: ResolvedModel, start: str) -> set[str]:
    found, open_objects = {start}, [start]
    while open_objects:
        current = open_objects.pop()
        for join in model.joins:
            if join.source == current and join.cardinality is not Cardinality.MANY_TO_MANY and join.target not in found:
                found.add(join.target)
                open_objects.append(join.target)
    return found


def count_of_rows(model: ResolvedModel, measures: Iterable[str]) -> str | None:
    """Returns the measure that `COUNT(*)` means: the rows of the selected measures' home, else of the only fact."""
    homes: set[str] = set()
    for name in measures:
        if measure := model.measures.get(name):
            homes.update(column.object for column in measure.columns)
            if measure.count_of:
                homes.add(measure.count_of)
    if not homes:
        targets = {join.target for join in model.joins}
        homes = {name for name in model.objects if name not in targets}
    if len(homes) != 1:
        return None
    home = homes.pop()
    return next(
        (
            m.name
            for m in model.measures.values()
            if m.aggregation is Aggregation.COUNT
            and m.count_of == home
            and not m.filters
            and not m.columns
            and m.expression is None
        ),
        None,
    )
