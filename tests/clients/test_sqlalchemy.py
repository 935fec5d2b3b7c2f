"""Our SQLAlchemy dialect against a running engine, as SQLAlchemy and pandas use it; Superset is in `tests/superset`."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal

import pandas as pd
import pytest
import sagitta_sqlalchemy.dialect
import sqlalchemy as sa
from sqlalchemy.dialects import registry

registry.register("sagitta", sagitta_sqlalchemy.dialect.__name__, "SagittaDialect")


@pytest.fixture
def database(flight_uri: str) -> Iterator[sa.Engine]:
    found = sa.create_engine(f"sagitta://{flight_uri.removeprefix('grpc://')}/tpch")
    yield found
    found.dispose()


def test_the_inspector_sees_models_tables_columns_and_keys(database: sa.Engine) -> None:
    found = sa.inspect(database)
    assert found.get_schema_names() == ["kinds", "tpch", "wide"]
    assert found.default_schema_name == "tpch"
    assert {"model", "Line Item"} <= set(found.get_table_names())
    assert found.get_view_names() == ["dimensions", "measures", "metrics"]
    columns = {column["name"]: column for column in found.get_columns("model")}
    assert isinstance(columns["Order Date"]["type"], sa.DATE)
    assert isinstance(columns["Revenue"]["type"], sa.DECIMAL)
    assert str(columns["Order Date"]["comment"]).startswith("Ask for")
    assert found.get_pk_constraint("Order")["constrained_columns"] == ["Order Key"]
    assert found.has_table("Order")
    assert not found.has_table("orders_raw")


def test_a_table_that_is_not_there(database: sa.Engine) -> None:
    with pytest.raises(sa.exc.NoSuchTableError):
        sa.inspect(database).get_columns("nothing")


def test_a_reflected_table_is_selected_with_bound_values(database: sa.Engine) -> None:
    model = sa.Table("model", sa.MetaData(), autoload_with=database, schema="tpch")
    region, revenue, day = model.c["Customer Region"], model.c["Revenue"], model.c["Order Date"]
    query = (
        sa.select(region, sa.func.sum(revenue).label("r"))
        .where(day >= dt.date(1993, 1, 1), region.in_(["ASIA", "EUROPE"]))
        .group_by(region)
        .order_by(region)
        .limit(5)
    )
    with database.connect() as connection:
        bound = connection.execute(query).fetchall()
        literal = connection.exec_driver_sql(
            str(query.compile(database, compile_kwargs={"literal_binds": True}))
        ).fetchall()
    assert [row[0] for row in bound] == ["ASIA", "EUROPE"]
    assert bound == literal


def test_text_with_parameters(database: sa.Engine) -> None:
    sql = sa.text('SELECT "Line Item Count" FROM model WHERE "Return Flag" = :flag')
    with database.connect() as connection:
        parts = [connection.execute(sql, {"flag": flag}).scalar_one() for flag in "ANR"]
        whole = connection.execute(sa.text('SELECT "Line Item Count" FROM model')).scalar_one()
    assert sum(parts) == whole


def test_every_type_arrives_without_loss(database: sa.Engine) -> None:
    with database.connect() as connection:
        rows = connection.execute(sa.text('SELECT * FROM kinds."Kinds" ORDER BY "Id"')).mappings().all()
    assert rows[0]["Big"] == Decimal("12345678901234567890123456789012.345678")
    assert [row["Whole"] for row in rows[:2]] == [2**63 - 1, -(2**63)]
    assert math.isnan(rows[1]["Real"])
    assert [rows[2]["Real"], rows[3]["Real"]] == [math.inf, -math.inf]
    assert rows[1]["Day"] == dt.date(1, 1, 1)
    assert rows[0]["Clock"] == dt.time(23, 59, 59, 999999)
    assert rows[0]["Instant"] == dt.datetime(2024, 2, 29, 10, 34, 56, 789012, tzinfo=dt.UTC)
    assert set(rows[3].values()) >= {None}


def test_literals_of_time_are_written(database: sa.Engine) -> None:
    moment, clock = dt.datetime.fromisoformat("2024-02-29 12:34:56.789012"), dt.time(23, 59, 59, 999999)
    kinds = sa.table("Kinds", sa.column("Moment", sa.DateTime()), sa.column("Clock", sa.Time()), schema="kinds")
    query = sa.select(kinds.c.Clock).where(kinds.c.Moment == moment, kinds.c.Clock == clock)
    with database.connect() as connection:
        text = str(query.compile(database, compile_kwargs={"literal_binds": True}))
        assert connection.exec_driver_sql(text).scalar_one() == clock


def test_pandas_reads_a_statement_and_a_table(database: sa.Engine) -> None:
    with database.connect() as connection:
        frame = pd.read_sql(sa.text('SELECT "Customer Region" r, "Revenue" v FROM model ORDER BY 1'), connection)
        objects = pd.read_sql_table("Kinds", connection, schema="kinds")
    assert list(frame["r"]) == ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
    assert len(objects) == 4


def test_a_mistake_names_itself_and_the_connection_lives_on(database: sa.Engine) -> None:
    with database.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError, match="UNKNOWN_SELECT_ITEM"):
            connection.execute(sa.text("SELECT nope FROM model"))
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_an_unknown_parameter_of_the_url_is_refused() -> None:
    with pytest.raises(sa.exc.ArgumentError, match="sslmode"):
        sa.create_engine("sagitta://localhost/tpch?sslmode=require").connect()


def test_a_server_that_is_not_there_is_an_operational_error() -> None:
    database = sa.create_engine("sagitta://127.0.0.1:1/tpch")
    with pytest.raises(sa.exc.OperationalError), database.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    database.dispose()
