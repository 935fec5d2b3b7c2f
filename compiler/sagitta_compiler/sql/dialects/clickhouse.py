"""ClickHouse. Joins and aggregates give NULL as in SQL only when told so, at the end of the statement."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, DataType, TimeGrain
from sagitta_compiler.sql.dialects.base import AGGREGATES, Dialect
from sagitta_compiler.sql.functions import Builder
from sagitta_compiler.sql.syntax import E, call, case, cast, number, text, typed, wrap

_STARTS = {
    TimeGrain.YEAR: "toStartOfYear",
    TimeGrain.QUARTER: "toStartOfQuarter",
    TimeGrain.MONTH: "toStartOfMonth",
    TimeGrain.WEEK: "toMonday",
    TimeGrain.DAY: "toDate",
    TimeGrain.HOUR: "toStartOfHour",
    TimeGrain.MINUTE: "toStartOfMinute",
    TimeGrain.SECOND: "toStartOfSecond",
}
_GUARD = 6
"""Further digits that a decimal has before it is rounded."""
_NUMBERING = ("RANK", "DENSE_RANK", "ROW_NUMBER", "NTILE")
_SETTINGS = ("join_use_nulls", "aggregate_functions_null_for_empty", "enable_global_with_statement")


def _finite(value: E) -> E:
    """Statistics that are not defined are NULL, not NaN."""
    return call("ifNotFinite", value, exp.Null())


def _statistic(function: str) -> Builder:
    return lambda args: _finite(AGGREGATES[function](args))


def _of_two(builder: Builder) -> Builder:
    """A statistic of two arguments, which takes no decimals."""
    return lambda args: _finite(builder(tuple(call("toFloat64", arg) for arg in args)))


class ClickHouse(Dialect):
    """ClickHouse."""

    name = "clickhouse"
    sqlglot = "clickhouse"
    max_precision = 76
    truncation_keeps_dates = True
    grouping_sets = False
    aliases_all = True
    ranges_meet_nulls = True
    correlates = False
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": True,
        "supports_window_filters": False,
        "supports_ilike": True,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": True,
        "supports_from_unnest": True,
    }
    unsupported = frozenset({Aggregation.MEASURE})
    operators: ClassVar = {
        "contains": lambda args: exp.GT(this=call("positionCaseInsensitiveUTF8", *args), expression=number(0)),
        "starts_with": lambda args: call("startsWith", *args),
        "ends_with": lambda args: call("endsWith", *args),
        "regex": lambda args: call("match", *args),
        "length": lambda args: call("lengthUTF8", *args),
        "div": lambda args: exp.Div(this=call("toFloat64", args[0]), expression=wrap(args[1]), typed=False, safe=False),
    }
    aggregates: ClassVar = {
        "bool_and": lambda args: cast(exp.Min(this=args[0]), typed(exp.DType.BOOLEAN)),
        "bool_or": lambda args: cast(exp.Max(this=args[0]), typed(exp.DType.BOOLEAN)),
        "median": lambda args: _parametric("quantileExactInclusive", number(0.5), args[0]),
        "mode": lambda args: _mode(args[0]),
        "regr_slope": _of_two(lambda args: _slope(*args)),
        "regr_intercept": _of_two(lambda args: _intercept(*args)),
        **{function: _statistic(function) for function in ("stddev", "variance")},
        **{function: _of_two(AGGREGATES[function]) for function in ("corr", "covar_pop", "covar_samp")},
    }

    def window_function(self, function: str, args: tuple[E, ...]) -> E:
        """Shifts give a value's zero, not NULL, beyond the rows, and edges pass NULLs over, unless told."""
        match function:
            case "LAG" | "LEAD":
                return call(function, call("toNullable", args[0]), *args[1:])
            case "FIRST_VALUE" | "LAST_VALUE":
                return call(f"{function.lower()}_respect_nulls", *args)
            case _:
                return super().window_function(function, args)

    def windowed(self, window: exp.Window, function: str) -> E:
        """Ranks are unsigned, and have no type in common with signed numbers."""
        return call("toInt64", window) if function in _NUMBERING else window

    def result_cast(self, arg: E, type_: DataType) -> E:
        """Decimals are rounded before they are cast, which would cut them.

        Below a NULL there may be an infinity or NaN, on which a plain cast fails; nothing else fails it.
        """
        if type_.precision is None:
            return super().result_cast(arg, type_)
        scale = type_.scale or 0
        wide = call("accurateCastOrNull", arg, text(f"Decimal({self.max_precision}, {scale + _GUARD})"))
        return super().result_cast(call("round", wide, number(scale)), type_)

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        return call(_STARTS[grain], arg)

    def days(self, arg: E) -> E:
        return call("dateDiff", text("day"), self.date("1970-01-05"), call("toDate", arg))

    def seconds(self, arg: E) -> E:
        return call("toUnixTimestamp", arg)

    def add_interval(self, arg: E, amount: int, grain: TimeGrain) -> E:
        return call(f"add{grain.value.capitalize()}s", arg, number(amount))

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        if grain in (TimeGrain.QUARTER, TimeGrain.FISCAL_QUARTER):
            return self.add_interval(arg, amount * 3, TimeGrain.MONTH)
        return self.add_interval(arg, amount, TimeGrain.YEAR if grain is TimeGrain.FISCAL_YEAR else grain)

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        placed = arg if source is None else call("toDateTime", arg, text(source))
        return call("toTimeZone", placed, text(zone))

    def spine(self, first: E, last: E, grain: TimeGrain, type_: AbstractType) -> E:
        periods = exp.Add(this=self._between(first, last, grain), expression=number(1))
        count = call("range", exp.Coalesce(this=periods, expressions=[number(0)]))
        step = {TimeGrain.FISCAL_YEAR: TimeGrain.YEAR, TimeGrain.FISCAL_QUARTER: TimeGrain.QUARTER}.get(grain, grain)
        moved = call(f"add{step.value.capitalize()}s", first.copy(), exp.Column(this=exp.Identifier(this="i")))
        return call(
            "arrayJoin", call("arrayMap", exp.Lambda(this=moved, expressions=[exp.Identifier(this="i")]), count)
        )

    def _between(self, first: E, last: E, grain: TimeGrain) -> E:
        unit = {TimeGrain.FISCAL_YEAR: "year", TimeGrain.FISCAL_QUARTER: "quarter"}.get(grain, grain.value)
        return call("dateDiff", text(unit), first, last)

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        return _member_at(arg, fraction) if discrete else _parametric("quantileExactInclusive", number(fraction), arg)

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        distinct = isinstance(arg, exp.Distinct)
        arg = arg.expressions[0] if isinstance(arg, exp.Distinct) else arg
        shown = cast(arg, typed(exp.DType.TEXT))
        sort = "arrayReverseSort" if order and order[0].args.get("desc") else "arraySort"
        if order and not distinct:
            filled = call("isNotNull", arg.copy())
            pairs = call(sort, call("groupArrayIf", call("tuple", order[0].this, shown), filled))
            pair = exp.Identifier(this="p")
            second = call("tupleElement", exp.Column(this=pair.copy()), number(2))
            gathered = call("arrayMap", exp.Lambda(this=second, expressions=[pair]), pairs)
        else:
            gathered = call("groupUniqArray" if distinct else "groupArray", shown)
            gathered = call(sort, gathered) if order else gathered
        return _unless_empty(arg, call("arrayStringConcat", gathered, text(delimiter)))

    def finished(self, query: exp.Query) -> exp.Query:
        settings = [exp.EQ(this=exp.Var(this=setting), expression=number(1)) for setting in _SETTINGS[:2]]
        query.set("settings", settings)
        return query


