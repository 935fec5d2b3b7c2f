"""SQL of an OSI text as expressions of the model language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_compiler.expressions.parse import Place, parse_expression
from sagitta_compiler.model.resolved import ColumnRef

Resolve = Callable[[exp.Column], ColumnRef]
"""Finds the column that a name in SQL stands for; raises `UnconvertibleError`."""

_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Min: "min",
    exp.Max: "max",
    exp.Count: "count",
    exp.Median: "median",
    exp.Mode: "mode",
    exp.AnyValue: "any_value",
    exp.Stddev: "stddev",
    exp.StddevSamp: "stddev",
    exp.StddevPop: "stddev_pop",
    exp.Variance: "variance",
    exp.VariancePop: "var_pop",
    exp.Corr: "corr",
    exp.CovarPop: "covar_pop",
    exp.CovarSamp: "covar_samp",
    exp.RegrSlope: "regr_slope",
    exp.RegrIntercept: "regr_intercept",
    exp.GroupConcat: "listagg",
}
_PAIRS = frozenset({"corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept"})
_BY_NAME = {"LISTAGG": "listagg", "COUNT_DISTINCT": "count_distinct"}
_MARK = re.compile(r'"@(\d+)"')


class UnconvertibleError(Exception):
    """The SQL says something that the model language cannot; the message says what."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula over aggregates: its text, and the measures that it needs besides the declared ones."""

    text: str
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)


def parse_sql(sql: str, dialect: str) -> exp.Expr:
    """Parses one expression."""
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
    except SqlglotError:
        raise UnconvertibleError("the SQL cannot be read") from None
    while isinstance(tree, exp.Paren):
        tree = tree.this
    for node in tree.walk():
        if isinstance(node, exp.Query | exp.Subquery):
            raise UnconvertibleError("it has a sub-select")
        if isinstance(node, exp.Window):
            raise UnconvertibleError("it has a window function")
    return tree


def column_expression(tree: exp.Expr, resolve: Resolve) -> str:
    """Returns a computed column's expression.

    Raises:
        UnconvertibleError: it aggregates, or holds what an expression must not.
    """
    if any(_is_aggregate(node) for node in tree.walk()):
        raise UnconvertibleError("it aggregates")
    return _written(tree, resolve, Place.COLUMN)


def read_metric(tree: exp.Expr, resolve: Resolve, name_measure: Callable[[dict[str, Any]], str]) -> Any:
    """Returns the measure (as OBML's mapping) or the `Formula` that the SQL of a metric stands for.

    Args:
        tree: the parsed SQL.
        resolve: finds columns.
        name_measure: gives a name to a measure inside a formula.
    """
    if _is_aggregate(tree):
        return _measure(tree, resolve)
    if isinstance(tree, exp.Coalesce) and _is_aggregate(tree.this) and len(tree.expressions) == 1:
        default = tree.expressions[0]
        if isinstance(default, exp.Literal):
            value: Any = default.this if default.is_string else default.to_py()
            return _measure(tree.this, resolve) | {"defaultValue": float(value) if "." in str(value) else value}
    return _formula(tree, resolve, name_measure)


def _formula(tree: exp.Expr, resolve: Resolve, name_measure: Callable[[dict[str, Any]], str]) -> Formula:
    names: list[str] = []
    measures: dict[str, dict[str, Any]] = {}

    def replace(node: exp.Expr) -> exp.Expr:
        if not _is_aggregate(node):
            if isinstance(node, exp.Column):
                raise UnconvertibleError(f"column '{node.sql()}' stands outside an aggregate")
            return node
        measure = _measure(node, resolve)
        name = name_measure(measure)
        measures[name] = measure
        names.append(name)
        return _mark(len(names) - 1)

    if not any(_is_aggregate(node) for node in tree.walk()):
        raise UnconvertibleError("it does not aggregate")
    text = replace(tree.copy()) if _is_aggregate(tree) else _transform(tree.copy(), replace)
    written = _MARK.sub(lambda match: "{[" + names[int(match[1])] + "]}", text.sql())
    _check(written, Place.METRIC)
    return Formula(written, measures)


