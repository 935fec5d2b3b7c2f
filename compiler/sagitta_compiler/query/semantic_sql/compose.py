"""The final SQL of a statement: the compiled questions with the ordinary SQL around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from sagitta_compiler.query.semantic_sql.reading import NULLS
from sagitta_compiler.query.semantic_sql.statement import Core, SemanticStatement
from sagitta_compiler.sql.result import CompiledQuery, OutputColumn, Role

SQLGLOT_NAMES = {"postgresql": "postgres"}


def compile_statement(statement: SemanticStatement, compile_core: Callable[[Core], CompiledQuery]) -> CompiledQuery:
    """Compiles a statement with a function that compiles one question.

    Raises:
        CompileError: one of its questions cannot be compiled.
    """
    compiled = [compile_core(core) for core in statement.cores]
    if statement.outer is None:
        return compiled[0]
    first = compiled[0]
    return replace(
        first,
        sql=_composed(statement, compiled),
        columns=_columns(statement, compiled),
        physical_tables=tuple(sorted({name for c in compiled for name in c.physical_tables})),
        fact_tables=tuple(dict.fromkeys(name for c in compiled for name in c.fact_tables)),
        warnings=tuple({(w.code, w.path, w.message): w for c in compiled for w in c.warnings}.values()),
    )


def _composed(statement: SemanticStatement, compiled: list[CompiledQuery]) -> str:
    assert statement.outer is not None
    name = SQLGLOT_NAMES.get(compiled[0].dialect, compiled[0].dialect)
    dialect = Dialect.get_or_raise(name)
    outer = statement.outer.copy()
    _place_nulls(outer, statement.outer, dialect)
    ctes = [
        exp.CTE(
            this=sqlglot.parse_one(c.sql, dialect=dialect), alias=exp.TableAlias(this=exp.to_identifier(core.alias))
        )
        for core, c in zip(statement.cores, compiled, strict=True)
    ]
    own = outer.args.get("with_")
    outer.set("with_", exp.With(expressions=[*ctes, *(own.expressions if own is not None else ())]))
    return outer.sql(dialect=dialect, pretty=True)


def _place_nulls(outer: exp.Query, template: exp.Query, dialect: Dialect) -> None:
    """Keys that say nothing about NULLs get the dialect's own order, so that nothing is written for them."""
    for key, original in zip(outer.find_all(exp.Ordered), template.find_all(exp.Ordered), strict=True):
        said = original.meta.get(NULLS)
        if said is not None:
            key.set("nulls_first", said == "first")
            continue
        descending = bool(key.args.get("desc"))
        match dialect.NULL_ORDERING:
            case "nulls_are_small":
                key.set("nulls_first", not descending)
            case "nulls_are_large":
                key.set("nulls_first", descending)
            case _:
                key.set("nulls_first", False)


def _columns(statement: SemanticStatement, compiled: list[CompiledQuery]) -> tuple[OutputColumn, ...]:
    known = {
        (core.alias, column.name): column
        for core, c in zip(statement.cores, compiled, strict=True)
        for column in c.columns
    }
    columns = []
    for name, source in zip(statement.outputs, statement.sources, strict=True):
        column = known.get(source) if source is not None else None
        if column is not None:
            columns.append(replace(column, name=name))
        else:
            columns.append(OutputColumn(name, Role.FIELD, name))
    return tuple(columns)
