"""Wrappers that BI tools put around a table: sub-selects and CTEs of plain columns, looked through."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

IsMeasured = Callable[[exp.Table, exp.Column], bool]


def unwrapped(tree: exp.Query, is_measured: IsMeasured) -> exp.Query:
    """Takes away wrappers that change nothing.

    `SELECT ... FROM (SELECT * FROM t [WHERE ...]) x` and `WITH x AS (SELECT * FROM t) SELECT ... FROM x` read `t`;
    so does a wrapper that lists plain columns, whose names then stand for those. A wrapper that lists columns has rows
    of its own: where measures are compared with something, those rows are what is compared.
    """
    flat: exp.Query = tree
    while isinstance(flat, exp.Subquery) and not flat.args.get("with_"):
        flat = flat.this
    inner = _inner(flat) if isinstance(flat, exp.Select) else None
    if inner is None or not isinstance(flat, exp.Select):
        return flat
    plain = unwrapped(inner, is_measured)
    merged = _merged(flat, plain, is_measured) if isinstance(plain, exp.Select) else None
    return merged if merged is not None else flat


def _merged(select: exp.Select, inner: exp.Select, is_measured: IsMeasured) -> exp.Select | None:
    """One SELECT for a SELECT on a wrapper; None when the wrapper changes something."""
    if not _is_plain(inner):
        return None
    names = _plain_names(inner)
    if names is not None and not _aggregates(select):
        return None  # the wrapper's rows are what is asked for
    source: exp.From = inner.args["from_"].copy()
    if not isinstance(source.this, exp.Table):
        return None
    merged: exp.Select = select.copy()
    merged.set("with_", None)
    if names is not None and not _rename(merged, names, _inner_alias(select)):
        return None
    if where := inner.args.get("where"):
        merged = merged.where(where.this.copy(), copy=False)
    _drop_qualifiers(merged, _inner_alias(select))
    if names is not None and not _asks_groups(merged, source.this, is_measured):
        return None
    merged.set("from_", source)
    return merged


def _asks_groups(select: exp.Select, table: exp.Table, is_measured: IsMeasured) -> bool:
    """Whether the rows of a wrapper do not matter: no condition on measures, no aggregate of dimensions."""
    where = select.args.get("where")
    if where is not None and any(is_measured(table, column) for column in where.find_all(exp.Column)):
        return False
    return all(
        is_measured(table, column)
        for aggregate in select.find_all(exp.AggFunc)
        for column in aggregate.find_all(exp.Column)
    )


def _aggregates(select: exp.Select) -> bool:
    """Whether a SELECT aggregates the columns of its source, other than by counting its rows."""
    counts_rows = any(isinstance(count.this, exp.Star | exp.Literal) for count in select.find_all(exp.Count))
    return not counts_rows and bool(select.args.get("group") or select.find(exp.AggFunc))


def _inner(select: exp.Select) -> exp.Select | None:
    source, with_ = select.args.get("from_"), select.args.get("with_")
    if source is None or select.args.get("joins"):
        return None
    if isinstance(source.this, exp.Subquery) and with_ is None and isinstance(source.this.this, exp.Select):
        return source.this.this
    if isinstance(source.this, exp.Table) and with_ is not None and len(with_.expressions) == 1:
        cte = with_.expressions[0]
        if not source.this.db and cte.alias.casefold() == source.this.name.casefold():
            return cte.this if isinstance(cte.this, exp.Select) else None
    return None


def _inner_alias(select: exp.Select) -> str:
    return str(select.args["from_"].this.alias_or_name)


_ONLY = frozenset({"expressions", "from_", "where"})


def _is_plain(inner: exp.Select) -> bool:
    """A wrapper: columns or a star from one source, perhaps filtered, nothing else."""
    if any(value for name, value in inner.args.items() if name not in _ONLY and name != "kind"):
        return False
    if inner.args.get("from_") is None:
        return False
    return all(_plain_column(projection) is not None for projection in inner.expressions)


def _plain_column(projection: exp.Expr) -> exp.Expr | None:
    inner = projection.this if isinstance(projection, exp.Alias) else projection
    return inner if isinstance(inner, exp.Column | exp.Star) else None


def _plain_names(inner: exp.Select) -> dict[str, exp.Expr] | None:
    """The names that a wrapper gives to columns; None for a star, which renames nothing."""
    if any(isinstance(p, exp.Star) or (isinstance(p, exp.Column) and p.is_star) for p in inner.expressions):
        return None
    return {p.alias_or_name.casefold(): p.this if isinstance(p, exp.Alias) else p for p in inner.expressions}


def _rename(select: exp.Select, names: Mapping[str, exp.Expr], alias: str) -> bool:
    """Replaces the wrapper's names by the columns that they stand for; False when one is not a column of it."""
    if any(isinstance(p, exp.Star) for p in select.expressions):
        expanded: list[exp.Expr] = []
        for projection in select.expressions:
            if isinstance(projection, exp.Star):
                expanded.extend(exp.column(name.alias_or_name, quoted=True) for name in names.values())
            else:
                expanded.append(projection)
        select.set("expressions", expanded)
    aliases = {p.alias.casefold() for p in select.expressions if isinstance(p, exp.Alias)}
    for projection in list(select.expressions):
        if isinstance(projection, exp.Column):
            projection.replace(exp.alias_(projection.copy(), projection.name, quoted=True))
    for column in list(select.find_all(exp.Column)):
        if column.find_ancestor(exp.Subquery, exp.Exists):
            continue
        found = names.get(column.name.casefold()) if column.table.casefold() in ("", alias.casefold()) else None
        if found is not None:
            column.replace(found.copy())
        elif column.name.casefold() not in aliases:
            return False
    return True


def _drop_qualifiers(select: exp.Select, alias: str) -> None:
    for column in select.find_all(exp.Column):
        if alias and column.table.casefold() == alias.casefold():
            column.set("table", None)
