"""A cursor that serves many statements: none may see, end or repeat another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sagitta_server.execution import CancelToken, SourceError, SourceSettings, batches_of
from sagitta_server.execution.duckdb_cursors import KEPT_STATEMENTS
from sagitta_server.execution.duckdb_source import DuckDBSource
from sagitta_server.rpc.ipc import ipc_pieces

SLOW = "SELECT sum(a.i * b.i) AS s FROM range(1000000) a(i), range(1000000) b(i)"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DuckDBSource]:
    """A database that can be written, with one place for a statement, so that all of them share a cursor."""
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE things AS SELECT i AS id FROM range(20000) r(i)")
        connection.execute("CREATE SEQUENCE numbers")
    opened = DuckDBSource("shop", str(path), SourceSettings(pool_size=1, read_only=False))
    yield opened
    opened.close()


def rows(source: DuckDBSource, sql: str, token: CancelToken | None = None) -> list[dict[str, Any]]:
    stream = source.execute(sql, token=token)
    try:
        return pa.Table.from_batches(list(batches_of(stream)), stream.schema).to_pylist()
    finally:
        stream.close()


def cursors(source: DuckDBSource) -> list[Any]:
    return [id(cursor) for cursor in source._cursors._idle]


def test_statements_share_a_cursor(source: DuckDBSource) -> None:
    assert rows(source, "SELECT 1 AS one") == [{"one": 1}]
    first = cursors(source)
    assert rows(source, "SELECT 2 AS two") == [{"two": 2}]
    assert cursors(source) == first != []


def test_a_statement_sees_rows_that_came_since_it_was_first_read(source: DuckDBSource) -> None:
    count = "SELECT count(*) AS n FROM things"
    assert rows(source, count) == [{"n": 20000}]
    source._database.execute("INSERT INTO things VALUES (1)")
    assert rows(source, count) == [{"n": 20001}]


def test_a_statement_sees_a_table_that_was_made_anew(source: DuckDBSource) -> None:
    everything = "SELECT * FROM things LIMIT 1"
    assert rows(source, everything) == [{"id": 0}]
    source._database.execute("CREATE OR REPLACE TABLE things AS SELECT 'a' AS name, 1.5 AS price")
    assert rows(source, everything) == [{"name": "a", "price": pa.scalar(1.5).as_py()}]
    source._database.execute("DROP TABLE things")
    with pytest.raises(SourceError, match="things"):
        rows(source, everything)


def test_a_statement_sees_what_another_connection_changed(source: DuckDBSource) -> None:
    everything = "SELECT * FROM things WHERE id < 1"
    assert rows(source, everything) == [{"id": 0}]
    with source._database.cursor() as other:
        other.execute("ALTER TABLE things ADD COLUMN name VARCHAR DEFAULT 'a'")
    assert source.result_schema(everything).names == ["id", "name"]
    assert rows(source, everything) == [{"id": 0, "name": "a"}]
    with source._database.cursor() as other:
        other.execute("ALTER TABLE things ALTER id TYPE DOUBLE")
        other.execute("INSERT INTO things VALUES (0.5, 'b')")
    assert sorted(row["id"] for row in rows(source, everything)) == [0.0, 0.5]
    assert source.result_schema(everything).field("id").type == pa.float64()


def test_a_kept_statement_keeps_no_rows(source: DuckDBSource) -> None:
    large = "SELECT i, 'a text that is too long to be kept inside of its cell ' || i AS t FROM range(1000000) r(i)"
    memory = "SELECT sum(memory_usage_bytes) AS bytes FROM duckdb_memory()"
    rows(source, memory)
    before = rows(source, memory)[0]["bytes"]
    for _ in range(3):
        stream = source.execute(large)
        assert sum(batch.num_rows for batch in batches_of(stream)) == 1_000_000
        stream.close()
    (cursor,) = source._cursors._idle
    assert large in cursor._relations
    assert rows(source, memory)[0]["bytes"] < before + 4_000_000


def test_a_sequence_counts_on(source: DuckDBSource) -> None:
    numbers = [rows(source, "SELECT nextval('numbers') AS n")[0]["n"] for _ in range(3)]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("sql", ["SET TimeZone = 'Asia/Tokyo'", "BEGIN", "CREATE TEMP TABLE own AS SELECT 1 AS n"])
@pytest.mark.parametrize("tail", ["", "; SELECT 1 AS one"])
def test_what_a_statement_sets_is_gone_with_its_cursor(source: DuckDBSource, sql: str, tail: str) -> None:
    asked = "SELECT current_setting('TimeZone') AS zone, transaction_timestamp() < now() AS inside"
    before = rows(source, asked)
    with suppress(SourceError):
        rows(source, sql + tail)
    assert cursors(source) == []
    assert rows(source, asked) == before
    with pytest.raises(SourceError, match="own"):
        rows(source, "SELECT * FROM own")


def test_a_half_read_result_leaves_a_cursor_that_can_be_used(source: DuckDBSource) -> None:
    for _ in range(3):
        stream = source.execute("SELECT id FROM things")
        next(batches_of(stream))
        stream.close()
    assert rows(source, "SELECT count(*) AS n FROM things") == [{"n": 20000}]


def test_a_cursor_that_failed_is_thrown_away(source: DuckDBSource) -> None:
    failing = "SELECT CASE WHEN id = 19999 THEN error('here') ELSE id END AS x FROM things"
    rows(source, "SELECT 1 AS one")
    with pytest.raises(SourceError, match="here"):
        rows(source, failing)
    assert cursors(source) == []
    with pytest.raises(SourceError, match="here"):
        rows(source, failing)
    assert rows(source, "SELECT 1 AS one") == [{"one": 1}]


def test_a_cancelled_statement_never_ends_the_one_after_it(source: DuckDBSource) -> None:
    for _ in range(20):
        token = CancelToken()
        stopper = threading.Timer(0.005, token.cancel)
        stopper.start()
        with pytest.raises(SourceError):
            rows(source, SLOW, token)
        assert rows(source, "SELECT count(*) AS n FROM things a, range(200) b") == [{"n": 4_000_000}]
        stopper.join()


def test_a_cancel_that_comes_late_reaches_nobody(source: DuckDBSource) -> None:
    token = CancelToken()
    assert rows(source, "SELECT 1 AS one", token) == [{"one": 1}]
    stream = source.execute("SELECT count(*) AS n FROM things a, range(500) b")
    token.cancel()
    assert pa.Table.from_batches(list(batches_of(stream))).to_pylist() == [{"n": 10_000_000}]
    stream.close()


def test_few_statements_are_remembered(source: DuckDBSource) -> None:
    for number in range(KEPT_STATEMENTS + 10):
        rows(source, f"SELECT {number} AS n")
    (cursor,) = source._cursors._idle
    assert len(cursor._relations) == KEPT_STATEMENTS


def test_a_result_that_ends_after_its_database_is_closed_leaves_no_cursor(source: DuckDBSource) -> None:
    stream = source.execute("SELECT id FROM things")
    next(batches_of(stream))
    source.close()
    stream.close()
    assert cursors(source) == []


def test_enums_inside_of_nested_values_are_plain_texts(source: DuckDBSource) -> None:
    sql = "SELECT ['a'::ENUM('a', 'b')] AS l, {'k': 'b'::ENUM('a', 'b')} AS s, MAP {'b'::ENUM('a', 'b'): 1} AS m"
    stream = source.execute(sql)
    pieces = b"".join(ipc_pieces(stream.schema, batches_of(stream)))
    stream.close()
    assert stream.schema.equals(source.result_schema(sql))
    assert pa.ipc.open_stream(pieces).read_all().to_pylist() == [{"l": ["a"], "s": {"k": "b"}, "m": [("b", 1)]}]
