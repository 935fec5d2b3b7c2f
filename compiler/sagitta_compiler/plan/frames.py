"""Frames: what every operator takes and gives. A frame has dimensions and values, and is still open for more.

An open frame is a select whose columns are not chosen yet, so that a formula over its aggregates stays in the same
SELECT; closing it makes it a relation from which a further select reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from sagitta_compiler.model.resolved import Expression
from sagitta_compiler.model.types import AbstractType, Comparison, CumulativeType
from sagitta_compiler.plan.relations import JoinKind, JoinTo, Output, Select, Source, Union
from sagitta_compiler.plan.scalars import (
    TRUE,
    Aggregate,
    Call,
    Case,
    Field,
    Literal,
    Scalar,
    all_of,
    coalesce,
    has_aggregate,
    same,
)
from sagitta_compiler.plan.typing import COUNTS, SHIFTS
from sagitta_compiler.query.bound import (
    BoundDimension,
    CompareValue,
    CumulativeValue,
    FormulaValue,
    LeafValue,
    NestedValue,
    Value,
    WindowValue,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A select without columns, and what can be read there: dimensions by label, values by identity."""

    select: Select
    dims: dict[str, Scalar]
    values: dict[Value, Scalar] = field(default_factory=dict)
    windows: frozenset[Value] = frozenset()
    """The values that a window function computes here, and what is made of them: a window cannot read them."""

    @property
    def grouped(self) -> bool:
        return self.select.group is not None

    def plus(self, value: Value, scalar: Scalar, *, window: bool = False) -> Frame:
        """The frame with one more value."""
        windows = self.windows | {value} if window else self.windows
        return replace(self, values={**self.values, value: scalar}, windows=windows)


PRESENCE = FormulaValue("has rows", None, Expression("1", exp.Literal.number(1)), (), None)
"""Beside members that were asked for: 1 where there are rows, NULL where there are none."""


