"""The last step of a grouped query: result types, HAVING, labels, order and limit."""

from __future__ import annotations

from dataclasses import replace

from sagitta_compiler.model.types import Aggregation, Direction
from sagitta_compiler.plan.casts import typed
from sagitta_compiler.plan.conditions import combine, test
from sagitta_compiler.plan.frames import Frame, as_select, close
from sagitta_compiler.plan.legs import Coordinates, build_leg
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Output, Select, Source
from sagitta_compiler.plan.scalars import Call, Exists, Field, Literal, Scalar, SortKey, all_of, has_aggregate, same
from sagitta_compiler.query.bound import (
    BoundDimension,
    BoundQuery,
    Clause,
    Group,
    LeafValue,
    Member,
    Predicate,
    RowExists,
    Selected,
    Test,
    Value,
    grouping_flag,
    inputs_of,
    values_of,
)
from sagitta_compiler.query.query import NullsOrder


def finish(planner: Planner, frame: Frame, extra: tuple[Output, ...] = ()) -> Select:
    """The select that gives the query's columns in the query's order."""
    query = planner.query
    if frame.select.group == () and not any(has_aggregate(frame.values[measure.value]) for measure in query.measures):
        frame = replace(close(replace(frame, dims={}), planner.labels, "one row"), dims=frame.dims)
    if query.having:
        frame = _filtered(planner, frame)
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


def _filtered(planner: Planner, frame: Frame) -> Frame:
    """The finished rows that pass HAVING. A filter over windows reads finished rows."""
    predicates = planner.query.having
    if frame.windows or any(asks_for_rows(p) for p in predicates) or any(map(_of_warehouse, values_of(predicates))):
        frame = close(frame, planner.labels, "finished")
    condition = all_of(having(planner, predicate, frame) for predicate in predicates)
    assert condition is not None
    if frame.grouped:
        return replace(frame, select=replace(frame.select, having=condition))
    return replace(frame, select=replace(frame.select, where=all_of(c for c in (frame.select.where, condition) if c)))


def _of_warehouse(value: Value) -> bool:
    """Whether a measure that the warehouse defines is in a value: not every engine finds it in HAVING."""
    if isinstance(value, LeafValue):
        return value.measure.aggregation is Aggregation.MEASURE
    return any(_of_warehouse(part) for part in inputs_of(value))


def having(planner: Planner, predicate: Predicate, frame: Frame) -> Scalar:
    """A predicate over finished rows: values as shown, dimensions as selected."""
    match predicate:
        case Group():
            parts = [having(planner, part, frame) for part in predicate.members]
            return combine(predicate.logic, parts, negated=predicate.negated)
        case RowExists(subject=Selected() as subject):
            return _belongs(planner, predicate, subject.dimension, frame)
        case Test(subject=Selected() as subject):
            return test(predicate.operator, frame.dims[subject.dimension.label], predicate.operands)
        case Test(subject=value) if not isinstance(value, Member | Selected):
            return test(predicate.operator, typed(value, frame.values[value]), predicate.operands)
        case _:
            raise AssertionError("HAVING tests finished values")


def asks_for_rows(predicate: Predicate) -> bool:
    """Whether `exists` is in a predicate: it asks finished rows."""
    if isinstance(predicate, Group):
        return any(asks_for_rows(part) for part in predicate.members)
    return isinstance(predicate, RowExists)


def _belongs(planner: Planner, predicate: RowExists, dim: BoundDimension, frame: Frame) -> Scalar:
    """Whether a member is that of a row, of the dimension's own object, which has such related rows."""
    member = replace(dim.members[0], via=None, grain=None)
    asked = replace(predicate, subject=member, negated=False)
    clause = Clause(asked, (member,), f"{dim.label} exists {predicate.target}")
    static = tuple(known for known in planner.query.clauses if known.static)
    own = replace(dim, members=tuple(replace(part, via=None) for part in dim.members[:1]))
    rows = build_leg(planner, Coordinates(member.ref.object, (own,), (*static, clause)), (), (own,))
    name = f"{dim.label} with {predicate.target}"
    members = Source(as_select(rows, planner.labels, name, "members that have related rows"), name)
    tie = same(Field(name, dim.label), frame.dims[dim.label])
    found = Exists(Select((Output("one", Literal(1)),), members, where=tie, name="related"))
    return Call("not", (found,)) if predicate.negated else found


def order_of(query: BoundQuery, all_labels: tuple[str, ...]) -> tuple[SortKey, ...]:
    """The query's order; with a limit or subtotals but no order, all dimensions ascending.

    A subtotal and a NULL member look alike: the flags put the subtotal first, so that the order is the same every time.
    """
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
    keys = tuple(SortKey(Field("", label), nulls_first=query.grouping is not None) for label in all_labels)
    if query.grouping is None:
        return keys
    return (*keys, *(SortKey(Field("", grouping_flag(dim)), descending=True) for dim in query.dimensions))
