"""What every SELECT has: its projections, its keys, its counts, and what its columns refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Direction
from sagitta_compiler.query.query import NullsOrder, OrderItem
from sagitta_compiler.query.semantic_sql.literals import Values, constant
from sagitta_compiler.query.semantic_sql.names import Names
from sagitta_compiler.query.semantic_sql.reading import NULLS, refused
from sagitta_compiler.query.semantic_sql.statement import Core
from sagitta_compiler.query.semantic_sql.workspace import ITEM


@dataclass(frozen=True)
class TranslatedSelect:
    """The question, its output names, and the SELECT around its answer where one is needed."""

    core: Core
    outputs: tuple[str, ...]
    sources: tuple[str | None, ...]
    outer: exp.Select | None


_UNDERSTOOD: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        {"expressions", "from_", "where", "group", "having", "order", "limit", "offset", "distinct", "with_", "joins"}
    ),
    exp.Table: frozenset({"this", "db", "catalog", "alias"}),
    exp.Distinct: frozenset(),
    exp.Limit: frozenset({"this", "expression"}),
    exp.Fetch: frozenset({"direction", "count"}),
    exp.Offset: frozenset({"this", "expression"}),
    exp.Star: frozenset({"except_"}),
}
"""The parts of each clause that the translation reads; any other would be passed over in silence."""


def refuse_clauses(select: exp.Select) -> None:
    """Raises `CompileError` for clauses that mean nothing on a model."""
    source = select.args.get("from_")
    parts = [select, source.this if source is not None else None]
    parts.extend(select.args.get(name) for name in ("distinct", "limit", "offset"))
    parts.extend(p.this if isinstance(p, exp.Column) else p for p in select.expressions)
    for part in parts:
        _refuse_unread(part)
    if select.args.get("joins"):
        raise refused(
            "UNSUPPORTED_SQL_FEATURE",
            "A model's table cannot be joined: it already joins all its data objects.",
            "Select the labels that you need from one table.",
        )


def _refuse_unread(part: exp.Expr | None) -> None:
    known = _UNDERSTOOD.get(type(part)) if part is not None else None
    if part is None or known is None:
        return
    for name, value in part.args.items():
        if name in known or not value:
            continue
        if isinstance(value, exp.LimitOptions) and not value.args.get("percent") and not value.args.get("with_ties"):
            continue
        what = name.rstrip("_").upper().replace("_", " ")
        raise refused("UNSUPPORTED_SQL_FEATURE", f"{_NAMES.get(name, what)} is not possible on a model.")


_NAMES = {
    "on": "DISTINCT ON",
    "limit_options": "A limit in percent or with ties",
    "windows": "WINDOW",
    "laterals": "LATERAL",
    "sample": "A sample",
    "pivots": "PIVOT",
    "except_": "EXCLUDE",
    "replace": "REPLACE of a star",
    "rename": "RENAME of a star",
}


TRANSLATED = "translated"
"""Key of `Expression.meta` of a sub-select that reads answers of models, and is ordinary SQL by now."""


def is_translated(query: exp.Expr) -> bool:
    """Says whether a sub-select, or one around it, is translated."""
    node: exp.Expr | None = query
    while node is not None:
        if node.meta.get(TRANSLATED):
            return True
        node = node.parent
    return False


def refuse_sub_selects(select: exp.Select) -> None:
    """Raises `CompileError` for a sub-select that nothing translated, unless it is in an EXISTS of WHERE."""
    for name in ("expressions", "where", "group", "having", "order", "limit", "offset"):
        clause = select.args.get(name)
        for part in clause if isinstance(clause, list) else [clause]:
            for query in part.find_all(exp.Query) if isinstance(part, exp.Expr) else ():
                if is_translated(query):
                    continue
                if name != "where" or query.find_ancestor(exp.Exists) is None:
                    raise refused(
                        "UNSUPPORTED_SQL_FEATURE", "A sub-select inside an expression is not possible on a model."
                    )


def projections_of(select: exp.Select, names: Names) -> list[tuple[str | None, exp.Expr]]:
    """Returns pairs of alias and expression, with every star written out."""
    found: list[tuple[str | None, exp.Expr]] = []
    for projection in select.expressions:
        if isinstance(projection, exp.Alias):
            found.append((projection.alias, projection.this))
        elif (star := _star(projection)) is not None:
            left_out = {names.item(column).name for column in star.args.get("except_") or ()}
            columns = [exp.column(column.name, quoted=True) for column in names.table.columns]
            found.extend((None, column) for column in columns if names.item(column).name not in left_out)
        else:
            found.append((None, projection))
    return found


def _star(projection: exp.Expr) -> exp.Star | None:
    inner = projection.this if isinstance(projection, exp.Column) else projection
    return inner if isinstance(inner, exp.Star) else None


def annotate(select: exp.Select, projections: list[tuple[str | None, exp.Expr]], names: Names) -> None:
    """Notes on every column what it refers to; positions and aliases are resolved where SQL allows them."""
    for _, tree in projections:
        _note_items(tree, names)
    by_alias = {alias.casefold(): tree for alias, tree in projections if alias}
    if where := select.args.get("where"):
        _note_items(where, names)
    if group := select.args.get("group"):
        _resolve_keys(group, projections, by_alias, names, alias_first=False)
    if having := select.args.get("having"):
        _resolve_keys(having, projections, by_alias, names, alias_first=False, positions=False)
    if order := select.args.get("order"):
        _resolve_keys(order, projections, by_alias, names, alias_first=True)


def _note_items(tree: exp.Expr, names: Names) -> None:
    for column in own_columns(tree):
        column.meta[ITEM] = names.item(column)


def own_columns(tree: exp.Expr) -> Iterator[exp.Column]:
    """Yields the columns of a tree that belong to this SELECT, not to one nested in it."""
    for node in list(tree.walk(prune=lambda n: n is not tree and isinstance(n, exp.Query))):
        if isinstance(node, exp.Column):
            yield node


def _resolve_keys(
    clause: exp.Expr,
    projections: list[tuple[str | None, exp.Expr]],
    by_alias: dict[str, exp.Expr],
    names: Names,
    *,
    alias_first: bool,
    positions: bool = True,
) -> None:
    if positions:
        for node in list(_positions(clause)):
            node.replace(_at_position(node, projections))
    for column in list(own_columns(clause)):
        if ITEM in column.meta:
            continue
        aliased = by_alias.get(column.name.casefold()) if not column.table else None
        item = names.find(column)
        is_key = isinstance(column.parent, exp.Ordered)  # inside an expression a name is the table's, if it has it
        if aliased is not None and ((alias_first and is_key) or item is None):
            column.replace(aliased.copy())
        elif item is None:
            column.meta[ITEM] = names.item(column)
        else:
            column.meta[ITEM] = item


def _positions(clause: exp.Expr) -> Iterator[exp.Literal]:
    """Integers that stand where a key stands."""
    for node in clause.find_all(exp.Literal):
        if node.is_int and isinstance(node.parent, exp.Group | exp.Ordered | exp.Rollup | exp.Cube | exp.Order):
            yield node


def _at_position(node: exp.Literal, projections: list[tuple[str | None, exp.Expr]]) -> exp.Expr:
    position = int(node.name)
    if not 1 <= position <= len(projections):
        raise refused(
            "INVALID_ORDER_BY_POSITION",
            f"Position {position} is not in the select list, which has {len(projections)} items.",
        )
    return projections[position - 1][1].copy()


def row_count(select: exp.Select, clause: str, values: Values) -> int | None:
    """Returns the number in LIMIT, FETCH or OFFSET."""
    node = select.args.get(clause)
    if node is None:
        return None
    number = node.args.get("count") if isinstance(node, exp.Fetch) else node.expression
    if number is None or isinstance(number, exp.Null) or (isinstance(number, exp.Var) and number.name.upper() == "ALL"):
        return None
    value = constant(number, values, AbstractType.INT, clause.upper())
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refused("INVALID_LITERAL", f"{clause.upper()} takes a whole number that is not negative, not {value!r}.")
    return value


def order_item(key: exp.Ordered, label: str) -> OrderItem:
    """Returns the sort key of a Query for an ORDER BY key on one of its outputs."""
    nulls = key.meta.get(NULLS)
    direction = Direction.DESC if key.args.get("desc") else Direction.ASC
    return OrderItem(label, direction, NullsOrder(nulls) if nulls else None)
