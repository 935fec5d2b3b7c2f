"""EXISTS as membership, for engines that cannot (or not everywhere) look at the outer row from inside.

`EXISTS(SELECT 1 FROM b WHERE b.k = a.k AND p(b))` is `a.k IN (SELECT b.k FROM b WHERE p(b))`. Where equalities do not
say it all, the outer rows are read once more inside: `EXISTS(SELECT 1 FROM b WHERE p(a, b))` is
`a.x IN (SELECT a.x FROM a CROSS JOIN b WHERE p(a, b))` for the columns `x` of `a` that `p` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sagitta_compiler.model.types import DataType
from sagitta_compiler.plan.relations import JoinKind, JoinTo, Output, Select, Source
from sagitta_compiler.plan.scalars import Call, Cast, Exists, Field, Literal, Scalar, all_of, rewrite


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


def among_outer_rows(select: Select, outer: Select) -> tuple[tuple[Scalar, ...], Select]:
    """The outer values, as texts so that NULLs are equal too, and the select of those that have a row."""
    own = _aliases(select)
    fields = tuple(dict.fromkeys(field for field in _fields(select) if field.source not in own))
    alias = _fresh("outer rows", own | _aliases(outer))
    labels = {field: Field(alias, f"outer {place}") for place, field in enumerate(fields, 1)}
    columns = tuple(Output(label.name, field) for field, label in labels.items())
    rows = Select(columns, outer.source, outer.joins, distinct=True, name=alias, note="the rows that are asked about")
    assert select.source is not None
    inside = _renamed(select, labels)
    where = inside.where
    found = Select(
        tuple(Output(f"key {place}", key) for place, key in enumerate(_keys(labels.values()), 1)),
        Source(rows, alias),
        (JoinTo(select.source, None, JoinKind.CROSS), *inside.joins),
        where,
        name=select.name,
    )
    return tuple(_keys(labels)), found


def _keys(fields: Iterable[Field]) -> Iterator[Scalar]:
    for field in fields:
        yield Call("is_null", (field,))
        yield Call("coalesce", (Cast(field, DataType("string")), Literal("")))


def _fresh(wanted: str, taken: frozenset[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} {number}", number + 1
    return name


def _fields(select: Select) -> Iterator[Field]:
    """The columns that a select reads of whatever source, also from inside its own subqueries."""
    read = [select.where, *(join.on for join in select.joins), *(column.scalar for column in select.columns)]
    for scalar in read:
        if scalar is not None:
            yield from _read(scalar)


def _read(scalar: Scalar) -> Iterator[Field]:
    found: list[Field] = []

    def look(part: Scalar) -> Scalar | None:
        if isinstance(part, Field):
            found.append(part)
        elif isinstance(part, Exists):
            inner = _aliases(part.select)
            found.extend(field for field in _fields(part.select) if field.source not in inner)
        return None

    rewrite(scalar, look)
    yield from found


def _renamed(select: Select, labels: Mapping[Field, Field]) -> Select:
    """The select with some columns replaced, also inside its own subqueries."""

    def change(part: Scalar) -> Scalar | None:
        if isinstance(part, Field):
            return labels.get(part)
        return Exists(_renamed(part.select, labels)) if isinstance(part, Exists) else None

    joins = tuple(replace(join, on=None if join.on is None else rewrite(join.on, change)) for join in select.joins)
    where = None if select.where is None else rewrite(select.where, change)
    return replace(select, joins=joins, where=where)


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
    return frozenset(field.source for field in _read(scalar))
