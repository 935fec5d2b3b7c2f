"""Conditions of WHERE and HAVING that filters of a Query say."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.query import FilterGroup, FilterNode, Logic
from sagitta_compiler.query.semantic_sql.aggregates import argument_of, has_aggregate, is_aggregate
from sagitta_compiler.query.semantic_sql.asked import Asked
from sagitta_compiler.query.semantic_sql.conditional import conditional
from sagitta_compiler.query.semantic_sql.literals import is_constant
from sagitta_compiler.query.semantic_sql.measured import Measured
from sagitta_compiler.query.semantic_sql.names import Item
from sagitta_compiler.query.semantic_sql.predicates import conjuncts, exists, predicate
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.workspace import readable

NEVER = FilterGroup(Logic.OR, ())
"""The filter that no row passes."""


def keep(found: FilterNode | bool, nodes: list[FilterNode]) -> bool:
    """Keeps a condition that is not always true; False when it never is."""
    if not isinstance(found, bool):
        nodes.append(found)
    return found is not False


def related(part: exp.Expr, asked: Asked) -> FilterNode | None:
    """The filter that an EXISTS of WHERE is; None for any other condition."""
    negated = isinstance(part, exp.Not)
    node = part.this.unnest() if isinstance(part, exp.Not) else part
    if not isinstance(node, exp.Exists):
        return None
    subject = next((d.name for d in asked.dimensions.values() if d.name in asked.model.dimensions), None)
    subject = subject or next(iter(asked.model.dimensions), None)
    if subject is None:
        raise refused("UNSUPPORTED_SQL_FEATURE", "EXISTS needs a dimension whose object it refers to.")
    return exists(node, subject, negated, lambda select: _subquery_filters(select, asked))


def _subquery_filters(select: exp.Select, asked: Asked) -> tuple[FilterNode, ...]:
    where = select.args.get("where")
    target = select.args["from_"].this.name

    def operand(tree: exp.Expr) -> Item:
        if not isinstance(tree, exp.Column):
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} cannot be filtered inside EXISTS.")
        column = tree if tree.table else exp.column(tree.name, table=target, quoted=True)
        found = asked.names.find(column) or asked.names.find(tree)
        return found or asked.names.item(tree)

    nodes: list[FilterNode] = []
    for part in conjuncts(where.this if where is not None else None):
        if not keep(predicate(part, operand, asked.values), nodes):
            nodes.append(NEVER)
    return tuple(nodes)


def is_filter_of_measures(part: exp.Expr, measured: Measured, model: ResolvedModel) -> bool:
    """Whether a filter on finished rows can say a condition: it compares measures of the model with constants."""
    if part.find(exp.Query) is not None or any(conditional(node) is not None for node in part.walk()):
        return False
    for node in part.walk(prune=lambda n: is_aggregate(n) or isinstance(n, exp.Column)):
        if is_aggregate(node) or isinstance(node, exp.Column):
            name = measured.name_of(node) if has_aggregate(node) else None
            if name is None or (name not in model.measures and name not in model.metrics):
                return False
        elif _is_computation(node) and not is_constant(node):
            return False
    return True


def _is_logic(tree: exp.Expr) -> bool:
    logic = exp.Connector | exp.Not | exp.Paren | exp.Predicate | exp.Like | exp.ILike | exp.Is | exp.Between | exp.In
    return isinstance(tree, logic)


def _is_computation(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Func | exp.Case | exp.Cast | exp.Binary | exp.Unary) and not _is_logic(tree)


_ROW_TESTS = (exp.GT, exp.GTE, exp.NEQ)


def is_tautology(part: exp.Expr) -> bool:
    """HAVING COUNT(1) > 0, as tools write it: a group that exists has rows."""
    if not isinstance(part, _ROW_TESTS) or not isinstance(part.left, exp.Count):
        return False
    argument = argument_of(part.left)
    if argument is not None and not is_constant(argument):
        return False
    bound = part.right.name
    return bound == ("1" if isinstance(part, exp.GTE) else "0")
