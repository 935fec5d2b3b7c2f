"""Nested aggregation: a formula over values evaluated at a finer grain, aggregated again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sagitta_compiler.plan.aggregates import aggregate_of
from sagitta_compiler.plan.frames import Frame, Labels, close
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.scalars import Aggregate, coalesce
from sagitta_compiler.query.bound import BoundDimension, Clause, NestedValue

Evaluate = Callable[..., Frame]
"""`evaluate`, handed in because it evaluates nested measures itself."""


def _further(over: tuple[BoundDimension, ...], dims: tuple[BoundDimension, ...]) -> list[BoundDimension]:
    """The dimensions of `over` that the query does not have, under labels of their own."""
    labels = Labels(dim.label for dim in dims)
    further = (dim for dim in over if all(dim.members != known.members for known in dims))
    return [replace(dim, label=labels.fresh(dim.label)) for dim in further]


def _as_known(dim: BoundDimension, over: tuple[BoundDimension, ...]) -> BoundDimension:
    """A dimension of the query also under the names by which `over` asks for the same members."""
    others = (name for same in over if same.members == dim.members for name in same.names)
    return replace(dim, names=tuple(dict.fromkeys((*dim.names, *others))))


def nested_frame(
    planner: Planner,
    value: NestedValue,
    dims: tuple[BoundDimension, ...],
    clauses: tuple[Clause, ...],
    evaluate: Evaluate,
) -> Frame:
    """The frame of a nested aggregation by its grain under its filters: its formula per `over`, then the aggregate."""
    finer = (*(_as_known(dim, value.over) for dim in dims), *_further(value.over, dims))
    inner = evaluate(planner, finer, clauses, (value.inner,))
    over = ", ".join(dim.label for dim in value.over)
    rows = close(inner, planner.labels, f"{value.name} per {over}", "the finer grain")
    outer = aggregate_of(value.measure, (rows.values[value.inner],), None, kept=value.kept)
    counts = isinstance(outer, Aggregate) and outer.function == "count"
    if value.empty is not None and not counts:
        outer = coalesce(outer, value.empty)
    keys = {dim.label: rows.dims[dim.label] for dim in dims}
    return Frame(
        replace(rows.select, group=tuple(keys.values()), note=f"{value.name}: aggregated again"), keys, {value: outer}
    )
