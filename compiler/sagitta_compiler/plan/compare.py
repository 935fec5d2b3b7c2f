"""Period over period: a value beside itself in another period.

Both periods are read from one frame that the filters on the compared time do not narrow, so that the earlier period is
whole. It is joined from the side of the current period: several days may share one earlier day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sagitta_compiler.model.types import Comparison, CumulativeType, TimeGrain
from sagitta_compiler.plan.casts import typed
from sagitta_compiler.plan.emptiness import over_nothing
from sagitta_compiler.plan.frames import Frame, as_select, close, fresh_alias, pad, the_one
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import JoinTo, Output, Select, Source, Spine, Union
from sagitta_compiler.plan.scalars import (
    Call,
    Case,
    Cast,
    Field,
    Literal,
    Scalar,
    Shift,
    Truncate,
    all_of,
    same,
)
from sagitta_compiler.plan.typing import shown_type
from sagitta_compiler.plan.windows import others, time_labels
from sagitta_compiler.query.bound import (
    BoundDimension,
    Clause,
    CompareValue,
    CumulativeValue,
    LeafValue,
    NestedValue,
    Value,
    WindowValue,
    inputs_of,
)

Evaluate = Callable[..., Frame]
"""`evaluate`, handed in because an operator may need values evaluated under other filters."""


def time_only(dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], value: CompareValue) -> tuple[Clause, ...]:
    """The clauses that speak of the compared time alone: they restrict the output, not the periods compared."""
    name = value.metric.time_dimension
    time = time_labels(dims, name)
    refs = {m.ref for dim in time for m in dim.members if len(dim.members) == 1 or m.name == name}
    return tuple(
        clause
        for clause in clauses
        if not clause.static and clause.members and all(m.ref in refs for m in clause.members)
    )


def reads_apart(dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], value: CompareValue) -> bool:
    """Whether the current period, too, is read from the frame of both periods.

    That frame has other rows: those that the filters on the compared time leave out, and none that are there for other
    measures or for a gap.
    """
    return bool(time_only(dims, clauses, value)) or _looks_around(value.input)


def _looks_around(value: Value) -> bool:
    """Whether a value depends on which other rows the frame has; a running sum does not, it adds nothing there."""
    if isinstance(value, WindowValue):
        return True
    if isinstance(value, CumulativeValue) and value.metric.function is not CumulativeType.SUM:
        return True
    if isinstance(value, CumulativeValue) and (value.metric.window or value.metric.grain_to_date):
        return over_nothing(value.input) is not None or _looks_around(value.input)  # gaps alone add up zeros
    return not isinstance(value, CompareValue) and any(_looks_around(part) for part in inputs_of(value))


def add_comparison(
    planner: Planner,
    frame: Frame,
    dims: tuple[BoundDimension, ...],
    clauses: tuple[Clause, ...],
    value: CompareValue,
    evaluate: Evaluate,
) -> Frame:
    """The frame with a comparison; NULL where the time dimension is rolled up."""
    time = time_labels(dims, value.metric.time_dimension)
    if not time:
        kind = shown_type(planner.model, value.name)  # a shift of NULLs without a type finds no default
        return frame.plus(value, pad(value) if kind is None else Cast(pad(value), kind))
    dropped, apart = time_only(dims, clauses, value), reads_apart(dims, clauses, value)
    wide = tuple(clause for clause in clauses if clause not in dropped)
    outer, planner.shift = planner.shift, f"{value.metric.offset} {value.metric.offset_grain.value}"
    wanted = None
    if frame.grouped or frame.windows or _stands_without_rows(value.input):
        frame = close(frame, planner.labels, "current")
    if _stands_without_rows(value.input):
        wanted = _members(planner, frame, dims, time, value)
    periods = evaluate(planner, dims, wide, (value.input,), (), wanted)
    planner.shift = outer
    source = as_select(periods, planner.labels, "periods", "both periods, unfiltered by time", (value.input,))
    rest = others(dims, time)
    if apart:
        frame, current = _looked_up(planner, frame, source, value, time[0], rest, frame.dims[time[0].label], "this")
    else:
        current = frame.values[value.input]
    earlier = _shifted(planner, frame.dims[time[0].label], time[0], value)
    frame, previous = _looked_up(planner, frame, source, value, time[0], rest, earlier, "previous")
    scalar = _compared(value, typed(value.input, current), typed(value.input, previous))
    return frame.plus(value, scalar)


def _has(value: Value, kind: type) -> bool:
    """Whether a value of a kind is part of a value."""
    return isinstance(value, kind) or any(_has(part, kind) for part in inputs_of(value))


def _stands_without_rows(value: Value) -> bool:
    """Whether a value may be there although its row is not: a total, a running value, a comparison of its own."""
    if _has(value, WindowValue):
        return False  # ranks and shifts look at the rows that there are
    if isinstance(value, CompareValue | CumulativeValue) or (
        isinstance(value, LeafValue | NestedValue) and value.grain is not None
    ):
        return True
    return any(_stands_without_rows(part) for part in inputs_of(value))


def _members(
    planner: Planner,
    frame: Frame,
    dims: tuple[BoundDimension, ...],
    time: tuple[BoundDimension, ...],
    value: CompareValue,
) -> Frame:
    """The members of both periods of every row, so that the value is evaluated for them."""
    source = frame.select.source
    assert source is not None
    assert isinstance(source.relation, Select)
    moved = _shifted(planner, frame.dims[time[0].label], time[0], value)
    keys: list[Select] = []
    for moment, name in ((frame.dims[time[0].label], "these periods"), (moved, "earlier periods")):
        scalars = {dim.label: _at(planner, dim, moment) if dim in time else frame.dims[dim.label] for dim in dims}
        columns = tuple(Output(label, scalar) for label, scalar in scalars.items())
        keys.append(Select(columns, source, name=name))
    united = Source(Union(tuple(keys), "asked for", "the members that are compared"), "asked for")
    fields: dict[str, Scalar] = {dim.label: Field("asked for", dim.label) for dim in dims}
    return Frame(Select((), united, group=tuple(fields.values())), fields)


def _at(planner: Planner, dim: BoundDimension, moment: Scalar) -> Scalar:
    if dim.grain is None:
        return moment
    settings = planner.model.settings
    return Truncate(moment, dim.grain, dim.type, settings.week_start, settings.fiscal_year_start)


def _shifted(planner: Planner, moment: Scalar, time: BoundDimension, value: CompareValue) -> Scalar:
    """The period to compare with: the moved member, truncated as the dimension is."""
    moved = Shift(moment, value.metric.offset, value.metric.offset_grain, time.type)
    if time.grain is None:
        return moved
    settings = planner.model.settings
    return Truncate(moved, time.grain, time.type, settings.week_start, settings.fiscal_year_start)


def _looked_up(
    planner: Planner,
    frame: Frame,
    source: Select,
    value: CompareValue,
    time: BoundDimension,
    rest: tuple[BoundDimension, ...],
    period: Scalar,
    name: str,
) -> tuple[Frame, Scalar]:
    """The value at a period, by a join; what it is over nothing where that period has no rows."""
    alias = fresh_alias(frame, name)
    here = same(Field(alias, time.label), period) if name == "this" else Call("eq", (Field(alias, time.label), period))
    on = all_of((here, *(same(frame.dims[dim.label], Field(alias, dim.label)) for dim in rest)))
    join = JoinTo(Source(source, alias), on)
    joined = replace(frame, select=replace(frame.select, joins=(*frame.select.joins, join)))
    found: Scalar = Field(alias, planner.labels.of(value.input))
    nothing = over_nothing(value.input)
    if nothing is not None:
        present = Call("is_not_null", (Field(alias, time.label),))
        dated = Call("is_not_null", (period,))
        found = Case(((present, found), (dated, nothing)))
    return joined, found


def _compared(value: CompareValue, current: Scalar, previous: Scalar) -> Scalar:
    divisor = Call("nullif", (previous, Literal(0)))
    match value.metric.comparison:
        case Comparison.PREVIOUS_VALUE:
            return previous
        case Comparison.DIFFERENCE:
            return Call("sub", (current, previous))
        case Comparison.RATIO:
            return Call("div", (current, divisor))
        case Comparison.PERCENT_CHANGE:
            return Call("sub", (Call("div", (current, divisor)), Literal(1)))


def with_spine(
    planner: Planner, frame: Frame, dims: tuple[BoundDimension, ...], compared: tuple[CompareValue, ...]
) -> Frame:
    """With a compared time dimension alone, every period between the first and the last has a row."""
    times = (time_labels(dims, value.metric.time_dimension) for value in compared)
    finest = next((time[0] for time in times if time and len(time) == len(dims)), None)
    if finest is None:
        return frame
    labels = planner.labels
    rows = as_select(frame, labels, "found", "the periods that have rows")
    spine = Spine(
        rows,
        finest.label,
        finest.grain or TimeGrain.DAY,
        finest.type,
        fiscal_start=planner.model.settings.fiscal_year_start,
    )
    values = list(frame.values)
    settings = planner.model.settings
    moment = Field("spine", finest.label)
    periods = {
        dim.label: moment
        if dim is finest or dim.grain is None
        else Truncate(moment, dim.grain, dim.type, settings.week_start, settings.fiscal_year_start)
        for dim in dims
    }
    kept = Select(
        tuple(Output(label, Field("found", label)) for label in (*frame.dims, *(labels.of(v) for v in values))),
        Source(rows, "found"),
        name="kept",
    )
    gaps = Select(
        (
            *(Output(label, scalar) for label, scalar in periods.items()),
            *(Output(labels.of(v), pad(v)) for v in values),
        ),
        Source(spine, "spine"),
        name="gaps",
    )
    source = Source(Union((kept, gaps), "calendar", "rows and gap-free periods"), "calendar")
    keys: dict[str, Scalar] = {dim.label: Field("calendar", dim.label) for dim in dims}
    picked = {v: the_one(v, Field("calendar", labels.of(v))) for v in values}
    return Frame(Select((), source, group=tuple(keys.values()), note="every period once"), keys, picked)
