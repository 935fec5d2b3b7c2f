"""ROLLUP and CUBE: every level is the query over the dimensions that it keeps.

A level is evaluated as a query of its own, so that totals, windows, comparisons and distinct counts are exact in each.
Where one flat SELECT gives them all, the engine's own ROLLUP or CUBE is used.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.plan.evaluate import evaluate
from sagitta_compiler.plan.finish import asks_for_rows, finish, order_of
from sagitta_compiler.plan.frames import Frame, Labels
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import GroupingKind, Output, Select, Source, Table, Union
from sagitta_compiler.plan.scalars import Call, Field, Literal
from sagitta_compiler.query.bound import BoundDimension, LeafValue, Value, grouping_flag, inputs_of, values_of
from sagitta_compiler.query.query import Grouping
from sagitta_compiler.sql.result import Leg

Dims = tuple[BoundDimension, ...]


def with_subtotals(planner: Planner, grouping: Grouping, *, native: bool) -> Select:
    """The query's rows with those of every coarser level, told apart by a flag per dimension."""
    query = planner.query
    legs = len(planner.legs)
    frame = _level(planner, query.dimensions)
    finished = any(asks_for_rows(predicate) for predicate in query.having)
    if native and not finished and _is_flat(planner, frame, planner.legs[legs:]):
        return _flat(planner, frame, grouping)
    levels = [query.dimensions, *coarser(query.dimensions, grouping)]
    above = replace(planner, seen=set())  # a dimension that the detail does not reach is not reached
    frames = [frame, *(_level(above, kept) for kept in levels[1:])]
    bare = replace(query, order=(), limit=None, offset=None, grouping=None)
    selects = [_shown(planner, bare, level, kept) for level, kept in zip(frames, levels, strict=True)]
    name = "levels"
    unique = Labels(())
    labels = {output.label: unique.fresh(output.label) for output in selects[0].columns}
    selects = [
        replace(s, columns=tuple(Output(labels[output.label], output.scalar) for output in s.columns)) for s in selects
    ]
    source = Source(Union(tuple(selects), name, f"the levels of {grouping.value}"), name)
    return Select(
        tuple(Output(label, Field(name, inner)) for label, inner in labels.items()),
        source,
        order=order_of(query, tuple(dim.label for dim in query.dimensions)),
        limit=query.limit,
        offset=query.offset,
        name="result",
    )


def coarser(dims: Dims, grouping: Grouping) -> list[Dims]:
    """The levels above the detail, the finest first."""
    if grouping is Grouping.ROLLUP:
        return [dims[:count] for count in range(len(dims) - 1, -1, -1)]
    return [kept for count in range(len(dims) - 1, -1, -1) for kept in combinations(dims, count)]


def _level(planner: Planner, kept: Dims) -> Frame:
    query = planner.query
    selected = tuple(measure.value for measure in query.measures)
    return evaluate(planner, kept, query.clauses, selected, values_of(query.having))


def _shown(planner: Planner, bare: object, frame: Frame, kept: Dims) -> Select:
    query = planner.query
    rolled = {dim.label: Literal(None, dim.type) for dim in query.dimensions if dim not in kept}
    flags = tuple(Output(grouping_flag(dim), Literal(0 if dim in kept else 1)) for dim in query.dimensions)
    outer, planner.query = query, bare  # type: ignore[assignment]
    select = finish(planner, replace(frame, dims={**frame.dims, **rolled}), flags)
    planner.query = outer
    return replace(select, name="level")


def _is_flat(planner: Planner, frame: Frame, legs: list[Leg]) -> bool:
    """Whether the frame is one SELECT over tables whose aggregates the engine can roll up.

    The rows must be those of the home whatever the dimensions: a root, or a partner of many, is there for a dimension.
    """
    select = frame.select
    if (
        len(legs) != 1
        or legs[0].fans_out
        or not frame.grouped
        or select.source is None
        or not isinstance(select.source.relation, Table)
    ):
        return False
    if any(not isinstance(join.source.relation, Table) for join in select.joins):
        return False
    if any(isinstance(key, Literal) for key in select.group or ()) or any(map(asks_for_rows, planner.query.having)):
        return False
    shown = [frame.dims[dim.label] for dim in planner.query.dimensions]
    if any(key in shown[:position] for position, key in enumerate(shown)):
        return False  # an engine cannot roll up one of two equal keys and keep the other
    return all(_rolls_up(value) for value in planner.query.values)


def _rolls_up(value: Value) -> bool:
    if isinstance(value, LeafValue):
        own = value.measure.aggregation is not Aggregation.MEASURE
        return own and value.grain is None and value.context is None
    return all(_rolls_up(part) for part in inputs_of(value))


def _flat(planner: Planner, frame: Frame, grouping: Grouping) -> Select:
    query = planner.query
    kind = GroupingKind.ROLLUP if grouping is Grouping.ROLLUP else GroupingKind.CUBE
    flags = tuple(Output(grouping_flag(dim), Call("grouping", (frame.dims[dim.label],))) for dim in query.dimensions)
    return finish(planner, replace(frame, select=replace(frame.select, grouping=kind)), flags)
