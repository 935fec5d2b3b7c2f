"""Model and query texts for the commands that need no server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sagitta_server.cli.failures import Failure

if TYPE_CHECKING:
    from sagitta_compiler import CompileContext, CompiledQuery, Diagnostic, LoadedModel, Query, ResolvedModel


def load(path: Path) -> LoadedModel:
    """Reads a model file with the files that it names; its diagnostics say whether it can be used."""
    from sagitta_server.models.compiled import CompiledModels
    from sagitta_server.models.curated import read_file

    return CompiledModels(1).load(read_file(path).source)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A usable model and the name by which SQL reaches it."""

    name: str
    model: ResolvedModel


def usable(path: Path) -> NamedModel:
    """Reads a model file that must be right.

    Raises:
        CompileError: with every mistake of the model.
    """
    from sagitta_compiler import CompileError
    from sagitta_compiler.names import normalise_model_name

    loaded = load(path)
    if loaded.model is None:
        raise CompileError(loaded.diagnostics)
    return NamedModel(normalise_model_name(loaded.model.name or path.stem) or "model", loaded.model)


def compiled(named: NamedModel, question: str, dialect: str | None) -> CompiledQuery:
    """Compiles a question for a dialect; without one for the model's own, else for DuckDB.

    A question is a query object in JSON or YAML, else SQL on the model's virtual table.

    Raises:
        CompileError: with every mistake of the question.
    """
    from sagitta_compiler import CompileContext, compile_query
    from sagitta_compiler.query.parse import is_query_object

    now = dt.datetime.now(dt.UTC)
    # who has the model and the warehouse sees every row: policies are for the callers of a server
    context = CompileContext(dialect or named.model.settings.default_dialect or "duckdb", now, row_policies={})
    if is_query_object(question):
        return compile_query(named.model, query_object(question), context)
    return compiled_sql(named, question, context, now)


def query_object(question: str) -> Query:
    """Reads a query object."""
    from sagitta_compiler import CompileError, read_query

    query, diagnostics = read_query(question)
    if query is None:
        raise CompileError(diagnostics)
    return query


def compiled_sql(named: NamedModel, sql: str, context: CompileContext, now: dt.datetime) -> CompiledQuery:
    """Compiles SQL on the virtual table, with whatever SQL stands around it."""
    from sagitta_compiler import compile_query
    from sagitta_compiler.query.semantic_sql import SemanticStatement, SqlCatalog, compile_statement, translate_sql

    catalog = SqlCatalog(named.name, {named.name: named.model}, named.name)
    statement = translate_sql(sql, catalog, parameters=(), now=now)
    if not isinstance(statement, SemanticStatement):
        raise Failure("NOT_A_QUESTION", "the statement asks nothing of the model", f"Select from {named.name}.")
    return compile_statement(statement, lambda core: compile_query(core.model, core.query, context))


def lines(path: Path, diagnostics: Iterable[Diagnostic], loaded: LoadedModel | None = None) -> Iterable[str]:
    """Returns each diagnostic as `file:line:column: severity [CODE] message`, the line with carets, and the hint."""
    for diagnostic in diagnostics:
        file = path.parent / diagnostic.source if diagnostic.source else path
        span = diagnostic.span
        place = f"{file}:{span.line}:{span.column}" if span else str(file)
        where = f" ({diagnostic.path})" if diagnostic.path else ""
        yield f"{place}: {diagnostic.severity} [{diagnostic.code}] {diagnostic.message}{where}"
        if loaded is not None:
            yield from (f"    {line}" for line in shown(diagnostic, loaded))
        if diagnostic.hint:
            yield f"    {diagnostic.hint}"


def shown(diagnostic: Diagnostic, loaded: LoadedModel) -> list[str]:
    """Returns the line of a model that a diagnostic is about, with carets under the place."""
    from sagitta_compiler.source import excerpt

    return excerpt(diagnostic.span, loaded.source_of(diagnostic))
