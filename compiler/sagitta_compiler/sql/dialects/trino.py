"""Trino."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, call, number, text


class Trino(Dialect):
    """Trino. Its percentiles are approximate, so exact ones are refused."""

    name = "trino"
    sqlglot = "trino"
    table_parts = 3
    truncation_keeps_dates = True
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": True,
        "supports_window_filters": True,
        "supports_ilike": False,
        "supports_time_travel": True,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": False,
        "supports_from_unnest": True,
    }
    unsupported = frozenset({Aggregation.MEASURE, Aggregation.MEDIAN, Aggregation.MODE, Aggregation.PERCENTILE})

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        unit = {TimeGrain.FISCAL_YEAR: "year", TimeGrain.FISCAL_QUARTER: "quarter"}.get(grain, grain.value)
        return call("DATE_ADD", text(unit), number(amount), arg)

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        return call("DATE_ADD", text(unit), amount, arg)

    def seconds(self, arg: E) -> E:
        return call("TO_UNIXTIME", arg)

    def days(self, arg: E) -> E:
        return call("DATE_DIFF", text("day"), self.date("1970-01-05"), call("DATE", arg))

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        keys = order or [exp.Ordered(this=arg.expressions[0].copy() if isinstance(arg, exp.Distinct) else arg.copy())]
        return exp.WithinGroup(this=call("LISTAGG", arg, text(delimiter)), expression=exp.Order(expressions=keys))
