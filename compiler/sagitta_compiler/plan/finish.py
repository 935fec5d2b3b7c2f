"""The last step of a grouped query: result types, HAVING, labels, order and limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sagitta_compiler.model.types import Direction
from sagitta_compiler.plan.casts import typed
from sagitta_compiler.plan.conditions import combine, test
from sagitta_compiler.plan.frames import Frame, close
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Output, Select
from sagitta_compiler.plan.scalars import Field, Scalar, SortKey, all_of, has_aggregate
from sagitta_compiler.query.bound import BoundQuery, Group, Member, Predicate, Selected, Test, values_of
from sagitta_compiler.query.query import NullsOrder


def finish(planner: Planner, frame: Frame, extra: tuple[Output, ...] = ()) -> Select:
    """The select that gives the query's columns in the query's order."""
    query = planner.query
    if query.having:
        frame = _filtered(planner, frame)
    if frame.select.group == () and not _aggregates(frame, query):
        frame = replace(close(replace(frame, dims={}), planner.labels, "one row"), dims=frame.dims)
    outputs = {dim.label: Output(dim.label, frame.dims[dim.label]) for dim in query.dimensions}
    for measure in query.measures:
        outputs[measure.label] = Output(measure.label, typed(measure.value, frame.values[measure.value]))
    outputs |= {output.label: output for output in extra}
    labels = (*query.column_order, *(label for label in outputs if label not in query.column_order))
    shown = tuple(outputs[label] for label in labels)
    return replace(
        frame.select,
        columns=shown,
        order=order_of(query, tuple(dim.label for dim in query.dimensions)),
        limit=query.limit,
        offset=query.offset,
        name="result",
    )


def _aggregates(frame: Frame, query: BoundQuery) -> bool:
    """Whether an aggregate among the outputs makes one row of all."""
    shown = [frame.values[measure.value] for measure in query.measures]
    return frame.select.having is not None or any(has_aggregate(scalar) for scalar in shown)


def _filtered(planner: Planner, frame: Frame) -> Frame:
    """The finished rows that pass HAVING. A filter over windows reads finished rows."""
    tested = values_of(planner.query.having)
    if frame.windows:
        frame = close(frame, planner.labels, "finished")
    condition = all_of(having(predicate, frame) for predicate in planner.query.having)
    assert condition is not None
    del tested
    if frame.grouped:
        return replace(frame, select=replace(frame.select, having=condition))
    return replace(frame, select=replace(frame.select, where=all_of(c for c in (frame.select.where, condition) if c)))


def having(predicate: Predicate, frame: Frame) -> Scalar:
    """A predicate over finished rows: values as shown, dimensions as selected."""
    match predicate:
        case Group():
            parts = [having(part, frame) for part in predicate.members]
            return combine(predicate.logic, parts, negated=predicate.negated)
        case Test(subject=Selected() as subject):
            return test(predicate.operator, frame.dims[subject.dimension.label], predicate.operands)
        case Test(subject=value) if not isinstance(value, Member | Selected):
            return test(predicate.operator, typed(value, frame.values[value]), predicate.operands)
        case _:
            raise AssertionError("HAVING tests finished values")


def order_of(query: BoundQuery, all_labels: tuple[str, ...]) -> tuple[SortKey, ...]:
    """The query's order; with a limit or subtotals but no order, all dimensions ascending."""
    if query.order:
        return tuple(
            SortKey(
                Field("", key.label),
                key.direction is Direction.DESC,
                None if key.nulls is None else key.nulls is NullsOrder.FIRST,
            )
            for key in query.order
        )
    if query.limit is None and query.offset is None and query.grouping is None:
        return ()
    return tuple(SortKey(Field("", label), nulls_first=query.grouping is not None) for label in all_labels)


OrderOf = Callable[[BoundQuery], tuple[SortKey, ...]]
