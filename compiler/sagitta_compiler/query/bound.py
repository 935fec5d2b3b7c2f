"""The query as meant: every name has its meaning, every operand its type.

Values (measures and metrics) are compared by identity: the binder makes one value per name and set of filters, so that
whatever names the same value twice shares it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sagitta_compiler.model.resolved import (
    ColumnRef,
    CumulativeMetric,
    DerivedMetric,
    Expression,
    FilterContext,
    Grain,
    Measure,
    PeriodOverPeriodMetric,
    WindowMetric,
)
from sagitta_compiler.model.types import AbstractType, DataType, Direction, FilterOperator, TimeGrain
from sagitta_compiler.plan.scalars import Literal, Scalar
from sagitta_compiler.query.query import Grouping, Logic, NullsOrder, PathChoice
from sagitta_compiler.sql.result import Role


@dataclass(frozen=True, slots=True)
class Member:
    """A column as it is grouped or filtered by: its role (`via`) and its calendar period (`grain`)."""

    ref: ColumnRef
    type: AbstractType
    via: str | None = None
    grain: TimeGrain | None = None
    name: str = field(default="", compare=False)
    """The dimension, or `Object.Column`, by which the query spoke of it."""


@dataclass(frozen=True, slots=True)
class BoundDimension:
    """A selected dimension: one member, or several of which the first that is not NULL counts."""

    label: str
    members: tuple[Member, ...]
    source: str
    names: tuple[str, ...]
    """The dimensions of the model that it stands for."""
    format: str | None = None

    @property
    def type(self) -> AbstractType:
        return self.members[0].type

    @property
    def grain(self) -> TimeGrain | None:
        return self.members[0].grain


@dataclass(frozen=True, slots=True)
class Selected:
    """A subject of HAVING: a selected dimension by its label."""

    dimension: BoundDimension


@dataclass(frozen=True, slots=True)
class Test:
    """One predicate. A column's is true per row, a value's per finished row."""

    subject: Member | Selected | Value
    operator: FilterOperator
    operands: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Predicates joined by AND or OR, perhaps negated."""

    logic: Logic
    members: tuple[Predicate, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class RowExists:
    """Whether the subject's row has related rows of an object that pass the predicates.

    In HAVING the subject is a selected dimension: whether its member belongs to such a row.
    """

    subject: Member | Selected
    target: str
    path_name: str | None
    members: tuple[Predicate, ...]
    negated: bool = False


Predicate = Test | Group | RowExists


@dataclass(frozen=True, slots=True)
class Clause:
    """One AND-ed member of WHERE. A static one (the model's, a row policy) always stays."""

    predicate: Predicate
    members: tuple[Member, ...]
    text: str
    static: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LeafValue:
    """A measure with its filters: an aggregation over the rows of its home."""

    name: str
    measure: Measure
    type: DataType | None
    filters: tuple[Predicate, ...] = ()
    grain: Grain | None = None
    context: FilterContext | None = None
    included: tuple[Clause, ...] = ()
    """The clauses that its filterContext adds."""
    empty: Literal | None = None
    """Its value over no rows, where that is not NULL."""
    kept: AbstractType | None = None
    """The type of the values that it picks; None where it computes a number."""
    own: int = 0
    """How many of its filters, the first, are the measure's own."""


@dataclass(frozen=True, slots=True, eq=False)
class NestedValue:
    """An aggregation of a formula that is evaluated at a finer grain."""

    name: str
    measure: Measure
    type: DataType | None
    inner: FormulaValue
    over: tuple[BoundDimension, ...]
    grain: Grain | None = None
    context: FilterContext | None = None
    included: tuple[Clause, ...] = ()
    """The clauses that its filterContext adds."""
    empty: Literal | None = None
    kept: AbstractType | None = None
    """The type of the values that it picks; None where it computes a number."""


@dataclass(frozen=True, slots=True, eq=False)
class FormulaValue:
    """An expression over values."""

    name: str
    metric: DerivedMetric | None
    expression: Expression
    inputs: tuple[tuple[str, Value], ...]
    type: DataType | None


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeValue:
    """A running, rolling or to-date aggregate of a value along time."""

    name: str
    metric: CumulativeMetric
    input: Value
    type: DataType | None


@dataclass(frozen=True, slots=True, eq=False)
class CompareValue:
    """A value compared with itself in another period."""

    name: str
    metric: PeriodOverPeriodMetric
    input: Value
    type: DataType | None


@dataclass(frozen=True, slots=True, eq=False)
class WindowValue:
    """A rank, shift or edge value over the finished rows."""

    name: str
    metric: WindowMetric
    input: Value | None
    type: DataType | None


Value = LeafValue | NestedValue | FormulaValue | CumulativeValue | CompareValue | WindowValue


@dataclass(frozen=True, slots=True)
class BoundMeasure:
    """A selected measure or metric under its output label."""

    label: str
    value: Value
    source: str
    role: Role
    format: str | None = None


@dataclass(frozen=True, slots=True)
class BoundField:
    """A raw column under its output label."""

    label: str
    member: Member


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A sort key: an output of the query by its label."""

    label: str
    direction: Direction = Direction.ASC
    nulls: NullsOrder | None = None


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """A question whose every name has a meaning."""

    dimensions: tuple[BoundDimension, ...] = ()
    measures: tuple[BoundMeasure, ...] = ()
    fields: tuple[BoundField, ...] = ()
    distinct: bool = False
    clauses: tuple[Clause, ...] = ()
    having: tuple[Predicate, ...] = ()
    order: tuple[OrderKey, ...] = ()
    limit: int | None = None
    offset: int | None = None
    paths: tuple[PathChoice, ...] = ()
    dimensions_exclude: bool = False
    allow_fan_out: bool = False
    grouping: Grouping | None = None
    column_order: tuple[str, ...] = ()
    policies: tuple[Clause, ...] = ()
    """What the caller's rows must pass, wherever they are read."""

    @property
    def values(self) -> tuple[Value, ...]:
        """What is selected, then what HAVING tests."""
        return (*(measure.value for measure in self.measures), *values_of(self.having))

    @property
    def measured(self) -> bool:
        """Whether any measure is read: without, the rows are those of the dimensions alone."""
        return any(leaves_of(value) for value in self.values)


def grouping_flag(dimension: BoundDimension) -> str:
    """The label of a dimension's flag under ROLLUP and CUBE: 1 where it is rolled up."""
    return f"_g_{dimension.label}"


def members_of(predicate: Predicate) -> tuple[Member, ...]:
    """The columns that a predicate reads on the rows it filters."""
    match predicate:
        case Test(subject=Member() as member) | RowExists(subject=Member() as member):
            return (member,)
        case Group():
            return tuple(dict.fromkeys(m for part in predicate.members for m in members_of(part)))
        case _:
            return ()


def inputs_of(value: Value) -> tuple[Value, ...]:
    """The values that a value is computed from."""
    match value:
        case LeafValue():
            return ()
        case NestedValue():
            return (value.inner,)
        case FormulaValue():
            return tuple(v for _, v in value.inputs)
        case CumulativeValue() | CompareValue():
            return (value.input,)
        case WindowValue():
            return () if value.input is None else (value.input,)


def leaves_of(value: Value) -> tuple[LeafValue, ...]:
    """The measures that a value is computed from, at any depth."""
    if isinstance(value, LeafValue):
        return (value,)
    return tuple(dict.fromkeys(leaf for part in inputs_of(value) for leaf in leaves_of(part)))


def values_of(predicates: tuple[Predicate, ...]) -> tuple[Value, ...]:
    """The values that HAVING predicates test."""
    found: list[Value] = []
    for predicate in predicates:
        match predicate:
            case Group():
                found.extend(values_of(predicate.members))
            case Test(subject=subject) if not isinstance(subject, Member | Selected):
                found.append(subject)
            case _:
                pass
    return tuple(dict.fromkeys(found))