def _transform(node: exp.Expr, replace: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Replaces outermost aggregates first, and does not look inside them."""
    replaced = replace(node)
    if replaced is not node:
        return replaced
    for child in list(node.iter_expressions()):
        other = _transform(child, replace)
        if other is not child:
            child.replace(other)
    return node


def _is_aggregate(node: object) -> bool:
    match node:
        case exp.WithinGroup() | exp.Filter():
            return _is_aggregate(node.this) or isinstance(node.this, exp.PercentileCont | exp.PercentileDisc)
        case exp.Anonymous():
            return node.name.upper() in _BY_NAME
        case exp.AggFunc():
            return True
        case _:
            return False


def _measure(node: Any, resolve: Resolve) -> dict[str, Any]:
    match node:
        case exp.WithinGroup():
            return _ordered(node, resolve)
        case exp.Filter():
            condition = node.expression.this
            inner = node.this.copy()
            inner.set("this", exp.Case(ifs=[exp.If(this=condition, true=_only_argument(inner))]))
            return _measure(inner, resolve)
        case exp.Anonymous():
            return _call(_BY_NAME[node.name.upper()], list(node.expressions), resolve)
        case exp.GroupConcat():
            separator = node.args.get("separator")
            return _call("listagg", [node.this] if separator is None else [node.this, separator], resolve)
        case exp.AggFunc() if type(node) in _AGGREGATES:
            second = node.args.get("expression")
            rest = node.args.get("expressions") or () if second is None else (second,)
            return _call(_AGGREGATES[type(node)], [node.this, *rest], resolve)
        case _:
            raise UnconvertibleError(f"{node.sql().split('(')[0]} is no aggregate of the model language")


def _only_argument(aggregate: exp.Expr) -> exp.Expr:
    argument = aggregate.this
    if isinstance(argument, exp.Distinct):
        raise UnconvertibleError("FILTER stands on a DISTINCT")
    return exp.Literal.number(1) if isinstance(argument, exp.Star) else argument


def _ordered(node: exp.WithinGroup, resolve: Resolve) -> dict[str, Any]:
    (order,) = node.expression.expressions
    match node.this:
        case exp.PercentileCont() | exp.PercentileDisc():
            kind = {"percentileType": "discrete"} if isinstance(node.this, exp.PercentileDisc) else {}
            share = float(node.this.this.name)
            if order.args.get("desc"):
                share = round(1 - share, 12)
            measure = _call("percentile", [order.this], resolve)
            return measure | {"percentile": share} | kind
        case exp.Mode():
            return _call("mode", [order.this], resolve)
        case inner:
            measure = _measure(inner, resolve)
            ref = resolve(order.this) if isinstance(order.this, exp.Column) else None
            if measure["aggregation"] != "listagg" or ref is None:
                raise UnconvertibleError("its WITHIN GROUP is not that of a list")
            direction = "DESC" if order.args.get("desc") else "ASC"
            return measure | {"withinGroup": {"column": _reference(ref), "order": direction}}


def _call(aggregation: str, arguments: list[exp.Expr], resolve: Resolve) -> dict[str, Any]:
    measure: dict[str, Any] = {"aggregation": aggregation}
    if isinstance(arguments[0], exp.Distinct):
        arguments = [*arguments[0].expressions, *arguments[1:]]
        measure |= {"aggregation": "count_distinct"} if aggregation == "count" else {"distinct": True}
    if aggregation == "listagg" and len(arguments) > 1:
        measure["delimiter"] = arguments.pop().name
    if aggregation == "count" and isinstance(arguments[0], exp.Star | exp.Literal):
        return measure | {"columns": [_reference(resolve(exp.column(exp.Star())))]}
    columns = [argument for argument in arguments if isinstance(argument, exp.Column)]
    if len(columns) == len(arguments):
        return measure | {"columns": [_reference(resolve(column)) for column in columns]}
    if len(arguments) != 1 or aggregation in _PAIRS:
        raise UnconvertibleError("it aggregates several expressions at once")
    if any(_is_aggregate(inner) for inner in arguments[0].walk()):
        raise UnconvertibleError("it aggregates an aggregate")
    return measure | {"expression": _written(arguments[0], resolve, Place.MEASURE)}


def _reference(ref: ColumnRef) -> dict[str, str]:
    return {"dataObject": ref.object, "column": ref.column} if ref.column else {"dataObject": ref.object}


def _written(tree: exp.Expr, resolve: Resolve, place: Place) -> str:
    refs: list[ColumnRef] = []

    def replace(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        refs.append(resolve(node))
        return _mark(len(refs) - 1)

    text = _transform(tree.copy(), replace).sql()
    written = _MARK.sub(lambda match: "{[%s].[%s]}" % _pair(refs[int(match[1])]), text)  # noqa: UP031 - braces
    _check(written, place)
    return written


def _pair(ref: ColumnRef) -> tuple[str, str]:
    return ref.object, ref.column


def _mark(number: int) -> exp.Expr:
    return exp.column(exp.to_identifier(f"@{number}", quoted=True))


def _check(text: str, place: Place) -> None:
    parsed = parse_expression(text, place, home="" if place is Place.COLUMN else None)
    if parsed.problems:
        raise UnconvertibleError(parsed.problems[0].message)
