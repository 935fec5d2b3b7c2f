"""BigQuery."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.resolved import TableSource
from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect, UnsupportedError
from sagitta_compiler.sql.functions import Builder
from sagitta_compiler.sql.syntax import E, call, cast, name, number, text, typed

_UNITS = {TimeGrain.WEEK: "ISOWEEK", TimeGrain.FISCAL_YEAR: "YEAR", TimeGrain.FISCAL_QUARTER: "QUARTER"}


def _edge(function: str) -> Builder:
    return lambda args: call(function, *args)


class BigQuery(Dialect):
    """BigQuery. It has no ESCAPE, and its median is computed over the values of the group."""

    name = "bigquery"
    sqlglot = "bigquery"
    table_parts = 3
    truncation_keeps_dates = True
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": True,
        "supports_arrays": True,
        "supports_window_filters": True,
        "supports_ilike": False,
        "supports_time_travel": False,
        "supports_semi_structured": True,
        "supports_union_all_by_name": False,
        "supports_group_by_all": True,
        "supports_from_unnest": True,
    }
    unsupported = frozenset({Aggregation.MEASURE, Aggregation.REGR_SLOPE, Aggregation.REGR_INTERCEPT})
    operators: ClassVar = {
        "contains": lambda args: exp.GT(
            this=call("STRPOS", call("LOWER", args[0]), call("LOWER", args[1])), expression=number(0)
        ),
        "starts_with": _edge("STARTS_WITH"),
        "ends_with": _edge("ENDS_WITH"),
    }
    aggregates: ClassVar = {
        "median": lambda args: _percentile(args[0], 0.5, "PERCENTILE_CONT"),
        "mode": lambda args: exp.Dot(
            this=exp.Bracket(
                this=call("APPROX_TOP_COUNT", args[0], number(1)), expressions=[call("OFFSET", number(0))]
            ),
            expression=exp.Identifier(this="value"),
        ),
    }

    def table(self, source: TableSource) -> exp.Table:
        if source.database and not source.schema:
            raise UnsupportedError(
                "AMBIGUOUS_TABLE_REFERENCE",
                f"'{source.qualified}' names a project without a dataset; give both or neither",
            )
        return super().table(source)

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        return call("DATE_TRUNC", arg, exp.Var(this=_UNITS.get(grain, grain.value.upper())))

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        unit = {TimeGrain.FISCAL_YEAR: "YEAR", TimeGrain.FISCAL_QUARTER: "QUARTER"}.get(grain, grain.value.upper())
        function = "DATE_ADD" if type_ is AbstractType.DATE else "DATETIME_ADD"
        return call(function, arg, exp.Interval(this=number(amount), unit=exp.Var(this=unit)))

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        return call("DATE_ADD", arg, exp.Interval(this=amount, unit=exp.Var(this=unit.upper())))

    def seconds(self, arg: E) -> E:
        return call("UNIX_SECONDS", call("TIMESTAMP", arg))

    def days(self, arg: E) -> E:
        day = cast(arg, typed(exp.DType.DATE))
        return call("DATE_DIFF", day, self.date("1970-01-05"), exp.Var(this="DAY"))

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        placed = arg if source is None else call("TIMESTAMP", arg, text(source))
        return call("DATETIME", placed, text(zone))

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        return _percentile(arg, fraction, "PERCENTILE_DISC" if discrete else "PERCENTILE_CONT")

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        tail: E = text(delimiter)
        return call("STRING_AGG", arg, exp.Order(this=tail, expressions=order) if order else tail)


def _percentile(arg: E, fraction: float, function: str) -> E:
    """BigQuery's percentiles are window functions: one runs over the group's values as an array."""
    values = exp.IgnoreNulls(this=arg)
    inner = exp.Select(
        expressions=[exp.Window(this=call(function, exp.Column(this=name("v")), number(fraction)))],
        from_=exp.From(
            this=exp.Unnest(expressions=[call("ARRAY_AGG", values)], alias=exp.TableAlias(columns=[name("v")]))
        ),
        limit=exp.Limit(expression=number(1)),
    )
    return exp.Subquery(this=inner)
