"""A result cut into disjoint parts that together are the whole.

Rows of a DuckDB table are cut by ranges of row numbers, so that each part reads its share of the table only. Any other
result is cut by a hash of its rows: every part runs the same statement and keeps the rows that fall to it. Either way
the parts are disjoint and complete as long as the data stand still between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlglot
from sagitta.flight.v1 import ticket_pb2 as pb
from sagitta_compiler import CompiledQuery
from sagitta_compiler.query.semantic_sql import SemanticStatement, Translation
from sqlglot import exp

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import SourceError

Count = Callable[[str], int]
"""Runs a statement that gives one number."""
ROW_NUMBER = "rowid"
CUT_BY_ROWS = "duckdb"


def partitions(compiled: CompiledQuery, translation: Translation, schema: Any, count: int, ask: Count) -> list[Any]:
    """Returns the parts of a result as messages.

    Raises:
        ServiceError: the warehouse has no hash that is the same in every connection.
    """
    rows = _rows_of_base(compiled, translation, ask)
    if rows is None:
        _by_hash(compiled, schema, 0, count)  # refuses what cannot be cut before anyone runs it
        return [pb.Partition(index=index, count=count) for index in range(count)]
    edges = [rows * index // count for index in range(count)] + [0]
    return [
        pb.Partition(index=index, count=count, rows=pb.RowRange(begin=edges[index], end=edges[index + 1]))
        for index in range(count)
    ]


def partitioned(compiled: CompiledQuery, schema: Any, part: pb.Partition) -> CompiledQuery:
    """Returns the statement for one part of a result."""
    if part.HasField("rows"):
        return _by_rows(compiled, part.rows)
    return _by_hash(compiled, schema, part.index, part.count)


def _rows_of_base(compiled: CompiledQuery, translation: Translation, ask: Count) -> int | None:
    """How many row numbers the base table of a plain query of rows has; None for any other result."""
    query = translation.query if isinstance(translation, SemanticStatement) else None
    if query is None or not query.fields or compiled.dialect != CUT_BY_ROWS:
        return None
    if query.distinct or query.order_by or query.limit is not None or query.offset is not None:
        return None
    base = _base_table(sqlglot.parse_one(compiled.sql, dialect=compiled.dialect))
    if base is None:
        return None
    last = exp.select(exp.Max(this=exp.column(ROW_NUMBER))).from_(base.copy())
    try:
        return ask(last.sql(dialect=compiled.dialect)) + 1
    except SourceError:
        return None  # a view or a file has no row numbers


def _base_table(tree: exp.Expr) -> exp.Table | None:
    source = tree.args.get("from_") if isinstance(tree, exp.Select) and not tree.args.get("with_") else None
    return source.this if source is not None and isinstance(source.this, exp.Table) else None


def _by_rows(compiled: CompiledQuery, rows: pb.RowRange) -> CompiledQuery:
    tree = sqlglot.parse_one(compiled.sql, dialect=compiled.dialect)
    base = _base_table(tree)
    assert isinstance(tree, exp.Select)
    assert base is not None
    number = exp.column(ROW_NUMBER, table=base.alias_or_name, quoted=True)
    tree = tree.where(exp.GTE(this=number, expression=exp.Literal.number(rows.begin)))
    if rows.end:
        tree = tree.where(exp.LT(this=number.copy(), expression=exp.Literal.number(rows.end)))
    return replace(compiled, sql=tree.sql(dialect=compiled.dialect))


def _by_hash(compiled: CompiledQuery, schema: Any, index: int, count: int) -> CompiledQuery:
    columns = [exp.column(name, quoted=True) for name in schema.names]
    hashed = _hash(compiled.dialect, columns)
    if hashed is None:
        raise ServiceError(
            Reason.INVALID_REQUEST,
            f"Results of {compiled.dialect} cannot be cut into partitions; ask for one.",
            metadata={"dialect": compiled.dialect},
        )
    whole = sqlglot.parse_one(compiled.sql, dialect=compiled.dialect)
    remainder = exp.Mod(this=hashed, expression=exp.Literal.number(count))
    part = (
        exp.select(*columns)
        .from_(exp.Subquery(this=whole, alias=exp.TableAlias(this=exp.to_identifier("whole"))))
        .where(exp.EQ(this=remainder, expression=exp.Literal.number(index)))
    )
    return replace(compiled, sql=part.sql(dialect=compiled.dialect))


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
