"""Small statements on a read-only file: which they are, and that they answer as the usual way does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import psutil
import pyarrow as pa
import pytest
from sagitta_server.execution import CancelToken, SourceError, StatementCancelledError, StatementTimeoutError
from sagitta_server.execution.duckdb_small import ROW_GROUP, SmallStatements
from sagitta_server.execution.duckdb_source import DuckDBSource
from sagitta_server.execution.settings import SourceSettings

TYPES = """
SELECT * FROM (VALUES
  (1::TINYINT, 2::SMALLINT, 3, 4::BIGINT, 5::HUGEINT, 6::UTINYINT, 7::UBIGINT, 1.5::FLOAT, 2.5::DOUBLE,
   3.25::DECIMAL(9, 2), 4.125::DECIMAL(38, 3), true, 'text', 'ab'::BLOB, DATE '2024-02-29', TIME '12:30:00.5',
   TIMESTAMP '2024-01-02 03:04:05.678', TIMESTAMPTZ '2024-01-02 03:04:05+01', INTERVAL 3 DAY, uuid '{u}',
   [1, 2, NULL], {{'a': 1, 'b': 'x'}}, map {{'k': 1.5}}, 'b'::mood, TIMESTAMP_S '2024-01-02 03:04:05', '101'::BIT),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL)
) t(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24,
    c25, c26)
""".format(u="6b9d1a0e-0f5f-4d0b-9d47-0b6d1a0e0f5f")
LONG = "SELECT count(*) FROM little a, little b, little c, little d WHERE hash(a.k, b.k, c.k, d.k) = 3"
"""It would run for hours."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    path = folder / "shop.duckdb"
    (folder / "outside.csv").write_text("a\n1\n")
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TYPE mood AS ENUM ('a', 'b')")
        database.execute(f"CREATE TABLE types AS {TYPES}")
        database.execute("CREATE TABLE little AS SELECT i AS k, i % 7 AS g, 'n' || i AS name FROM range(1000) r(i)")
        database.execute('CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Odd ""one" AS SELECT 1 AS a')
        database.execute(f"CREATE TABLE large AS SELECT i AS k FROM range({ROW_GROUP + 1}) r(i)")
        database.execute("CREATE VIEW view_of_little AS SELECT g, count(*) AS n FROM little GROUP BY g")
        database.execute(f"CREATE VIEW outside AS SELECT * FROM read_csv('{folder}/outside.csv')")
    return path


@pytest.fixture
def source(file: Path) -> Iterator[DuckDBSource]:
    source = DuckDBSource("default", str(file), SourceSettings(uri=f"duckdb:///{file}", pool_size=2))
    yield source
    source.close()


@pytest.fixture
def small(file: Path) -> Iterator[SmallStatements]:
    with duckdb.connect(str(file), read_only=True) as database:
        statements = SmallStatements(database, str(file), {}, 2)
        yield statements
        statements.close()


def _rows(source: DuckDBSource, sql: str) -> pa.Table:
    stream = source.execute(sql)
    try:
        return stream.reader.read_all()
    finally:
        stream.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT g, sum(k) FROM little GROUP BY g",
        "SELECT * FROM view_of_little",
        "WITH x AS MATERIALIZED (SELECT g, count(*) c FROM little GROUP BY g) SELECT * FROM x JOIN x y USING (c)",
        "SELECT g, sum(k) FROM little GROUP BY ROLLUP (g)",
        "SELECT * FROM little WHERE k > (SELECT avg(k) FROM little t WHERE t.g = little.g)",
        "SELECT a.k FROM little a JOIN little b USING (k)",
        'SELECT a FROM "My Schema"."Odd ""one"',
    ],
)
def test_what_reads_little_is_small_from_the_second_time_on(small: SmallStatements, sql: str) -> None:
    assert small.rows(sql, CancelToken()) is None
    assert small.rows(sql, CancelToken()).table.num_rows > 0
    assert small.rows(sql, CancelToken()).table.num_rows > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(k + 0) FROM large",
        "SELECT * FROM outside",
        "SELECT k FROM little, outside WHERE k = a",
        "SELECT count(*) FROM little",  # answered while planning
        "SELECT k FROM little, range(3)",
        "SELECT a.k FROM little a, little b, little c",
        "SELECT a.k FROM little a, little b LIMIT 20000",
        "SELECT 1",
        "SELECT nothing FROM nowhere",
        "CREATE TEMP TABLE t AS SELECT * FROM little",
        "SELECT g FROM little; SELECT k FROM little",
    ],
)
def test_everything_else_is_not(small: SmallStatements, sql: str) -> None:
    for _ in range(3):
        assert small.rows(sql, CancelToken()) is None


