"""Partitions on the embedded DuckDB: together they are the whole, whatever the result is."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from tests.server.flight.test_protocol import fetch, info

OPTIONS = flight.FlightCallOptions(headers=[(b"x-sagitta-partitions", b"4"), (b"x-sagitta-count-rows", b"yes")])


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "Orders"."Id", "Orders"."Amount", "Customers"."Country" FROM shop',
        'SELECT "Country", "Revenue" FROM shop',
        'SELECT "Revenue" FROM shop',
        'SELECT "Country", "Revenue" / 7.0 AS share FROM shop',
        'SELECT "Revenue" / 7.0 AS share FROM shop',
        'SELECT AVG("Amount") AS mean FROM shop."Orders" GROUP BY "Cust"',
        'SELECT "Orders"."Amount" FROM shop',
    ],
)
def test_parts_are_the_whole(client: Any, sql: str) -> None:
    found = info(client, sql, OPTIONS)
    parts = [fetch(client, endpoint.ticket) for endpoint in found.endpoints]
    whole = fetch(client, info(client, sql).endpoints[0].ticket)
    assert len(parts) == 4
    assert rows(pa.concat_tables(parts)) == rows(whole)
    assert found.total_records == whole.num_rows


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "Orders"."Id" FROM shop LIMIT 10',
        'SELECT "Id" FROM shop."Orders" OFFSET 5',
        'SELECT * FROM (SELECT "Id" FROM shop."Orders" ORDER BY "Amount" LIMIT 3) AS few',
    ],
)
def test_what_may_come_out_otherwise_is_one_part(client: Any, sql: str) -> None:
    found = info(client, sql, OPTIONS)
    assert len(found.endpoints) == 1
    assert fetch(client, found.endpoints[0].ticket).num_rows == found.total_records


def test_nobody_counts_unless_asked(client: Any) -> None:
    assert info(client, 'SELECT "Revenue" FROM shop').total_records == -1


def test_an_answer_from_the_catalog_is_one_part(client: Any) -> None:
    found = info(client, "SELECT table_name FROM information_schema.tables", OPTIONS)
    assert len(found.endpoints) == 1
    assert found.total_records == fetch(client, found.endpoints[0].ticket).num_rows
