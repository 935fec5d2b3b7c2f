"""Databricks, and Spark, which differs in little."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scope import ELEMENT
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, call, case, cast, name, number, text, typed, wrap


def _cut(arg: E, digits: E | None = None) -> E:
    """A number cut toward zero: there is no TRUNC for numbers."""
    if digits is None:
        return cast(arg, typed(exp.DType.BIGINT))
    shift = call("POWER", number(10), digits)
    whole = cast(exp.Mul(this=wrap(arg), expression=shift), typed(exp.DType.BIGINT))
    return exp.Div(this=whole, expression=shift.copy())


def _in_order(arg: E, shown: E, key: E, ascending: E) -> E:
    """The texts of a group sorted by another column."""
    present = exp.Not(this=exp.Is(this=wrap(arg.copy()), expression=exp.Null()))
    pairs = call("COLLECT_LIST", case([(present, call("NAMED_STRUCT", text("k"), key, text("v"), shown))], None))
    pair = exp.Identifier(this="p")
    value = exp.Dot(this=pair.copy(), expression=exp.Identifier(this="v"))
    return call("TRANSFORM", call("SORT_ARRAY", pairs, ascending), exp.Lambda(this=value, expressions=[pair]))


class Databricks(Dialect):
    """Databricks SQL."""

    name = "databricks"
    sqlglot = "databricks"
    table_parts = 3
    windows_need_order = True
    unnests = True
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": True,
        "supports_window_filters": False,
        "supports_ilike": False,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": True,
        "supports_from_unnest": True,
    }
    unsupported = frozenset()
    aggregates: ClassVar = {"measure": lambda args: call("MEASURE", args[0])}
    operators: ClassVar = {"regex": lambda args: exp.RegexpLike(this=args[0], expression=args[1])}

    functions: ClassVar = {
        "trunc": lambda args: _cut(*args),
        "div": lambda args: _cut(
            exp.Div(this=wrap(args[0]), expression=exp.Nullif(this=args[1], expression=number(0)))
        ),
    }

    def days(self, arg: E) -> E:
        return call("DATEDIFF", cast(arg, typed(exp.DType.DATE)), self.date("1970-01-05"))

    def seconds(self, arg: E) -> E:
        return call("UNIX_TIMESTAMP", arg)

    def spine(self, first: E, last: E, grain: TimeGrain, type_: AbstractType) -> E:
        return call("EXPLODE", call("SEQUENCE", first, last, self.step(grain)))

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        placed = arg if source is None else call("TO_UTC_TIMESTAMP", arg, text(source))
        return call("FROM_UTC_TIMESTAMP", placed, text(zone))

    def unnest(self, array: E, alias: str) -> E:
        """The elements of an array of structures, for a join beside the row that holds it."""
        element = exp.Alias(this=call("EXPLODE", array), alias=name(ELEMENT))
        rows = exp.Subquery(this=exp.Select(expressions=[element]))
        return exp.Lateral(this=rows, alias=exp.TableAlias(this=name(alias)))

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        if discrete:
            return super().percentile(arg, fraction, discrete=True)
        return call("PERCENTILE", arg, number(fraction))

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        """The values as an array, sorted by their keys, joined; arrays have no NULLs, and may be empty."""
        distinct = isinstance(arg, exp.Distinct)
        arg = arg.expressions[0] if isinstance(arg, exp.Distinct) else arg
        shown = cast(arg, typed(exp.DType.TEXT))
        ascending = exp.Boolean(this=not (order and order[0].args.get("desc")))
        if order and not distinct:
            gathered = _in_order(arg, shown, order[0].this, ascending)
        else:
            gathered = call("COLLECT_SET" if distinct else "COLLECT_LIST", shown)
            gathered = call("SORT_ARRAY", gathered, ascending) if order else gathered
        filled = exp.GT(this=exp.Count(this=arg.copy()), expression=number(0))
        return case([(filled, call("ARRAY_JOIN", gathered, text(delimiter)))], None)

    def running(self, function: str, args: tuple[E, ...]) -> E:
        """Means of decimals are cut after a few digits: a window takes them of doubles."""
        if function == "avg":
            args = (cast(args[0], typed(exp.DType.DOUBLE)),)
        return super().running(function, args)


class Spark(Databricks):
    """Spark SQL."""

    name = "spark"
    sqlglot = "spark"