def test_every_type_is_the_same_in_both_ways(source: DuckDBSource) -> None:
    usual = _rows(source, "SELECT * FROM types")
    assert source._small is not None
    assert source._small.rows("SELECT * FROM types", CancelToken()) is not None
    again = _rows(source, "SELECT * FROM types")
    assert again.schema.equals(usual.schema, check_metadata=True)
    assert again.equals(usual)
    assert usual.num_columns == 26


def test_clocks_and_chance_go_on(small: SmallStatements) -> None:
    sql = "SELECT now() AS at, random() AS drawn, current_date AS today FROM little LIMIT 1"
    assert small.rows(sql, CancelToken()) is None
    first = small.rows(sql, CancelToken()).table.to_pylist()[0]
    time.sleep(0.01)
    second = small.rows(sql, CancelToken()).table.to_pylist()[0]
    assert first["at"] < second["at"]
    assert first["drawn"] != second["drawn"]


def test_a_failure_is_told_in_the_usual_words(source: DuckDBSource) -> None:
    sql = "SELECT CAST(name AS INTEGER) FROM little"
    told = []
    for _ in range(4):
        with pytest.raises((SourceError, pa.ArrowInvalid, OSError)) as caught:
            _rows(source, sql)
        told.append(str(caught.value))
    assert len(set(told)) == 1, told
    assert source.running == 0
    assert _rows(source, "SELECT k FROM little WHERE k = 1").num_rows == 1


def test_what_runs_can_be_ended(source: DuckDBSource) -> None:
    assert source._small is not None
    source._small._small[LONG] = True
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(StatementCancelledError):
        source.execute(LONG, token=token)
    assert source._small._small[LONG] is True, "that somebody ended it says nothing about its size"
    with pytest.raises(StatementTimeoutError):
        source.execute(LONG, timeout_seconds=0.2)
    assert source.running == 0


def test_a_cancel_that_comes_late_ends_nobody_elses_statement(source: DuckDBSource) -> None:
    sql = "SELECT name FROM little WHERE k = 5"
    callbacks = []

    class Token(CancelToken):
        """Remembers what it would call."""

        def add_callback(self, callback: Callable[[], None]) -> Callable[[], None]:
            callbacks.append(callback)
            return super().add_callback(callback)

    for _ in range(2):
        _rows(source, sql)
    assert source._small is not None
    (idle,) = source._small._idle
    ended: list[int] = []
    native, idle.native = idle.native, SimpleNamespace(cancel=lambda: ended.append(1))
    source.execute(sql, token=Token()).close()
    for callback in callbacks:
        callback()
    idle.native = native
    assert callbacks
    assert ended == []


def test_a_statement_that_cannot_be_prepared_is_run_in_the_usual_way(source: DuckDBSource) -> None:
    sql = "SELECT nothing FROM nowhere"
    assert source._small is not None
    source._small._small[sql] = True
    with pytest.raises(SourceError, match="nowhere"):
        source.execute(sql)


def test_the_file_is_free_once_the_source_is_closed_and_nothing_runs(file: Path) -> None:
    source = DuckDBSource("default", str(file), SourceSettings(uri=f"duckdb:///{file}"))
    assert source._small is not None
    sql = "SELECT name FROM little WHERE k = 6"
    for _ in range(2):
        _rows(source, sql)
    with source._small._lease():
        source.close()
    assert not [opened for opened in psutil.Process().open_files() if Path(opened.path) == file]


def test_many_threads_get_their_own_rows(source: DuckDBSource) -> None:
    def ask(number: int) -> bool:
        sql = f"SELECT k, name FROM little WHERE k = {number % 90}"
        return all(_rows(source, sql).to_pylist() == [{"k": number % 90, "name": f"n{number % 90}"}] for _ in range(20))

    answers: list[bool] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(ask(n))) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 16
    assert source.running == 0


def test_a_database_that_may_change_has_no_small_statements(tmp_path: Path, file: Path) -> None:
    written = DuckDBSource("default", str(tmp_path / "new.duckdb"), SourceSettings(read_only=False))
    memory = DuckDBSource("default", ":memory:", SourceSettings())
    prepared = DuckDBSource("default", str(file), SourceSettings(init_sql=("SET threads = 2",)))
    for source in (written, memory, prepared):
        assert source._small is None
        source.close()
