"""Aggregates of some rows only: `SUM(m) FILTER (WHERE c)`, `SUM(CASE WHEN c THEN m ELSE 0 END)` and their kin.

Both say what a measure with a filter of its own says, so that is what they become: right for every aggregate.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.workspace import ITEM


@dataclass(frozen=True, slots=True)
class Conditional:
    """An aggregate over the rows for which a condition is true."""

    aggregate: exp.Expr
    condition: exp.Expr
    is_zero_without_rows: bool = False
    """ELSE 0: rows for which the condition is not true add nothing, but they are there."""


def conditional(tree: exp.Expr) -> Conditional | None:
    """Returns the aggregate and its condition when a tree says an aggregate of some rows.

    CASE counts when what it aggregates is a measure, or the number 1 (which counts rows); a CASE over dimensions is a
    computed dimension.
    """
    if isinstance(tree, exp.Filter):
        inner = conditional(tree.this)
        condition = tree.expression.this
        if inner is None:
            return Conditional(tree.this, condition)
        both = exp.And(this=inner.condition.copy(), expression=condition.copy())
        return Conditional(inner.aggregate, both, inner.is_zero_without_rows)
    argument = _argument(tree)
    case = _single_case(argument) if argument is not None else None
    if case is None:
        return None
    condition, value, otherwise = case
    aggregate = _over(tree, value)
    is_zero = isinstance(otherwise, exp.Literal)
    if aggregate is None or (is_zero and not isinstance(tree, exp.Sum)):
        return None
    return Conditional(aggregate, condition, is_zero)


def _argument(tree: exp.Expr) -> exp.Expr | None:
    if isinstance(tree, exp.Anonymous):
        return tree.expressions[0].unnest() if len(tree.expressions) == 1 else None
    if not isinstance(tree, exp.AggFunc) or isinstance(tree.this, exp.Distinct) or not isinstance(tree.this, exp.Expr):
        return None
    inner: exp.Expr = tree.this.unnest()
    return inner


def _single_case(tree: exp.Expr) -> tuple[exp.Expr, exp.Expr, exp.Expr | None] | None:
    """The condition, the value and what stands for the other rows: nothing, NULL or 0."""
    match tree:
        case exp.Case() if len(tree.args["ifs"]) == 1:
            branch, otherwise = tree.args["ifs"][0], tree.args.get("default")
            condition = branch.this
            if tree.this is not None:
                condition = exp.EQ(this=tree.this.copy(), expression=condition.copy())
        case exp.If():
            branch, otherwise, condition = tree, tree.args.get("false"), tree.this
        case _:
            return None
    otherwise = otherwise.unnest() if otherwise is not None else None
    if isinstance(otherwise, exp.Null):
        otherwise = None
    if otherwise is not None and not (isinstance(otherwise, exp.Literal) and _is_number(otherwise, 0)):
        return None
    value: exp.Expr = branch.args["true"].unnest()
    return condition, value, otherwise


def _over(tree: exp.Expr, value: exp.Expr) -> exp.Expr | None:
    if isinstance(value, exp.Literal):
        counts = _is_number(value, 1) if isinstance(tree, exp.Sum) else isinstance(tree, exp.Count)
        return exp.Count(this=exp.Star()) if counts else None
    if not isinstance(value, exp.Column) or ITEM not in value.meta or not value.meta[ITEM].is_measured:
        return None
    aggregate = tree.copy()
    if isinstance(aggregate, exp.Anonymous):
        aggregate.set("expressions", [value.copy()])
    else:
        aggregate.set("this", value.copy())
    return aggregate


def _is_number(literal: exp.Literal, number: int) -> bool:
    return not literal.is_string and float(literal.name) == number
