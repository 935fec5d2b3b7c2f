"""Constants in SQL text as values: literals, typed literals, bound parameters and arithmetic of dates."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.query.query import Scalar
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.statement import Parameter

_DUMMY: dict[AbstractType, Scalar] = {
    AbstractType.INT: 0,
    AbstractType.FLOAT: 0,
    AbstractType.BOOLEAN: True,
    AbstractType.DATE: dt.date(1970, 1, 1),
    AbstractType.TIMESTAMP: dt.datetime(1970, 1, 1),  # noqa: DTZ001 - a timestamp without a zone
    AbstractType.TIMESTAMP_TZ: dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    AbstractType.TIME: dt.time(0),
    AbstractType.TIME_TZ: dt.time(0),
}


@dataclass
class Values:
    """The values of placeholders and the clock; collects the types that placeholders turn out to have."""

    given: tuple[Scalar, ...] | None = None
    """None while a statement is being prepared: then every placeholder has a value that fits."""
    now: dt.datetime | None = None
    found: dict[int, Parameter] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)

    def of(self, model: ResolvedModel) -> Values:
        """Returns the same values with the clock of a model."""
        return self if self.now is None else replace(self, now=model.settings.local(self.now))

    def number(self, tree: exp.Expr) -> None:
        """Gives each placeholder its position among the values: its number, or the order of its name."""
        for node in tree.find_all(exp.Placeholder):
            name = str(node.args.get("this") or "")
            position = int(name) - 1 if name.isdigit() else self._names.setdefault(name, len(self._names))
            if position < 0:
                raise refused("SQL_SYNTAX_ERROR", "Parameters are numbered from 1.")
            node.meta["position"] = position
            self.found.setdefault(position, Parameter(name, None))

    def parameter(self, node: exp.Placeholder, kind: AbstractType | None, label: str | None) -> Scalar:
        """Returns the value of a placeholder whose type has become known."""
        position: int = node.meta["position"]
        known = self.found[position]
        if known.type is None and kind is not None:
            self.found[position] = Parameter(known.name, kind, label)
        if self.given is None:
            return _DUMMY.get(kind, "") if kind is not None else ""
        if position >= len(self.given):
            raise refused(
                "MISSING_PARAMETER", f"The statement has {len(self.found)} parameters, {len(self.given)} are bound."
            )
        return self.given[position]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(self.found[position] for position in sorted(self.found))


def is_constant(tree: exp.Expr) -> bool:
    """Says whether a tree names no column, aggregates nothing and runs no query."""
    return not any(isinstance(node, _NOT_CONSTANT) for node in tree.walk())


_NOT_CONSTANT = (exp.Column, exp.Star, exp.Query, exp.AggFunc, exp.Window)


def constant(tree: exp.Expr, values: Values, kind: AbstractType | None = None, label: str | None = None) -> Scalar:
    """Returns the value of a constant.

    Raises:
        CompileError: it is not one that can be computed here.
    """
    match tree:
        case exp.Paren():
            return constant(tree.this, values, kind, label)
        case exp.Placeholder():
            return values.parameter(tree, kind, label)
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(tree.this)
        case exp.Literal():
            return str(tree.this) if tree.is_string else _number(str(tree.this))
        case exp.Neg():
            return _negative(constant(tree.this, values, kind, label))
        case exp.Cast():
            return _cast(constant(tree.this, values, cast_kind(tree.to) or kind, label), tree.to)
        case exp.CurrentDate():
            return _now(values).date()
        case exp.CurrentTimestamp():
            return _now(values).replace(tzinfo=None)
        case exp.Anonymous() if str(tree.this).lower() in ("now", "today", "getdate"):
            now = _now(values)
            return now.date() if str(tree.this).lower() == "today" else now.replace(tzinfo=None)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            return _arithmetic(tree, values, kind, label)
        case exp.TimestampTrunc() | exp.DateTrunc():
            return _truncate(constant(tree.this, values, kind, label), tree.args["unit"].name.lower())
        case exp.DateAdd() | exp.DateSub() | exp.TimestampAdd() | exp.TimestampSub() if isinstance(
            tree.expression, exp.Interval
        ):
            sign = 1 if isinstance(tree, exp.DateAdd | exp.TimestampAdd) else -1
            return _shift(constant(tree.this, values, kind, label), tree.expression, sign, values)
        case exp.StrToTime() | exp.StrToDate() if tree.args.get("format") is not None:
            moment = _parsed(constant(tree.this, values), constant(tree.args["format"], values))
            return moment.date() if isinstance(tree, exp.StrToDate) else moment
        case exp.TsOrDsToDate() | exp.Date() | exp.TsOrDsToTimestamp() | exp.StrToDate():
            return _date(constant(tree.this, values, AbstractType.DATE, label))
        case _:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{tree.sql()} cannot be computed here.",
                "Compare with a literal, a date or a bound parameter.",
            )


def _number(text: str) -> Scalar:
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def _negative(value: Scalar) -> Scalar:
    if isinstance(value, int | Decimal | float) and not isinstance(value, bool):
        return -value
    raise refused("UNSUPPORTED_SQL_FEATURE", f"-{value!r} is not a number.")


def cast_kind(target: exp.DataType) -> AbstractType | None:
    """Returns the kind of values of an SQL type; None for one that models do not know."""
    kinds = exp.DataType
    if target.is_type("date"):
        return AbstractType.DATE
    if target.is_type("timestamptz"):
        return AbstractType.TIMESTAMP_TZ
    if target.is_type("timestamp", "timestampntz", "datetime"):
        return AbstractType.TIMESTAMP
    if target.is_type("time"):
        return AbstractType.TIME
    if target.is_type("boolean"):
        return AbstractType.BOOLEAN
    if target.is_type(*kinds.INTEGER_TYPES):
        return AbstractType.INT
    if target.is_type(*kinds.NUMERIC_TYPES):
        return AbstractType.FLOAT
    return AbstractType.STRING if target.is_type(*kinds.TEXT_TYPES) else None


def _cast(value: Scalar, target: exp.DataType) -> Scalar:
    kind = cast_kind(target)
    try:
        match kind:
            case None:
                raise refused("UNSUPPORTED_SQL_FEATURE", f"A constant cannot be cast to {target.sql()}.")
            case _ if value is None:
                return None
            case AbstractType.DATE:
                return _date(value)
            case AbstractType.TIMESTAMP | AbstractType.TIMESTAMP_TZ:
                return _timestamp(value)
            case AbstractType.TIME:
                return value if isinstance(value, dt.time) else dt.time.fromisoformat(str(value))
            case AbstractType.INT:
                return int(Decimal(str(value)))
            case AbstractType.FLOAT:
                return Decimal(str(value))
            case AbstractType.BOOLEAN:
                return str(value).lower() in ("true", "t", "1") if not isinstance(value, bool) else value
            case _:
                return str(value)
    except (ValueError, InvalidOperation) as error:
        raise refused("INVALID_LITERAL", f"{value!r} is not a {kind}.") from error


def _date(value: Scalar) -> Scalar:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise refused("INVALID_LITERAL", f"{value!r} is not a date.") from error


def _timestamp(value: Scalar) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    return dt.datetime.fromisoformat(str(value))


def _parsed(text: Scalar, pattern: Scalar) -> dt.datetime:
    try:
        return dt.datetime.strptime(str(text), str(pattern))  # noqa: DTZ007 - a zone is in the text, or there is none
    except ValueError as error:
        raise refused("INVALID_LITERAL", f"{text!r} is not a time of the form {pattern!r}.") from error


def _now(values: Values) -> dt.datetime:
    if values.now is None:
        raise refused("UNSUPPORTED_SQL_FEATURE", "The current time is not known here; write the date.")
    return values.now


def _arithmetic(tree: exp.Binary, values: Values, kind: AbstractType | None, label: str | None) -> Scalar:
    left, right = tree.left, tree.right
    if isinstance(right, exp.Interval) and isinstance(tree, exp.Add | exp.Sub):
        sign = 1 if isinstance(tree, exp.Add) else -1
        return _shift(constant(left, values, kind, label), right, sign, values)
    one, two = constant(left, values, kind, label), constant(right, values, kind, label)
    if isinstance(one, dt.date) and isinstance(two, int) and isinstance(tree, exp.Add | exp.Sub):
        return one + dt.timedelta(days=two if isinstance(tree, exp.Add) else -two)
    if not isinstance(one, int | Decimal) or not isinstance(two, int | Decimal):
        raise refused("UNSUPPORTED_SQL_FEATURE", f"{tree.sql()} cannot be computed here.")
    match tree:
        case exp.Add():
            return one + two
        case exp.Sub():
            return one - two
        case exp.Mul():
            return one * two
        case _ if two == 0:
            raise refused("INVALID_LITERAL", f"{tree.sql()} divides by zero.")
        case _:
            return Decimal(one) / Decimal(two)


_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def _shift(start: Scalar, interval: exp.Interval, sign: int, values: Values) -> Scalar:
    if not isinstance(start, dt.date):
        raise refused("UNSUPPORTED_SQL_FEATURE", "An interval can be added to a date or a timestamp only.")
    unit = interval.args["unit"].name.lower().rstrip("s") if interval.args.get("unit") else "day"
    try:
        count = int(str(constant(interval.this, values))) * sign
    except ValueError as error:
        hint = "Write one whole number and one unit: INTERVAL '3' DAY."
        raise refused("INVALID_LITERAL", f"{interval.sql()} cannot be computed here.", hint) from error
    if unit in _MONTHS:
        return _add_months(start, count * _MONTHS[unit])
    if unit not in _SECONDS:
        raise refused("UNSUPPORTED_SQL_FEATURE", f"An interval of {unit}s cannot be computed here.")
    shifted = start + dt.timedelta(seconds=count * _SECONDS[unit])
    if isinstance(start, dt.datetime) or unit in ("day", "week"):
        return shifted
    return dt.datetime.combine(start, dt.time()) + dt.timedelta(seconds=count * _SECONDS[unit])


def _add_months(start: dt.date, months: int) -> dt.date:
    """Keeps the day of the month, or takes the last one where the month is shorter."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    first_of_next = dt.date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (first_of_next - dt.timedelta(days=1)).day
    return start.replace(year=year, month=month + 1, day=min(start.day, last))


def _truncate(value: Scalar, unit: str) -> Scalar:
    if not isinstance(value, dt.date):
        raise refused("UNSUPPORTED_SQL_FEATURE", "Only a date or a timestamp can be truncated.")
    moment = dt.datetime.combine(value, dt.time()) if not isinstance(value, dt.datetime) else value
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case "day":
            return day
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "second":
            return moment.replace(microsecond=0)
        case _:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"A constant cannot be truncated to {unit}.")
