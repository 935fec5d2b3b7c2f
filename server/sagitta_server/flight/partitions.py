"""A result cut into disjoint parts that together are the whole.

Rows of a table are cut by ranges of row numbers (DuckDB) or of pages (PostgreSQL), so that each part reads its share of
the table only. Any other result is cut by a hash of its rows: every part runs the same statement and keeps the rows
that fall to it. On PostgreSQL all parts read one snapshot, which is held for them; a DuckDB file that is opened
read-only stands still by itself. A result that may come out otherwise when it is asked again (a limit, a sample, a
random number) is not cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import sqlglot
from sagitta.flight.v1 import ticket_pb2 as pb
from sagitta_compiler import CompiledQuery
from sagitta_compiler.query.semantic_sql import SemanticStatement, Translation
from sagitta_compiler.sql.result import OutputColumn, Role
from sqlglot import exp

from sagitta_server.execution import SourceError

Count = Callable[[str], int]
"""Runs a statement that gives one number; 0 where it gives none."""
ROW_NUMBER = "rowid"
PAGE = "ctid"
CUT_BY_ROWS = ("duckdb", "postgres")
_NOT_REPEATABLE = (exp.Limit, exp.Offset, exp.Fetch, exp.TableSample, exp.Rand, exp.Uuid)
_GROUPS = (Role.DIMENSION, Role.GROUPING)


def can_be_cut(compiled: CompiledQuery) -> bool:
    """Whether each part would see the same whole: the dialect has a hash, and nothing depends on chance."""
    if _hash(compiled.dialect, []) is None:
        return False
    return sqlglot.parse_one(compiled.sql, dialect=compiled.dialect).find(*_NOT_REPEATABLE) is None


def partitions(compiled: CompiledQuery, translation: Translation, count: int, ask: Count) -> list[pb.Partition]:
    """Returns the parts of a result that can be cut."""
    units = _units_of_base(compiled, translation, ask) if count > 1 else None
    if units is None or units < count:
        return [pb.Partition(index=index, count=count) for index in range(count)]
    edges = [units * index // count for index in range(count)] + [0]
    return [
        pb.Partition(index=index, count=count, rows=pb.RowRange(begin=edges[index], end=edges[index + 1]))
        for index in range(count)
    ]


def partitioned(compiled: CompiledQuery, schema: Any, part: pb.Partition) -> CompiledQuery:
    """Returns the statement for one part of a result."""
    if part.count == 1:
        return compiled
    if part.HasField("rows"):
        return _by_rows(compiled, part.rows)
    return _by_hash(compiled, schema, part.index, part.count)


def _units_of_base(compiled: CompiledQuery, translation: Translation, ask: Count) -> int | None:
    """How many row numbers or pages the base table of a plain query of rows has; None for any other result."""
    query = translation.query if isinstance(translation, SemanticStatement) else None
    if query is None or not query.fields or query.distinct or compiled.dialect not in CUT_BY_ROWS:
        return None
    base = _base_table(sqlglot.parse_one(compiled.sql, dialect=compiled.dialect))
    if base is None:
        return None
    try:
        return ask(_count_units(base, compiled.dialect)) or None
    except SourceError:
        return None  # a view or a file has no row numbers


def _count_units(base: exp.Table, dialect: str) -> str:
    table = base.copy()
    table.set("alias", None)
    name = table.sql(dialect=dialect)
    if dialect == "duckdb":
        return f"SELECT max({ROW_NUMBER}) + 1 FROM {name}"
    literal = exp.Literal.string(name).sql(dialect=dialect)
    return (  # only a table and a materialised view have pages of their own
        "SELECT pg_relation_size(oid) / current_setting('block_size')::bigint FROM pg_catalog.pg_class "
        f"WHERE oid = to_regclass({literal}) AND relkind IN ('r', 'm')"
    )


def _base_table(tree: exp.Expr) -> exp.Table | None:
    source = tree.args.get("from_") if isinstance(tree, exp.Select) and not tree.args.get("with_") else None
    return source.this if source is not None and isinstance(source.this, exp.Table) else None


def _by_rows(compiled: CompiledQuery, rows: pb.RowRange) -> CompiledQuery:
    tree = sqlglot.parse_one(compiled.sql, dialect=compiled.dialect)
    base = _base_table(tree)
    assert isinstance(tree, exp.Select)
    assert base is not None
    place = exp.column(ROW_NUMBER if compiled.dialect == "duckdb" else PAGE, table=base.alias_or_name, quoted=True)
    tree = tree.where(exp.GTE(this=place, expression=_edge(compiled.dialect, rows.begin)))
    if rows.end:
        tree = tree.where(exp.LT(this=place.copy(), expression=_edge(compiled.dialect, rows.end)))
    return replace(compiled, sql=tree.sql(dialect=compiled.dialect))


def _edge(dialect: str, number: int) -> exp.Expr:
    if dialect == "duckdb":
        return exp.Literal.number(number)
    return exp.cast(exp.Literal.string(f"({number},0)"), exp.DataType.build("tid", udt=True))


def _by_hash(compiled: CompiledQuery, schema: Any, index: int, count: int) -> CompiledQuery:
    columns = [exp.column(name, quoted=True) for name in schema.names]
    keys = [exp.column(name, quoted=True) for name in _keys(compiled.columns, schema)]
    hashed = _hash(compiled.dialect, keys) if keys else exp.Literal.number(0)
    assert hashed is not None
    whole = sqlglot.parse_one(compiled.sql, dialect=compiled.dialect)
    remainder = exp.Mod(this=hashed, expression=exp.Literal.number(count))
    part = (
        exp.select(*columns)
        .from_(exp.Subquery(this=whole, alias=exp.TableAlias(this=exp.to_identifier("whole"))))
        .where(exp.EQ(this=remainder, expression=exp.Literal.number(index)))
    )
    return replace(compiled, sql=part.sql(dialect=compiled.dialect))


def _keys(columns: tuple[OutputColumn, ...], schema: Any) -> list[str]:
    """The columns by which a row is told from others, those that come out the same whenever they are computed.

    A sum of floating numbers depends on the order in which threads add, so neither measures nor floating numbers count.
    """
    roles = dict(zip(schema.names, (column.role for column in columns), strict=True))
    exact = [field.name for field in schema if not pa.types.is_floating(field.type)]
    groups = [name for name in exact if roles[name] in _GROUPS]
    return groups or [name for name in exact if roles[name] is Role.FIELD]


def _hash(dialect: str, columns: list[exp.Column]) -> exp.Expr | None:
    """A number from 0 on that depends on the values of a row only."""
    match dialect:
        case "duckdb":
            return exp.Anonymous(this="hash", expressions=list(columns))
        case "postgres":
            row = exp.cast(exp.Anonymous(this="ROW", expressions=list(columns)), "text")
            bits = exp.cast(exp.Anonymous(this="hashtextextended", expressions=[row, exp.Literal.number(0)]), "bigint")
            return exp.Paren(this=exp.BitwiseAnd(this=bits, expression=exp.Literal.number(2**62 - 1)))
        case _:
            return None
