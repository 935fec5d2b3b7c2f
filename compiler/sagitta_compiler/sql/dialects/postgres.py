"""PostgreSQL."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scope import ELEMENT
from sagitta_compiler.sql.dialects.base import Dialect
from sagitta_compiler.sql.syntax import E, call, cast, name, number, text, typed, wrap


class Postgres(Dialect):
    """PostgreSQL 14 and later."""

    name = "postgres"
    sqlglot = "postgres"
    max_precision = 1000
    max_label = 63
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": False,
        "supports_arrays": True,
        "supports_window_filters": False,
        "supports_ilike": True,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": False,
        "supports_group_by_all": False,
        "supports_from_unnest": True,
    }
    typed_nulls = True
    unnests = True
    aggregates: ClassVar = {
        "median": lambda args: _within(exp.PercentileCont(this=number(0.5)), args[0]),
        "mode": lambda args: _within(call("MODE"), args[0]),
        "any_value": lambda args: _first(args[0]),
        "bool_and": lambda args: exp.LogicalAnd(this=args[0]),
        "bool_or": lambda args: exp.LogicalOr(this=args[0]),
    }
    functions: ClassVar = {
        "round": lambda args: call("ROUND", cast(args[0], typed(exp.DType.DECIMAL)), *args[1:]),
        "trunc": lambda args: call("TRUNC", cast(args[0], typed(exp.DType.DECIMAL)), *args[1:]),
        "ends_with": lambda args: exp.EQ(
            this=call("RIGHT", args[0], exp.Length(this=args[1].copy())), expression=args[1]
        ),
        "last_day": lambda args: cast(
            exp.Sub(
                this=exp.Paren(
                    this=exp.Add(this=call("DATE_TRUNC", text("month"), args[0]), expression=_interval("1 month"))
                ),
                expression=_interval("1 day"),
            ),
            typed(exp.DType.DATE),
        ),
    }

    def days(self, arg: E) -> E:
        return exp.Paren(this=exp.Sub(this=cast(arg, typed(exp.DType.DATE)), expression=self.date("1970-01-05")))

    def period_index(self, arg: E, grain: TimeGrain) -> E:
        return cast(super().period_index(arg, grain), typed(exp.DType.BIGINT))

    def spine(self, first: E, last: E, grain: TimeGrain, type_: AbstractType) -> E:
        series = call("GENERATE_SERIES", first, last, self.step(grain))
        return cast(series, typed(exp.DType.DATE)) if type_ is AbstractType.DATE else series

    def unnest(self, array: E, alias: str) -> E:
        """The elements of a JSON array."""
        elements = call("JSONB_ARRAY_ELEMENTS", cast(array, typed(exp.DType.JSONB)))
        return exp.Table(this=elements, alias=exp.TableAlias(this=name(alias), columns=[name(ELEMENT)]))

    def member(self, arg: E, steps: tuple[str, ...], type_: AbstractType | None) -> E:
        """A member of a JSON value, as its own type."""
        found = call("JSONB_EXTRACT_PATH_TEXT", arg, *(text(step) for step in steps))
        return found if type_ in (None, AbstractType.STRING) else cast(found, self.abstract_type(type_))

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        if isinstance(arg, exp.Distinct):
            arg = exp.Distinct(expressions=[cast(arg.expressions[0], typed(exp.DType.TEXT))])
        else:
            arg = cast(arg, typed(exp.DType.TEXT))
        tail: E = text(delimiter)
        return call("STRING_AGG", arg, exp.Order(this=tail, expressions=order) if order else tail)


def _first(arg: E) -> E:
    """Some value that is not NULL; ANY_VALUE came with version 16."""
    filled = exp.Where(this=exp.Not(this=exp.Is(this=wrap(arg.copy()), expression=exp.Null())))
    gathered = exp.Filter(this=call("ARRAY_AGG", arg), expression=filled)
    return exp.Bracket(this=exp.Paren(this=gathered), expressions=[number(1)], offset=1)


def _within(function: E, arg: E) -> E:
    return exp.WithinGroup(this=function, expression=exp.Order(expressions=[exp.Ordered(this=arg)]))


def _interval(words: str) -> exp.Interval:
    return exp.Interval(this=text(words))
