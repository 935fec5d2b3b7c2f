"""Filters as a person would say them."""

from __future__ import annotations

from collections.abc import Sequence

from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic, Scalar


def filter_text(filters: Sequence[FilterNode]) -> str:
    """Returns a text such as `Customers.Country equals 'US' AND NOT (a OR b)`; several filters are joined by AND."""
    return " AND ".join(_node(node) for node in filters)


def _node(node: FilterNode) -> str:
    match node:
        case FilterGroup(logic=logic, filters=members, negated=negated):
            word = " AND " if logic is Logic.AND else " OR "
            return f"{'NOT ' if negated else ''}({word.join(_node(member) for member in members)})"
        case Filter():
            return _leaf(node)


def _leaf(leaf: Filter) -> str:
    name = f"{leaf.field}:{leaf.grain.value}" if leaf.grain else leaf.field
    words = [name, leaf.operator.value]
    if leaf.subquery is not None:
        inner = filter_text(leaf.subquery.filters)
        path = f" by {leaf.subquery.path_name}" if leaf.subquery.path_name else ""
        words.append(f"{leaf.subquery.object}{path}{f' where {inner}' if inner else ''}")
    elif leaf.relative is not None:
        period = leaf.relative
        side = "next" if period.future else "last"
        words.append(
            f"{side} {period.count} {period.unit.value}{'' if period.include_current else ' without this one'}"
        )
    elif len(leaf.values) == 1:
        words.append(_value(leaf.values[0]))
    elif leaf.values:
        words.append(f"({', '.join(_value(value) for value in leaf.values)})")
    return " ".join(words)


def _value(value: Scalar) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            return str(value)
