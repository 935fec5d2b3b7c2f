"""ClickHouse. Joins and aggregates give NULL as in SQL only when told so, at the end of the statement."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, call, cast, number, text, typed, wrap

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
_SETTINGS = ("join_use_nulls", "aggregate_functions_null_for_empty", "enable_global_with_statement")


class ClickHouse(Dialect):
    """ClickHouse."""

    name = "clickhouse"
    sqlglot = "clickhouse"
    max_precision = 76
    truncation_keeps_dates = True
    grouping_sets = False
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
    unsupported = frozenset({Aggregation.MEASURE, Aggregation.REGR_SLOPE, Aggregation.REGR_INTERCEPT})
    operators: ClassVar = {
        "contains": lambda args: exp.GT(this=call("positionCaseInsensitiveUTF8", *args), expression=number(0)),
        "starts_with": lambda args: call("startsWith", *args),
        "ends_with": lambda args: call("endsWith", *args),
        "regex": lambda args: call("match", *args),
        "length": lambda args: call("lengthUTF8", *args),
        "div": lambda args: exp.Div(this=call("toFloat64", args[0]), expression=wrap(args[1]), typed=False, safe=False),
    }
    aggregates: ClassVar = {
        "median": lambda args: _parametric("quantileExactInclusive", number(0.5), args[0]),
        "mode": lambda args: exp.Bracket(
            this=_parametric("topK", number(1), args[0]), expressions=[number(1)], offset=1
        ),
    }

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
        count = call("range", exp.Add(this=self._between(first, last, grain), expression=number(1)))
        step = {TimeGrain.FISCAL_YEAR: TimeGrain.YEAR, TimeGrain.FISCAL_QUARTER: TimeGrain.QUARTER}.get(grain, grain)
        moved = call(f"add{step.value.capitalize()}s", first.copy(), exp.Column(this=exp.Identifier(this="i")))
        return call(
            "arrayJoin", call("arrayMap", exp.Lambda(this=moved, expressions=[exp.Identifier(this="i")]), count)
        )

    def _between(self, first: E, last: E, grain: TimeGrain) -> E:
        unit = {TimeGrain.FISCAL_YEAR: "year", TimeGrain.FISCAL_QUARTER: "quarter"}.get(grain, grain.value)
        return call("dateDiff", text(unit), first, last)

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        return _parametric("quantileExactLow" if discrete else "quantileExactInclusive", number(fraction), arg)

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        function = "groupArray"
        if isinstance(arg, exp.Distinct):
            function, arg = "groupUniqArray", arg.expressions[0]
        gathered = call(function, cast(arg, typed(exp.DType.TEXT)))
        if order:
            gathered = call("arraySort", gathered)
            if order[0].args.get("desc"):
                gathered = call("arrayReverse", gathered)
        return call("arrayStringConcat", gathered, text(delimiter))

    def finished(self, query: exp.Query) -> exp.Query:
        settings = [exp.EQ(this=exp.Var(this=setting), expression=number(1)) for setting in _SETTINGS[:2]]
        query.set("settings", settings)
        return query


def _parametric(function: str, parameter: E, arg: E) -> E:
    return exp.ParameterizedAgg(this=function, expressions=[parameter], params=[arg])
