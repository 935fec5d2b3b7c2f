"""Snowflake."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, binary, call, number, text


class Snowflake(Dialect):
    """Snowflake."""

    name = "snowflake"
    sqlglot = "snowflake"
    table_parts = 3
    truncation_keeps_dates = True
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": True,
        "supports_arrays": True,
        "supports_window_filters": True,
        "supports_ilike": True,
        "supports_time_travel": True,
        "supports_semi_structured": True,
        "supports_union_all_by_name": True,
        "supports_group_by_all": True,
        "supports_from_unnest": True,
    }
    aggregates: ClassVar = {
        "bool_and": lambda args: exp.LogicalAnd(this=args[0]),
        "bool_or": lambda args: exp.LogicalOr(this=args[0]),
    }
    operators: ClassVar = {"regex": lambda args: exp.GT(this=call("REGEXP_INSTR", *args), expression=number(0))}

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        if grain is not TimeGrain.WEEK:
            return call("DATE_TRUNC", text(grain.value), arg)
        back = binary(exp.Sub, number(1), call("DAYOFWEEKISO", arg))
        return call("DATEADD", exp.Var(this="DAY"), back, call("DATE_TRUNC", text("day"), arg.copy()))

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        count, unit = _in_months(amount, grain)
        return call("DATEADD", exp.Var(this=unit), number(count), arg)

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        return call("DATEADD", exp.Var(this=unit.upper()), amount, arg)

    def seconds(self, arg: E) -> E:
        return call("DATE_PART", exp.Var(this="EPOCH_SECOND"), arg)

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        zones = [text(zone)] if source is None else [text(source), text(zone)]
        return call("CONVERT_TIMEZONE", *zones, arg)

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        whole: E = call("LISTAGG", arg, text(delimiter))
        return exp.WithinGroup(this=whole, expression=exp.Order(expressions=order)) if order else whole


def _in_months(amount: int, grain: TimeGrain) -> tuple[int, str]:
    match grain:
        case TimeGrain.QUARTER | TimeGrain.FISCAL_QUARTER:
            return amount * 3, "MONTH"
        case TimeGrain.FISCAL_YEAR:
            return amount, "YEAR"
        case _:
            return amount, grain.value.upper()
