"""Operands of filters: the value of a query as a constant of the field's type."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from decimal import Decimal, InvalidOperation

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scalars import Call, Literal, Scalar, Shift
from sagitta_compiler.query.query import RelativePeriod
from sagitta_compiler.query.query import Scalar as QueryScalar

_MAX_DIGITS = 76


def operand(value: QueryScalar, type_: AbstractType | None) -> Literal | None:
    """The constant to compare a field of this type with; None when the value has no such meaning."""
    if value is None:
        return Literal(None)
    match type_:
        case None:
            return _free(value)
        case AbstractType.INT | AbstractType.FLOAT:
            return _number(value)
        case AbstractType.BOOLEAN:
            return _boolean(value)
        case AbstractType.DATE | AbstractType.TIMESTAMP | AbstractType.TIMESTAMP_TZ:
            return _moment(value, type_)
        case AbstractType.TIME | AbstractType.TIME_TZ:
            return _time(value, type_)
        case _:
            return Literal(_text(value))


def _free(value: QueryScalar) -> Literal | None:
    """A value for a field of unknown type: by its own type, and text that is a number as a number."""
    if isinstance(value, str):
        return _number(value) or Literal(value)
    if isinstance(value, dt.datetime):
        return Literal(value.isoformat(sep=" "), AbstractType.TIMESTAMP)
    if isinstance(value, dt.date):
        return Literal(value.isoformat(), AbstractType.DATE)
    if isinstance(value, dt.time):
        return Literal(value.isoformat(), AbstractType.TIME)
    return Literal(value) if isinstance(value, bool) else _number(value)


def _number(value: QueryScalar) -> Literal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, int):
        return Literal(value)
    if isinstance(value, float):
        return Literal(value) if math.isfinite(value) else None
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        return None
    return Literal(int(number)) if number == number.to_integral_value() else Literal(number)


def _boolean(value: QueryScalar) -> Literal | None:
    if isinstance(value, bool):
        return Literal(value)
    if isinstance(value, int) and value in (0, 1):
        return Literal(bool(value))
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return Literal(value.strip().lower() == "true")
    return None


def _moment(value: QueryScalar, type_: AbstractType) -> Literal | None:
    """A date, or a timestamp where the field or the value has a time of day."""
    if isinstance(value, str):
        try:
            parsed = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        value = parsed if len(value.strip()) > len("2024-01-01") else parsed.date()
    if isinstance(value, dt.datetime):
        if type_ is AbstractType.DATE and value.time() == dt.time() and value.tzinfo is None:
            return Literal(value.date().isoformat(), AbstractType.DATE)
        zoned = AbstractType.TIMESTAMP_TZ if value.tzinfo is not None else AbstractType.TIMESTAMP
        return Literal(value.isoformat(sep=" "), zoned)
    if isinstance(value, dt.date):
        if type_ is AbstractType.DATE:
            return Literal(value.isoformat(), AbstractType.DATE)
        return Literal(f"{value.isoformat()} 00:00:00", type_)
    return None


def _time(value: QueryScalar, type_: AbstractType) -> Literal | None:
    if isinstance(value, str):
        try:
            value = dt.time.fromisoformat(value.strip())
        except ValueError:
            return None
    return Literal(value.isoformat(), type_) if isinstance(value, dt.time) else None


def _text(value: QueryScalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def relative_range(period: RelativePeriod, now: dt.datetime | None) -> tuple[Scalar, Scalar]:
    """The half-open range of days of a relative period; on the warehouse's clock when no `now` is given."""
    first = 1 if period.future != period.include_current else 0
    count = period.count if period.future else -period.count
    near = _day(now, first, 0, period.unit)
    far = _day(now, first, count, period.unit)
    return (near, far) if period.future else (far, near)


def _day(now: dt.datetime | None, days: int, count: int, unit: TimeGrain) -> Scalar:
    if now is not None:
        return Literal(shift_date(now.date() + dt.timedelta(days=days), count, unit).isoformat(), AbstractType.DATE)
    today: Scalar = Call("current_date", ())
    today = Shift(today, days, TimeGrain.DAY) if days else today
    return Shift(today, count, unit) if count else today


def shift_date(day: dt.date, count: int, unit: TimeGrain) -> dt.date:
    """Moves a date by whole units; the day of the month is cut to the month's last."""
    match unit:
        case TimeGrain.DAY:
            return day + dt.timedelta(days=count)
        case TimeGrain.WEEK:
            return day + dt.timedelta(weeks=count)
        case _:
            months = {TimeGrain.QUARTER: 3, TimeGrain.YEAR: 12}.get(unit, 1) * count
            year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
            return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))
