"""SQLite: dates are text, so every period is written as a date's text."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, DataType, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect, UnsupportedError
from sagitta_compiler.sql.syntax import E, binary, call, cast, name, number, text, typed, wrap

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
_SEPARATOR = 31
"""The control character that means "unit separator"; it stands for commas for a while."""
_TEXT_DATES = (AbstractType.DATE, AbstractType.TIMESTAMP, AbstractType.TIMESTAMP_TZ, AbstractType.TIME)
_WILD = "*?["
_AS_GLOB = {"%": "*", "_": "?"} | {character: f"[{character}]" for character in _WILD}


def _glob(pattern: str, escape: str = "") -> str:
    """The pattern of LIKE for GLOB: the only one of the two that minds upper and lower case."""
    glob, characters = "", iter(pattern)
    for character in characters:
        if character == escape:
            literal = next(characters, character)
            glob += f"[{literal}]" if literal in _WILD else literal
        else:
            glob += _AS_GLOB.get(character, character)
    return glob


class SQLite(Dialect):
    """SQLite 3.46 and later."""

    name = "sqlite"
    sqlglot = "sqlite"
    table_parts = 1
    truncation_keeps_dates = True
    grouping_sets = False
    aliases_all = True
    counts_periods = False
    unnests = True
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

    def operator(self, function: str, args: tuple[E, ...]) -> E:
        if function == "like" and all(isinstance(arg, exp.Literal) for arg in args[1:]):
            return exp.Glob(this=wrap(args[0]), expression=text(_glob(*(arg.name for arg in args[1:]))))
        if function == "regex":
            raise UnsupportedError(
                "UNSUPPORTED_FUNCTION", "SQLite has no regular expressions; use `like` or `contains`"
            )
        return super().operator(function, args)

    def unnest(self, array: E, alias: str) -> E:
        """The elements of a JSON array, in the column `value`."""
        return exp.Table(this=call("JSON_EACH", array), alias=exp.TableAlias(this=name(alias)))

    def member(self, arg: E, steps: tuple[str, ...], type_: AbstractType | None) -> E:
        """A member of a JSON value."""
        assert isinstance(arg, exp.Column)
        value = exp.Column(this=name("value"), table=arg.args["table"])
        quoted = ".".join('"' + step.replace('"', "") + '"' for step in steps)
        return call("JSON_EXTRACT", value, text(f"$.{quoted}"))

    def date(self, day: str) -> E:
        return text(day)

    def abstract_type(self, type_: AbstractType) -> exp.DataType:
        return typed(exp.DType.TEXT) if type_ in _TEXT_DATES else super().abstract_type(type_)

    def result_cast(self, arg: E, type_: DataType) -> E:
        """There are no decimals: a double is rounded to the scale."""
        if type_.name != "decimal":
            return super().result_cast(arg, type_)
        return call("ROUND", arg, number(type_.scale or 0))

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        """GROUP_CONCAT takes a delimiter or DISTINCT, but not both: its comma is replaced afterwards."""
        if not isinstance(arg, exp.Distinct):
            tail: E = text(delimiter)
            return call("GROUP_CONCAT", arg, exp.Order(this=tail, expressions=order) if order else tail)
        mark = call("CHAR", number(_SEPARATOR))
        safe = exp.Distinct(expressions=[call("REPLACE", arg.expressions[0], text(","), mark)])
        gathered = call("GROUP_CONCAT", exp.Order(this=safe, expressions=order) if order else safe)
        return call("REPLACE", call("REPLACE", gathered, text(","), text(delimiter)), mark.copy(), text(","))

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        if grain in _PATTERNS:
            return call("STRFTIME", text(_PATTERNS[grain]), arg)
        if grain is TimeGrain.QUARTER:
            month = cast(call("STRFTIME", text("%m"), arg), typed(exp.DType.INT))
            past = exp.Mod(this=exp.Paren(this=exp.Sub(this=month, expression=number(1))), expression=number(3))
            moved = exp.DPipe(
                this=exp.DPipe(this=text("-"), expression=exp.Paren(this=past)), expression=text(" months")
            )
            return call("DATE", arg.copy(), text("start of month"), exp.Paren(this=moved))
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
        last = [text("floor")] if unit in ("month", "year") else []  # 31 March less a month is 29 February
        return call(function, arg, text(f"{count:+d} {unit}s"), *last)

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