def _of_pairs(one: E, other: E) -> E:
    """The values of the one in rows that have the other as well."""
    return case([(exp.Not(this=exp.Is(this=wrap(other.copy()), expression=exp.Null())), one.copy())], None)


def _slope(y: E, x: E) -> E:
    spread = call("varPopStable", _of_pairs(x, y))
    return exp.Div(this=call("covarPopStable", y, x), expression=spread, typed=False, safe=False)


def _intercept(y: E, x: E) -> E:
    rise = exp.Mul(this=_slope(y.copy(), x.copy()), expression=call("avg", _of_pairs(x, y)))
    return exp.Sub(this=call("avg", _of_pairs(y, x)), expression=rise)


def _mode(arg: E) -> E:
    """The most frequent value, counted exactly (`topK` estimates)."""

    def part(place: int) -> E:
        value, one = call("assumeNotNull", arg.copy()), call("toUInt64", number(1))
        counts = call("sumMapIf", call("array", value), call("array", one), call("isNotNull", arg.copy()))
        return call("tupleElement", counts, number(place))

    most = call("indexOf", part(2), call("arrayMax", part(2)))
    return _unless_empty(arg, call("arrayElement", part(1), most))


def _member_at(arg: E, fraction: float) -> E:
    """The first member with this share of all at or below it; `quantileExactLow` may give the next one."""
    share = Fraction(str(fraction))
    upto = exp.Mul(this=exp.Count(this=arg.copy()), expression=number(share.numerator))
    reached = exp.Add(this=upto, expression=number(share.denominator - 1))
    place = call("greatest", number(1), call("intDiv", reached, number(share.denominator)))
    return _unless_empty(arg, call("arrayElement", call("arraySort", call("groupArray", arg)), place))


def _unless_empty(arg: E, value: E) -> E:
    """NULL where a group has no value; arrays would give an empty one."""
    filled = exp.GT(this=exp.Count(this=arg.copy()), expression=number(0))
    return case([(filled, value)], None)


def _parametric(function: str, parameter: E, arg: E) -> E:
    return exp.ParameterizedAgg(this=function, expressions=[parameter], params=[arg])
