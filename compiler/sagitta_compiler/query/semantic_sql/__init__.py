"""SQL on the tables of models, translated into questions to them.

`translate_sql` reads a statement and gives a `SemanticStatement` (questions, and ordinary SQL around their answers), a
`CatalogStatement` (a probe, answered from the models) or an `Acknowledgement` (SET, BEGIN and the like). One question
and nothing around it is the usual case: `statement.query` is its Query. `compile_statement` gives the final SQL.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from sqlglot import exp

from sagitta_compiler.diagnostics import CompileError
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.parse import read_query
from sagitta_compiler.query.query import Query, Scalar
from sagitta_compiler.query.semantic_sql.catalog import (
    ColumnKind,
    SqlCatalog,
    Table,
    TableColumn,
    TableKind,
    metadata_rows,
    table_columns,
    tables,
)
from sagitta_compiler.query.semantic_sql.compose import compile_statement
from sagitta_compiler.query.semantic_sql.layers import Layers
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.probes import catalog_statement, translate_command
from sagitta_compiler.query.semantic_sql.reading import parse, refused
from sagitta_compiler.query.semantic_sql.statement import (
    Acknowledgement,
    CatalogStatement,
    Core,
    Parameter,
    SemanticStatement,
    Translation,
)

__all__ = [
    "Acknowledgement",
    "CatalogStatement",
    "ColumnKind",
    "Core",
    "Parameter",
    "SemanticStatement",
    "SqlCatalog",
    "Table",
    "TableColumn",
    "TableKind",
    "Translation",
    "compile_statement",
    "is_query_object",
    "metadata_rows",
    "read_semantic_sql",
    "table_columns",
    "tables",
    "translate_sql",
]


def translate_sql(
    sql: str,
    catalog: SqlCatalog,
    *,
    parameters: Sequence[Scalar] | None = None,
    now: dt.datetime | None = None,
) -> Translation:
    """Translates one SQL statement.

    Args:
        sql: The text.
        catalog: The models that the caller may query.
        parameters: The values of the placeholders; None to prepare the statement, when any value that fits will do.
        now: The moment that CURRENT_DATE and the like mean.

    Raises:
        CompileError: the statement is not SQL, names something unknown, or cannot mean anything on a model.
    """
    if is_query_object(sql):
        return _query_object(sql, catalog)
    tree = parse(sql)
    values = Values(None if parameters is None else tuple(parameters), now)
    values.number(tree)
    try:
        if (command := translate_command(tree, catalog)) is not None:
            return command
        assert isinstance(tree, exp.Query)
        if (found := catalog_statement(tree, catalog, values)) is not None:
            return found
        return Layers(catalog, values).statement(tree)
    except RecursionError as error:
        raise refused("UNSUPPORTED_SQL_FEATURE", "The statement is nested too deeply.") from error


_SQL_WORDS = frozenset(
    {
        "SELECT", "WITH", "VALUES", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "SET", "RESET", "USE", "BEGIN",
        "START", "COMMIT", "ROLLBACK", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER",
        "TRUNCATE", "COPY", "GRANT", "REVOKE", "CALL", "ATTACH", "DETACH", "PRAGMA", "LOAD", "INSTALL",
        "DISCARD", "SAVEPOINT", "RELEASE",
    }
)  # fmt: skip
_QUERY_KEY = re.compile(r"(^|[{,\s])[\"']?select[\"']?\s*:", re.IGNORECASE)


def is_query_object(text: str) -> bool:
    """Says whether a text is a query object in JSON or YAML: it has the key `select` and begins with no word of SQL."""
    first = text.lstrip().removeprefix("---").split(maxsplit=1)
    return bool(first) and first[0].upper() not in _SQL_WORDS and _QUERY_KEY.search(text) is not None


def _query_object(text: str, catalog: SqlCatalog) -> SemanticStatement:
    schema = catalog.default_schema
    found = catalog.model(schema) if schema is not None else None
    if found is None:
        raise refused("NO_MODEL_SELECTED", "The query does not say which model it asks.", "Choose a model first.")
    query, diagnostics = read_query(text)
    if query is None:
        raise CompileError(diagnostics)
    core = Core("core_1", found[0], found[1], query, ())
    return SemanticStatement((core,), ())


def read_semantic_sql(sql: str, model: ResolvedModel, *, now: dt.datetime | None = None) -> Query:
    """Returns the Query that a statement on one model says.

    Raises:
        CompileError: it is not SQL on the model, or needs ordinary SQL around its answer, which no Query can say.
    """
    name = model.name or "model"
    translated = translate_sql(sql, SqlCatalog(name, {name: model}), parameters=(), now=now)
    if isinstance(translated, SemanticStatement) and translated.query is not None and not translated.cores[0].extended:
        return translated.query
    raise refused(
        "UNSUPPORTED_SQL_FEATURE",
        "The statement needs SQL around the answer of the model, which a query object cannot say.",
        "Execute it as SQL, or select plain dimensions and measures.",
    )
