"""A result cut into disjoint parts that together are the whole.

Every part runs the same statement and keeps the rows whose hash falls to it, so parts are disjoint and complete
whatever the statement does, as long as the data stand still between them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlglot
from sagitta_compiler import CompiledQuery
from sqlglot import exp

from sagitta_server.errors import Reason, ServiceError


def partitioned(compiled: CompiledQuery, schema: Any, index: int, count: int) -> CompiledQuery:
    """Returns the statement for one part of a result.

    Raises:
        ServiceError: the warehouse has no hash that is the same in every connection.
    """
    columns = [exp.column(name, quoted=True) for name in schema.names]
    hashed = _hash(compiled.dialect, columns)
    if hashed is None:
        raise ServiceError(
            Reason.INVALID_REQUEST,
            f"Results of {compiled.dialect} cannot be cut into partitions; ask for one.",
            metadata={"dialect": compiled.dialect},
        )
    whole = sqlglot.parse_one(compiled.sql, dialect=compiled.dialect)
    part = (
        exp.select(*columns)
        .from_(exp.Subquery(this=whole, alias=exp.TableAlias(this=exp.to_identifier("whole"))))
        .where(
            exp.EQ(
                this=exp.Mod(this=hashed, expression=exp.Literal.number(count)), expression=exp.Literal.number(index)
            )
        )
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
