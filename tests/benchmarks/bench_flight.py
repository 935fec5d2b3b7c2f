"""Flight SQL: against the same SQL in-process, and against a bare pyarrow Flight server with the same reader.

Reported: speed as a ratio to DuckDB -> Arrow in this process, the largest message, the server's peak memory, which must
not grow with the result, also when DuckDB may keep little of its file in memory; then what `flight_ceiling` measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adbc_driver_flightsql.dbapi
import duckdb
import pyarrow as pa
from harness import tpch

from benchmarks import flight_ceiling
from benchmarks.flight_queries import COLUMNS, raw_sql
from benchmarks.harness import Bench, Work, peak_megabytes, reset_peak, resident_megabytes

MESSAGE_LIMIT = 4.0
"""MB that a client accepts per message, whoever it is: a plain Go client takes 4 MiB, the ADBC driver 16."""
PEAK_LIMIT = 1000.0
"""MB of the server while it streams: the program, DuckDB's copy of the blocks that it reads, and what is on its way."""
SMALL_BUFFERS = "?memory_limit=100MB"
SMALL_PEAK_LIMIT = 600.0
"""MB with `SMALL_BUFFERS`."""


GROUPED = 'SELECT "Customer Name", "Order Year", "Revenue", "Order Count" FROM tpch'
GROUPED_REFERENCE = """
    SELECT c_name, date_trunc('year', o_orderdate) AS y, sum(l_extendedprice * (1 - l_discount)),
           count(DISTINCT o_orderkey)
    FROM lineitem JOIN orders ON l_orderkey = o_orderkey JOIN customer ON o_custkey = c_custkey GROUP BY c_name, y"""


def run(bench: Bench) -> None:
    """Measures against one server."""
    with bench.server() as server, client(server.flight) as cursor:
        rows = whole_lineitem(bench, cursor)
        grouped(bench, cursor)
        memory(bench, cursor, server.process.pid, rows)
    small_buffers(bench, rows)
    flight_ceiling.run(bench)


@contextmanager
def client(uri: str) -> Iterator[Any]:
    with adbc_driver_flightsql.dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        yield cursor


def drained(cursor: Any, sql: str) -> int:
    cursor.execute(sql)
    return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def in_process(database: str, sql: str) -> Work:
    connection = duckdb.connect(database, read_only=True)
    return lambda: sum(batch.num_rows for batch in connection.sql(sql).to_arrow_reader(122_880))


def whole_lineitem(bench: Bench, cursor: Any) -> int:
    reference = in_process(str(bench.tpch()), f"SELECT {', '.join(COLUMNS.values())} FROM lineitem")
    rows = drained(cursor, raw_sql())
    assert rows == reference(), "the served lineitem has other rows than the table"
    bench.report("lineitem: rows", rows, "")
    bench.compare(
        ("lineitem in-process, DuckDB to Arrow", reference),
        {"lineitem through ADBC": lambda: drained(cursor, raw_sql())},
    )
    bench.report("lineitem: largest batch", largest_batch(cursor, raw_sql()), "MB", limit=MESSAGE_LIMIT)
    return rows


def largest_batch(cursor: Any, sql: str) -> float:
    """Returns the size of the largest batch in MB."""
    cursor.execute(sql)
    return max(batch.nbytes for batch in cursor.fetch_record_batch()) / 1e6


def grouped(bench: Bench, cursor: Any) -> None:
    reference = in_process(str(bench.tpch()), GROUPED_REFERENCE)
    assert drained(cursor, GROUPED) == reference(), "the served groups are others than the table's"
    bench.compare(
        ("revenue and orders by customer and year, in-process", reference),
        {"the same through ADBC": lambda: drained(cursor, GROUPED)},
    )


def small_buffers(bench: Bench, rows: int) -> None:
    """The same with little room for DuckDB's copy of its file."""
    flags = [f"--model={tpch.MODEL}", f"--source=duckdb:///{bench.tpch()}{SMALL_BUFFERS}"]
    with bench.server(flags) as server, client(server.flight) as cursor:
        assert drained(cursor, raw_sql()) == rows
        peak = peak_megabytes(server.process.pid)
    bench.report(f"server: peak memory with {SMALL_BUFFERS[1:]}", peak, "MB", limit=SMALL_PEAK_LIMIT)


def memory(bench: Bench, cursor: Any, pid: int, rows: int) -> None:
    """The peak while a quarter is read and while everything is read."""
    peaks = []
    for limit in (rows // 4, None):
        reset_peak(pid)
        drained(cursor, raw_sql(limit))
        peaks.append(peak_megabytes(pid))
    bench.report("server: peak memory, a quarter of lineitem", peaks[0], "MB")
    bench.report("server: peak memory, all of lineitem", peaks[1], "MB", limit=PEAK_LIMIT)
    bench.report("server: peak for four times the rows", peaks[1] / peaks[0], "x", limit=1.5)
    bench.report("server: resident afterwards", resident_megabytes(pid), "MB")
    bench.report("arrow: allocated by this client", pa.total_allocated_bytes() / 1e6, "MB")
