"""Columns of the answer to a Query, as the SQL around it names them before they have labels."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.names import Item
from sagitta_compiler.query.semantic_sql.reading import NULLS
from sagitta_compiler.query.semantic_sql.workspace import ITEM, written

KEY = "key"
"""Key of `Expression.meta` of a column of the answer: which output of the Query it is."""


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the SELECT: its name, and the expression over columns of the answer."""

    name: str
    tree: exp.Expr


def key_of(tree: exp.Expr) -> str:
    """A text that is equal for expressions that mean the same: labels instead of spellings."""
    canonical = tree.copy()
    for column in outside_queries(canonical):
        item: Item = column.meta[ITEM]
        label = exp.column(f"{item.name}:{item.grain}" if item.grain else item.name, quoted=True)
        canonical = label if column is canonical else (column.replace(label) and canonical)
    return written(canonical, normalize=True)


def outside_queries(tree: exp.Expr) -> list[exp.Column]:
    """The columns of a tree that no sub-select in it holds."""
    nodes = tree.walk(prune=lambda n: isinstance(n, exp.Query))
    return [node for node in nodes if isinstance(node, exp.Column)]


def answer(key: str) -> exp.Column:
    """The column of the answer under a key."""
    column = exp.column(key, quoted=True)
    column.meta[KEY] = key
    return column


def with_this(key: exp.Ordered, tree: exp.Expr) -> exp.Ordered:
    """The sort key with another expression."""
    copied: exp.Ordered = key.copy()
    copied.set("this", tree)
    copied.meta[NULLS] = key.meta.get(NULLS)
    return copied


def labelled(tree: exp.Expr, labels: dict[str, str], alias: str) -> exp.Expr:
    """Gives the columns of the answer their labels and its name: an output may be called like another column."""
    copied = tree.copy()
    for column in outside_queries(copied):
        key = str(column.meta[KEY])
        label = f"_g_{labels[key[2:]]}" if key.startswith("g:") else labels[key]
        column.set("this", exp.to_identifier(label, quoted=True))
        column.set("table", exp.to_identifier(alias))
    return copied
