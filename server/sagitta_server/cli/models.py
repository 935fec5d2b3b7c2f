"""Model and query texts for the commands that need no server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagitta_compiler import CompiledQuery, Diagnostic, LoadedModel, Query, ResolvedModel


def load(path: Path) -> LoadedModel:
    """Reads a model file with the files that it names; its diagnostics say whether it can be used."""
    from sagitta_server.models.compiled import CompiledModels
    from sagitta_server.models.curated import read_file

    return CompiledModels(1).load(read_file(path).source)


def usable(path: Path) -> ResolvedModel:
    """Reads a model file that must be right.

    Raises:
        CompileError: with every mistake of the model.
    """
    from sagitta_compiler import CompileError

    loaded = load(path)
    if loaded.model is None:
        raise CompileError(loaded.diagnostics)
    return loaded.model


def read(question: str, model: ResolvedModel) -> Query:
    """Reads a question: a query object in JSON or YAML, else SQL on the model's virtual table.

    Raises:
        CompileError: with every mistake of the text.
    """
    from sagitta_compiler import CompileError, read_query

    if not is_query_object(question):
        from sagitta_compiler.query.semantic_sql import read_semantic_sql

        return read_semantic_sql(question, model)
    query, diagnostics = read_query(question)
    if query is None:
        raise CompileError(diagnostics)
    return query


def is_query_object(question: str) -> bool:
    """Says whether a text is a query object: SQL begins with SELECT or WITH, a query object with its first key."""
    first = question.lstrip().removeprefix("---").split(maxsplit=1)
    return bool(first) and first[0].upper() not in {"SELECT", "WITH", "("} and not first[0].startswith(("--", "/*"))


def lines(path: Path, diagnostics: Iterable[Diagnostic]) -> Iterable[str]:
    """Returns each diagnostic as `file:line:column: severity [CODE] message`, its hint on a line of its own."""
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = f"{path}:{span.line}:{span.column}" if span else str(path)
        where = f" ({diagnostic.path})" if diagnostic.path else ""
        yield f"{place}: {diagnostic.severity} [{diagnostic.code}] {diagnostic.message}{where}"
        if diagnostic.hint:
            yield f"    {diagnostic.hint}"


def compiled(model: ResolvedModel, question: str, dialect: str | None) -> CompiledQuery:
    """Compiles a question for a dialect; without one for the model's own, else for DuckDB.

    Raises:
        CompileError: with every mistake of the question.
    """
    import datetime as dt

    from sagitta_compiler import CompileContext, compile_query

    chosen = dialect or model.settings.default_dialect or "duckdb"
    return compile_query(model, read(question, model), CompileContext(chosen, dt.datetime.now(dt.UTC)))
