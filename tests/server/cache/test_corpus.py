"""Over the regression corpus of the semantics: every compiled statement can be cached, and names all its tables."""

from __future__ import annotations

import datetime as dt

import pytest
from oracle.corpus import Entry, read_corpus
from sagitta_compiler import CompileContext, CompileError, compile_query, load_model, read_query
from sagitta_server.cache.dependencies import dependencies
from sagitta_server.cache.key import folded

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
DIALECTS = ("duckdb", "postgres", "bigquery", "clickhouse")


@pytest.mark.parametrize("entry", list(read_corpus()), ids=lambda entry: entry.name)
def test_a_compiled_statement_names_its_tables_and_reads_no_clock(entry: Entry) -> None:
    model = load_model(entry.case.model).model
    query, _ = read_query(entry.case.query)
    if model is None or query is None:
        return
    for dialect in DIALECTS:
        try:
            compiled = compile_query(model, query, CompileContext(dialect=dialect, now=NOW))
        except CompileError:
            continue
        found = dependencies(compiled.sql, dialect)
        assert found.deterministic, compiled.sql
        assert found.tables == {folded(table) for table in compiled.physical_tables}, f"{dialect}: {compiled.sql}"