class Labels:
    """Column names for values inside the plan: the value's own name, numbered where two share one."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {name.lower() for name in taken}
        self._of: dict[Value, str] = {}

    def of(self, value: Value) -> str:
        label = self._of.get(value)
        if label is None:
            label = self._of[value] = self.fresh(value.name)
        return label

    def reserve(self, value: Value, label: str) -> None:
        """Lets a value have the label under which it is shown, if that is still free."""
        if value not in self._of:
            self._of[value] = self.fresh(label)

    def fresh(self, wanted: str) -> str:
        """A column name that nothing else has."""
        label, number = wanted, 2
        while label.lower() in self._taken:
            label, number = f"{wanted} {number}", number + 1
        self._taken.add(label.lower())
        return label


def columns(frame: Frame, labels: Labels, values: Iterable[Value]) -> tuple[Output, ...]:
    """The outputs of a frame that is closed: all its dimensions and the values asked for."""
    dims = tuple(Output(label, scalar) for label, scalar in frame.dims.items())
    return (*dims, *(Output(labels.of(value), frame.values[value]) for value in values))


def as_select(frame: Frame, labels: Labels, name: str, note: str = "", values: Iterable[Value] | None = None) -> Select:
    """The frame as a relation with its columns."""
    wanted = frame.values if values is None else values
    shown = columns(frame, labels, wanted)
    if not shown or (frame.select.group == () and not any(has_aggregate(column.scalar) for column in shown)):
        shown = (*shown, Output(labels.fresh("rows"), Aggregate("count", ())))  # one group of all rows is one row
    return replace(frame.select, columns=shown, name=name, note=note or frame.select.note)


def reading(
    relation: Select | Union, alias: str, dims: Iterable[str], values: Iterable[Value], labels: Labels
) -> Frame:
    """An open frame over the rows of a relation."""
    source = Source(relation, alias)
    return Frame(
        Select((), source),
        {label: Field(alias, label) for label in dims},
        {value: Field(alias, labels.of(value)) for value in values},
    )


def pad(value: Value) -> Scalar:
    """The NULL that stands for a value which a leg does not have; engines that must know its type are told."""
    return Call("pad", (Literal(None, _kind(value)),))


def _kind(value: Value) -> AbstractType:
    match value:
        case LeafValue() | NestedValue():
            return value.kept or (AbstractType.INT if value.measure.aggregation in COUNTS else AbstractType.FLOAT)
        case CompareValue(input=inner) if value.metric.comparison is Comparison.PREVIOUS_VALUE:
            return _kind(inner)
        case CumulativeValue(input=inner) if value.metric.function in (CumulativeType.MIN, CumulativeType.MAX):
            return _kind(inner)
        case WindowValue(input=inner) if inner is not None and value.metric.function in SHIFTS:
            return _kind(inner)
        case _:
            return AbstractType.FLOAT


def close(frame: Frame, labels: Labels, name: str, note: str = "") -> Frame:
    """A frame that reads what the given one computes."""
    return reading(as_select(frame, labels, name, note), name, frame.dims, frame.values, labels)


def empty_of(value: Value) -> Literal | None:
    """What an aggregation gives over no rows, where that is not NULL."""
    return value.empty if isinstance(value, LeafValue | NestedValue) else None


def or_empty(value: Value, scalar: Scalar) -> Scalar:
    """The value, or that of no rows where there is none."""
    empty = empty_of(value)
    return scalar if empty is None else coalesce(scalar, empty)


def unite(frames: list[Frame], dims: tuple[BoundDimension, ...], labels: Labels, name: str = "united") -> Frame:
    """The rows of several frames, grouped once more on the dimensions; each brings its own values.

    Grouping is null-safe by nature, and every value comes from one frame.
    """
    if not dims:
        frames = [frame for frame in frames if frame.values] or frames[:1]  # one row anyway
    if len(frames) == 1:
        return frames[0]
    values = list(dict.fromkeys(value for frame in frames for value in frame.values))
    legs: list[Select] = []
    for frame in frames:
        outputs = [Output(d.label, frame.dims.get(d.label, Literal(None, d.type))) for d in dims]
        outputs += [Output(labels.of(v), frame.values.get(v, pad(v))) for v in values]
        legs.append(replace(frame.select, columns=tuple(outputs)))
    source = Source(Union(tuple(legs), name, "unite the legs"), name)
    keys = {d.label: Field(name, d.label) for d in dims}
    select = Select((), source, group=tuple(keys.values()), note="group once more: a row per member")
    return Frame(select, dict(keys), {v: the_one(v, Field(name, labels.of(v))) for v in values})


def the_one(value: Value, scalar: Scalar) -> Scalar:
    """Of the rows of a group, of which one at most has the value, what that has: MAX, where values have an order."""
    ordered = _kind(value) not in (AbstractType.BOOLEAN, AbstractType.JSON)
    return or_empty(value, Aggregate("max" if ordered else "any_value", (scalar,)))


def join_back(frame: Frame, side: Frame, on: tuple[str, ...], labels: Labels, name: str, note: str) -> Frame:
    """The frame with the values of a coarser (or otherwise filtered) one, found by the members of `on`, null-safely."""
    left = close(frame, labels, "base") if frame.grouped or frame.windows else frame
    right = as_select(side, labels, name, note)
    assert left.select.source is not None
    alias = fresh_alias(left, name)
    condition = all_of(same(left.dims[label], Field(alias, label)) for label in on)
    join = JoinTo(Source(right, alias), condition, JoinKind.LEFT if on else JoinKind.CROSS)
    select = replace(left.select, joins=(*left.select.joins, join))
    found = {value: or_empty(value, Field(alias, labels.of(value))) for value in side.values}
    return Frame(select, left.dims, {**left.values, **found})


def fresh_alias(frame: Frame, wanted: str) -> str:
    """An alias that no source of the frame has."""
    assert frame.select.source is not None
    taken = {frame.select.source.alias, *(join.source.alias for join in frame.select.joins)}
    alias, number = wanted, 2
    while alias in taken:
        alias, number = f"{wanted}_{number}", number + 1
    return alias


def when(condition: Scalar | None, value: Scalar) -> Scalar:
    """The value where the condition holds, else NULL."""
    return value if condition is None or condition == TRUE else Case(((condition, value),))
