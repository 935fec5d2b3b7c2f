"""Engines with a small model on an embedded DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import flight
from sagitta_server.app import Engine
from sagitta_server.config import Settings

MODEL = """
version: 1.0
name: shop
dataObjects:
  Customers:
    code: customers
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Country: {code: country, abstractType: string}
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: customer_id, abstractType: int}
      Amount: {code: amount, abstractType: float}
    joins: [{joinType: many-to-one, joinTo: Customers, columnsFrom: [Cust], columnsTo: [Id]}]
dimensions:
  Country: {dataObject: Customers, column: Country, resultType: string}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, dataType: "decimal(18, 2)"}
"""
DATA = """
CREATE TABLE customers AS SELECT * FROM (VALUES (1,'US'),(2,'DE')) t(id, country);
CREATE TABLE orders AS SELECT i AS id, i % 2 + 1 AS customer_id, 1.5::DOUBLE AS amount FROM range(1000) t(i);
"""

Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts engines on one database; every one is stopped at the end."""
    database = tmp_path / "shop.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(DATA)
    model = tmp_path / "shop.yaml"
    model.write_text(MODEL, encoding="utf-8")
    engines: list[Engine] = []

    def started(folder: str = "data", **settings: Any) -> Engine:
        flight_settings = {"address": "127.0.0.1:0", **settings.pop("flight", {})}
        engine = Engine(
            Settings(
                data_dir=tmp_path / folder,
                models={"files": (str(model),)},
                sources={"default": {"uri": f"duckdb:///{database}", **settings.pop("source", {})}},
                flight=flight_settings,
                grpc={"address": "127.0.0.1:0"},
                **settings,
            )
        )
        engine.start()
        engines.append(engine)
        return engine

    yield started
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(start: Start) -> Engine:
    return start()


@pytest.fixture
def client(engine: Engine) -> Iterator[Any]:
    with flight.connect(engine.flight_location) as found:
        yield found
