"""Aggregates as SQL writes them: what is one, over what, and which measure it repeats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.query.semantic_sql.clauses import own_columns
from sagitta_compiler.query.semantic_sql.literals import is_constant
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.workspace import ITEM, readable

_MEASURE_CALLS = frozenset({"measure", "agg", "aggregate"})


def is_measure_call(tree: exp.Expr) -> bool:
    """Whether a tree is MEASURE(...) or AGG(...)."""
    if isinstance(tree, exp.Anonymous):
        return str(tree.this).lower() in _MEASURE_CALLS
    return type(tree).__name__ == "Agg"


def is_aggregate(tree: exp.Expr) -> bool:
    """Whether a tree is an aggregate over the rows of a group; one OVER a window is not."""
    if isinstance(tree, exp.Grouping) or (isinstance(tree.parent, exp.Window) and tree.parent.this is tree):
        return False
    return isinstance(tree, exp.AggFunc) or is_measure_call(tree)


def has_aggregate(tree: exp.Expr) -> bool:
    """Whether a tree has a value per group: it names a measure or aggregates something."""
    for node in tree.walk(prune=lambda n: isinstance(n, exp.Query)):
        if isinstance(node, exp.AggFunc) or is_measure_call(node) or isinstance(node, exp.Window | exp.Grouping):
            return True
        if isinstance(node, exp.Column) and ITEM in node.meta and node.meta[ITEM].is_measured:
            return True
    return False


def measures_in(tree: exp.Expr) -> Iterator[str]:
    """Yields the measures that a tree names."""
    for column in own_columns(tree):
        if column.meta[ITEM].is_measured:
            yield column.meta[ITEM].name


_PARTS = frozenset({"this", "expressions", "big_int"})


def refuse_extras(tree: exp.Expr) -> None:
    """Raises `CompileError` for an aggregate with more parts than are read: several columns, a count, an order."""
    several = isinstance(tree.this, exp.Distinct) and len(tree.this.expressions) != 1
    listed = tree.expressions if isinstance(tree, exp.AggFunc) else tree.expressions[1:]
    if several or listed or any(value for name, value in tree.args.items() if name not in _PARTS):
        raise refused(
            "UNSUPPORTED_SQL_FEATURE",
            f"{readable(tree)} has more parts than an aggregate on a model takes.",
            "Count the rows of SELECT DISTINCT a, b." if several else "Aggregate one column.",
        )


def counts_rows(tree: exp.Expr, argument: exp.Expr | None) -> bool:
    """COUNT(*), COUNT(1), and SUM(1) as Tableau writes it."""
    if isinstance(tree, exp.Sum):
        return isinstance(argument, exp.Literal) and not argument.is_string and float(argument.name) == 1
    return isinstance(tree, exp.Count) and (argument is None or (is_constant(argument) and not argument.find(exp.Null)))


def argument_of(tree: exp.Expr) -> exp.Expr | None:
    """The one argument of an aggregate, without DISTINCT; None for a star."""
    argument: Any = tree.this if not isinstance(tree, exp.Anonymous) else next(iter(tree.expressions), None)
    if isinstance(argument, exp.Distinct):
        argument = argument.expressions[0] if len(argument.expressions) == 1 else None
    if argument is None or isinstance(argument, exp.Star):
        return None
    inner: exp.Expr = argument.unnest()
    if isinstance(inner, exp.Cast) and isinstance(inner.this.unnest(), exp.Column):
        column: exp.Column = inner.this.unnest()
        if column.meta.get(ITEM) is not None and column.meta[ITEM].is_measured:
            return column  # tools cast a measure before they aggregate it
    return inner


_SAME: dict[Aggregation, tuple[str, ...]] = {
    Aggregation.SUM: ("Sum",),
    Aggregation.COUNT: ("Count", "Sum"),
    Aggregation.COUNT_DISTINCT: ("Count", "ApproxDistinct"),
    Aggregation.AVG: ("Avg",),
    Aggregation.MIN: ("Min",),
    Aggregation.MAX: ("Max",),
    Aggregation.ANY_VALUE: ("AnyValue", "Min", "Max"),
    Aggregation.MEDIAN: ("Median",),
    Aggregation.MODE: ("Mode",),
    Aggregation.STDDEV: ("Stddev", "StddevSamp"),
    Aggregation.STDDEV_POP: ("StddevPop",),
    Aggregation.VARIANCE: ("Variance",),
    Aggregation.VAR_POP: ("VariancePop",),
}
"""The SQL aggregates that say what a measure's own aggregation says."""


def matches(tree: exp.Expr, aggregation: Aggregation, *, distinct: bool) -> bool:
    """Whether an aggregate says what a measure's own aggregation says."""
    if type(tree).__name__ not in _SAME.get(aggregation, ()):
        return False
    if isinstance(tree, exp.Sum) and aggregation is Aggregation.COUNT:
        return False  # adding up counts is additive, decided elsewhere
    written_distinct = isinstance(tree.this, exp.Distinct) or isinstance(tree, exp.ApproxDistinct)
    return written_distinct == (distinct or aggregation is Aggregation.COUNT_DISTINCT)


def free_of_duplicates(tree: exp.Expr) -> Aggregation | None:
    """The aggregates over a dimension that do not depend on how often a value occurs."""
    if isinstance(tree, exp.Count) and isinstance(tree.this, exp.Distinct):
        return Aggregation.COUNT_DISTINCT
    if isinstance(tree, exp.Min):
        return Aggregation.MIN
    return Aggregation.MAX if isinstance(tree, exp.Max) else None
