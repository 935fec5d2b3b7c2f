"""SQLite: dates are text, so every period is written as a date's text."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, binary, call, cast, number, text, typed

_STARTS = {
    TimeGrain.YEAR: ("start of year",),
    TimeGrain.MONTH: ("start of month",),
    TimeGrain.WEEK: ("-6 days", "weekday 1"),
    TimeGrain.DAY: (),
}
_PATTERNS = {
    TimeGrain.HOUR: "%Y-%m-%d %H:00:00",
    TimeGrain.MINUTE: "%Y-%m-%d %H:%M:00",
    TimeGrain.SECOND: "%Y-%m-%d %H:%M:%S",
}
_NO = Aggregation
_TEXT_DATES = (AbstractType.DATE, AbstractType.TIMESTAMP, AbstractType.TIMESTAMP_TZ, AbstractType.TIME)


class SQLite(Dialect):
    """SQLite 3.39 and later."""

    name = "sqlite"
    sqlglot = "sqlite"
    table_parts = 1
    truncation_keeps_dates = True
    grouping_sets = False
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": False,
        "supports_window_filters": True,
        "supports_ilike": False,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": False,
        "supports_from_unnest": False,
    }
    unsupported = frozenset(
        {
            *(_NO.MEASURE, _NO.MEDIAN, _NO.MODE, _NO.PERCENTILE, _NO.CORR, _NO.COVAR_POP, _NO.COVAR_SAMP),
            *(_NO.REGR_SLOPE, _NO.REGR_INTERCEPT, _NO.STDDEV, _NO.STDDEV_POP, _NO.VARIANCE, _NO.VAR_POP),
        }
    )
    aggregates: ClassVar = {"any_value": lambda args: exp.Max(this=args[0])}
    operators: ClassVar = {
        "contains": lambda args: exp.GT(
            this=call("INSTR", call("LOWER", args[0]), call("LOWER", args[1])), expression=number(0)
        ),
        "starts_with": lambda args: exp.EQ(
            this=call("SUBSTR", args[0], number(1), call("LENGTH", args[1].copy())), expression=args[1]
        ),
        "ends_with": lambda args: exp.EQ(
            this=call("SUBSTR", args[0], exp.Neg(this=call("LENGTH", args[1].copy()))), expression=args[1]
        ),
    }

    def date(self, day: str) -> E:
        return text(day)

    def abstract_type(self, type_: AbstractType) -> exp.DataType:
        return typed(exp.DType.TEXT) if type_ in _TEXT_DATES else super().abstract_type(type_)

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        if grain in _PATTERNS:
            return call("STRFTIME", text(_PATTERNS[grain]), arg)
        if grain is TimeGrain.QUARTER:
            month = cast(call("STRFTIME", text("%m"), arg), typed(exp.DType.INT))
            past = exp.Mod(this=exp.Paren(this=exp.Sub(this=month, expression=number(1))), expression=number(3))
            moved = exp.DPipe(
                this=exp.DPipe(this=text("-"), expression=exp.Paren(this=past)), expression=text(" months")
            )
            return call("DATE", arg.copy(), text("start of month"), moved)
        return call("DATE", arg, *(text(modifier) for modifier in _STARTS[grain]))

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        count, unit = amount, grain.value
        if grain in (TimeGrain.QUARTER, TimeGrain.FISCAL_QUARTER):
            count, unit = amount * 3, "month"
        elif grain is TimeGrain.WEEK:
            count, unit = amount * 7, "day"
        elif grain is TimeGrain.FISCAL_YEAR:
            unit = "year"
        function = "DATE" if type_ is AbstractType.DATE else "DATETIME"
        return call(function, arg, text(f"{count:+d} {unit}s"))

    def extract(self, unit: str, arg: E) -> E:
        pattern = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S", "week": "%V"}
        if unit == "quarter":
            month = cast(call("STRFTIME", text("%m"), arg), typed(exp.DType.INT))
            return cast(binary(exp.Div, binary(exp.Add, month, number(2)), number(3)), typed(exp.DType.INT))
        return cast(call("STRFTIME", text(pattern[unit]), arg), typed(exp.DType.INT))

    def days(self, arg: E) -> E:
        since = binary(exp.Sub, call("JULIANDAY", call("DATE", arg)), call("JULIANDAY", text("1970-01-05")))
        return cast(since, typed(exp.DType.INT))

    def seconds(self, arg: E) -> E:
        return call("UNIXEPOCH", arg)
