"""Bound parameters: one execution for every row, typed from the model."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import adbc_driver_flightsql.dbapi
import pyarrow as pa
import pytest
from harness.waiting import until
from pyarrow import flight
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_server.flight.commands import pack

from tests.server.flight.conftest import Start
from tests.server.flight.test_protocol import act, unpack

BY_COUNTRY = 'SELECT "Country", "Revenue" FROM shop WHERE "Country" = ?'


@pytest.fixture
def cursor(engine: Any) -> Iterator[Any]:
    with (
        adbc_driver_flightsql.dbapi.connect(engine.flight_location, autocommit=True) as connection,
        connection.cursor() as found,
    ):
        yield found


def countries(*values: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"Country": pa.array(values, pa.string())})


def test_a_query_is_executed_for_every_row_in_their_order(cursor: Any) -> None:
    cursor.execute(BY_COUNTRY, countries("US", "FR", "DE", "US"))
    us, de = (("US", Decimal("750.00")), ("DE", Decimal("750.00")))
    assert cursor.fetchall() == [us, de, us]


def test_a_comparison_with_null_is_true_for_no_row(cursor: Any) -> None:
    cursor.execute(BY_COUNTRY, countries(None))
    assert cursor.fetchall() == []
    cursor.execute('SELECT "Country" FROM shop WHERE "Country" <> ? OR "Country" = ?', (None, "US"))
    assert cursor.fetchall() == [("US",)]


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ('SELECT COUNT(*) AS n FROM shop."Orders" WHERE "Id" = ?', 7, 1),
        ('SELECT COUNT(*) AS n FROM shop."Orders" WHERE "Id" < ?', Decimal("10.5"), 11),
        ('SELECT COUNT(*) AS n FROM shop."Orders" WHERE "Amount" = ?', 1.5, 1000),
        ('SELECT COUNT(*) AS n FROM shop WHERE "Country" IN (?)', "DE", 500),
        ('SELECT COUNT(*) AS n FROM shop WHERE "Country" LIKE ?', "U%", 500),
        ('SELECT COUNT(*) AS n FROM shop."Orders" WHERE ? IS NULL', None, 1000),
        ("SELECT COUNT(*) AS n FROM shop.\"Orders\" WHERE ? > DATE '2020-01-01'", dt.date(2021, 1, 1), 1000),
    ],
)
def test_values_of_every_kind(cursor: Any, sql: str, value: Any, expected: int) -> None:
    cursor.execute(sql, (value,))
    assert cursor.fetchone() == (expected,)


def test_what_is_bound_is_never_read_as_sql(cursor: Any) -> None:
    cursor.execute(BY_COUNTRY, ("US' OR '1'='1",))
    assert cursor.fetchall() == []


def test_too_few_values_and_a_value_that_does_not_fit_are_refused(cursor: Any) -> None:
    with pytest.raises(Exception, match="MISSING_PARAMETER"):
        cursor.execute('SELECT "Country" FROM shop WHERE "Country" = ? OR "Country" = ?', ("US",))
    with pytest.raises(Exception, match="LIMIT"):
        cursor.execute('SELECT "Country" FROM shop LIMIT ?', ("many",))


def test_more_rows_than_a_handle_may_hold_are_refused(start: Start) -> None:
    engine = start(flight={"max_parameter_rows": 2})
    with (
        adbc_driver_flightsql.dbapi.connect(engine.flight_location, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with pytest.raises(Exception, match="2 rows of parameters"):
            cursor.execute(BY_COUNTRY, countries("US", "DE", "US"))
        with pytest.raises(Exception, match="1,048,576 bytes"):
            cursor.execute(BY_COUNTRY, countries("x" * 1_100_000))


def bound(client: Any, sql: str, rows: pa.RecordBatch) -> Any:
    """Binds rows as a driver does; returns the descriptor of the renewed handle."""
    (packed,) = act(client, "CreatePreparedStatement", fs.ActionCreatePreparedStatementRequest(query=sql))
    prepared = fs.ActionCreatePreparedStatementResult()
    unpack(packed, prepared)
    writer, reader = client.do_put(executing(prepared.prepared_statement_handle), rows.schema)
    writer.write_batch(rows)
    writer.done_writing()
    answer = fs.DoPutPreparedStatementResult.FromString(reader.read().to_pybytes())
    writer.close()
    return executing(answer.prepared_statement_handle)


def executing(handle: bytes) -> Any:
    return flight.FlightDescriptor.for_command(pack(fs.CommandPreparedStatementQuery(prepared_statement_handle=handle)))


def test_several_rows_survive_at_a_replica(start: Start) -> None:
    shared = {"flight": {"secret": "x" * 40}}
    first, second = (flight.connect(start(name, **shared).flight_location) for name in ("one", "two"))
    found = second.get_flight_info(bound(first, BY_COUNTRY, countries("US", "DE")))
    table = second.do_get(found.endpoints[0].ticket).read_all()
    assert table.column("Country").to_pylist() == ["US", "DE"]
    assert table.schema.equals(found.schema)


def test_no_rows_are_no_executions(client: Any) -> None:
    found = client.get_flight_info(bound(client, BY_COUNTRY, countries()))
    table = client.do_get(found.endpoints[0].ticket).read_all()
    assert table.num_rows == 0
    assert table.schema.equals(found.schema)


def test_cancelling_ends_the_execution_that_runs_and_those_that_follow(engine: Any, cursor: Any) -> None:
    sql = (
        'SELECT SUM(a."Id" * b."Id" * c."Id" * d."Id") AS s FROM shop."Orders" a JOIN shop."Orders" b ON 1 = 1 '
        'JOIN shop."Orders" c ON 1 = 1 JOIN shop."Orders" d ON 1 = 1 WHERE a."Id" > ?'
    )
    source: Any = next(iter(engine.sources.values()))
    executed: list[str] = []
    original = source.execute
    source.execute = lambda text, **named: (executed.append(text), original(text, **named))[1]
    caught: list[BaseException] = []

    def read() -> None:
        try:
            cursor.execute(sql, pa.RecordBatch.from_pydict({"$1": [1, 2, 3]}))
            cursor.fetchall()
        except Exception as error:  # noqa: BLE001 - whatever the driver calls it
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: source.running == 1)
    cursor.adbc_cancel()
    until(lambda: source.running == 0)
    thread.join()
    assert caught
    assert len(executed) == 1
