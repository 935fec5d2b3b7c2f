from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from harness.waiting import LONG_SECONDS, until
from sagitta_server.execution import (
    CancelToken,
    Source,
    SourceBusyError,
    SourceError,
    SourceSettings,
    StatementCancelledError,
    StatementTimeoutError,
    batches_of,
    can_be_shared,
    open_source,
)
from sagitta_server.execution.batches import MAX_BATCH_BYTES

SLOW = {
    "duckdb": "SELECT sum(a.i * b.i) AS s FROM range(1000000) a(i), range(1000000) b(i)",
    "postgres": "SELECT sum(a.i * b.i) AS s FROM generate_series(1, 1000000) a(i), generate_series(1, 1000000) b(i)",
}


def fetch(source: Source, sql: str, token: CancelToken | None = None) -> pa.Table:
    stream = source.execute(sql, token=token)
    try:
        return pa.Table.from_batches(list(batches_of(stream)), stream.schema)
    finally:
        stream.close()


def test_every_row_arrives_and_the_schema_was_known_before(source: Source) -> None:
    sql = "SELECT id, name FROM things ORDER BY id"
    schema = source.result_schema(sql)
    table = fetch(source, sql)
    assert table.schema.equals(schema)
    assert table.column("id").to_pylist() == list(range(20000))
    assert table.column("name")[19999].as_py() == "name 19999"


def test_an_empty_result_keeps_its_columns(source: Source) -> None:
    table = fetch(source, "SELECT id, name FROM things WHERE id < 0")
    assert (table.num_rows, table.column_names) == (0, ["id", "name"])


