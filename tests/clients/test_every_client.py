"""What holds for every client: values, labels, shapes, mistakes, parameters, cancelling and logging in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from clients.conftest import WIDE
from clients.drivers import CLIENTS, GO, JDBC, NODE, RUST, Program
from clients.test_adbc import SLOW, SOON
from clients.values import ASKED, differences
from harness.waiting import until
from sagitta_server.app import Engine
from sagitta_server.config import Settings
from sqlalchemy.dialects import registry

pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.timeout(900)]  # the first one may build a client

registry.register("sagitta", "sagitta_sqlalchemy.dialect", "SagittaDialect")
every_client = pytest.mark.parametrize("client", CLIENTS)
PROGRAMS = {"go": GO, "rust": RUST, "node": NODE, "jdbc": JDBC}
every_program = pytest.mark.parametrize("program", PROGRAMS)

LOSSES: dict[str, tuple[str, ...]] = {"jdbc": ("Clock of row 1: '23:59:59.999'",)}  # java.sql.Time has milliseconds
"""What a client itself cannot show: beginnings of the differences."""
KEY = "a-key-of-many-different-letters-and-digits-0123456789"


@every_client
def test_every_type_arrives_without_loss(client: str, flight_uri: str) -> None:
    found = differences(CLIENTS[client](flight_uri, ASKED))
    allowed = LOSSES.get(client, ())
    assert [text for text in found if not text.startswith(allowed)] == []
    assert all(any(text.startswith(loss) for text in found) for loss in allowed), "a loss that is none any more"


@every_client
def test_labels_that_are_not_ascii(client: str, flight_uri: str) -> None:
    answer = CLIENTS[client](
        flight_uri, 'SELECT "Größe €", "Rows" AS "数 \'n\' ""q""" FROM kinds ORDER BY 1 NULLS LAST'
    )
    assert answer.names == ("Größe €", "数 'n' \"q\"")
    assert [row[0] for row in answer.rows][1:3] == ["a\"b'c", "grüße €"]


@every_client
@pytest.mark.parametrize("condition", ["1 = 0", '"Kind" = 99'])
def test_a_result_without_rows_has_its_columns(client: str, condition: str, flight_uri: str) -> None:
    answer = CLIENTS[client](flight_uri, f'SELECT "Größe €", "Total" FROM kinds WHERE {condition}')
    assert answer.names == ("Größe €", "Total")
    assert answer.rows == ()


@every_client
def test_a_result_of_nulls_alone(client: str, flight_uri: str) -> None:
    answer = CLIENTS[client](flight_uri, 'SELECT "Größe €", "Total" FROM kinds WHERE "Kind" = 4')
    assert answer.names == ("Größe €", "Total")
    assert len(answer.rows) == 1
    assert all(value in (None, "NULL") for value in answer.rows[0])


@every_client
def test_five_hundred_columns(client: str, flight_uri: str) -> None:
    answer = CLIENTS[client](flight_uri, 'SELECT * FROM wide."Wide"')
    assert answer.names == tuple(f"Column {i}" for i in range(WIDE))
    assert [[int(value) for value in row] for row in answer.rows] == [list(range(WIDE))] * 3


@every_program
def test_tables_of_every_model(program: str, flight_uri: str) -> None:
    rows = PROGRAMS[program](flight_uri, "tables").rows
    assert ["sagitta", "tpch", "model", "TABLE"] in rows
    assert ["sagitta", "kinds", "Kinds", "BASE TABLE"] in rows


@every_program
def test_a_mistake_is_told(program: str, flight_uri: str) -> None:
    seen = PROGRAMS[program](flight_uri, "query", "SELECT nope FROM tpch")
    assert seen.code == 3
    assert "[UNKNOWN_SELECT_ITEM]" in seen.error
    assert "Traceback" not in seen.error


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "node"])
def test_a_bound_parameter_of_a_known_type(program: str, flight_uri: str) -> None:
    sql = 'SELECT "Market Segment", "Line Item Count" FROM tpch WHERE "Market Segment" = ?'
    seen = PROGRAMS[program](flight_uri, "bind", sql, "BUILDING")
    assert [row[0] for row in seen.rows] == ["BUILDING"]
    assert [kind.lower() for kind in seen.facts["parameters"][0]] in (["utf8"], ["varchar"])


@pytest.mark.parametrize("program", ["go", "rust"])
def test_cancel_flight_info_ends_that_query(program: str, flight_uri: str, engine: Engine) -> None:
    source = next(iter(engine.sources.values()))
    seen = PROGRAMS[program].cancel(flight_uri, SLOW, lambda: source.running > 0)
    (status, milliseconds, failed) = seen.facts["cancelled"][0]
    assert status in ("CANCEL_STATUS_CANCELLED", "CancelStatusCancelled", "Cancelled")
    assert milliseconds < SOON * 1000
    assert failed
    until(lambda: source.running == 0)


@pytest.mark.parametrize("program", ["go", "rust"])
def test_the_promised_schema_is_the_streamed_one(program: str, flight_uri: str) -> None:
    assert PROGRAMS[program](flight_uri, "query", ASKED).facts["same_schema"] == [True]
    keys = PROGRAMS[program](flight_uri, "keys", "tpch", "Order")
    assert keys.facts["same_schema"] == [True]
    assert [row[3] for row in keys.rows] == ["Order Key"]


@pytest.mark.parametrize("program", ["go", "rust"])
def test_sql_info_is_a_dense_union_of_every_id(program: str, flight_uri: str) -> None:
    rows = PROGRAMS[program](flight_uri, "info").rows
    assert len(rows) > 50
    assert any("Sagitta" in cell for row in rows for cell in row)


def test_a_plain_go_client_gets_one_endpoint_small_messages_and_the_same_rows_again(flight_uri: str) -> None:
    seen = GO(flight_uri, "query", 'SELECT * FROM tpch."Line Item"')
    assert seen.facts["endpoints"] == [1]
    assert seen.facts["again"] == [True]
    assert len(seen.rows) > 60_000  # messages within the 4 MiB that a plain client accepts


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that asks for a key."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    settings = Settings(
        data_dir=folder / "data",
        access={"mode": "api_key", "api_keys": (KEY,)},
        flight={"address": "127.0.0.1:0"},
        grpc={"address": "127.0.0.1:0"},
    )
    running = Engine(settings)
    running.start()
    yield str(running.flight_location)
    running.stop()


@every_program
def test_the_key_is_the_password(program: str, guarded: str) -> None:
    ask: Program = PROGRAMS[program]
    command = ("tables",)
    assert ask(guarded, *command, user="anyone", password=KEY).code == 0
    assert ask(guarded, *command, user="anyone", password="wrong").code == 3
    assert ask(guarded, *command).code == 3


def test_the_key_is_the_password_in_the_url_of_sqlalchemy(guarded: str) -> None:
    address = guarded.removeprefix("grpc://")
    known = sa.create_engine(f"sagitta://anyone:{KEY}@{address}")
    assert sa.inspect(known).get_schema_names() == []
    known.dispose()
    bearer = sa.create_engine(f"sagitta://{address}?token={KEY}")
    assert sa.inspect(bearer).get_schema_names() == []
    bearer.dispose()
    unknown = sa.create_engine(f"sagitta://anyone:wrong@{address}")
    with pytest.raises(sa.exc.DBAPIError, match="API key"), unknown.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    unknown.dispose()
