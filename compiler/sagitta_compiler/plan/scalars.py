"""The scalar expressions of a plan: frozen, shareable, without a dialect. `sql/lower.py` gives them their syntax."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sagitta_compiler.model.resolved import Expression
from sagitta_compiler.model.types import AbstractType, DataType, TimeGrain

if TYPE_CHECKING:
    from sagitta_compiler.plan.relations import Select


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a source in scope: a physical name for a table, a label for a frame."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A member inside a structured column (`code` written with dots)."""

    arg: Scalar
    steps: tuple[str, ...]
    type: AbstractType | None = None
    """The type of the member, for engines whose structures are JSON."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `type` is set where the text of a date or time needs it, and for a typed NULL."""

    value: Any
    type: AbstractType | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function of the planner's own vocabulary (see `sql/functions.py`)."""

    name: str
    args: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """The first value whose condition holds, else the default."""

    whens: tuple[tuple[Scalar, Scalar], ...]
    default: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """A conversion to a result type."""

    arg: Scalar
    type: DataType


@dataclass(frozen=True, slots=True)
class Template:
    """A formula of the model with its references bound: the key is `Object.Column` or a measure's name."""

    expression: Expression
    bindings: tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Truncate:
    """The calendar period of a date or time."""

    arg: Scalar
    grain: TimeGrain
    type: AbstractType
    week_start: str = "monday"
    fiscal_start: int = 1


@dataclass(frozen=True, slots=True)
class Shift:
    """A date or time moved by whole periods."""

    arg: Scalar
    amount: int
    grain: TimeGrain
    type: AbstractType = AbstractType.DATE


@dataclass(frozen=True, slots=True)
class AtZone:
    """A timestamp seen in a time zone; `source` is the zone of a naive one."""

    arg: Scalar
    zone: str
    source: str | None


@dataclass(frozen=True, slots=True)
class SortKey:
    """A key of an order; `nulls_first` None leaves NULLs to the engine."""

    scalar: Scalar
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function over the rows of a group."""

    function: str
    args: tuple[Scalar, ...]
    distinct: bool = False
    order: tuple[SortKey, ...] = ()
    option: str | float | None = None
    """The delimiter of a list, the fraction of a percentile."""


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """The rows around the current one: `preceding` None is unbounded; `unit` is ROWS or RANGE."""

    unit: str
    preceding: int | None
    following: int | None = 0


@dataclass(frozen=True, slots=True)
class Over:
    """A window function."""

    function: str
    args: tuple[Scalar, ...]
    partition: tuple[Scalar, ...] = ()
    order: tuple[SortKey, ...] = ()
    frame: WindowFrame | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a correlated select has a row."""

    select: Select


Scalar = Field | Path | Literal | Call | Case | Cast | Template | Truncate | Shift | AtZone | Aggregate | Over | Exists

NULL = Literal(None)
TRUE = Literal(True)
FALSE = Literal(False)


def all_of(conditions: Iterable[Scalar]) -> Scalar | None:
    """The conjunction; None for no condition at all."""
    parts = tuple(conditions)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Call("and", parts)


def coalesce(*args: Scalar) -> Scalar:
    """COALESCE, without its call when there is but one argument."""
    return args[0] if len(args) == 1 else Call("coalesce", args)


def same(left: Scalar, right: Scalar) -> Scalar:
    """Null-safe equality."""
    return Call("same", (left, right))


def has_aggregate(scalar: Scalar) -> bool:
    """Whether an aggregate is part of the expression."""
    found = False

    def change(part: Scalar) -> Scalar | None:
        nonlocal found
        found = found or isinstance(part, Aggregate)
        return part if found else None

    rewrite(scalar, change)
    return found


def rewrite(scalar: Scalar, change: Callable[[Scalar], Scalar | None]) -> Scalar:
    """A copy of the expression in which `change` has replaced what it answers for, top down."""
    if (changed := change(scalar)) is not None:
        return changed
    match scalar:
        case Field() | Literal() | Exists():
            return scalar
        case Path() | Cast() | Truncate() | Shift() | AtZone():
            return replace(scalar, arg=rewrite(scalar.arg, change))
        case Call():
            return Call(scalar.name, tuple(rewrite(arg, change) for arg in scalar.args))
        case Case():
            default = None if scalar.default is None else rewrite(scalar.default, change)
            return Case(tuple((rewrite(c, change), rewrite(v, change)) for c, v in scalar.whens), default)
        case Template():
            return Template(scalar.expression, tuple((key, rewrite(arg, change)) for key, arg in scalar.bindings))
        case Aggregate():
            return replace(
                scalar,
                args=tuple(rewrite(arg, change) for arg in scalar.args),
                order=tuple(replace(key, scalar=rewrite(key.scalar, change)) for key in scalar.order),
            )
        case Over():
            return replace(
                scalar,
                args=tuple(rewrite(arg, change) for arg in scalar.args),
                partition=tuple(rewrite(arg, change) for arg in scalar.partition),
                order=tuple(replace(key, scalar=rewrite(key.scalar, change)) for key in scalar.order),
            )
