"""Dremio."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, call, cast, number, text, typed


class Dremio(Dialect):
    """Dremio. It neither unnests in FROM nor recurses."""

    name = "dremio"
    sqlglot = "dremio"
    table_parts = 3
    typed_nulls = True
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
        "supports_from_unnest": False,
    }
    unsupported = frozenset({Aggregation.MEASURE, Aggregation.MODE})
    operators: ClassVar = {"regex": lambda args: call("REGEXP_LIKE", *args)}

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        unit = {TimeGrain.FISCAL_YEAR: "YEAR", TimeGrain.FISCAL_QUARTER: "QUARTER"}.get(grain, grain.value.upper())
        moved = call("TIMESTAMPADD", exp.Var(this=unit), number(amount), arg)
        return cast(moved, typed(exp.DType.DATE)) if type_ is AbstractType.DATE else moved

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        return call("TIMESTAMPADD", exp.Var(this=unit.upper()), amount, arg)

    def days(self, arg: E) -> E:
        return call("TIMESTAMPDIFF", exp.Var(this="DAY"), self.date("1970-01-05"), cast(arg, typed(exp.DType.DATE)))

    def seconds(self, arg: E) -> E:
        return call("UNIX_TIMESTAMP", arg)

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        zones = [text(zone)] if source is None else [text(source), text(zone)]
        return call("CONVERT_TIMEZONE", *zones, arg)

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        whole: E = call("LISTAGG", arg, text(delimiter))
        return exp.WithinGroup(this=whole, expression=exp.Order(expressions=order)) if order else whole
