"""Values of the naive evaluator: exact numbers, three-valued truth, calendar periods.

Numbers are `int` or `Fraction` (exact) and `float` only where a root or a slope makes them so. `None` is NULL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sagitta_compiler.model.types import TimeGrain

Value = Any
Number = int | Fraction | float


class RefusedError(Exception):
    """The law says that this query has no meaning; `codes` are the diagnostics that may say so."""

    def __init__(self, reason: str, *codes: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.codes = codes


class UndecidedError(Exception):
    """The law gives several answers, or none: nobody is judged by this query."""


@dataclass(frozen=True)
class OneOf:
    """A value that the law leaves to the engine: any of these (mode with ties, any_value)."""

    candidates: tuple[Value, ...]


@dataclass(frozen=True)
class Unordered:
    """A LISTAGG without an order: these parts in any order."""

    parts: tuple[str, ...]
    delimiter: str


def one_of(values: Iterable[Value]) -> Value:
    distinct = tuple(dict.fromkeys(values))
    if not distinct:
        return None
    return distinct[0] if len(distinct) == 1 else OneOf(distinct)


def definite(value: Value) -> Value:
    """Returns the value where it is read again; an indefinite one decides nothing."""
    if isinstance(value, (OneOf, Unordered)):
        raise UndecidedError("a value that the engine may choose is read again")
    return value


def exact(value: Value) -> Value:
    """Turns a literal of any spelling into a value of this module."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (Decimal, float)):
        return Fraction(str(value))
    return value


def is_number(value: Value) -> bool:
    return isinstance(value, (int, Fraction, float)) and not isinstance(value, bool)


class Halfway(Fraction):
    """A number that was rounded from the middle between two: the noise of an engine's floats decides to which."""

    __slots__ = ()


def is_halfway(number: Number, scale: int) -> bool:
    """Whether a number lies in the middle between two numbers of a scale."""
    return (Fraction(number) * 10**scale * 2) % 2 == 1


def round_half_away(number: Number, scale: int) -> Fraction:
    """Rounds as a cast to DECIMAL does."""
    scaled = Fraction(number) * 10**scale
    whole = abs(scaled) + Fraction(1, 2)
    rounded = whole.numerator // whole.denominator
    return Fraction(rounded if scaled >= 0 else -rounded, 10**scale)


def as_datetime(value: dt.date) -> dt.datetime:
    return value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())


def like_type(value: Value, other: Value) -> Value:
    """Casts a textual or coarser operand to the type of the other side of a comparison."""
    if isinstance(value, str) and isinstance(other, dt.datetime):
        return as_datetime(dt.datetime.fromisoformat(value)).replace(tzinfo=None)
    if isinstance(value, str) and isinstance(other, dt.date):
        moment = dt.datetime.fromisoformat(value)
        return moment.date() if moment.time() == dt.time() else moment
    if isinstance(value, str) and is_number(other):
        return Fraction(value)
    return value


def comparable(left: Value, right: Value) -> tuple[Value, Value]:
    """Brings two operands to one type."""
    left, right = exact(definite(left)), exact(definite(right))
    left, right = like_type(left, right), like_type(right, left)
    if isinstance(left, dt.datetime) != isinstance(right, dt.datetime):
        return as_datetime(left), as_datetime(right)
    return left, right


def equal(left: Value, right: Value) -> bool | None:
    if left is None or right is None:
        return None
    left, right = comparable(left, right)
    return bool(left == right)


def less(left: Value, right: Value) -> bool | None:
    if left is None or right is None:
        return None
    left, right = comparable(left, right)
    return bool(left < right)


def truth_not(value: bool | None) -> bool | None:
    return None if value is None else not value


def truth_and(values: Iterable[bool | None]) -> bool | None:
    unknown = False
    for value in values:
        if value is False:
            return False
        unknown = unknown or value is None
    return None if unknown else True


def truth_or(values: Iterable[bool | None]) -> bool | None:
    return truth_not(truth_and(truth_not(value) for value in values))


def sort_key(value: Value, *, descending: bool = False, nulls_first: bool = False) -> Any:
    """Returns a key for sorted(): NULLs apart, members in order."""
    value = definite(value)
    place = -1 if nulls_first else 1
    if value is None:
        return (place, _Ordered(0, descending))
    return (0, _Ordered(as_datetime(value) if isinstance(value, dt.date) else value, descending))


class _Ordered:
    """A value whose order may be reversed."""

    def __init__(self, value: Value, descending: bool) -> None:
        self.value = value
        self.descending = descending

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ordered) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: _Ordered) -> bool:
        if self.descending:
            return bool(other.value < self.value)
        return bool(self.value < other.value)


@dataclass(frozen=True)
class Calendar:
    """What a period is: the first day of the week and the first month of the fiscal year."""

    week_start: str = "monday"
    fiscal_year_start: int = 1

    def truncate(self, value: Value, grain: TimeGrain) -> Value:
        """Returns the first moment of the period that holds a date or timestamp."""
        if value is None:
            return None
        if isinstance(value, dt.datetime):
            return self._truncate_moment(value, grain)
        if grain in (TimeGrain.HOUR, TimeGrain.MINUTE, TimeGrain.SECOND):
            return value
        return self._truncate_moment(as_datetime(value), grain).date()

    def _truncate_moment(self, moment: dt.datetime, grain: TimeGrain) -> dt.datetime:
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        match grain:
            case TimeGrain.YEAR:
                return day.replace(month=1, day=1)
            case TimeGrain.QUARTER:
                return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
            case TimeGrain.MONTH:
                return day.replace(day=1)
            case TimeGrain.WEEK:
                back = day.weekday() if self.week_start == "monday" else (day.weekday() + 1) % 7
                return day - dt.timedelta(days=back)
            case TimeGrain.DAY:
                return day
            case TimeGrain.HOUR:
                return moment.replace(minute=0, second=0, microsecond=0)
            case TimeGrain.MINUTE:
                return moment.replace(second=0, microsecond=0)
            case TimeGrain.SECOND:
                return moment.replace(microsecond=0)
            case TimeGrain.FISCAL_YEAR:
                return add_months(day.replace(day=1), -((day.month - self.fiscal_year_start) % 12))
            case TimeGrain.FISCAL_QUARTER:
                return add_months(day.replace(day=1), -((day.month - self.fiscal_year_start) % 3))


def add_months(moment: Value, months: int) -> Value:
    """Moves by calendar months; a day that the target month lacks becomes its last day."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    last = (dt.date(year + (month == 11), (month + 1) % 12 + 1, 1) - dt.timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


_MONTHS = {
    TimeGrain.YEAR: 12,
    TimeGrain.FISCAL_YEAR: 12,
    TimeGrain.QUARTER: 3,
    TimeGrain.FISCAL_QUARTER: 3,
    TimeGrain.MONTH: 1,
}
_DELTAS = {
    TimeGrain.WEEK: dt.timedelta(days=7),
    TimeGrain.DAY: dt.timedelta(days=1),
    TimeGrain.HOUR: dt.timedelta(hours=1),
    TimeGrain.MINUTE: dt.timedelta(minutes=1),
    TimeGrain.SECOND: dt.timedelta(seconds=1),
}


def add_periods(value: Value, count: int, grain: TimeGrain) -> Value:
    """Moves a date or timestamp by `count` periods."""
    if grain in _MONTHS:
        return add_months(value, count * _MONTHS[grain])
    return value + count * _DELTAS[grain]
