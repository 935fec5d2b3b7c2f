"""The whole of lineitem and a grouped result through Flight SQL, against the same SQL in-process.

Reported: speed as a ratio to DuckDB -> Arrow in this process, the time to the first batch, the largest message, and the
server's peak memory, which must not grow with the result.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adbc_driver_flightsql.dbapi
import duckdb
import pyarrow as pa

from benchmarks.harness import Bench, Work, peak_megabytes, reset_peak, resident_megabytes

COLUMNS = {
    "Order Key": "l_orderkey",
    "Part Key": "l_partkey",
    "Supplier Key": "l_suppkey",
    "Line Number": "l_linenumber",
    "Quantity": "l_quantity",
    "Extended Price": "l_extendedprice",
    "Discount": "l_discount",
    "Tax": "l_tax",
    "Return Flag": "l_returnflag",
    "Line Status": "l_linestatus",
    "Ship Date": "l_shipdate",
    "Commit Date": "l_commitdate",
    "Receipt Date": "l_receiptdate",
    "Ship Instruction": "l_shipinstruct",
    "Ship Mode": "l_shipmode",
    "Comment": "l_comment",
}
"""All sixteen columns of lineitem, by label."""

MESSAGE_LIMIT = 16.0
"""MB that the ADBC driver accepts per message."""


def raw_sql(limit: int | None = None) -> str:
    fields = ", ".join(f'"Line Item"."{label}"' for label in COLUMNS)
    return f"SELECT {fields} FROM tpch" + ("" if limit is None else f" LIMIT {limit}")


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
    first, largest = first_batch(cursor, raw_sql())
    bench.report("lineitem: first batch after", first, "s")
    bench.report("lineitem: largest batch", largest, "MB", limit=MESSAGE_LIMIT / 2)
    return rows


def first_batch(cursor: Any, sql: str) -> tuple[float, float]:
    """Returns the seconds until the first batch and the size of the largest one in MB."""
    started = time.perf_counter()
    cursor.execute(sql)
    reader = cursor.fetch_record_batch()
    sizes = [reader.read_next_batch().nbytes]
    first = time.perf_counter() - started
    sizes += (batch.nbytes for batch in reader)
    return first, max(sizes) / 1e6


def grouped(bench: Bench, cursor: Any) -> None:
    reference = in_process(str(bench.tpch()), GROUPED_REFERENCE)
    assert drained(cursor, GROUPED) == reference(), "the served groups are others than the table's"
    bench.compare(
        ("revenue and orders by customer and year, in-process", reference),
        {"the same through ADBC": lambda: drained(cursor, GROUPED)},
    )


def memory(bench: Bench, cursor: Any, pid: int, rows: int) -> None:
    """The peak while a quarter is read and while everything is read."""
    peaks = []
    for limit in (rows // 4, None):
        reset_peak(pid)
        drained(cursor, raw_sql(limit))
        peaks.append(peak_megabytes(pid))
    bench.report("server: peak memory, a quarter of lineitem", peaks[0], "MB")
    bench.report("server: peak memory, all of lineitem", peaks[1], "MB")
    bench.report("server: peak for four times the rows", peaks[1] / peaks[0], "x", limit=1.5)
    bench.report("server: resident afterwards", resident_megabytes(pid), "MB")
    bench.report("arrow: allocated by this client", pa.total_allocated_bytes() / 1e6, "MB")
