"""DuckDB: the embedded default."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scope import ELEMENT
from sagitta_compiler.sql.dialects.base import AGGREGATES, Dialect
from sagitta_compiler.sql.functions import Builder
from sagitta_compiler.sql.syntax import E, call, case, cast, name, number, text, typed


def _not_nan(function: str) -> Builder:
    """Statistics without variance are NULL, not NaN."""
    nan = exp.DType.DOUBLE
    return lambda args: exp.Nullif(this=AGGREGATES[function](args), expression=cast(text("NaN"), typed(nan)))


def _json_scalar(document: E, path: E) -> E:
    """The scalar at a path as text; objects and arrays are no scalars."""
    kind = call("JSON_TYPE", document, path)
    structured = exp.In(this=kind, expressions=[text("OBJECT"), text("ARRAY")])
    return case([(exp.Not(this=structured), call("JSON_EXTRACT_STRING", document.copy(), path.copy()))], None)


class DuckDB(Dialect):
    """DuckDB."""

    name = "duckdb"
    sqlglot = "duckdb"
    unnests = True
    capabilities: ClassVar = {
        "supports_cte": True,
        "supports_qualify": True,
        "supports_arrays": True,
        "supports_window_filters": True,
        "supports_ilike": True,
        "supports_time_travel": False,
        "supports_semi_structured": False,
        "supports_union_all_by_name": True,
        "supports_group_by_all": True,
        "supports_from_unnest": True,
    }
    aggregates: ClassVar = {function: _not_nan(function) for function in ("corr", "regr_slope", "regr_intercept")}

    functions: ClassVar = {"json_value": lambda args: _json_scalar(args[0], args[1])}

    def days(self, arg: E) -> E:
        return exp.Paren(this=exp.Sub(this=cast(arg, typed(exp.DType.DATE)), expression=self.date("1970-01-05")))

    def seconds(self, arg: E) -> E:
        return call("EPOCH", arg)

    def spine(self, first: E, last: E, grain: TimeGrain, type_: AbstractType) -> E:
        series: E = exp.Unnest(expressions=[call("GENERATE_SERIES", first, last, self.step(grain))])
        return cast(series, typed(exp.DType.DATE)) if type_ is AbstractType.DATE else series

    def unnest(self, array: E, alias: str) -> E:
        element = exp.TableAlias(this=name(alias), columns=[name(ELEMENT)])
        return exp.Unnest(expressions=[array], alias=element)

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        return call("QUANTILE_DISC" if discrete else "QUANTILE_CONT", arg, number(fraction))

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        tail: E = text(delimiter)
        if order:
            tail = exp.Order(this=tail, expressions=order)
        return call("STRING_AGG", arg, tail)