def test_a_wrong_statement_is_told_in_the_warehouses_words(source: Source) -> None:
    with pytest.raises(SourceError, match="nope"):
        fetch(source, "SELECT nope FROM things")
    assert fetch(source, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_the_plan_of_a_statement_can_be_read(source: Source) -> None:
    assert "things" in source.explain("SELECT id FROM things").lower()


def test_a_half_read_stream_gives_its_connection_back(source: Source) -> None:
    for _ in range(5):
        stream = source.execute("SELECT id, name FROM things")
        stream.reader.read_next_batch()
        stream.close()
        stream.close()
    assert fetch(source, "SELECT count(*) AS n FROM things").to_pylist() == [{"n": 20000}]


def test_two_statements_run_at_once_without_sharing(source: Source) -> None:
    first, second = source.execute("SELECT id FROM things"), source.execute("SELECT name FROM things")
    rows = [sum(batch.num_rows for batch in batches_of(stream)) for stream in (second, first)]
    first.close()
    second.close()
    assert rows == [20000, 20000]


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_cancelled_statement_ends_at_once(kind: str, request: pytest.FixtureRequest) -> None:
    source: Source = request.getfixturevalue(f"{kind}_source")
    cancel(source, SLOW[kind])
    assert fetch(source, "SELECT 1 AS one").num_rows == 1


def cancel(source: Source, sql: str) -> None:
    """Cancels a statement that would run for an hour once it runs, and returns when it has ended."""
    token = CancelToken()

    def cancel_running() -> None:
        until(lambda: source.load.running == 1)
        token.cancel()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(cancel_running)
        with pytest.raises(StatementCancelledError):
            fetch(source, sql, token)


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_statement_that_takes_too_long_is_ended_with_its_limit_named(
    kind: str, request: pytest.FixtureRequest
) -> None:
    source: Source = request.getfixturevalue(f"{kind}_source")
    with pytest.raises(StatementTimeoutError, match=r"0\.2 seconds"):
        fetch(source, SLOW[kind], CancelToken(0.2))


def test_a_token_that_was_cancelled_before_stops_the_statement_before_it_starts(source: Source) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(StatementCancelledError):
        source.execute("SELECT 1 AS one", token=token)


def test_more_statements_than_connections_and_queue_are_refused(duckdb_source: Source) -> None:
    running = [duckdb_source.execute("SELECT 1 AS one") for _ in range(2)]
    waiting = threading.Thread(target=lambda: duckdb_source.execute("SELECT 2 AS two").close())
    waiting.start()
    until(lambda: duckdb_source.load.waiting == 1)
    with pytest.raises(SourceBusyError, match="All 2 connections"):
        duckdb_source.execute("SELECT 3 AS three")
    running[0].close()
    waiting.join(timeout=LONG_SECONDS)
    assert not waiting.is_alive()
    running[1].close()


def test_who_waits_too_long_is_told_so(duckdb_file: Path) -> None:
    settings = SourceSettings(uri=f"duckdb:///{duckdb_file}", pool_size=1, queue_timeout_seconds=0.05)
    source = open_source("duck", settings)
    running = source.execute("SELECT 1 AS one")
    with pytest.raises(SourceBusyError, match=r"0\.05 seconds"):
        source.execute("SELECT 2 AS two")
    running.close()
    source.close()


def test_a_waiting_statement_can_be_cancelled(duckdb_file: Path) -> None:
    source = open_source("duck", SourceSettings(uri=f"duckdb:///{duckdb_file}", pool_size=1))
    running = source.execute("SELECT 1 AS one")
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(StatementCancelledError):
        source.execute("SELECT 2 AS two", token=token)
    running.close()
    source.close()


def test_wide_rows_are_cut_into_batches_that_every_client_takes(duckdb_source: Source) -> None:
    stream = duckdb_source.execute("SELECT repeat('x', 5000) AS text, i FROM range(10000) t(i)")
    sizes = [(batch.num_rows, batch.nbytes) for batch in batches_of(stream)]
    stream.close()
    assert sum(rows for rows, _ in sizes) == 10000
    assert max(size for _, size in sizes) <= MAX_BATCH_BYTES


def test_rows_of_fixed_width_are_handed_on_without_python(duckdb_source: Source) -> None:
    stream = duckdb_source.execute("SELECT i, i::DOUBLE AS d FROM range(10) t(i)")
    assert stream.native
    stream.close()


def test_nothing_can_be_written(source: Source) -> None:
    with pytest.raises(SourceError):
        fetch(source, "CREATE TABLE other (id INTEGER)")


def test_closing_a_source_ends_what_runs(duckdb_source: Source) -> None:
    stream = duckdb_source.execute("SELECT repeat('x', 100) AS text FROM range(10000000) t(i)")
    stream.reader.read_next_batch()
    duckdb_source.close()
    with pytest.raises(StatementCancelledError, match="shutting down"):
        list(batches_of(stream))
    stream.close()


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'gone\.duckdb'") as caught:
        open_source("x", SourceSettings(uri=f"duckdb:///{tmp_path}/gone.duckdb"))
    assert str(tmp_path) not in str(caught.value)


def test_an_unknown_scheme_lists_those_that_there_are() -> None:
    with pytest.raises(SourceError, match="postgresql"):
        open_source("x", SourceSettings(uri="oracle://host"))


def test_a_dialect_in_the_uri_is_taken() -> None:
    source = open_source("x", SourceSettings(uri="duckdb:///:memory:?dialect=snowflake"))
    assert source.dialect == "snowflake"
    source.close()


def test_a_password_never_shows_in_an_error() -> None:
    source = open_source("pg", SourceSettings(uri="postgresql://me:hunter2@127.0.0.1:1/db"))
    with pytest.raises(SourceError) as caught:
        source.execute("SELECT 1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        (SourceSettings(uri="duckdb:///shop.duckdb"), True),
        (SourceSettings(uri="duckdb:///shop.duckdb", read_only=False), False),
        (SourceSettings(uri="duckdb:///shop.duckdb?threads=2", read_only=False), False),
        (SourceSettings(uri="duckdb:", read_only=False), True),
        (SourceSettings(uri="duckdb:///:memory:?threads=2", read_only=False), True),
        (SourceSettings(uri="sqlite:///shop.db", read_only=False), True),
    ],
    ids=lambda value: value.uri if isinstance(value, SourceSettings) else None,
)
def test_several_processes_share_all_but_a_duckdb_file_that_one_may_write(
    settings: SourceSettings, shared: bool
) -> None:
    assert can_be_shared(settings) is shared


def memory(settings: SourceSettings, processes: int) -> str:
    source = open_source("duck", settings, processes=processes)
    try:
        (row,) = fetch(source, "SELECT current_setting('memory_limit') AS most").to_pylist()
        return str(row["most"])
    finally:
        source.close()


def test_each_of_several_processes_takes_its_part_of_the_memory_unless_told_otherwise() -> None:
    assert memory(SourceSettings(uri="duckdb:"), 1) != memory(SourceSettings(uri="duckdb:"), 3)
    for told in (
        SourceSettings(uri="duckdb:///:memory:?memory_limit=1GiB"),
        SourceSettings(uri="duckdb:", options={"max_memory": "1GiB"}),
    ):
        assert memory(told, 1) == memory(told, 3) == "1.0 GiB"
