"""EXISTS as membership, for engines that cannot (or not everywhere) look at the outer row from inside.

`EXISTS(SELECT 1 FROM b WHERE b.k = a.k AND p(b))` is `a.k IN (SELECT b.k FROM b WHERE p(b))`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sagitta_compiler.plan.relations import Output, Select
from sagitta_compiler.plan.scalars import Call, Exists, Field, Scalar, all_of, rewrite


def as_membership(select: Select) -> tuple[tuple[Scalar, ...], Select] | None:
    """The outer values and the select of those that have a row; None where equalities do not say it all."""
    own = _aliases(select)
    pairs: list[tuple[Scalar, Scalar]] = []
    rest: list[Scalar] = []
    for condition in _conjuncts(select.where):
        if _sources(condition) <= own:
            rest.append(condition)
        elif (pair := _pair(condition, own)) is not None:
            pairs.append(pair)
        else:
            return None
    if not pairs or any(join.on is not None and not _sources(join.on) <= own for join in select.joins):
        return None
    columns = tuple(Output(f"key {place}", inner) for place, (_, inner) in enumerate(pairs, 1))
    return tuple(outer for outer, _ in pairs), replace(select, columns=columns, where=all_of(rest))


def _conjuncts(where: Scalar | None) -> Iterator[Scalar]:
    if isinstance(where, Call) and where.name == "and":
        for part in where.args:
            yield from _conjuncts(part)
    elif where is not None:
        yield where


def _pair(condition: Scalar, own: frozenset[str]) -> tuple[Scalar, Scalar] | None:
    """The outer and the inner side of an equality."""
    if not isinstance(condition, Call) or condition.name != "eq":
        return None
    left, right = condition.args
    for inner, outer in ((left, right), (right, left)):
        if _sources(inner) <= own and _sources(outer).isdisjoint(own):
            return outer, inner
    return None


def _aliases(select: Select) -> frozenset[str]:
    sources = [select.source, *(join.source for join in select.joins)]
    return frozenset(source.alias for source in sources if source is not None)


def _sources(scalar: Scalar) -> frozenset[str]:
    """The sources that an expression reads, also from inside its own subqueries."""
    found: set[str] = set()

    def look(part: Scalar) -> Scalar | None:
        if isinstance(part, Field):
            found.add(part.source)
        elif isinstance(part, Exists):
            found.update(_outside(part.select))
        return None

    rewrite(scalar, look)
    return frozenset(found)


def _outside(select: Select) -> frozenset[str]:
    read = [select.where, *(join.on for join in select.joins), *(column.scalar for column in select.columns)]
    return frozenset().union(*(_sources(scalar) for scalar in read if scalar is not None)) - _aliases(select)
