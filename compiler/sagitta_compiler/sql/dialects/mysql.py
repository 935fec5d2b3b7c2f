"""MySQL 8."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, binary, call, cast, number, text, typed, wrap

_PATTERNS = {
    TimeGrain.YEAR: "%Y-01-01",
    TimeGrain.MONTH: "%Y-%m-01",
    TimeGrain.DAY: "%Y-%m-%d",
    TimeGrain.HOUR: "%Y-%m-%d %H:00:00",
    TimeGrain.MINUTE: "%Y-%m-%d %H:%i:00",
    TimeGrain.SECOND: "%Y-%m-%d %H:%i:%s",
}


class MySQL(Dialect):
    """MySQL 8.0 and later."""

    name = "mysql"
    sqlglot = "mysql"
    max_precision = 65
    grouping_sets = False
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": False,
        "supports_window_filters": False,
        "supports_ilike": False,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": False,
        "supports_from_unnest": True,
    }
    unsupported = frozenset(
        {
            *(Aggregation.MEASURE, Aggregation.MEDIAN, Aggregation.MODE, Aggregation.PERCENTILE, Aggregation.CORR),
            *(Aggregation.COVAR_POP, Aggregation.COVAR_SAMP, Aggregation.REGR_SLOPE, Aggregation.REGR_INTERCEPT),
        }
    )
    operators: ClassVar = {
        "div": lambda args: exp.Div(
            this=cast(args[0], typed(exp.DType.DECIMAL, 38, 14)),
            expression=wrap(args[1]),
            typed=False,
            safe=False,
        ),
        "length": lambda args: call("CHAR_LENGTH", *args),
        "concat": lambda args: call("CONCAT", *args),
    }
    functions: ClassVar = {
        "concat": lambda args: call("CONCAT", *args),
        "length": lambda args: call("CHAR_LENGTH", *args),
        "trunc": lambda args: call("TRUNCATE", args[0], args[1] if len(args) > 1 else number(0)),
    }

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        match grain:
            case TimeGrain.WEEK:
                back = exp.Interval(this=call("WEEKDAY", arg), unit=exp.Var(this="DAY"))
                return call("DATE", call("DATE_SUB", arg.copy(), back))
            case TimeGrain.QUARTER:
                months = exp.Interval(
                    this=binary(exp.Mul, binary(exp.Sub, call("QUARTER", arg), number(1)), number(3)),
                    unit=exp.Var(this="MONTH"),
                )
                return call("DATE_ADD", call("MAKEDATE", call("YEAR", arg.copy()), number(1)), months)
            case _:
                kind = exp.DType.DATE if grain in (TimeGrain.YEAR, TimeGrain.MONTH, TimeGrain.DAY) else None
                formatted = call("DATE_FORMAT", arg, text(_PATTERNS[grain]))
                return cast(formatted, typed(kind or exp.DType.DATETIME))

    def days(self, arg: E) -> E:
        return call("DATEDIFF", arg, self.date("1970-01-05"))

    def seconds(self, arg: E) -> E:
        return call("UNIX_TIMESTAMP", arg)

    def add_interval(self, arg: E, amount: int, grain: TimeGrain) -> E:
        return call("DATE_ADD", arg, exp.Interval(this=number(amount), unit=exp.Var(this=grain.value.upper())))

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        return call("DATE_ADD", arg, exp.Interval(this=amount, unit=exp.Var(this=unit.upper())))

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        return call("CONVERT_TZ", arg, text(source or "UTC"), text(zone))

    def abstract_type(self, type_: AbstractType) -> exp.DataType:
        if type_ is AbstractType.STRING:
            return typed(exp.DType.CHAR)
        if type_ is AbstractType.INT:
            return exp.DataType(this=exp.DType.BIGINT)
        return super().abstract_type(type_)

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        operand = exp.Order(this=arg, expressions=order) if order else arg
        return exp.GroupConcat(this=operand, separator=text(delimiter))
