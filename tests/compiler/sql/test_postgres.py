"""A real PostgreSQL gives the same rows as the worked examples say: another engine reads the same plans."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest
from oracle.compare import differences
from oracle.corpus import Entry, read_corpus
from oracle.database import as_rows
from oracle.evaluate import evaluate
from oracle.reading import read_case
from sagitta_compiler import CompileContext, CompileError
from sagitta_compiler.compile import compile_query
from sagitta_compiler.model.resolved import NestedSource
from server.execution.postgres import PostgresServer, start_postgres

ENTRIES = [entry for entry in read_corpus() if not entry.refused]
TYPES = {"DOUBLE": "DOUBLE PRECISION", "VARCHAR": "TEXT"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path_factory.mktemp("postgres"))
    if started is None:
        pytest.skip("PostgreSQL is not installed")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def connection(server: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.uri, autocommit=True) as opened:
        yield opened


def fill(connection: psycopg.Connection, entry: Entry) -> None:
    connection.execute("DROP SCHEMA IF EXISTS main CASCADE; CREATE SCHEMA main; SET search_path = main")
    for name, table in entry.case.tables.items():
        columns = ", ".join(f'"{column}" {TYPES.get(kind, kind)}' for column, kind in table["columns"].items())
        connection.execute(f'CREATE TABLE "{name}" ({columns})')  # type: ignore[call-overload]
        marks = ", ".join(["%s"] * len(table["columns"]))
        for row in table["rows"]:
            connection.execute(f'INSERT INTO "{name}" VALUES ({marks})', row)  # type: ignore[call-overload]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name[:60])
def test_postgresql_gives_the_same_rows(connection: psycopg.Connection, entry: Entry) -> None:
    model, query, context = read_case(entry.case)
    expected = evaluate(model, query, as_rows(entry.case.tables), context)
    if any(isinstance(each.source, NestedSource) for each in model.objects.values()):
        with pytest.raises(CompileError, match="UNSUPPORTED_NESTED_ACCESS"):
            compile_query(model, query, CompileContext("postgres"))
        return
    here = CompileContext("postgres", context.now or dt.datetime.now(dt.UTC), context.row_policies)
    answer = compile_query(model, query, here)
    fill(connection, entry)
    result = connection.execute(answer.sql)  # type: ignore[call-overload]
    columns = [column.name for column in result.description or ()]
    assert differences(expected, columns, result.fetchall()) == []
